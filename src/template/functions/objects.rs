//! Methods that maps and lists of some types have.

use crate::template::value::{ListKind, Map, MapKind, Value};

/// A method of `.Values` or of `.Capabilities.APIVersions`; `None` when the
/// value has no such one.
pub(crate) fn method(value: &Value, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    match (value, name) {
        (Value::List(list), "Has") if list.kind == ListKind::Versions => Some(match args {
            [Value::Str(wanted)] => {
                let known = list.iter().any(|item| matches!(item, Value::Str(text) if text == wanted));
                Ok(Value::Bool(known))
            }
            _ => Err("Has takes one string, such as apps/v1".to_owned()),
        }),
        (Value::Map(map), "AsMap") if map.kind() == MapKind::Values => Some(Ok(Value::Map(map.retyped(MapKind::Any)))),
        (Value::Map(map), "YAML") if map.kind() == MapKind::Values => {
            Some(crate::template::encode::to_yaml(value).map(|text| Value::str(text + "\n")))
        }
        (Value::Map(map), "Table") if map.kind() == MapKind::Values => Some(match args {
            [Value::Str(path)] => table(map, &path.text()),
            _ => Err("Table takes one dotted path".to_owned()),
        }),
        _ => None,
    }
}

fn table(map: &Map, path: &str) -> Result<Value, String> {
    let mut at = map.clone();
    for part in path.split('.') {
        match at.get(part.as_bytes()) {
            Some(Value::Map(next)) => at = next,
            _ => return Err(format!("{part:?} is not a table")),
        }
    }
    Ok(Value::Map(at.retyped(MapKind::Values)))
}
