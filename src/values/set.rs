//! The language of `--set` and its relatives: `a.b[0]=x,c={1,2}`.

use serde_json::Value;

use super::Table;

/// Which of the flags a setting comes from.
#[derive(Clone, Copy)]
pub enum SetKind<'r> {
    /// `--set`: numbers, booleans and null are recognised.
    Typed,
    /// `--set-string`: every value is text.
    Text,
    /// `--set-json`: values are JSON, or the whole argument is an object.
    Json,
    /// `--set-file`: values are names of files, which the function reads.
    File(&'r dyn Fn(&str) -> Result<String, String>),
    /// `--set-literal`: all after the first `=` is text.
    Literal,
}

impl SetKind<'_> {
    /// The flag without its dashes.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Typed => "set",
            Self::Text => "set-string",
            Self::Json => "set-json",
            Self::File(_) => "set-file",
            Self::Literal => "set-literal",
        }
    }
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No `=` follows the key.
    #[error("key {0:?} has no value")]
    NoValue(String),
    /// `[…]` holds no index, or one out of bounds.
    #[error("{0:?} is not an index from 0 to {MAX_INDEX}")]
    Index(String),
    /// Something between `]` and the next part.
    #[error("unexpected {0:?} after an index")]
    AfterIndex(String),
    /// The path goes through a value that is no table or list.
    #[error("{0:?} holds no {1}")]
    Shape(String, &'static str),
    /// `{` without `}`.
    #[error("the list must end with }}")]
    OpenList,
    /// The value is not JSON.
    #[error("the value is not JSON: {0}")]
    Json(String),
    /// The named file could not be read.
    #[error("{0}")]
    File(String),
    /// Too many dots.
    #[error("the key is nested deeper than {MAX_NESTING} levels")]
    Nested,
}

const MAX_INDEX: usize = 65_536;
const MAX_NESTING: usize = 30;

/// Applies one argument to `table`.
pub(super) fn apply(table: &mut Table, kind: SetKind<'_>, text: &str) -> Result<(), SetError> {
    if let SetKind::Json = kind
        && text.trim_start().starts_with('{')
    {
        let json: Value = serde_json::from_str(text.trim()).map_err(|e| SetError::Json(e.to_string()))?;
        if let Value::Object(over) = floats(json) {
            *table = super::merge_maps(std::mem::take(table), over);
        }
        return Ok(());
    }
    let mut parser = Parser { rest: text, kind };
    while !parser.rest.is_empty() {
        parser.key(table, 0)?;
    }
    Ok(())
}

/// JSON's numbers are floats, as Go decodes them.
fn floats(json: Value) -> Value {
    match json {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => Value::Array(items.into_iter().map(floats).collect()),
        Value::Object(entries) => Value::Object(entries.into_iter().map(|(k, v)| (k, floats(v))).collect()),
        other => other,
    }
}

struct Parser<'t, 'r> {
    rest: &'t str,
    kind: SetKind<'r>,
}

impl Parser<'_, '_> {
    /// Text up to one of `stops`, which is consumed; a backslash takes the next
    /// character as it is.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if stops.contains(&c) {
                self.rest = &self.rest[at + c.len_utf8()..];
                return (text, Some(c));
            }
            if c == '\\' && !matches!(self.kind, SetKind::Literal) {
                text.extend(chars.next().map(|(_, c)| c));
            } else {
                text.push(c);
            }
        }
        self.rest = "";
        (text, None)
    }

    fn key(&mut self, table: &mut Table, nesting: usize) -> Result<(), SetError> {
        let stops: &[char] =
            if matches!(self.kind, SetKind::Literal) { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        match stop {
            Some('[') => {
                let index = self.index()?;
                let mut list = match table.get(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list.clone(),
                    Some(_) => return Err(SetError::Shape(key, "list")),
                };
                self.item(&mut list, index, nesting)?;
                put(table, key, Value::Array(list));
                Ok(())
            }
            Some('.') => {
                if nesting >= MAX_NESTING {
                    return Err(SetError::Nested);
                }
                let mut inner = match table.get(&key) {
                    None => Table::new(),
                    Some(Value::Object(inner)) => inner.clone(),
                    Some(_) => return Err(SetError::Shape(key, "table")),
                };
                self.key(&mut inner, nesting + 1)?;
                if inner.is_empty() {
                    return Err(SetError::NoValue(key));
                }
                put(table, key, Value::Object(inner));
                Ok(())
            }
            Some('=') => {
                let value = self.value()?;
                put(table, key, value);
                Ok(())
            }
            _ => Err(SetError::NoValue(key)),
        }
    }

    fn index(&mut self) -> Result<usize, SetError> {
        let (text, stop) = self.until(&[']']);
        let index = text.parse::<usize>().ok().filter(|index| *index <= MAX_INDEX);
        index.filter(|_| stop.is_some()).ok_or(SetError::Index(text))
    }

    fn item(&mut self, list: &mut Vec<Value>, index: usize, nesting: usize) -> Result<(), SetError> {
        let (extra, stop) = self.until(&['[', '.', '=']);
        if !extra.is_empty() {
            return Err(SetError::AfterIndex(extra));
        }
        let value = match stop {
            Some('=') => self.value()?,
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get(index) {
                    Some(Value::Array(inner)) => inner.clone(),
                    None | Some(Value::Null) => Vec::new(),
                    Some(_) => return Err(SetError::Shape(format!("[{index}]"), "list")),
                };
                self.item(&mut inner, next, nesting)?;
                Value::Array(inner)
            }
            Some('.') => {
                let mut inner = match list.get(index) {
                    Some(Value::Object(inner)) => inner.clone(),
                    _ => Table::new(),
                };
                self.key(&mut inner, nesting)?;
                Value::Object(inner)
            }
            _ => return Err(SetError::NoValue(format!("[{index}]"))),
        };
        if list.len() <= index {
            list.resize(index + 1, Value::Null);
        }
        list[index] = value;
        Ok(())
    }

    fn value(&mut self) -> Result<Value, SetError> {
        if let SetKind::Json = self.kind {
            return self.json();
        }
        if let SetKind::Literal = self.kind {
            return Ok(Value::String(std::mem::take(&mut self.rest).to_owned()));
        }
        if let Some(after) = self.rest.strip_prefix('{') {
            self.rest = after;
            return self.list();
        }
        if self.rest.is_empty() {
            return Ok(Value::String(String::new()));
        }
        let (text, _) = self.until(&[',']);
        self.typed(text)
    }

    fn list(&mut self) -> Result<Value, SetError> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return Err(SetError::OpenList),
                Some('}') => {
                    items.push(self.typed(text)?);
                    self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                    return Ok(Value::Array(items));
                }
                Some(_) => items.push(self.typed(text)?),
            }
        }
    }

    fn json(&mut self) -> Result<Value, SetError> {
        let blank = self.rest.trim_start();
        if blank.is_empty() || blank.starts_with(',') {
            self.rest = blank.strip_prefix(',').unwrap_or(blank);
            return Ok(Value::Null);
        }
        self.rest = blank;
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(SetError::Json(error.to_string())),
            None => Value::Null,
        };
        let after = self.rest[stream.byte_offset()..].trim_start();
        self.rest = after.strip_prefix(',').unwrap_or(after);
        Ok(floats(value))
    }

    fn typed(&self, text: String) -> Result<Value, SetError> {
        match self.kind {
            SetKind::File(read) => return read(&text).map(Value::String).map_err(SetError::File),
            SetKind::Typed => {}
            _ => return Ok(Value::String(text)),
        }
        Ok(match text.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "0" => Value::from(0),
            number if !number.starts_with('0') && whole(number) => {
                number.trim_start_matches('+').parse::<i64>().map_or(Value::String(text), Value::from)
            }
            _ => Value::String(text),
        })
    }
}

fn whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// An empty key sets nothing.
fn put(table: &mut Table, key: String, value: Value) {
    if !key.is_empty() {
        table.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(kind: SetKind<'_>, text: &str) -> Result<Value, SetError> {
        let mut table = Table::new();
        apply(&mut table, kind, text).map(|()| Value::Object(table))
    }

    #[test]
    fn paths_lists_and_types() {
        let value = parsed(SetKind::Typed, r"a.b=1,c={x,2},d[1].e=true,f\.g=n\,o,h=null,i=007").expect("valid");
        let expected = json!({
            "a": {"b": 1}, "c": ["x", 2], "d": [null, {"e": true}], "f.g": "n,o", "h": null, "i": "007"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn json_and_literals() {
        let json = parsed(SetKind::Json, r#"a={"b": [1]}, c="x""#).expect("valid");
        assert_eq!(json, json!({"a": {"b": [1.0]}, " c": "x"}), "helm keeps the space after the comma");
        assert_eq!(parsed(SetKind::Literal, "a.b=1,{x}").expect("valid"), json!({"a": {"b": "1,{x}"}}));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parsed(SetKind::Typed, "a"), Err(SetError::NoValue("a".to_owned())));
        assert_eq!(parsed(SetKind::Typed, "a={1"), Err(SetError::OpenList));
        assert!(matches!(parsed(SetKind::Typed, "a[-1]=1"), Err(SetError::Index(_))));
        assert!(matches!(parsed(SetKind::Typed, "a[99999999]=1"), Err(SetError::Index(_))));
        assert!(matches!(parsed(SetKind::Typed, "a=1,a.b=2"), Err(SetError::Shape(..))));
    }
}
