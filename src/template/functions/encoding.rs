//! Base64, base32, JSON and YAML.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Call, Function, Outcome,
    Param::{Any, Str as Text},
    plain,
};
use crate::{
    template::{
        encode::{self, JsonStyle},
        toml,
        value::{List, Map, Str, Value},
    },
    values::yaml::{self, Numbers},
};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("b64enc", &[Text], |c| Ok(Value::str(STANDARD.encode(c.bytes(0))))),
    plain("b64dec", &[Text], b64dec),
    plain("b32enc", &[Text], |c| Ok(Value::str(b32enc(c.bytes(0))))),
    plain("b32dec", &[Text], b32dec),
    plain("toYaml", &[Any], |c| Ok(Value::str(encode::to_yaml(&c.args[0]).unwrap_or_default()))),
    plain("toYamlPretty", &[Any], |c| Ok(Value::str(encode::to_yaml_pretty(&c.args[0]).unwrap_or_default()))),
    plain("mustToYaml", &[Any], |c| Ok(Value::str(encode::to_yaml(&c.args[0])?))),
    plain("fromYaml", &[Text], from_yaml),
    plain("fromYamlArray", &[Text], from_yaml_array),
    plain("toJson", &[Any], |c| Ok(Value::str(json(c, true, false).unwrap_or_default()))),
    plain("mustToJson", &[Any], |c| Ok(Value::str(json(c, true, false)?))),
    plain("toPrettyJson", &[Any], |c| Ok(Value::str(json(c, true, true).unwrap_or_default()))),
    plain("mustToPrettyJson", &[Any], |c| Ok(Value::str(json(c, true, true)?))),
    plain("toRawJson", &[Any], |c| Ok(Value::str(json(c, false, false)?))),
    plain("mustToRawJson", &[Any], |c| Ok(Value::str(json(c, false, false)?))),
    plain("toToml", &[Any], |c| Ok(Value::str(toml::to_toml(&c.args[0]).unwrap_or_else(|error| error)))),
    plain("fromToml", &[Text], |c| Ok(toml::from_toml(&c.text(0)))),
    plain("fromJson", &[Text], from_json),
    plain("mustFromJson", &[Text], |c| Ok(encode::from_json(&c.text(0))?)),
    plain("fromJsonArray", &[Text], from_json_array),
];

fn json(call: &Call<'_, '_>, escape_html: bool, pretty: bool) -> Result<String, String> {
    encode::to_json(&call.args[0], JsonStyle { escape_html, pretty })
}

/// A mistake becomes the text of the error, as in Sprig.
fn b64dec(call: &mut Call<'_, '_>) -> Outcome {
    let clean: Vec<u8> = call.bytes(0).iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    match STANDARD.decode(&clean) {
        Ok(bytes) => Ok(Value::str(bytes)),
        Err(_) => {
            let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
            let at = clean.iter().position(|b| !good(b)).unwrap_or(clean.len());
            let at = if clean.get(at) == Some(&b'=') { at } else { at.min(clean.len()) };
            Ok(Value::str(format!("illegal base64 data at input byte {}", corrupt_at(&clean, at))))
        }
    }
}

/// Where Go's decoder says the input is corrupt.
fn corrupt_at(clean: &[u8], bad: usize) -> usize {
    let short_tail = bad == clean.len() && !clean.len().is_multiple_of(4);
    if short_tail { clean.len() - clean.len() % 4 } else { bad }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn b32enc(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0; 5];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = block.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let used = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = usize::try_from((bits >> (35 - 5 * index)) & 31).unwrap_or(0);
            out.push(if index < used { char::from(BASE32[digit]) } else { '=' });
        }
    }
    out
}

fn b32dec(call: &mut Call<'_, '_>) -> Outcome {
    let clean: Vec<u8> = call.bytes(0).iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let corrupt = |at: usize| Ok(Value::str(format!("illegal base32 data at input byte {at}")));
    let digits = clean.iter().position(|b| *b == b'=').unwrap_or(clean.len());
    if let Some(at) = clean[..digits].iter().position(|b| !BASE32.contains(b)) {
        return corrupt(at);
    }
    if !clean.len().is_multiple_of(8) {
        return corrupt(clean.len());
    }
    if clean[digits..].iter().any(|b| *b != b'=') || matches!(digits % 8, 1 | 3 | 6) {
        return corrupt(digits);
    }
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for (at, byte) in clean[..digits].iter().enumerate() {
        let Some(value) = BASE32.iter().position(|b| b == byte) else { return corrupt(at) };
        bits = (bits << 5) | u32::try_from(value).unwrap_or(0);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(Value::str(out))
}

/// Errors become an entry `Error` of the map, as in Helm.
fn error_map(message: &str) -> Value {
    let map = Map::new();
    map.set(Str::from("Error"), Value::str(message));
    Value::Map(map)
}

fn mismatch(format: &str, json: &serde_json::Value, wanted: &str) -> String {
    let found = match json {
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Object(_) => "object",
        serde_json::Value::Null => "null",
    };
    let prefix = if format == "yaml" { "error unmarshaling JSON: while decoding JSON: " } else { "" };
    format!("{prefix}json: cannot unmarshal {found} into Go value of type {wanted}")
}

fn from_yaml(call: &mut Call<'_, '_>) -> Outcome {
    Ok(match yaml::read(&call.text(0), Numbers::Floats) {
        Ok(json @ serde_json::Value::Object(_)) => encode::floats(&json),
        Ok(serde_json::Value::Null) => Value::Map(Map::new()),
        Ok(other) => error_map(&mismatch("yaml", &other, "map[string]interface {}")),
        Err(error) => error_map(&error.to_string()),
    })
}

fn from_yaml_array(call: &mut Call<'_, '_>) -> Outcome {
    let failed = |message: String| Value::List(List::any(vec![Value::str(message)]));
    Ok(match yaml::read(&call.text(0), Numbers::Floats) {
        Ok(json @ serde_json::Value::Array(_)) => encode::floats(&json),
        Ok(serde_json::Value::Null) => Value::List(List::any(Vec::new())),
        Ok(other) => failed(mismatch("yaml", &other, "[]interface {}")),
        Err(error) => failed(error.to_string()),
    })
}

fn from_json(call: &mut Call<'_, '_>) -> Outcome {
    Ok(match serde_json::from_str::<serde_json::Value>(&call.text(0)) {
        Ok(json @ serde_json::Value::Object(_)) => encode::floats(&json),
        Ok(serde_json::Value::Null) => Value::Map(Map::new()),
        Ok(other) => error_map(&mismatch("json", &other, "map[string]interface {}")),
        Err(error) => error_map(&error.to_string()),
    })
}

fn from_json_array(call: &mut Call<'_, '_>) -> Outcome {
    let failed = |message: String| Value::List(List::any(vec![Value::str(message)]));
    Ok(match serde_json::from_str::<serde_json::Value>(&call.text(0)) {
        Ok(json @ serde_json::Value::Array(_)) => encode::floats(&json),
        Ok(serde_json::Value::Null) => Value::List(List::any(Vec::new())),
        Ok(other) => failed(mismatch("json", &other, "[]interface {}")),
        Err(error) => failed(error.to_string()),
    })
}
