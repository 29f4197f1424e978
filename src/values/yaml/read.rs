//! Reads YAML into nodes that know where they stand, and into JSON.

use std::{fmt, rc::Rc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};

use super::{
    compose::compose,
    resolve::{Scalar, resolve},
};

/// Nesting past which a document is refused.
pub(super) const MAX_DEPTH: usize = 200;
/// Nodes that aliases may expand to.
const MAX_EXPANDED: usize = 1_000_000;

/// The text is not YAML, or not YAML that has a JSON form.
#[derive(Clone, Debug, thiserror::Error)]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// How numbers arrive in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Whole numbers stay whole.
    Exact,
    /// All become `float64`, as when Helm reads values.
    Floats,
}

/// A node of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds.
    pub kind: NodeKind,
    /// The line it starts on, from 1.
    pub line: usize,
    /// The column it starts at, from 1.
    pub column: usize,
    pub(super) tag: Option<Box<str>>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A scalar; quoted ones are text whatever they look like.
    Scalar {
        /// The decoded text.
        text: Box<str>,
        /// Whether it was written without quotes.
        plain: bool,
    },
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order written.
    Mapping(Vec<(Node, Node)>),
    /// A reference to an anchored node.
    Alias(Rc<Node>),
}

/// The first document of `text` as nodes; `None` when there is none. What
/// follows the first document is not looked at, as in the Go library.
pub fn read_node(text: &str) -> Result<Option<Node>, YamlError> {
    compose(text)
}

/// The first document of `text` as JSON; `null` when there is none.
pub fn read(text: &str, numbers: Numbers) -> Result<Value, YamlError> {
    match read_node(text)? {
        Some(node) => node.to_json(numbers),
        None => Ok(Value::Null),
    }
}

impl Node {
    /// The JSON form: keys become strings, merge keys are applied.
    pub fn to_json(&self, numbers: Numbers) -> Result<Value, YamlError> {
        Converter { numbers, expanded: 0 }.value(self, 0)
    }

    /// The tag, when one is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The node an alias stands for, else itself.
    pub fn target(&self) -> &Self {
        match &self.kind {
            NodeKind::Alias(node) => node.target(),
            _ => self,
        }
    }

    /// The value under `key` of a mapping; the last of duplicates.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.target().kind {
            NodeKind::Mapping(entries) => {
                entries.iter().rev().find(|(k, _)| k.key_text().is_ok_and(|text| text == key)).map(|(_, v)| v)
            }
            _ => None,
        }
    }

    /// The item at `index` of a sequence.
    pub fn item(&self, index: usize) -> Option<&Self> {
        match &self.target().kind {
            NodeKind::Sequence(items) => items.get(index),
            _ => None,
        }
    }

    fn is_merge(&self) -> bool {
        let NodeKind::Scalar { text, plain } = &self.kind else { return false };
        &**text == "<<" && (*plain && self.tag.is_none() || self.tag.as_deref() == Some("tag:yaml.org,2002:merge"))
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, YamlError> {
        Err(YamlError { line: self.line, column: self.column, message: message.into() })
    }

    fn scalar(&self) -> Result<Scalar, YamlError> {
        let NodeKind::Scalar { text, plain } = &self.kind else { return Ok(Scalar::Text) };
        let resolved = match self.tag.as_deref() {
            Some("!" | "tag:yaml.org,2002:str" | "tag:yaml.org,2002:binary") => return Ok(Scalar::Text),
            Some(tag) if tag.starts_with("tag:yaml.org,2002:") => {
                let meaning = resolve(text);
                match (&tag["tag:yaml.org,2002:".len()..], meaning) {
                    ("float", Scalar::Int(value)) => Scalar::Float(value as f64),
                    ("int", Scalar::Int(_) | Scalar::Uint(_))
                    | ("float", Scalar::Float(_))
                    | ("bool", Scalar::Bool(_))
                    | ("null", Scalar::Null)
                    | ("timestamp", Scalar::Timestamp) => meaning,
                    ("int" | "float" | "bool" | "null" | "timestamp", _) => {
                        return self.fail(format!("{text:?} is no {}", &tag["tag:yaml.org,2002:".len()..]));
                    }
                    _ => Scalar::Text,
                }
            }
            Some(_) => Scalar::Text,
            None if *plain => resolve(text),
            None => Scalar::Text,
        };
        Ok(resolved)
    }

    /// A mapping key as JSON spells it.
    fn key_text(&self) -> Result<String, YamlError> {
        let node = self.target();
        let NodeKind::Scalar { text, .. } = &node.kind else {
            return node.fail("a mapping key must be a scalar");
        };
        match node.scalar()? {
            Scalar::Bool(value) => Ok(value.to_string()),
            Scalar::Int(value) => Ok(value.to_string()),
            Scalar::Float(value) => Ok(key_float(value)),
            Scalar::Null => node.fail("null cannot be a mapping key"),
            Scalar::Uint(_) => node.fail("a mapping key is too large a number"),
            Scalar::Timestamp | Scalar::Text => Ok(text.to_string()),
        }
    }
}

/// Float keys print with the precision of a `float32`.
fn key_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let narrow = value as f32;
    let exponential = format!("{narrow:e}");
    let (mantissa, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        format!("{narrow}")
    } else {
        format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

struct Converter {
    numbers: Numbers,
    expanded: usize,
}

impl Converter {
    fn value(&mut self, node: &Node, depth: usize) -> Result<Value, YamlError> {
        self.expanded += 1;
        if self.expanded > MAX_EXPANDED || depth > MAX_DEPTH {
            return node.fail("the document expands to too much (check its aliases)");
        }
        match &node.kind {
            NodeKind::Alias(target) => self.value(target, depth + 1),
            NodeKind::Scalar { text, .. } => self.scalar(node, text),
            NodeKind::Sequence(items) => {
                items.iter().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>().map(Value::Array)
            }
            NodeKind::Mapping(entries) => self.mapping(entries, depth).map(Value::Object),
        }
    }

    fn scalar(&self, node: &Node, text: &str) -> Result<Value, YamlError> {
        if node.tag.as_deref() == Some("tag:yaml.org,2002:binary") {
            let clean: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            return match STANDARD.decode(clean) {
                Ok(bytes) => Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => node.fail("the binary value is not base64"),
            };
        }
        let float = |value: f64| match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => node.fail("infinity and NaN have no JSON form"),
        };
        match node.scalar()? {
            Scalar::Null => Ok(Value::Null),
            Scalar::Bool(value) => Ok(Value::Bool(value)),
            Scalar::Int(value) if self.numbers == Numbers::Floats => float(value as f64),
            Scalar::Uint(value) if self.numbers == Numbers::Floats => float(value as f64),
            Scalar::Int(value) => Ok(Value::from(value)),
            Scalar::Uint(value) => Ok(Value::from(value)),
            Scalar::Float(value) => float(value),
            Scalar::Timestamp | Scalar::Text => Ok(Value::String(text.to_owned())),
        }
    }

    fn mapping(&mut self, entries: &[(Node, Node)], depth: usize) -> Result<Map<String, Value>, YamlError> {
        let mut map = Map::new();
        for (key, value) in entries {
            if key.is_merge() {
                self.merge(value, &mut map, depth)?;
            } else {
                map.insert(key.key_text()?, self.value(value, depth + 1)?);
            }
        }
        Ok(map)
    }

    /// `<<`: entries of the named mappings. What is written after it wins.
    fn merge(&mut self, node: &Node, into: &mut Map<String, Value>, depth: usize) -> Result<(), YamlError> {
        match &node.target().kind {
            NodeKind::Mapping(entries) => {
                for (key, value) in self.mapping(entries, depth + 1)? {
                    into.insert(key, value);
                }
                Ok(())
            }
            NodeKind::Sequence(items) => items.iter().rev().try_for_each(|item| match &item.target().kind {
                NodeKind::Mapping(_) => self.merge(item, into, depth + 1),
                _ => item.fail("only mappings can be merged"),
            }),
            _ => node.fail("only mappings can be merged"),
        }
    }
}
