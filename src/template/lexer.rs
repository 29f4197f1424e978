//! Splits template source into tokens, as Go's `text/template` does.
//!
//! Spaces inside actions are tokens, since they separate arguments; comments
//! and trimmed white space never leave the lexer. The first error ends the
//! stream with an [`TokenKind::Error`] token.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    /// A printable character with no meaning.
    Char,
    Dot,
    Field,
    Variable,
    Identifier,
    Bool,
    Nil,
    Number,
    CharConstant,
    String,
    RawString,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
    Error,
    Eof,
}

/// A token and where it stands in the source, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

struct Lexer<'s> {
    input: &'s str,
    pos: usize,
    start: usize,
    parens: usize,
    tokens: Vec<Token>,
}

/// All tokens of `input`. When the last one is an `Error`, the message says why.
pub(super) fn lex(input: &str) -> (Vec<Token>, Option<String>) {
    let mut lexer = Lexer { input, pos: 0, start: 0, parens: 0, tokens: Vec::new() };
    match lexer.run() {
        Ok(()) => (lexer.tokens, None),
        Err(message) => {
            let end = lexer.pos.max(lexer.start);
            lexer.tokens.push(Token { kind: TokenKind::Error, start: lexer.start, end });
            (lexer.tokens, Some(message))
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token { kind, start: self.start, end: self.pos });
        self.start = self.pos;
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let Some(offset) = self.rest().find(LEFT) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.emit(TokenKind::Text);
                }
                self.emit(TokenKind::Eof);
                return Ok(());
            };
            let open = self.pos + offset;
            let trim = left_trim(&self.input[open + 2..]);
            let text = &self.input[self.start..open];
            let kept = if trim { text.trim_end_matches(is_space).len() } else { text.len() };
            if kept > 0 {
                self.pos = self.start + kept;
                self.emit(TokenKind::Text);
            }
            self.start = open;
            self.pos = open + 2;
            let marker = if trim { 2 } else { 0 };
            if self.input[self.pos + marker..].starts_with("/*") {
                self.comment(marker)?;
                continue;
            }
            self.emit(TokenKind::LeftDelim);
            self.pos += marker;
            self.start = self.pos;
            self.parens = 0;
            while !self.inside()? {}
        }
    }

    fn comment(&mut self, marker: usize) -> Result<(), String> {
        self.pos += marker + 2;
        let close = self.rest().find("*/").ok_or("the comment is not closed; it needs */}}")?;
        self.pos += close + 2;
        let trim = right_trim(self.rest());
        if trim {
            self.pos += 2;
        } else if !self.rest().starts_with(RIGHT) {
            return Err("a comment must fill its whole action: }} is expected right after */".to_owned());
        }
        self.pos += 2;
        self.skip_after(trim);
        Ok(())
    }

    fn skip_after(&mut self, trim: bool) {
        if trim {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        }
        self.start = self.pos;
    }

    /// Reads one token inside an action; true at its end.
    fn inside(&mut self) -> Result<bool, String> {
        let trim = right_trim(self.rest());
        if trim || self.rest().starts_with(RIGHT) {
            if self.parens > 0 {
                return Err("a left parenthesis is not closed".to_owned());
            }
            self.right_delim(trim);
            return Ok(true);
        }
        let Some(c) = self.next() else {
            return Err("the action is not closed; it needs }}".to_owned());
        };
        match c {
            c if is_space(c) => self.space(),
            '=' => self.emit(TokenKind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err("expected :=".to_owned());
                }
                self.emit(TokenKind::Declare);
            }
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.quoted('"', TokenKind::String, "string")?,
            '\'' => self.quoted('\'', TokenKind::CharConstant, "character constant")?,
            '`' => {
                let end = self.rest().find('`').ok_or("the raw string is not closed")?;
                self.pos += end + 1;
                self.emit(TokenKind::RawString);
            }
            '$' => self.name(TokenKind::Variable, TokenKind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => self.name(TokenKind::Field, TokenKind::Dot)?,
            '.' | '+' | '-' | '0'..='9' => {
                self.pos -= 1;
                self.number()?;
            }
            c if is_word(c) => self.identifier()?,
            '(' => {
                self.parens += 1;
                self.emit(TokenKind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("a right parenthesis without its left one")?;
                self.emit(TokenKind::RightParen);
            }
            ',' => self.emit(TokenKind::Comma),
            c if c.is_ascii_graphic() => self.emit(TokenKind::Char),
            c => return Err(format!("unrecognized character {c:?} in an action")),
        }
        Ok(false)
    }

    fn right_delim(&mut self, trim: bool) {
        if trim {
            self.pos += 2;
            self.start = self.pos;
        }
        self.pos += 2;
        self.emit(TokenKind::RightDelim);
        self.skip_after(trim);
    }

    /// A run of spaces; the one before a trimming right delimiter belongs to
    /// the delimiter.
    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.pos += 1;
        }
        if right_trim(&self.input[self.pos - 1..]) {
            self.pos -= 1;
        }
        self.emit(TokenKind::Space);
    }

    fn quoted(&mut self, close: char, kind: TokenKind, what: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(format!("the {what} is not closed"));
                    }
                }
                None | Some('\n') => return Err(format!("the {what} is not closed on its line")),
                Some(c) if c == close => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn name(&mut self, kind: TokenKind, bare: TokenKind) -> Result<(), String> {
        if self.at_terminator() {
            self.emit(bare);
            return Ok(());
        }
        self.word_run();
        self.check_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn word_run(&mut self) {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn check_terminator(&self) -> Result<(), String> {
        if self.at_terminator() {
            return Ok(());
        }
        Err(format!("bad character {:?} after a name", self.peek().unwrap_or_default()))
    }

    fn identifier(&mut self) -> Result<(), String> {
        self.word_run();
        self.check_terminator()?;
        let kind = match &self.input[self.start..self.pos] {
            "block" => TokenKind::Block,
            "break" => TokenKind::Break,
            "continue" => TokenKind::Continue,
            "define" => TokenKind::Define,
            "else" => TokenKind::Else,
            "end" => TokenKind::End,
            "if" => TokenKind::If,
            "range" => TokenKind::Range,
            "nil" => TokenKind::Nil,
            "template" => TokenKind::Template,
            "with" => TokenKind::With,
            "true" | "false" => TokenKind::Bool,
            _ => TokenKind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.pos += 1;
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn number(&mut self) -> Result<(), String> {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        if self.peek().is_some_and(|c| is_word(c) || c == '+' || c == '-') {
            self.next();
            return Err(format!("bad number {:?}", &self.input[self.start..self.pos]));
        }
        self.emit(TokenKind::Number);
        Ok(())
    }
}

fn left_trim(after_delim: &str) -> bool {
    let bytes = after_delim.as_bytes();
    bytes.len() >= 2 && bytes[0] == b'-' && is_space(bytes[1].into())
}

/// Whether `text` starts with a space, a minus and a right delimiter.
fn right_trim(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 4 && is_space(bytes[0].into()) && &bytes[1..4] == b"-}}"
}
