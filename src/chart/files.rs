//! `.Files`: what templates can read of a chart.

use std::{any::Any, collections::BTreeMap, rc::Rc, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::ChartFile;
use crate::template::{IntKind, List, ListKind, Map, MapKind, Object, Str, Value, base_name, glob, to_yaml};

/// The files of a chart by their path.
pub(super) struct Files(Rc<BTreeMap<String, Arc<[u8]>>>);

impl Files {
    pub(super) fn new(files: &[ChartFile]) -> Self {
        Self(Rc::new(files.iter().map(|file| (file.name.clone(), Arc::clone(&file.data))).collect()))
    }

    fn select(&self, pattern: &str) -> Self {
        let matches = glob(pattern);
        Self(Rc::new(
            self.0.iter().filter(|(name, _)| matches(name)).map(|(k, v)| (k.clone(), Arc::clone(v))).collect(),
        ))
    }

    /// The files as a YAML map from base name to text.
    fn flat(&self, encode: impl Fn(&[u8]) -> Str) -> Value {
        let entries =
            self.0.iter().map(|(name, data)| (Str::from(base_name(name)), Value::Str(encode(data)))).collect();
        Value::str(to_yaml(&Value::Map(Map::of(MapKind::Strings, entries))).unwrap_or_default())
    }

    fn lines(&self, name: &str) -> Value {
        let Some(data) = self.0.get(name).filter(|data| !data.is_empty()) else {
            return Value::strings(Vec::<Str>::new());
        };
        let body = data.strip_suffix(b"\n").unwrap_or(data);
        Value::strings(body.split(|byte| *byte == b'\n'))
    }
}

fn bytes(data: &[u8]) -> Value {
    Value::List(List::of(
        ListKind::Bytes,
        data.iter().map(|byte| Value::Int(i64::from(*byte), IntKind::Uint8)).collect(),
    ))
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn member(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let path = match args {
            [Value::Str(path)] => Ok(path.text().into_owned()),
            _ => Err(format!("{name} takes one path")),
        };
        let data = |path: &str| self.0.get(path).map_or(&[][..], |data| data);
        Some(match name {
            "Get" => path.map(|path| Value::str(data(&path))),
            "GetBytes" => path.map(|path| bytes(data(&path))),
            "Glob" => path.map(|path| Value::Object(Rc::new(self.select(&path)))),
            "Lines" => path.map(|path| self.lines(&path)),
            "AsConfig" => Ok(self.flat(|data| Str::from(data))),
            "AsSecrets" => Ok(self.flat(|data| Str::from(STANDARD.encode(data)))),
            _ if args.is_empty() => Ok(bytes(data(name))),
            _ => return None,
        })
    }

    fn entries(&self) -> Option<Vec<(Str, Value)>> {
        Some(self.0.iter().map(|(name, data)| (Str::from(name.as_str()), bytes(data))).collect())
    }

    fn print(&self) -> String {
        let shown: Vec<String> = self
            .0
            .iter()
            .map(|(name, data)| {
                let numbers: Vec<String> = data.iter().map(u8::to_string).collect();
                format!("{name}:[{}]", numbers.join(" "))
            })
            .collect();
        format!("map[{}]", shown.join(" "))
    }

    fn plain(&self) -> Value {
        let entries = self.0.iter().map(|(name, data)| (Str::from(name.as_str()), bytes(data))).collect();
        Value::Map(Map::of(MapKind::Any, entries))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
