//! Scans scalars: plain, quoted and block ones.

use super::scan::{Scan, Scanner, ends_word, error_at, is_line_break};

/// Text that is put together while white space is folded.
#[derive(Default)]
struct Folded {
    text: String,
    /// Blanks since the last word, on the same line.
    blanks: String,
    /// The first line break since the last word.
    first_break: &'static str,
    /// Further ones.
    more_breaks: String,
    broken: bool,
}

impl Folded {
    fn join(&mut self) {
        if self.broken {
            if self.first_break == "\n" {
                let folded = if self.more_breaks.is_empty() { " " } else { &self.more_breaks };
                self.text.push_str(folded);
            } else {
                self.text.push_str(self.first_break);
                self.text.push_str(&self.more_breaks);
            }
        } else {
            self.text.push_str(&self.blanks);
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.blanks.clear();
        self.more_breaks.clear();
        self.first_break = "";
        self.broken = false;
    }

    fn line_break(&mut self, reads: &'static str) {
        if self.broken {
            self.more_breaks.push_str(reads);
        } else {
            self.blanks.clear();
            self.first_break = reads;
            self.broken = true;
        }
    }
}

fn is_blank(c: Option<char>) -> bool {
    matches!(c, Some(' ' | '\t'))
}

impl Scanner<'_> {
    pub(super) fn plain_scalar(&mut self) -> Scan<String> {
        let start = self.mark;
        let indent = usize::try_from(self.indent + 1).unwrap_or(0);
        let mut folded = Folded::default();
        loop {
            if self.at_document_indicator() || self.peek() == Some('#') {
                break;
            }
            while let Some(c) = self.peek().filter(|c| !ends_word(Some(*c))) {
                let ends = match c {
                    ':' => ends_word(self.peek_after()),
                    ',' | '?' | '[' | ']' | '{' | '}' => self.flow > 0,
                    _ => false,
                };
                if ends {
                    break;
                }
                folded.join();
                folded.text.push(c);
                self.skip();
            }
            if !is_blank(self.peek()) && !is_line_break(self.peek()) {
                break;
            }
            while is_blank(self.peek()) || is_line_break(self.peek()) {
                if !is_blank(self.peek()) {
                    let reads = self.skip_break();
                    folded.line_break(reads);
                    continue;
                }
                if folded.broken && self.mark.column < indent && self.peek() == Some('\t') {
                    return error_at(start, "a tab character indents a line of this value; use spaces");
                }
                let blank = self.skip();
                if !folded.broken {
                    folded.blanks.extend(blank);
                }
            }
            if self.flow == 0 && self.mark.column < indent {
                break;
            }
        }
        if folded.broken {
            self.allow_key();
        }
        Ok(folded.text)
    }

    pub(super) fn quoted_scalar(&mut self) -> Scan<String> {
        let start = self.mark;
        let quote = self.skip().unwrap_or('"');
        let mut folded = Folded::default();
        loop {
            if self.at_document_indicator() {
                return error_at(start, "a document indicator stands inside a quoted value");
            }
            if self.peek().is_none() {
                return error_at(start, "the quoted value is not closed");
            }
            while let Some(c) = self.peek().filter(|c| !ends_word(Some(*c))) {
                if c == quote {
                    if quote == '\'' && self.peek_after() == Some('\'') {
                        self.skip();
                        self.skip();
                        folded.text.push('\'');
                        continue;
                    }
                    break;
                }
                if quote == '"' && c == '\\' {
                    self.skip();
                    if is_line_break(self.peek()) {
                        self.skip_break();
                        folded.broken = true;
                        break;
                    }
                    let decoded = self.escape()?;
                    folded.text.push(decoded);
                    continue;
                }
                folded.text.push(c);
                self.skip();
            }
            if self.peek() == Some(quote) {
                self.skip();
                return Ok(folded.text);
            }
            while is_blank(self.peek()) || is_line_break(self.peek()) {
                if !is_blank(self.peek()) {
                    let reads = self.skip_break();
                    if folded.broken && folded.first_break.is_empty() {
                        folded.more_breaks.push_str(reads);
                    } else {
                        folded.line_break(reads);
                    }
                    continue;
                }
                let blank = self.skip();
                if !folded.broken {
                    folded.blanks.extend(blank);
                }
            }
            folded.join();
        }
    }

    /// An escape in double quotes, after its backslash.
    fn escape(&mut self) -> Scan<char> {
        let mark = self.mark;
        let Some(c) = self.skip() else { return error_at(mark, "the quoted value is not closed") };
        let digits = match c {
            '0' => return Ok('\0'),
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            't' | '\t' => return Ok('\t'),
            'n' => return Ok('\n'),
            'v' => return Ok('\u{b}'),
            'f' => return Ok('\u{c}'),
            'r' => return Ok('\r'),
            'e' => return Ok('\u{1b}'),
            ' ' | '"' | '\'' | '\\' => return Ok(c),
            'N' => return Ok('\u{85}'),
            '_' => return Ok('\u{a0}'),
            'L' => return Ok('\u{2028}'),
            'P' => return Ok('\u{2029}'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return error_at(mark, "an unknown escape; write \\\\ for a backslash, or use single quotes"),
        };
        let hex = self.text.get(self.pos..self.pos + digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        let decoded = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let Some(decoded) = decoded else { return error_at(mark, "bad digits in an escape") };
        for _ in 0..digits {
            self.skip();
        }
        Ok(decoded)
    }

    pub(super) fn block_scalar(&mut self, literal: bool) -> Scan<String> {
        let start = self.mark;
        self.skip();
        let (keep, strip, increment) = self.block_header(start)?;
        let mut indent = match (increment, usize::try_from(self.indent)) {
            (0, _) => 0,
            (increment, Ok(outer)) => outer + increment,
            (increment, Err(_)) => increment,
        };
        let mut text = String::new();
        let mut first_break = "";
        let mut breaks = String::new();
        let mut after_blank = false;
        self.block_breaks(&mut indent, &mut breaks, start)?;
        while self.mark.column == indent && self.peek().is_some() {
            let blank = is_blank(self.peek());
            if !literal && first_break == "\n" && !after_blank && !blank {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(first_break);
            }
            text.push_str(&breaks);
            breaks.clear();
            after_blank = blank;
            while self.peek().is_some() && !is_line_break(self.peek()) {
                text.extend(self.skip());
            }
            first_break = self.skip_break();
            self.block_breaks(&mut indent, &mut breaks, start)?;
        }
        if !strip {
            text.push_str(first_break);
        }
        if keep {
            text.push_str(&breaks);
        }
        Ok(text)
    }

    /// What follows `|` or `>`: whether to keep or strip breaks at the end, and
    /// the indentation, 0 when it is to be found out.
    fn block_header(&mut self, start: super::scan::Mark) -> Scan<(bool, bool, usize)> {
        let (mut keep, mut strip, mut increment) = (false, false, 0);
        for _ in 0..2 {
            match self.peek() {
                Some('+') if !keep && !strip => keep = true,
                Some('-') if !keep && !strip => strip = true,
                Some('0') => return error_at(start, "the indentation of a block value cannot be 0"),
                Some(c @ '1'..='9') if increment == 0 => increment = usize::from(c as u8 - b'0'),
                _ => break,
            }
            self.skip();
        }
        while is_blank(self.peek()) {
            self.skip();
        }
        if self.peek() == Some('#') {
            while self.peek().is_some() && !is_line_break(self.peek()) {
                self.skip();
            }
        }
        if self.peek().is_some() && !is_line_break(self.peek()) {
            return error_at(start, "a comment or a line break is expected after | or >");
        }
        self.skip_break();
        Ok((keep, strip, increment))
    }

    /// Passes indentation and empty lines, and finds the indentation out.
    fn block_breaks(&mut self, indent: &mut usize, breaks: &mut String, start: super::scan::Mark) -> Scan<()> {
        let mut widest = 0;
        loop {
            while (*indent == 0 || self.mark.column < *indent) && self.peek() == Some(' ') {
                self.skip();
            }
            widest = widest.max(self.mark.column);
            if (*indent == 0 || self.mark.column < *indent) && self.peek() == Some('\t') {
                return error_at(start, "a tab character indents a line of this block value; use spaces");
            }
            if !is_line_break(self.peek()) {
                break;
            }
            breaks.push_str(self.skip_break());
        }
        if *indent == 0 {
            let least = usize::try_from(self.indent + 1).unwrap_or(0);
            *indent = widest.max(least).max(1);
        }
        Ok(())
    }
}
