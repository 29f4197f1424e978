//! How Sprig turns any value into a number (the Go library cast).

use crate::template::{
    literal::{parse_float, parse_int},
    value::Value,
};

/// 2^63
const LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// `cast.ToInt64`: what is no number is 0.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(value, _) => *value,
        // Go's conversion of what does not fit gives the smallest int64 on amd64.
        Value::Float(value) if (-LIMIT..LIMIT).contains(value) => *value as i64,
        Value::Float(_) => i64::MIN,
        Value::Bool(value) => i64::from(*value),
        Value::Str(text) => parse_int(without_zero_decimals(&text.text()), 0).unwrap_or(0),
        Value::Object(object) => super::dates::duration_nanos(object.as_any()).unwrap_or(0),
        _ => 0,
    }
}

/// `10.00` counts as a whole number, `10.50` does not.
fn without_zero_decimals(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, decimals)) if !decimals.is_empty() && decimals.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`: what is no number is 0.
pub(crate) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(value, _) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Str(text) => named_float(&text.text()).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn named_float(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
        "inf" | "infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        "nan" => Some(f64::NAN),
        _ => parse_float(text),
    }
}
