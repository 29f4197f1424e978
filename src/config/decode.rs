//! From a tree with places to values: the reading of mappings, lists and single
//! values, which collects every mistake instead of stopping at the first.
//!
//! A key that is asked for is a known key; what is left over at the end of a
//! mapping is unknown and reported.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::{
    Problem,
    node::{At, Content, Node},
};

/// Why a single value was not accepted.
pub(super) struct Rejection {
    /// What is wrong and what was expected, without the key.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Rejection {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// A value together with its place, for checks across several of them.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub value: T,
    pub at: At,
    pub key: String,
}

/// Collects the problems of one file.
pub(super) struct Decoder {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Decoder {
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), problems: Vec::new() }
    }

    pub fn report(&mut self, at: At, key: &str, rejection: Rejection) {
        let Rejection { message, remedy } = rejection;
        let (file, key) = (self.file.clone(), key.to_owned());
        self.problems.push(Problem { file, line: at.line, column: at.column, key, message, remedy });
    }

    /// All problems in the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }
}

/// One mapping while it is read.
pub(super) struct Section {
    node: Rc<Node>,
    path: String,
    known: Vec<&'static str>,
}

impl Section {
    /// The mapping at `node`; null counts as an empty one.
    pub fn new(decoder: &mut Decoder, node: &Rc<Node>, path: String) -> Self {
        if !matches!(node.content, Content::Mapping(_)) && !node.is_null() {
            let message = format!("{} where a mapping of keys was expected", node.kind());
            decoder.report(
                node.at,
                &path,
                Rejection::new(message, "indent its keys below it, one 'key: value' a line"),
            );
        }
        Self { node: Rc::clone(node), path, known: Vec::new() }
    }

    pub fn at(&self) -> At {
        self.node.at
    }

    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key` unless it is absent or null.
    pub fn get(&mut self, key: &'static str) -> Option<Rc<Node>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let Content::Mapping(entries) = &self.node.content else { return None };
        let entry = entries.iter().find(|entry| entry.key == key)?;
        (!entry.value.is_null()).then(|| Rc::clone(&entry.value))
    }

    /// The mapping below `key`; an empty one, at the place of this, when absent.
    pub fn section(&mut self, decoder: &mut Decoder, key: &'static str) -> Section {
        let at = self.at();
        let empty = || Rc::new(Node { at, content: Content::Mapping(Vec::new()) });
        let node = self.get(key).unwrap_or_else(empty);
        Section::new(decoder, &node, self.path(key))
    }

    /// Like [`Self::list`], where an empty list is reported as well.
    pub fn filled_list(&mut self, decoder: &mut Decoder, key: &'static str) -> Option<Vec<(Rc<Node>, String)>> {
        let node = self.get(key)?;
        if matches!(&node.content, Content::Sequence(items) if items.is_empty()) {
            let rejection = Rejection::new("is an empty list", "add at least one item");
            decoder.report(node.at, &self.path(key), rejection);
        }
        self.list(decoder, key)
    }

    /// The items of the list below `key`, each with its path.
    pub fn list(&mut self, decoder: &mut Decoder, key: &'static str) -> Option<Vec<(Rc<Node>, String)>> {
        let node = self.get(key)?;
        let path = self.path(key);
        if let Content::Sequence(items) = &node.content {
            return Some(items.iter().enumerate().map(|(i, item)| (Rc::clone(item), format!("{path}[{i}]"))).collect());
        }
        let message = format!("{} where a list was expected", node.kind());
        decoder.report(node.at, &path, Rejection::new(message, "begin each item with '- '"));
        Some(Vec::new())
    }

    pub fn optional<T>(&mut self, decoder: &mut Decoder, key: &'static str, read: impl Read<T>) -> Option<Spanned<T>> {
        let node = self.get(key)?;
        scalar(decoder, &node, self.path(key), read)
    }

    pub fn required<T>(&mut self, decoder: &mut Decoder, key: &'static str, read: impl Read<T>) -> Option<Spanned<T>> {
        match self.get(key) {
            Some(node) => scalar(decoder, &node, self.path(key), read),
            None => {
                self.missing(decoder, key);
                None
            }
        }
    }

    /// Reports that `key` is required, unless the mapping itself is not one.
    pub fn missing(&self, decoder: &mut Decoder, key: &'static str) {
        if matches!(self.node.content, Content::Mapping(_)) || self.node.is_null() {
            let rejection = Rejection::new("is required and missing", format!("add '{key}:' here"));
            decoder.report(self.at(), &self.path(key), rejection);
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self, decoder: &mut Decoder) {
        let Content::Mapping(entries) = &self.node.content else { return };
        for entry in entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let same = |known: &&&str| known.eq_ignore_ascii_case(&entry.key.replace(['-', '_'], ""));
            let remedy = match self.known.iter().find(same) {
                Some(known) => format!("write {known}"),
                None => format!("remove it, or use one of {}", self.known.join(", ")),
            };
            decoder.report(entry.at, &self.path(&entry.key), Rejection::new("is not a known key", remedy));
        }
    }
}

/// How the text of a single value (and whether it stands without quotes) becomes a `T`.
pub(super) trait Read<T>: Fn(&str, bool) -> Result<T, Rejection> {}

impl<T, F: Fn(&str, bool) -> Result<T, Rejection>> Read<T> for F {}

/// Reads one single value.
pub(super) fn scalar<T>(decoder: &mut Decoder, node: &Node, key: String, read: impl Read<T>) -> Option<Spanned<T>> {
    let Content::Scalar { text, plain } = &node.content else {
        let message = format!("{} where a single value was expected", node.kind());
        decoder.report(node.at, &key, Rejection::new(message, "write the value on the line of the key"));
        return None;
    };
    match read(text, *plain) {
        Ok(value) => Some(Spanned { value, at: node.at, key }),
        Err(rejection) => {
            decoder.report(node.at, &key, rejection);
            None
        }
    }
}

/// `true` or `false`, without quotes.
pub(super) fn boolean(text: &str, plain: bool) -> Result<bool, Rejection> {
    match (text, plain) {
        ("true", true) => Ok(true),
        ("false", true) => Ok(false),
        _ => Err(Rejection::new(format!("{text:?} is not true or false"), "write true or false, without quotes")),
    }
}

/// One of the given words.
pub(super) fn word<T: Copy + 'static>(words: &'static [(&'static str, T)]) -> impl Read<T> {
    move |text: &str, _: bool| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Rejection::new(format!("{text:?} is not {}", all.join(" or ")), format!("write {}", all.join(" or ")))
        })
    }
}

/// A duration between two others, both included.
pub(super) fn duration(least: Duration, most: Duration) -> impl Read<Duration> {
    move |text: &str, _: bool| {
        let remedy = "write a whole number and one of ms, s, m, h, as in 10s";
        let value = super::duration::parse(text)
            .ok_or_else(|| Rejection::new(format!("{text:?} is not a duration"), remedy.to_owned()))?;
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let (least, most) = (super::duration::format(least), super::duration::format(most));
        Err(Rejection::new(format!("{text} is out of range"), format!("choose between {least} and {most}")))
    }
}
