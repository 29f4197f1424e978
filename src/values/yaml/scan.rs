//! Splits YAML 1.1 into tokens, with libyaml's rules for indentation and simple
//! keys. Scanning ends at the first error; the tokens before it are kept, so
//! that a document in front of the error can still be read.

use super::read::YamlError;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Directive,
    DocumentStart,
    DocumentEnd,
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    Entry,
    FlowEntry,
    Key,
    Value,
    Alias(Box<str>),
    Anchor(Box<str>),
    Tag(Box<str>),
    Scalar { text: Box<str>, plain: bool },
    End,
}

/// A token with its place; lines and columns count from 0.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub line: usize,
    pub column: usize,
    /// Characters before it.
    index: usize,
}

struct SimpleKey {
    token: usize,
    required: bool,
    mark: Mark,
}

/// A key and its colon must be this close.
const MAX_KEY: usize = 1024;
/// Open collections past this are refused.
const MAX_LEVELS: usize = 1000;

pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    pub(super) pos: usize,
    pub(super) mark: Mark,
    pub(super) flow: usize,
    /// The column of the innermost block collection, from -1.
    pub(super) indent: isize,
    indents: Vec<isize>,
    key_allowed: bool,
    keys: Vec<Option<SimpleKey>>,
    tokens: Vec<Token>,
}

pub(super) type Scan<T> = Result<T, YamlError>;

/// The tokens of `text`, and the error that ended them, if any.
pub(super) fn scan(text: &str) -> (Vec<Token>, Option<YamlError>) {
    let mut scanner = Scanner {
        text,
        pos: 0,
        mark: Mark { line: 0, column: 0, index: 0 },
        flow: 0,
        indent: -1,
        indents: Vec::new(),
        key_allowed: true,
        keys: vec![None],
        tokens: Vec::with_capacity(text.len() / 8),
    };
    let result = scanner.check_characters().and_then(|()| scanner.run());
    (scanner.tokens, result.err())
}

/// Breaks, blanks and the end.
pub(super) fn ends_word(c: Option<char>) -> bool {
    c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
}

pub(super) fn is_line_break(c: Option<char>) -> bool {
    matches!(c, Some('\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
}

impl Scanner<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        let byte = *self.text.as_bytes().get(self.pos)?;
        if byte < 0x80 { Some(char::from(byte)) } else { self.text[self.pos..].chars().next() }
    }

    /// The character after the next one, which must be ASCII.
    pub(super) fn peek_after(&self) -> Option<char> {
        self.text.get(self.pos + 1..)?.chars().next()
    }

    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        self.text.as_bytes()[self.pos..].starts_with(prefix.as_bytes())
    }

    /// Passes one character that is no line break.
    pub(super) fn skip(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        self.mark.column += 1;
        self.mark.index += 1;
        Some(c)
    }

    /// Passes a line break and returns how it reads: a line feed, except for
    /// the Unicode separators.
    pub(super) fn skip_break(&mut self) -> &'static str {
        let (width, reads) = match self.peek() {
            Some('\r') if self.peek_after() == Some('\n') => (2, "\n"),
            Some('\n' | '\r') => (1, "\n"),
            Some('\u{85}') => (2, "\n"),
            Some('\u{2028}') => (3, "\u{2028}"),
            Some('\u{2029}') => (3, "\u{2029}"),
            _ => return "",
        };
        self.pos += width;
        self.mark.line += 1;
        self.mark.column = 0;
        self.mark.index += 1;
        reads
    }

    pub(super) fn fail<T>(&self, message: &str) -> Scan<T> {
        error_at(self.mark, message)
    }

    fn check_characters(&self) -> Scan<()> {
        let allowed = |c: char| match c {
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' => true,
            c => ('\u{e000}'..='\u{fffd}').contains(&c) || c > '\u{ffff}',
        };
        let plain = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        if self.text.as_bytes().iter().all(plain) {
            return Ok(());
        }
        match self.text.char_indices().find(|(_, c)| !allowed(*c)) {
            None => Ok(()),
            Some((at, c)) => {
                let before = &self.text[..at];
                let line_start = before.rfind('\n').map_or(0, |i| i + 1);
                Err(YamlError {
                    line: before.matches('\n').count() + 1,
                    column: before[line_start..].chars().count() + 1,
                    message: format!("control characters such as {c:?} are not allowed"),
                })
            }
        }
    }

    fn push(&mut self, kind: Kind, mark: Mark) {
        self.tokens.push(Token { kind, line: mark.line, column: mark.column });
    }

    /// Takes characters that make up the token `kind`.
    fn indicator(&mut self, kind: Kind, width: usize) {
        let mark = self.mark;
        for _ in 0..width {
            self.skip();
        }
        self.push(kind, mark);
    }

    fn run(&mut self) -> Scan<()> {
        loop {
            self.skip_to_token();
            self.expire_keys()?;
            self.unroll(isize::try_from(self.mark.column).unwrap_or(isize::MAX));
            if self.peek().is_none() {
                self.mark.line += usize::from(self.mark.column > 0);
                self.mark.column = 0;
                self.unroll(-1);
                self.drop_key()?;
                self.push(Kind::End, self.mark);
                return Ok(());
            }
            self.token()?;
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.mark.column == 0 && self.peek() == Some('\u{feff}') {
                self.skip();
            }
            while self.peek() == Some(' ') || ((self.flow > 0 || !self.key_allowed) && self.peek() == Some('\t')) {
                self.skip();
            }
            if self.peek() == Some('#') {
                while self.peek().is_some() && !is_line_break(self.peek()) {
                    self.skip();
                }
            }
            if !is_line_break(self.peek()) {
                return;
            }
            self.skip_break();
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    pub(super) fn at_document_indicator(&self) -> bool {
        self.mark.column == 0
            && (self.starts_with("---") || self.starts_with("..."))
            && ends_word(self.text.get(self.pos + 3..).and_then(|rest| rest.chars().next()))
    }

    fn token(&mut self) -> Scan<()> {
        let Some(c) = self.peek() else { return Ok(()) };
        let word_ends = ends_word(self.peek_after());
        if self.mark.column == 0 && c == '%' {
            return self.directive();
        }
        if self.at_document_indicator() {
            self.unroll(-1);
            self.drop_key()?;
            self.key_allowed = false;
            let kind = if c == '-' { Kind::DocumentStart } else { Kind::DocumentEnd };
            self.indicator(kind, 3);
            return Ok(());
        }
        match c {
            '[' => self.open(Kind::FlowSequence),
            '{' => self.open(Kind::FlowMapping),
            ']' => self.close(Kind::FlowSequenceEnd),
            '}' => self.close(Kind::FlowMappingEnd),
            ',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.indicator(Kind::FlowEntry, 1);
                Ok(())
            }
            '-' if word_ends => self.block_entry(),
            '?' if self.flow > 0 || word_ends => self.explicit_key(),
            ':' if self.flow > 0 || word_ends => self.value(),
            '*' | '&' => self.anchor(c == '*'),
            '!' => self.tag(),
            '|' | '>' if self.flow == 0 => {
                self.drop_key()?;
                self.key_allowed = true;
                let mark = self.mark;
                let text = self.block_scalar(c == '|')?;
                self.push(Kind::Scalar { text: text.into(), plain: false }, mark);
                Ok(())
            }
            '\'' | '"' => self.scalar(false),
            '-' if !matches!(self.peek_after(), Some(' ' | '\t')) => self.scalar(true),
            '?' | ':' if self.flow == 0 && !word_ends => self.scalar(true),
            '-' | '?' | ':' | '#' | '|' | '>' | '%' | '@' | '`' | '\t' => {
                self.fail("a value cannot start with this character; quote it")
            }
            _ => self.scalar(true),
        }
    }

    fn scalar(&mut self, plain: bool) -> Scan<()> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark;
        let text = if plain { self.plain_scalar()? } else { self.quoted_scalar()? };
        self.push(Kind::Scalar { text: text.into(), plain }, mark);
        Ok(())
    }

    /// A plain scalar that ran over a line break lets a key follow.
    pub(super) fn allow_key(&mut self) {
        self.key_allowed = true;
    }

    fn directive(&mut self) -> Scan<()> {
        self.unroll(-1);
        self.drop_key()?;
        self.key_allowed = false;
        let mark = self.mark;
        let end = self.text[self.pos..].find(['\n', '\r']).map_or(self.text.len(), |at| self.pos + at);
        let line = &self.text[self.pos..end];
        if !line.starts_with("%YAML ") && !line.starts_with("%TAG ") {
            return self.fail("an unknown directive");
        }
        while self.peek().is_some() && !is_line_break(self.peek()) {
            self.skip();
        }
        self.push(Kind::Directive, mark);
        Ok(())
    }

    fn open(&mut self, kind: Kind) -> Scan<()> {
        self.save_key()?;
        self.keys.push(None);
        self.flow += 1;
        if self.flow > MAX_LEVELS {
            return self.fail("collections are nested too deep");
        }
        self.key_allowed = true;
        self.indicator(kind, 1);
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Scan<()> {
        self.drop_key()?;
        if self.flow > 0 {
            self.flow -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.indicator(kind, 1);
        Ok(())
    }

    fn block_entry(&mut self) -> Scan<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return self.fail("block sequence entries are not allowed here");
            }
            self.roll(self.mark, None, Kind::BlockSequence)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(Kind::Entry, 1);
        Ok(())
    }

    fn explicit_key(&mut self) -> Scan<()> {
        if self.flow == 0 {
            if !self.key_allowed {
                return self.fail("mapping keys are not allowed here");
            }
            self.roll(self.mark, None, Kind::BlockMapping)?;
        }
        self.drop_key()?;
        self.key_allowed = self.flow == 0;
        self.indicator(Kind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Scan<()> {
        if let Some(key) = self.keys.last_mut().and_then(Option::take) {
            let token = Token { kind: Kind::Key, line: key.mark.line, column: key.mark.column };
            self.tokens.insert(key.token, token);
            self.roll(key.mark, Some(key.token), Kind::BlockMapping)?;
            self.key_allowed = false;
        } else {
            if self.flow == 0 {
                if !self.key_allowed {
                    return self.fail("mapping values are not allowed here; is the value missing its quotes?");
                }
                self.roll(self.mark, None, Kind::BlockMapping)?;
            }
            self.key_allowed = self.flow == 0;
        }
        self.indicator(Kind::Value, 1);
        Ok(())
    }

    fn anchor(&mut self, alias: bool) -> Scan<()> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark;
        self.skip();
        let start = self.pos;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            self.skip();
        }
        let name: Box<str> = self.text[start..self.pos].into();
        let follows = self.peek();
        if name.is_empty() || !(ends_word(follows) || follows.is_some_and(|c| "?:,]}%@`".contains(c))) {
            return self.fail("an anchor or alias must be letters, digits, - and _");
        }
        self.push(if alias { Kind::Alias(name) } else { Kind::Anchor(name) }, mark);
        Ok(())
    }

    fn tag(&mut self) -> Scan<()> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark;
        let start = self.pos;
        let flow_end = |c: Option<char>| c.is_some_and(|c| ",]}".contains(c));
        while !(ends_word(self.peek()) || (self.flow > 0 && flow_end(self.peek()))) {
            self.skip();
        }
        let text = &self.text[start..self.pos];
        let uri = text.strip_prefix("!<").and_then(|rest| rest.strip_suffix('>'));
        let tag = match (uri, text.strip_prefix("!!")) {
            (Some(uri), _) => uri.to_owned(),
            (None, Some(name)) if !name.is_empty() => format!("tag:yaml.org,2002:{name}"),
            (None, Some(_)) => return self.fail("a tag needs a name"),
            (None, None) if text[1..].contains('!') => return self.fail("an undefined tag handle"),
            (None, None) => text.to_owned(),
        };
        self.push(Kind::Tag(tag.into()), mark);
        Ok(())
    }

    /// Remembers that a key may start here.
    fn save_key(&mut self) -> Scan<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = self.flow == 0 && usize::try_from(self.indent).is_ok_and(|indent| indent == self.mark.column);
        self.drop_key()?;
        let key = SimpleKey { token: self.tokens.len(), required, mark: self.mark };
        if let Some(slot) = self.keys.last_mut() {
            *slot = Some(key);
        }
        Ok(())
    }

    fn drop_key(&mut self) -> Scan<()> {
        match self.keys.last_mut().and_then(Option::take) {
            Some(key) if key.required => missing_colon(&key),
            _ => Ok(()),
        }
    }

    /// Gives up keys whose colon can no longer come.
    fn expire_keys(&mut self) -> Scan<()> {
        for slot in &mut self.keys {
            let expired =
                slot.as_ref().is_some_and(|k| k.mark.line < self.mark.line || k.mark.index + MAX_KEY < self.mark.index);
            if expired
                && let Some(key) = slot.take()
                && key.required
            {
                return missing_colon(&key);
            }
        }
        Ok(())
    }

    /// Opens a block collection when the column is deeper than the current one.
    fn roll(&mut self, mark: Mark, at: Option<usize>, kind: Kind) -> Scan<()> {
        let column = isize::try_from(mark.column).unwrap_or(isize::MAX);
        if self.flow > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_LEVELS {
            return self.fail("collections are nested too deep");
        }
        let token = Token { kind, line: mark.line, column: mark.column };
        self.tokens.insert(at.unwrap_or(self.tokens.len()), token);
        Ok(())
    }

    /// Closes block collections that are deeper than `column`.
    fn unroll(&mut self, column: isize) {
        if self.flow > 0 {
            return;
        }
        while self.indent > column {
            self.push(Kind::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }
}

fn missing_colon<T>(key: &SimpleKey) -> Scan<T> {
    error_at(key.mark, "could not find the ':' after this key")
}

pub(super) fn error_at<T>(mark: Mark, message: &str) -> Scan<T> {
    Err(YamlError { line: mark.line + 1, column: mark.column + 1, message: message.to_owned() })
}
