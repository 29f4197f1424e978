//! Values as YAML and JSON text, and JSON as values.

use super::{
    print::{self, float_general, shortest, special},
    value::{List, ListKind, MAX_DEPTH, Map, Str, Value},
};
use crate::values::yaml::{Emitter, Scalar, natural_sort, resolve};

/// Helm's `toYaml`, without the newline at the end. Values that have no JSON
/// form are errors.
pub(crate) fn to_yaml(value: &Value) -> Result<String, String> {
    written(Emitter::default(), value, yaml_number)
}

/// Helm's `toYamlPretty`, without the newline at the end.
pub(crate) fn to_yaml_pretty(value: &Value) -> Result<String, String> {
    written(Emitter::pretty(), value, |number| {
        Ok(match special(number) {
            Some("NaN") => ".nan".to_owned(),
            Some(infinity) => infinity.replace("+Inf", ".inf").replace("-Inf", "-.inf"),
            None => float_general(number),
        })
    })
}

/// How a float is written.
type Floats = fn(f64) -> Result<String, String>;

fn written(mut emitter: Emitter, value: &Value, floats: Floats) -> Result<String, String> {
    yaml(&mut emitter, value, floats, 0)?;
    let mut text = emitter.finish();
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

const TOO_DEEP: &str = "the value is nested too deep (or holds itself)";

fn yaml(emitter: &mut Emitter, value: &Value, floats: Floats, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP.to_owned());
    }
    match value {
        Value::Nil | Value::NilInterface => emitter.literal("null"),
        Value::Bool(value) => emitter.literal(if *value { "true" } else { "false" }),
        Value::Int(number, _) => emitter.literal(&number.to_string()),
        Value::Float(number) => emitter.literal(&floats(*number)?),
        Value::Str(text) => emitter.string(readable(&text.text())?),
        Value::List(list) if list.nil => emitter.literal("null"),
        Value::List(list) if list.kind == ListKind::Bytes => emitter.string(&base64_of(value)),
        Value::List(list) => {
            emitter.begin_list(list.is_empty());
            for item in list.iter() {
                yaml(emitter, item, floats, depth + 1)?;
            }
            if !list.is_empty() {
                emitter.end();
            }
        }
        Value::Map(map) => {
            let entries: Vec<(String, Value)> =
                map.entries().into_iter().map(|(key, item)| (key.text().into_owned(), item)).collect();
            emitter.begin_map(entries.is_empty());
            let empty = entries.is_empty();
            for (key, item) in natural_sort(entries, &|(key, _)| key.as_str()) {
                emitter.key(readable(&key)?);
                yaml(emitter, &item, floats, depth + 1)?;
            }
            if !empty {
                emitter.end();
            }
        }
        Value::Object(object) => yaml(emitter, &object.plain(), floats, depth + 1)?,
    }
    Ok(())
}

/// Helm goes through JSON text, which its YAML reader refuses when it holds
/// these characters.
fn readable(text: &str) -> Result<&str, String> {
    let refused = |c: char| matches!(c, '\u{7f}' | '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(refused) { Err("the text holds control characters".to_owned()) } else { Ok(text) }
}

/// A number as yaml.v2 writes what it read from JSON.
fn yaml_number(number: f64) -> Result<String, String> {
    let text = json_number(number)?;
    Ok(match resolve(&text) {
        Scalar::Int(value) => value.to_string(),
        Scalar::Uint(value) => value.to_string(),
        _ => float_general(number),
    })
}

/// A `float64` as Go's JSON encoder writes it.
fn json_number(number: f64) -> Result<String, String> {
    if let Some(special) = print::special(number) {
        return Err(format!("{special} has no JSON form"));
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let (digits, exponent) = shortest(magnitude);
        let sign = if number < 0.0 { "-" } else { "" };
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return Ok(format!("{sign}{first}{point}{rest}e{exponent_sign}{}", exponent.abs()));
    }
    Ok(print::float_fixed(number))
}

fn base64_of(value: &Value) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(print::byte_list(value).unwrap_or_default())
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub(crate) struct JsonStyle {
    /// Escape `<`, `>` and `&`, as Go does by default.
    pub escape_html: bool,
    /// Two spaces per level, one entry per line.
    pub pretty: bool,
}

/// Go's `json.Marshal`.
pub(crate) fn to_json(value: &Value, style: JsonStyle) -> Result<String, String> {
    let mut out = String::new();
    json(&mut out, value, style, 0)?;
    Ok(out)
}

fn new_line(out: &mut String, style: JsonStyle, depth: usize) {
    if style.pretty {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

fn json(out: &mut String, value: &Value, style: JsonStyle, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP.to_owned());
    }
    match value {
        Value::Nil | Value::NilInterface => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number, _) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&json_number(*number)?),
        Value::Str(text) => json_string(out, &text.text(), style.escape_html),
        Value::List(list) if list.nil => out.push_str("null"),
        Value::List(list) if list.kind == ListKind::Bytes => json_string(out, &base64_of(value), style.escape_html),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                new_line(out, style, depth + 1);
                json(out, item, style, depth + 1)?;
            }
            if !list.is_empty() {
                new_line(out, style, depth);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let entries = map.entries();
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                new_line(out, style, depth + 1);
                json_string(out, &key.text(), style.escape_html);
                out.push_str(if style.pretty { ": " } else { ":" });
                json(out, item, style, depth + 1)?;
            }
            if !entries.is_empty() {
                new_line(out, style, depth);
            }
            out.push('}');
        }
        Value::Object(object) => json(out, &object.plain(), style, depth + 1)?,
    }
    Ok(())
}

fn json_string(out: &mut String, text: &str, escape_html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if escape_html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Go's `json.Unmarshal` into `interface {}`: all numbers are `float64`.
pub(crate) fn from_json(text: &str) -> Result<Value, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(floats(&json))
}

/// JSON data as values, every number a `float64`.
pub(crate) fn floats(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::Array(items) => Value::List(List::any(items.iter().map(floats).collect())),
        Json::Object(entries) => {
            let map = Map::new();
            for (key, item) in entries {
                map.set(Str::from(key.as_str()), floats(item));
            }
            Value::Map(map)
        }
        other => Value::from_json(other),
    }
}
