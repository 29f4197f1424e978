//! The functions that templates can call: Go's own, Sprig's and Helm's.
//!
//! A function declares its parameters; the evaluator has checked and converted
//! the arguments before it runs. What comes from outside (cluster, time,
//! randomness) is asked of the [`Host`].

use std::{borrow::Cow, collections::HashMap, fmt, sync::LazyLock};

use super::{
    eval::Machine,
    value::{List, Map, Str, Value},
};

mod builtins;
mod compare;
mod crypto;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod helm;
mod lists;
mod lists_more;
mod math;
mod numbers;
mod objects;
mod paths;
mod printf;
mod random;
mod regex;
mod semver;
mod strings;
mod words;

pub(crate) use objects::method;
pub(crate) use paths::base as base_name;

/// What the renderer lends to functions.
pub trait Host {
    /// Reads live objects; an empty map when there is nothing.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String>;
    /// Seconds since 1970 and nanoseconds.
    fn now(&self) -> (i64, u32);
    /// Fills `buffer` with randomness.
    fn random(&self, buffer: &mut [u8]);
    /// Whether `fail` and `required` let the template go on, as `helm lint` does.
    fn lenient(&self) -> bool;
}

/// The type a parameter is declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    Any,
    Str,
    Int,
    Float,
    Bool,
    Map,
    Time,
}

impl Param {
    pub(super) fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Map)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Str => "a string",
            Self::Int => "an int",
            Self::Float => "a float64",
            Self::Bool => "a bool",
            Self::Map => "a map",
            Self::Time => "a time",
        }
    }
}

/// A function did not succeed.
pub(crate) struct Refusal {
    pub message: String,
    /// The template asked for it (`fail`, `required`).
    pub by_template: bool,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(message: T) -> Self {
        Self { message: message.into(), by_template: false }
    }
}

pub(crate) type Outcome = Result<Value, Refusal>;

/// How a function runs.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Plain(fn(&mut Call<'_, '_>) -> Outcome),
    And,
    Or,
    Include,
    Tpl,
}

/// A callable function.
pub(crate) struct Function {
    pub name: &'static str,
    pub params: &'static [Param],
    /// The type of further arguments, when it takes any number.
    pub rest: Option<Param>,
    pub body: Body,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    pub(super) fn param(&self, index: usize) -> Param {
        self.params.get(index).copied().or(self.rest).unwrap_or(Param::Any)
    }
}

/// A call in progress: checked arguments and the machine.
pub(crate) struct Call<'c, 'h> {
    pub args: &'c mut [Value],
    pub machine: &'c mut Machine<'h>,
}

impl Call<'_, '_> {
    /// The string at `index`, with invalid UTF-8 replaced.
    pub fn text(&self, index: usize) -> Cow<'_, str> {
        match &self.args[index] {
            Value::Str(text) => text.text(),
            _ => Cow::Borrowed(""),
        }
    }

    /// The bytes of the string at `index`.
    pub fn bytes(&self, index: usize) -> &[u8] {
        match &self.args[index] {
            Value::Str(text) => text,
            _ => &[],
        }
    }

    pub fn int(&self, index: usize) -> i64 {
        match &self.args[index] {
            Value::Int(value, _) => *value,
            _ => 0,
        }
    }

    pub fn map(&self, index: usize) -> Map {
        match &self.args[index] {
            Value::Map(map) => map.clone(),
            _ => Map::new(),
        }
    }

    /// The slice at `index`, or why it is none.
    pub fn list(&self, index: usize) -> Result<List, Refusal> {
        match &self.args[index] {
            Value::List(list) => Ok(list.clone()),
            other => Err(format!("a list is needed, found {}", kind_for_person(other)).into()),
        }
    }
}

pub(crate) fn kind_for_person(value: &Value) -> &'static str {
    if value.is_nil() { "no value (nil)" } else { value.type_name() }
}

const fn plain(name: &'static str, params: &'static [Param], run: fn(&mut Call<'_, '_>) -> Outcome) -> Function {
    Function { name, params, rest: None, body: Body::Plain(run) }
}

const fn variadic(
    name: &'static str,
    params: &'static [Param],
    rest: Param,
    run: fn(&mut Call<'_, '_>) -> Outcome,
) -> Function {
    Function { name, params, rest: Some(rest), body: Body::Plain(run) }
}

/// All functions, by topic. Later topics win over earlier ones, as Sprig wins
/// over Go and Helm over Sprig.
const TOPICS: &[&[Function]] = &[
    builtins::FUNCTIONS,
    compare::FUNCTIONS,
    printf::FUNCTIONS,
    strings::FUNCTIONS,
    words::FUNCTIONS,
    defaults::FUNCTIONS,
    lists::FUNCTIONS,
    lists_more::FUNCTIONS,
    dicts::FUNCTIONS,
    math::FUNCTIONS,
    encoding::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    crypto::FUNCTIONS,
    random::FUNCTIONS,
    dates::FUNCTIONS,
    paths::FUNCTIONS,
    helm::FUNCTIONS,
];

/// Functions that Helm has and this engine does not have yet.
const UNSUPPORTED: &[&str] = &[
    "bcrypt",
    "buildCustomCert",
    "decryptAES",
    "derivePassword",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
];

static TABLE: LazyLock<HashMap<&'static str, &'static Function>> =
    LazyLock::new(|| TOPICS.iter().flat_map(|topic| topic.iter()).map(|f| (f.name, f)).collect());

/// What a name stands for.
pub(super) enum Found {
    Function(&'static Function),
    Unsupported,
    Unknown,
}

pub(super) fn find(name: &str) -> Found {
    match TABLE.get(name) {
        Some(function) => Found::Function(function),
        None if UNSUPPORTED.contains(&name) => Found::Unsupported,
        None => Found::Unknown,
    }
}

/// `fmt.Sprint` of one value as a string.
pub(crate) fn sprint(value: &Value) -> Result<Str, Refusal> {
    Ok(Str::from(super::print::to_bytes(value)?))
}

/// Sprig's `strval`: strings and bytes as they are, anything else by `%v`.
pub(crate) fn strval(value: &Value) -> Result<Str, Refusal> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        value => match super::print::byte_list(value) {
            Some(bytes) => Ok(Str::from(bytes)),
            None => sprint(value),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function of helm 4.1.4 exists here, or is named as missing both
    /// here and in the documentation.
    #[test]
    fn no_function_of_helm_is_forgotten() {
        let page = include_str!("../../../docs/helm-compatibility.md");
        let names = include_str!("../../../tests/helm/functions.txt");
        for name in names.lines() {
            match find(name) {
                Found::Function(_) => assert!(!UNSUPPORTED.contains(&name), "{name} is there and called missing"),
                Found::Unsupported => assert!(page.contains(&format!("`{name}`")), "{name} is not in the page"),
                Found::Unknown => panic!("{name} is unknown"),
            }
        }
        for name in TABLE.keys().chain(UNSUPPORTED) {
            assert!(names.lines().any(|known| known == *name), "{name} is no function of helm");
        }
    }
}
