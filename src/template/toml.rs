//! TOML, written as Helm's library does and read with the `toml` crate.

use super::{
    print::{float_general, special},
    value::{List, MAX_DEPTH, Map, Str, Value},
};

/// Helm's `toToml`.
pub(crate) fn to_toml(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    encode(&mut out, &mut Vec::new(), value)?;
    Ok(out)
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Map(_))
}

/// Whether the list is written as `[[key]]` blocks.
fn is_table_list(value: &Value) -> Result<bool, String> {
    let Value::List(list) = value else { return Ok(false) };
    if list.iter().any(Value::is_nil) {
        return Err("toml: cannot encode array with nil element".to_owned());
    }
    Ok(!list.is_empty() && list.iter().all(is_table))
}

fn indent(out: &mut String, path: &[String]) {
    out.push_str(&"  ".repeat(path.len().saturating_sub(1)));
}

fn new_line(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn encode(out: &mut String, path: &mut Vec<String>, value: &Value) -> Result<(), String> {
    if path.len() > MAX_DEPTH {
        return Err("the value is nested too deep (or holds itself)".to_owned());
    }
    match value {
        Value::Map(map) => {
            if path.len() == 1 {
                new_line(out);
            }
            if !path.is_empty() {
                indent(out, path);
                out.push_str(&format!("[{}]\n", path.join(".")));
            }
            table(out, path, map)
        }
        Value::List(list) if is_table_list(value)? => {
            if path.is_empty() {
                return Err("toml: top-level values must be Go maps or structs".to_owned());
            }
            for item in list.iter() {
                new_line(out);
                indent(out, path);
                out.push_str(&format!("[[{}]]\n", path.join(".")));
                if let Value::Map(map) = item {
                    table(out, path, map)?;
                }
            }
            Ok(())
        }
        value => {
            let Some(key) = path.last() else { return element(out, value, 0) };
            let key = key.clone();
            indent(out, path);
            out.push_str(&format!("{key} = "));
            element(out, value, 0)?;
            out.push('\n');
            Ok(())
        }
    }
}

/// The entries without tables first, then those with.
fn split(map: &Map) -> Result<Vec<(Str, Value)>, String> {
    let (mut direct, mut tables) = (Vec::new(), Vec::new());
    for (key, value) in map.entries() {
        if value.is_nil() {
            continue;
        }
        let nested = is_table(&value) || is_table_list(&value)?;
        if nested { tables.push((key, value)) } else { direct.push((key, value)) }
    }
    direct.append(&mut tables);
    Ok(direct)
}

fn table(out: &mut String, path: &mut Vec<String>, map: &Map) -> Result<(), String> {
    for (key, value) in split(map)? {
        path.push(written_key(&key.text()));
        encode(out, path, &value)?;
        path.pop();
    }
    Ok(())
}

fn written_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

fn element(out: &mut String, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("the value is nested too deep (or holds itself)".to_owned());
    }
    match value {
        Value::Nil | Value::NilInterface => return Err("toml: cannot encode nil".to_owned()),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value, _) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&match special(*value) {
            Some(text) => text.trim_start_matches('+').to_lowercase(),
            None => {
                let text = float_general(*value);
                if text.contains(['.', 'e']) { text } else { text + ".0" }
            }
        }),
        Value::Str(text) => out.push_str(&quoted(&text.text())),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                element(out, item, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in split(map)?.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(&format!("{} = ", written_key(&key.text())));
                element(out, item, depth + 1)?;
            }
            out.push('}');
        }
        Value::Object(object) => return element(out, &object.plain(), depth + 1),
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Helm's `fromToml`: a mistake becomes the entry `Error`.
pub(crate) fn from_toml(text: &str) -> Value {
    let map = Map::new();
    match text.parse::<toml::Table>() {
        Ok(table) => {
            for (key, value) in table {
                map.set(Str::from(key), from_value(value));
            }
        }
        Err(error) => map.set(Str::from("Error"), Value::str(format!("toml: {}", error.message()))),
    }
    Value::Map(map)
}

fn from_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::str(text),
        toml::Value::Integer(number) => Value::int64(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => Value::str(time.to_string()),
        toml::Value::Array(items) => Value::List(List::any(items.into_iter().map(from_value).collect())),
        toml::Value::Table(table) => {
            let map = Map::new();
            for (key, value) in table {
                map.set(Str::from(key), from_value(value));
            }
            Value::Map(map)
        }
    }
}
