//! Values as Go's templates see them.
//!
//! Maps are shared and mutable (`set` is seen through every reference), lists
//! and strings are shared and immutable, numbers keep Go's types, and strings
//! are bytes. Values stay on one thread; only [`Str`] is shared with the parsed
//! templates.

use std::{
    any::Any,
    borrow::{Borrow, Cow},
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

/// Containers nested deeper than this are refused wherever they are walked.
pub(crate) const MAX_DEPTH: usize = 500;

/// A Go string: immutable bytes, usually UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Arc<[u8]>);

impl Str {
    /// The text, with U+FFFD in place of bytes that are not UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Str {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(), f)
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

/// The integer types that templates can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntKind {
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint64`; values past `i64::MAX` do not occur
    Uint64,
}

/// A Go value.
#[derive(Clone)]
pub enum Value {
    /// No value at all.
    Nil,
    /// An interface that holds nothing, as a missing or null map entry gives:
    /// unlike [`Value::Nil`] its fields cannot be asked for.
    NilInterface,
    /// `bool`
    Bool(bool),
    /// An integer.
    Int(i64, IntKind),
    /// `float64`
    Float(f64),
    /// `string`
    Str(Str),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A struct or another type with methods.
    Object(Rc<dyn Object>),
}

/// What a slice is declared to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Strings,
    /// `[]int`
    Ints,
    /// `[]uint8`
    Bytes,
    /// `[][]interface {}`
    Lists,
    /// `common.VersionSet`
    Versions,
}

/// A slice. Cloning shares the items.
#[derive(Clone)]
pub struct List {
    items: Rc<Vec<Value>>,
    /// The type.
    pub kind: ListKind,
    /// Go tells a nil slice from an empty one; JSON shows the difference.
    pub nil: bool,
}

impl List {
    /// A slice of `interface {}`.
    pub fn any(items: Vec<Value>) -> Self {
        Self::of(ListKind::Any, items)
    }

    /// A slice of the given type.
    pub fn of(kind: ListKind, items: Vec<Value>) -> Self {
        Self { items: Rc::new(items), kind, nil: false }
    }

    /// A nil slice.
    pub fn nil(kind: ListKind) -> Self {
        Self { items: Rc::new(Vec::new()), kind, nil: true }
    }
}

impl Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if let Some(items) = Rc::get_mut(&mut self.items) {
            drop_flat(std::mem::take(items));
        }
    }
}

/// What a map is declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Strings,
    /// `common.Values`, the type of `.Values`
    Values,
    /// `engine.files`, the type of `.Files`
    Files,
}

/// A map. Cloning shares it: a change through one clone is seen by all.
#[derive(Clone)]
pub struct Map {
    kind: MapKind,
    cell: Rc<MapCell>,
}

struct MapCell(RefCell<BTreeMap<Str, Value>>);

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::of(MapKind::Any, BTreeMap::new())
    }

    /// A map of the given type.
    pub fn of(kind: MapKind, entries: BTreeMap<Str, Value>) -> Self {
        Self { kind, cell: Rc::new(MapCell(RefCell::new(entries))) }
    }

    /// Its type.
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The same map, shared, under another type.
    pub fn retyped(&self, kind: MapKind) -> Self {
        Self { kind, cell: Rc::clone(&self.cell) }
    }

    /// The entry under `key`.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.cell.0.borrow().get(key).cloned()
    }

    /// Sets an entry, for every holder of this map.
    pub fn set(&self, key: Str, value: Value) {
        self.cell.0.borrow_mut().insert(key, value.settled());
    }

    /// Removes an entry, for every holder of this map.
    pub fn remove(&self, key: &[u8]) {
        self.cell.0.borrow_mut().remove(key);
    }

    /// Whether there is such an entry.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.cell.0.borrow().contains_key(key)
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.cell.0.borrow().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries as they are now, in the order of their keys.
    pub fn entries(&self) -> Vec<(Str, Value)> {
        self.cell.0.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The keys as they are now, sorted.
    pub fn keys(&self) -> Vec<Str> {
        self.cell.0.borrow().keys().cloned().collect()
    }

    /// Removes all entries, which also undoes a map that holds itself.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.cell.0.borrow_mut());
        drop_flat(entries.into_values());
    }

    /// Whether both are the same map, not only equal ones.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.cell, &other.cell)
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MapCell {
    fn drop(&mut self) {
        drop_flat(std::mem::take(self.0.get_mut()).into_values());
    }
}

/// Drops containers without recursion: a template can nest them deeper than
/// the stack allows.
fn drop_flat(values: impl IntoIterator<Item = Value>) {
    let mut pending: Vec<Value> = values.into_iter().filter(|v| matches!(v, Value::List(_) | Value::Map(_))).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::List(mut list) => {
                if let Some(items) = Rc::get_mut(&mut list.items) {
                    pending.extend(items.drain(..).filter(|v| matches!(v, Value::List(_) | Value::Map(_))));
                }
            }
            Value::Map(mut map) => {
                if let Some(cell) = Rc::get_mut(&mut map.cell) {
                    let entries = std::mem::take(cell.0.get_mut());
                    pending.extend(entries.into_values().filter(|v| matches!(v, Value::List(_) | Value::Map(_))));
                }
            }
            _ => {}
        }
    }
}

/// A value with fields or methods, such as `.Capabilities` or a time.
pub trait Object: Any {
    /// The Go type, such as `time.Time`.
    fn type_name(&self) -> &'static str;
    /// A field, or a method called with `args`; `None` when there is neither.
    fn member(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>>;
    /// As `fmt.Print` shows it.
    fn print(&self) -> String;
    /// As `fmt` shows it where the value is no longer addressable.
    fn print_fields(&self) -> String {
        self.print()
    }
    /// The entries of what acts as a map.
    fn entries(&self) -> Option<Vec<(Str, Value)>> {
        None
    }
    /// As JSON and YAML show it.
    fn plain(&self) -> Value;
    /// For functions that take this very type.
    fn as_any(&self) -> &dyn Any;
}

impl Value {
    /// A string value.
    pub fn str(text: impl Into<Str>) -> Self {
        Self::Str(text.into())
    }

    /// An `int`.
    pub fn int(value: i64) -> Self {
        Self::Int(value, IntKind::Int)
    }

    /// An `int64`.
    pub fn int64(value: i64) -> Self {
        Self::Int(value, IntKind::Int64)
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List(List::of(ListKind::Strings, items.into_iter().map(|s| Self::Str(s.into())).collect()))
    }

    /// Whether it is nil in either form.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil | Self::NilInterface)
    }

    /// The value inside the interface: what a pipeline hands on.
    pub(crate) fn settled(self) -> Self {
        if matches!(self, Self::NilInterface) { Self::Nil } else { self }
    }

    /// Go's `reflect.Kind` by name; `invalid` for nil.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil | Self::NilInterface => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => kind.name(),
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(object) => match object.type_name() {
                name if name.starts_with('*') => "ptr",
                "time.Duration" => "int64",
                "engine.files" => "map",
                _ => "struct",
            },
        }
    }

    /// Go's type, as `%T` prints it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil | Self::NilInterface => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => kind.name(),
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(list) => match list.kind {
                ListKind::Any => "[]interface {}",
                ListKind::Strings => "[]string",
                ListKind::Ints => "[]int",
                ListKind::Bytes => "[]uint8",
                ListKind::Lists => "[][]interface {}",
                ListKind::Versions => "common.VersionSet",
            },
            Self::Map(map) => match map.kind() {
                MapKind::Any => "map[string]interface {}",
                MapKind::Strings => "map[string]string",
                MapKind::Values => "common.Values",
                MapKind::Files => "engine.files",
            },
            Self::Object(object) => object.type_name(),
        }
    }

    /// Whether a condition takes it for true.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil | Self::NilInterface => false,
            Self::Bool(value) => *value,
            Self::Int(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.entries().is_none_or(|entries| !entries.is_empty()),
        }
    }

    /// From JSON-like data: numbers that are written as integers become
    /// `int64`, all others `float64`.
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::int64(int),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::str(text.as_str()),
            Json::Array(items) => Self::List(List::any(items.iter().map(Self::from_json).collect())),
            Json::Object(entries) => Self::Map(Map::of(
                MapKind::Any,
                entries.iter().map(|(k, v)| (Str::from(k.as_str()), Self::from_json(v))).collect(),
            )),
        }
    }
}

impl IntKind {
    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
        }
    }

    /// Whether the type has no sign.
    pub fn unsigned(self) -> bool {
        matches!(self, Self::Uint8 | Self::Uint64)
    }
}

/// Go's `reflect.DeepEqual`: equal types and equal contents.
pub fn deep_equal(a: &Value, b: &Value) -> bool {
    deep_equal_at(a, b, 0)
}

fn deep_equal_at(a: &Value, b: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match (a, b) {
        (a, b) if a.is_nil() || b.is_nil() => a.is_nil() && b.is_nil(),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, ka), Value::Int(b, kb)) => a == b && ka == kb,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.kind == b.kind
                && a.nil == b.nil
                && a.len() == b.len()
                && a.iter().zip(b.iter()).all(|(a, b)| deep_equal_at(a, b, depth + 1))
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.same(b) {
                return true;
            }
            a.kind() == b.kind()
                && a.len() == b.len()
                && a.entries()
                    .iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| deep_equal_at(value, &other, depth + 1)))
        }
        (Value::Object(a), Value::Object(b)) => a.type_name() == b.type_name() && a.print() == b.print(),
        _ => false,
    }
}
