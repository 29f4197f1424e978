//! What a person has decided not to care about: fields of objects that others
//! may set, and managers that may set any.

use std::{fmt, str::FromStr};

use crate::resource::ObjectKey;

/// One rule. An absent kind or name stands for all; the fields are those named,
/// or all, of the manager named, or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRule {
    /// The kind, such as `Deployment`; `*` stands for any text.
    pub kind: Option<String>,
    /// The object's name; `*` stands for any text.
    pub name: Option<String>,
    /// The fields; empty: all that `manager` owns.
    pub fields: Vec<FieldPattern>,
    /// Only where this field manager owns the field.
    pub manager: Option<String>,
}

/// A JSON pointer (RFC 6901) in which `*` stands for any key or item. An item
/// of a list is named by its index or by one of its keys, as in
/// `/spec/template/spec/containers/redis/resources`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern {
    text: String,
    parts: Vec<String>,
}

/// Fields that tell what an object is; ignoring them would hide whose it is.
const IDENTITY: [&str; 5] = ["apiVersion", "kind", "name", "namespace", "managedFields"];

/// A text that names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}")]
pub struct InvalidField {
    /// The text as it was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl IgnoreRule {
    /// Whether the rule is about this object.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        let fits = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| matches(pattern, text));
        fits(&self.kind, &key.kind) && fits(&self.name, &key.name)
    }
}

impl FieldPattern {
    /// The parts of the path, unescaped.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

impl FromStr for FieldPattern {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let invalid = |problem| Err(InvalidField { text: text.to_owned(), problem });
        let Some(path) = text.strip_prefix('/') else { return invalid("does not begin with '/'") };
        let parts: Vec<String> = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        if parts.iter().any(String::is_empty) {
            return invalid("has an empty part");
        }
        let identity = match parts.as_slice() {
            [top] => top == "metadata" || top == "*" || IDENTITY[..2].contains(&top.as_str()),
            [top, name] => top == "metadata" && (name == "*" || IDENTITY.contains(&name.as_str())),
            _ => false,
        };
        if identity {
            return invalid("would hide what the object is");
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether `text` fits `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_stars() {
        for (pattern, text, fits) in [
            ("redis", "redis", true),
            ("redis", "redis-2", false),
            ("redis*", "redis-2", true),
            ("*-config", "redis-config", true),
            ("r*-*g", "redis-config", true),
            ("r*x", "redis", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pointer_names_a_field_that_may_be_ignored() {
        let parts = |text: &str| text.parse::<FieldPattern>().map(|pattern| pattern.parts().to_vec());
        assert_eq!(
            parts("/metadata/annotations/a.b~1c"),
            Ok(vec!["metadata".into(), "annotations".into(), "a.b/c".into()])
        );
        for bad in ["spec", "", "/", "/spec//x", "/kind", "/metadata", "/*", "/metadata/name", "/metadata/*"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
