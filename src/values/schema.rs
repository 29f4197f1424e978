//! Checks values against `values.schema.json`.

use serde_json::{Number, Value};

/// A value that the schema refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// The JSON pointer of the value, such as `/redis/appendfsync`; empty for
    /// the whole.
    pub pointer: String,
    /// What the schema wants. Never quotes the value.
    pub message: String,
}

/// Checks `values`; all violations, in the order the schema finds them. The
/// error says why the schema itself cannot be used.
pub fn check(schema: &str, values: &Value) -> Result<Vec<SchemaViolation>, String> {
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let values = whole_numbers(values);
    Ok(validator
        .iter_errors(&values)
        .map(|error| SchemaViolation {
            pointer: error.instance_path().to_string(),
            // The value may be a password, so it is not quoted.
            message: error.masked_with("the value").to_string(),
        })
        .collect())
}

/// Numbers of values are floats; a schema means whole ones where they are.
fn whole_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Value::Number(Number::from(float as i64)),
            _ => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(whole_numbers).collect()),
        Value::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), whole_numbers(value))).collect())
        }
        other => other.clone(),
    }
}
