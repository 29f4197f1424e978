//! Builds nodes from tokens.

use std::{collections::HashMap, rc::Rc};

use super::{
    read::{MAX_DEPTH, Node, NodeKind, YamlError},
    scan::{Kind, Token, scan},
};

/// The first document of `text`.
pub(super) fn compose(text: &str) -> Result<Option<Node>, YamlError> {
    let (tokens, error) = scan(text);
    let mut composer = Composer { tokens, error, next: 0, anchors: HashMap::new() };
    while composer.at(&Kind::DocumentEnd) {
        composer.next += 1;
    }
    if composer.at(&Kind::End) {
        return Ok(None);
    }
    if matches!(composer.peek()?.kind, Kind::Directive | Kind::DocumentStart) {
        while composer.at(&Kind::Directive) {
            composer.next += 1;
        }
        composer.expect(&Kind::DocumentStart, "--- is expected after directives")?;
    }
    if matches!(composer.peek()?.kind, Kind::DocumentStart | Kind::DocumentEnd | Kind::Directive | Kind::End) {
        let token = composer.peek()?.clone();
        return Ok(Some(empty(&token)));
    }
    composer.node(true, false, 0).map(Some)
}

struct Composer {
    tokens: Vec<Token>,
    error: Option<YamlError>,
    next: usize,
    anchors: HashMap<Box<str>, Rc<Node>>,
}

type Composed<T> = Result<T, YamlError>;

/// A scalar of no text, which stands for null.
fn empty(token: &Token) -> Node {
    node_at(token, NodeKind::Scalar { text: "".into(), plain: true })
}

fn node_at(token: &Token, kind: NodeKind) -> Node {
    Node { kind, line: token.line + 1, column: token.column + 1, tag: None }
}

fn fail<T>(token: &Token, message: &str) -> Composed<T> {
    Err(YamlError { line: token.line + 1, column: token.column + 1, message: message.to_owned() })
}

impl Composer {
    /// The next token; the scanner's error when it came no further.
    fn peek(&self) -> Composed<&Token> {
        match (self.tokens.get(self.next), &self.error) {
            (Some(token), _) => Ok(token),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(YamlError { line: 1, column: 1, message: "the document ends too early".to_owned() }),
        }
    }

    fn at(&self, kind: &Kind) -> bool {
        self.tokens.get(self.next).is_some_and(|token| token.kind == *kind)
    }

    fn take(&mut self) -> Composed<Token> {
        let token = self.peek()?.clone();
        self.next += 1;
        Ok(token)
    }

    fn expect(&mut self, kind: &Kind, message: &str) -> Composed<Token> {
        let token = self.take()?;
        if token.kind == *kind { Ok(token) } else { fail(&token, message) }
    }

    fn node(&mut self, block: bool, indentless: bool, depth: usize) -> Composed<Node> {
        let start = self.peek()?.clone();
        if depth > MAX_DEPTH {
            return fail(&start, "nested too deep");
        }
        if let Kind::Alias(name) = &start.kind {
            self.next += 1;
            let Some(target) = self.anchors.get(name) else { return fail(&start, "an alias without its anchor") };
            return Ok(node_at(&start, NodeKind::Alias(Rc::clone(target))));
        }
        let (mut anchor, mut tag) = (None, None);
        loop {
            match &self.peek()?.kind {
                Kind::Anchor(name) if anchor.is_none() => anchor = Some(name.clone()),
                Kind::Tag(name) if tag.is_none() => tag = Some(name.clone()),
                _ => break,
            }
            self.next += 1;
        }
        let bare = anchor.is_none() && tag.is_none();
        let mut node = self.content(block, indentless, bare, depth)?;
        (node.line, node.column) = (start.line + 1, start.column + 1);
        node.tag = tag;
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Rc::new(node.clone()));
        }
        Ok(node)
    }

    fn content(&mut self, block: bool, indentless: bool, bare: bool, depth: usize) -> Composed<Node> {
        let token = self.peek()?.clone();
        match &token.kind {
            Kind::Entry if indentless => self.sequence(&token, true, depth),
            Kind::Scalar { text, plain } => {
                self.next += 1;
                Ok(node_at(&token, NodeKind::Scalar { text: text.clone(), plain: *plain }))
            }
            Kind::FlowSequence => self.flow_sequence(&token, depth),
            Kind::FlowMapping => self.flow_mapping(&token, depth),
            Kind::BlockSequence if block => {
                self.next += 1;
                self.sequence(&token, false, depth)
            }
            Kind::BlockMapping if block => self.mapping(&token, depth),
            _ if !bare => Ok(empty(&token)),
            _ => fail(&token, "a value is expected here"),
        }
    }

    fn sequence(&mut self, start: &Token, indentless: bool, depth: usize) -> Composed<Node> {
        let mut items = Vec::new();
        while self.at(&Kind::Entry) {
            let entry = self.take()?;
            let nothing = match self.peek()?.kind {
                Kind::Entry | Kind::BlockEnd => true,
                Kind::Key | Kind::Value => indentless,
                _ => false,
            };
            items.push(if nothing { empty(&entry) } else { self.node(true, false, depth + 1)? });
        }
        if !indentless {
            self.expect(&Kind::BlockEnd, "the next item of the sequence (-) is expected here")?;
        }
        Ok(node_at(start, NodeKind::Sequence(items)))
    }

    fn mapping(&mut self, start: &Token, depth: usize) -> Composed<Node> {
        self.next += 1;
        let mut entries = Vec::new();
        loop {
            let token = self.peek()?.clone();
            let key = match token.kind {
                Kind::BlockEnd => {
                    self.next += 1;
                    return Ok(node_at(start, NodeKind::Mapping(entries)));
                }
                Kind::Key => {
                    self.next += 1;
                    self.part(&token, depth)?
                }
                _ => return fail(&token, "the next key of the mapping is expected here; check the indentation"),
            };
            let value = if self.at(&Kind::Value) {
                let token = self.take()?;
                self.part(&token, depth)?
            } else {
                empty(self.peek()?)
            };
            entries.push((key, value));
        }
    }

    /// A key or value of a block mapping, which may be missing.
    fn part(&mut self, indicator: &Token, depth: usize) -> Composed<Node> {
        match self.peek()?.kind {
            Kind::Key | Kind::Value | Kind::BlockEnd => Ok(empty(indicator)),
            _ => self.node(true, true, depth + 1),
        }
    }

    fn flow_sequence(&mut self, start: &Token, depth: usize) -> Composed<Node> {
        self.next += 1;
        let mut items = Vec::new();
        loop {
            if self.at(&Kind::FlowSequenceEnd) {
                break;
            }
            if !items.is_empty() {
                self.expect(&Kind::FlowEntry, "a comma or ] is expected here")?;
                if self.at(&Kind::FlowSequenceEnd) {
                    break;
                }
            }
            if self.at(&Kind::Key) {
                let key_token = self.take()?;
                let ends = [Kind::Value, Kind::FlowEntry, Kind::FlowSequenceEnd];
                let key = self.flow_part(&key_token, &ends, depth)?;
                let value = self.flow_value(&[Kind::FlowEntry, Kind::FlowSequenceEnd], depth)?;
                items.push(node_at(&key_token, NodeKind::Mapping(vec![(key, value)])));
            } else {
                items.push(self.node(false, false, depth + 1)?);
            }
        }
        self.next += 1;
        Ok(node_at(start, NodeKind::Sequence(items)))
    }

    fn flow_mapping(&mut self, start: &Token, depth: usize) -> Composed<Node> {
        self.next += 1;
        let mut entries = Vec::new();
        loop {
            if self.at(&Kind::FlowMappingEnd) {
                break;
            }
            if !entries.is_empty() {
                self.expect(&Kind::FlowEntry, "a comma or } is expected here")?;
                if self.at(&Kind::FlowMappingEnd) {
                    break;
                }
            }
            if self.at(&Kind::Key) {
                let token = self.take()?;
                let key = self.flow_part(&token, &[Kind::Value, Kind::FlowEntry, Kind::FlowMappingEnd], depth)?;
                let value = self.flow_value(&[Kind::FlowEntry, Kind::FlowMappingEnd], depth)?;
                entries.push((key, value));
            } else {
                let key = self.node(false, false, depth + 1)?;
                entries.push((key, empty(self.peek()?)));
            }
        }
        self.next += 1;
        Ok(node_at(start, NodeKind::Mapping(entries)))
    }

    fn flow_part(&mut self, indicator: &Token, ends: &[Kind], depth: usize) -> Composed<Node> {
        if ends.contains(&self.peek()?.kind) { Ok(empty(indicator)) } else { self.node(false, false, depth + 1) }
    }

    fn flow_value(&mut self, ends: &[Kind], depth: usize) -> Composed<Node> {
        if !self.at(&Kind::Value) {
            return Ok(empty(self.peek()?));
        }
        let token = self.take()?;
        self.flow_part(&token, ends, depth)
    }
}
