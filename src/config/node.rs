//! A YAML document as a tree in which every value knows its place in the file.
//!
//! A mistake found long after parsing, such as a name that is used twice, still
//! has a line and a column. Aliases share the node of their anchor and cannot
//! blow the tree up.

use std::{collections::HashMap, rc::Rc};

use crate::values::yaml::{self, NodeKind};

/// Deeper documents are refused before they could exhaust the stack.
const MAX_DEPTH: usize = 32;

/// A place in the file, both parts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug)]
pub(super) struct Node {
    pub at: At,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// `plain` is true without quotes and block indicators.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub at: At,
    pub value: Rc<Node>,
}

impl Node {
    /// Whether this is `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the value is, with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar { .. } => "a single value",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

/// Text that is not one YAML document of the kind used here.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub at: At,
    pub message: String,
}

/// Reads the one document of `text`; an empty file is a null node.
pub(super) fn parse(text: &str) -> Result<Rc<Node>, SyntaxError> {
    if let Some(line) = second_document(text) {
        let message = "a second document begins here, and the file is one document".to_owned();
        return Err(SyntaxError { at: At { line, column: 1 }, message });
    }
    let root = yaml::read_node(text).map_err(|error| SyntaxError {
        at: At { line: error.line, column: error.column },
        message: format!("not valid YAML: {}", error.message),
    })?;
    match root {
        Some(root) => Converter::default().node(&root, 0),
        None => {
            let content = Content::Scalar { text: String::new(), plain: true };
            Ok(Rc::new(Node { at: At { line: 1, column: 1 }, content }))
        }
    }
}

/// The line on which a second document begins.
fn second_document(text: &str) -> Option<usize> {
    let content = |line: &str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| !content(line));
    lines.next()?;
    lines.find(|(_, line)| *line == "---" || line.starts_with("--- ")).map(|(index, _)| index + 1)
}

/// Turns the reader's nodes into ours; an anchored node becomes one shared node.
#[derive(Default)]
struct Converter {
    anchored: HashMap<*const yaml::Node, Rc<Node>>,
}

impl Converter {
    fn node(&mut self, node: &yaml::Node, depth: usize) -> Result<Rc<Node>, SyntaxError> {
        let at = At { line: node.line, column: node.column };
        if depth > MAX_DEPTH {
            return Err(SyntaxError { at, message: format!("nested more than {MAX_DEPTH} levels deep") });
        }
        if let Some(tag) = node.tag() {
            return Err(SyntaxError { at, message: format!("the tag {tag} has no meaning here") });
        }
        let content = match &node.kind {
            NodeKind::Alias(target) => {
                let identity = Rc::as_ptr(target);
                if let Some(shared) = self.anchored.get(&identity) {
                    return Ok(Rc::clone(shared));
                }
                let shared = self.node(target, depth + 1)?;
                self.anchored.insert(identity, Rc::clone(&shared));
                return Ok(shared);
            }
            NodeKind::Scalar { text, plain } => Content::Scalar { text: text.to_string(), plain: *plain },
            NodeKind::Sequence(items) => {
                Content::Sequence(items.iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            NodeKind::Mapping(pairs) => self.mapping(pairs, depth)?,
        };
        Ok(Rc::new(Node { at, content }))
    }

    fn mapping(&mut self, pairs: &[(yaml::Node, yaml::Node)], depth: usize) -> Result<Content, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, value) in pairs {
            let at = At { line: key.line, column: key.column };
            let NodeKind::Scalar { text, .. } = &key.target().kind else {
                return Err(SyntaxError { at, message: "a key must be plain text".to_owned() });
            };
            if let Some(first) = entries.iter().find(|entry| *entry.key == **text) {
                let message = format!("the key {text} was given before, on line {}", first.at.line);
                return Err(SyntaxError { at, message });
            }
            entries.push(Entry { key: text.to_string(), at, value: self.node(value, depth + 1)? });
        }
        Ok(Content::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aliases_share_their_node_so_that_none_can_explode() {
        let mut text = String::from("a0: &a0 [x, x]\n");
        for level in 1..60 {
            let before = level - 1;
            text.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}]\n"));
        }
        let root = parse(&text).expect("valid YAML");
        assert!(matches!(&root.content, Content::Mapping(entries) if entries.len() == 60));
    }

    #[test]
    fn depth_is_bounded() {
        let error = parse(&"[".repeat(100_000)).expect_err("too deep");
        assert!(error.message.contains("deep"), "{}", error.message);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z:\\-\\[\\]{}&*!|>'\"#%@,? \n\t\u{0}é]{0,80}") {
            let _ = parse(&text);
        }
    }
}
