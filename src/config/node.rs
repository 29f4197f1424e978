//! A YAML document as a tree in which every value knows its place in the file.
//!
//! The events of the parser are kept with their marks, so that a mistake found
//! long after parsing, such as a name that is used twice, still has a line and
//! a column. Aliases share the node of their anchor and cannot blow the tree up.

use std::{collections::HashMap, rc::Rc};

use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};

/// Deeper documents are refused before they could exhaust the stack.
const MAX_DEPTH: usize = 32;

/// A place in the file, both parts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub line: u64,
    pub column: u64,
}

impl From<Mark> for At {
    fn from(mark: Mark) -> Self {
        Self { line: mark.line + 1, column: mark.column + 1 }
    }
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
    let mut input = text.as_bytes();
    let mut composer = Composer { parser: Parser::new(), anchors: HashMap::new() };
    composer.parser.set_input_string(&mut input);
    composer.next()?;
    let first = composer.next()?;
    if first.data == EventData::StreamEnd {
        let content = Content::Scalar { text: String::new(), plain: true };
        return Ok(Rc::new(Node { at: At { line: 1, column: 1 }, content }));
    }
    let start = composer.next()?;
    let root = composer.node(start, 0)?;
    composer.next()?;
    let end = composer.next()?;
    if end.data != EventData::StreamEnd {
        return Err(syntax(end.start_mark, "a second document begins here, and the configuration is one document"));
    }
    Ok(root)
}

fn syntax(mark: Mark, message: impl Into<String>) -> SyntaxError {
    SyntaxError { at: mark.into(), message: message.into() }
}

struct Composer<'r> {
    parser: Parser<'r>,
    anchors: HashMap<String, Rc<Node>>,
}

impl Composer<'_> {
    fn next(&mut self) -> Result<Event, SyntaxError> {
        self.parser.parse().map_err(|error| {
            let mark = error.problem_mark().unwrap_or_default();
            let context = error.context().filter(|c| !c.is_empty());
            match context {
                Some(context) => syntax(mark, format!("not valid YAML: {} {context}", error.problem())),
                None => syntax(mark, format!("not valid YAML: {}", error.problem())),
            }
        })
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Rc<Node>, SyntaxError> {
        let mark = event.start_mark;
        if depth > MAX_DEPTH {
            return Err(syntax(mark, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let (anchor, tag, content) = match event.data {
            EventData::Alias { anchor } => {
                let message = format!("the alias *{anchor} has no anchor &{anchor} before it");
                return self.anchors.get(&anchor).cloned().ok_or_else(|| syntax(mark, message));
            }
            EventData::Scalar { anchor, tag, value, style, .. } => {
                (anchor, tag, Content::Scalar { text: value, plain: style == ScalarStyle::Plain })
            }
            EventData::SequenceStart { anchor, tag, .. } => (anchor, tag, self.sequence(depth)?),
            EventData::MappingStart { anchor, tag, .. } => (anchor, tag, self.mapping(depth)?),
            _ => return Err(syntax(mark, "not valid YAML: a value was expected")),
        };
        if let Some(tag) = tag {
            return Err(syntax(mark, format!("the tag {tag} has no meaning here")));
        }
        let node = Rc::new(Node { at: mark.into(), content });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Content, SyntaxError> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::SequenceEnd {
                return Ok(Content::Sequence(items));
            }
            items.push(self.node(event, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                return Ok(Content::Mapping(entries));
            }
            let mark = event.start_mark;
            let key = self.node(event, depth + 1)?;
            let Content::Scalar { text: key, .. } = &key.content else {
                return Err(syntax(mark, "a key must be plain text"));
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == *key) {
                return Err(syntax(mark, format!("the key {key} was given before, on line {}", first.at.line)));
            }
            let value = self.next()?;
            let value = self.node(value, depth + 1)?;
            entries.push(Entry { key: key.clone(), at: mark.into(), value });
        }
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
        assert!(error.message.contains("levels deep"), "{}", error.message);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z:\\-\\[\\]{}&*!|>'\"#%@,? \n\t\u{0}é]{0,80}") {
            let _ = parse(&text);
        }
    }
}
