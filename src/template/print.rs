//! How Go's `fmt` prints values with `%v`, and how actions print theirs.

use super::value::{ListKind, MAX_DEPTH, Value};

/// The text of a value as an action prints it: nil shows as `<no value>`.
pub(crate) fn action(out: &mut Vec<u8>, value: &Value) -> Result<(), String> {
    match value {
        Value::Nil | Value::NilInterface => out.extend_from_slice(b"<no value>"),
        Value::Str(text) => out.extend_from_slice(text),
        Value::Object(object) => out.extend_from_slice(object.print().as_bytes()),
        value => plain(out, value, 0)?,
    }
    Ok(())
}

/// `fmt.Sprint` of one value: nil shows as `<nil>`.
pub(crate) fn to_bytes(value: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    plain(&mut out, value, 0)?;
    Ok(out)
}

/// Appends the `%v` form.
pub(crate) fn plain(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the value is nested deeper than {MAX_DEPTH} levels (or holds itself)"));
    }
    match value {
        Value::Nil | Value::NilInterface => out.extend_from_slice(b"<nil>"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value, _) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) => out.extend_from_slice(float_general(*value).as_bytes()),
        Value::Str(text) => out.extend_from_slice(text),
        Value::List(list) => {
            out.push(b'[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                plain(out, item, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.extend_from_slice(b"map[");
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(key);
                out.push(b':');
                plain(out, item, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(object) => out.extend_from_slice(object.print_fields().as_bytes()),
    }
    Ok(())
}

/// Whether `fmt` may show the list as a string (`%s` of `[]byte`).
pub(crate) fn byte_list(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::List(list) if list.kind == ListKind::Bytes => {
            Some(list.iter().map(|item| if let Value::Int(byte, _) = item { *byte as u8 } else { 0 }).collect())
        }
        _ => None,
    }
}

/// The shortest decimal digits that read back as `value`, and the power of ten
/// of the first one. `value` is finite and not negative.
pub(crate) fn shortest(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// `strconv.FormatFloat(value, 'g', -1, 64)`, which is also `%v`.
pub(crate) fn float_general(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let (_, exponent) = shortest(value.abs());
    if (-4..6).contains(&exponent) { float_fixed(value) } else { float_exponent(value) }
}

/// `NaN`, `+Inf` or `-Inf`.
pub(crate) fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// `strconv.FormatFloat(value, 'f', -1, 64)`.
pub(crate) fn float_fixed(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// `strconv.FormatFloat(value, 'e', -1, 64)`.
pub(crate) fn float_exponent(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let (digits, exponent) = shortest(value.abs());
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
}
