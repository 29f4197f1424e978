//! Writes YAML as the Go library yaml.v2 does, which is libyaml's layout: block
//! style, lists not indented under their key, lines folded past 80 columns.

use super::resolve::{Scalar, resolve};

const BEST_WIDTH: usize = 80;
const BEST_INDENT: usize = 2;
/// Keys longer than this are written with `? `.
const MAX_SIMPLE_KEY: usize = 128;

enum Level {
    /// A sequence: whether an item was written.
    List,
    /// A mapping: whether a key waits for its value, and whether that key was
    /// written with `? `.
    Map { explicit: bool },
}

/// Writes one document, event by event. Keys come in the order given; see
/// [`natural_sort`] for the one that Go uses.
pub struct Emitter {
    out: String,
    column: usize,
    indent: Option<usize>,
    indents: Vec<Option<usize>>,
    levels: Vec<Level>,
    /// The last character written was white space.
    whitespace: bool,
    /// Only indentation was written on this line so far.
    indention: bool,
    in_mapping: bool,
    /// Lists stand deeper than their key, and lines are never folded.
    pretty: bool,
}

impl Default for Emitter {
    fn default() -> Self {
        Self {
            out: String::new(),
            column: 0,
            indent: None,
            indents: Vec::new(),
            levels: Vec::new(),
            whitespace: true,
            indention: true,
            in_mapping: false,
            pretty: false,
        }
    }
}

struct Analysis {
    plain: bool,
    single: bool,
    block: bool,
    multiline: bool,
}

#[derive(PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Emitter {
    /// Writes as yaml.v3 does with an indentation of two: lists stand deeper
    /// than their key, and lines are never folded.
    pub fn pretty() -> Self {
        Self { pretty: true, ..Self::default() }
    }

    /// Whether the line is long enough to be folded.
    fn is_full(&self) -> bool {
        !self.pretty && self.column > BEST_WIDTH
    }

    /// The document, with a newline at its end.
    pub fn finish(mut self) -> String {
        if self.column > 0 {
            self.out.push('\n');
        }
        self.out
    }

    /// `null`, `true`, a number: text that is written as it is.
    pub fn literal(&mut self, text: &str) {
        self.before_value();
        self.plain(text, true);
    }

    /// A string, quoted where it must be.
    pub fn string(&mut self, text: &str) {
        self.before_value();
        self.scalar(text, false);
    }

    /// Starts a sequence. An empty one is complete with this.
    pub fn begin_list(&mut self, empty: bool) {
        self.before_value();
        if empty {
            self.indicator("[", true, false, false);
            self.indicator("]", false, false, false);
            return;
        }
        let indentless = self.in_mapping && !self.indention && !self.pretty;
        self.increase_indent(indentless);
        self.levels.push(Level::List);
    }

    /// Starts a mapping. An empty one is complete with this.
    pub fn begin_map(&mut self, empty: bool) {
        self.before_value();
        if empty {
            self.indicator("{", true, false, false);
            self.indicator("}", false, false, false);
            return;
        }
        self.increase_indent(false);
        self.levels.push(Level::Map { explicit: false });
    }

    /// Ends the innermost list or map that was not empty.
    pub fn end(&mut self) {
        self.levels.pop();
        self.indent = self.indents.pop().flatten();
    }

    /// The key of the next value.
    pub fn key(&mut self, text: &str) {
        self.write_indent();
        let simple = text.len() <= MAX_SIMPLE_KEY && !analyze(text).multiline;
        if let Some(Level::Map { explicit }) = self.levels.last_mut() {
            *explicit = !simple;
        }
        self.in_mapping = true;
        if simple {
            self.scalar(text, true);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.scalar(text, false);
        }
    }

    fn before_value(&mut self) {
        match self.levels.last() {
            Some(Level::List) => {
                self.write_indent();
                self.indicator("-", true, false, true);
                self.in_mapping = false;
            }
            Some(Level::Map { explicit: true }) => {
                self.write_indent();
                self.indicator(":", true, false, true);
                self.in_mapping = true;
            }
            Some(Level::Map { explicit: false }) => self.in_mapping = true,
            None => self.in_mapping = false,
        }
    }

    fn increase_indent(&mut self, indentless: bool) {
        self.indents.push(self.indent);
        self.indent = match self.indent {
            None => Some(0),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + BEST_INDENT),
        };
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, is_whitespace: bool, is_indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        self.whitespace = is_whitespace;
        self.indention &= is_indention;
    }

    fn scalar(&mut self, text: &str, key: bool) {
        let analysis = analyze(text);
        // Further lines of a scalar stand deeper than its key.
        let outer = self.indent;
        self.indent = Some(outer.map_or(BEST_INDENT, |indent| indent + BEST_INDENT));
        match choose(text, &analysis, key) {
            Style::Plain => self.plain(text, !key),
            Style::Single => self.single_quoted(text, !key),
            Style::Double => self.double_quoted(text, !key),
            Style::Literal => self.literal_block(text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, may_break: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.folding(text, may_break, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("'", true, false, false);
        self.folding(text, may_break, true);
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// Text on one line, folded at single spaces past the width.
    fn folding(&mut self, text: &str, may_break: bool, quoted: bool) {
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, c)| *c);
            if c == ' ' {
                let inside = !quoted || (at > 0 && at + 1 < text.len());
                if may_break && !spaces && self.is_full() && inside && next != Some(' ') {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
                continue;
            }
            if quoted && c == '\'' {
                self.put('\'');
            }
            self.put(c);
            self.indention = false;
            spaces = false;
        }
    }

    fn double_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                if may_break && !spaces && self.is_full() && at > 0 && at + 1 < text.len() {
                    self.write_indent();
                    if chars.peek().is_some_and(|(_, c)| *c == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
                continue;
            }
            spaces = false;
            if is_printable(c) && !is_break(c) && !matches!(c, '"' | '\\' | '\u{FEFF}') {
                self.put(c);
            } else {
                for c in escaped(c).chars() {
                    self.put(c);
                }
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal_block(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.indicator(&BEST_INDENT.to_string(), false, false, false);
        }
        let mut backwards = text.chars().rev();
        match (backwards.next(), backwards.next()) {
            (Some(last), _) if !is_break(last) => self.indicator("-", false, false, false),
            (Some(_), None) => self.indicator("+", false, false, false),
            (Some(_), Some(before)) if is_break(before) => self.indicator("+", false, false, false),
            _ => {}
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.out.push(c);
                self.column = 0;
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            self.put(c);
            self.indention = false;
            breaks = false;
        }
    }
}

fn choose(text: &str, analysis: &Analysis, key: bool) -> Style {
    let wish = if text.contains('\n') {
        Style::Literal
    } else if resolve(text) == Scalar::Text && !is_base60(text) {
        Style::Plain
    } else {
        Style::Double
    };
    match wish {
        Style::Literal if analysis.block && !key => Style::Literal,
        Style::Plain if analysis.plain && !(text.is_empty() && key) => Style::Plain,
        Style::Plain if analysis.single => Style::Single,
        _ => Style::Double,
    }
}

/// Base 60 numbers such as `1:30`, which are quoted although nobody reads them.
fn is_base60(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((first, rest)) = body.split_once(':') else { return false };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    digits(fraction)
        && rest.split(':').all(|part| match part.as_bytes() {
            [one] => one.is_ascii_digit(),
            [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
            _ => false,
        })
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What the Go emitter calls printable: nothing outside the basic plane.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { plain: true, single: true, block: false, multiline: false };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut breaks, mut special) = (false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let mut after_blank = true;
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let before_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        indicators |= match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if first => {
                true
            }
            '?' | '-' if first => before_blank,
            ':' => before_blank,
            '#' => after_blank,
            _ => false,
        };
        special |= !is_printable(c);
        break_space |= c == ' ' && previous_break;
        space_break |= is_break(c) && previous_space;
        breaks |= is_break(c);
        previous_space = c == ' ';
        previous_break = is_break(c);
        after_blank = matches!(c, ' ' | '\t') || is_break(c);
        first = false;
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let edges = edge(text.chars().next()) || edge(text.chars().next_back());
    Analysis {
        plain: !(edges || break_space || space_break || special || breaks || indicators),
        single: !(break_space || space_break || special),
        block: !(text.ends_with(' ') || space_break || special),
        multiline: breaks,
    }
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            return match u32::from(c) {
                n @ 0..=0xff => format!("\\x{n:02X}"),
                n @ 0x100..=0xffff => format!("\\u{n:04X}"),
                n => format!("\\U{n:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// Sorts keys as the Go library does: digits by their value, letters after
/// other characters. The order is not a strict one, so an ordinary sort, which
/// may refuse such orders, is not used.
pub fn natural_sort<T>(items: Vec<T>, key: &impl Fn(&T) -> &str) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let mut left = natural_sort(left, key).into_iter().peekable();
    let mut right = natural_sort(right, key).into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from_right = natural_less(key(b), key(a));
        merged.extend(if from_right { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn natural_less(a: &str, b: &str) -> bool {
    let (ar, br): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(i) = ar.iter().zip(&br).position(|(a, b)| a != b) else { return ar.len() < br.len() };
    let (al, bl) = (ar[i].is_alphabetic(), br[i].is_alphabetic());
    if al && bl {
        return ar[i] < br[i];
    }
    if al || bl {
        return bl;
    }
    let mut start = 0i64;
    if ar[i] == '0' || br[i] == '0' {
        let before = ar[..i].iter().rev().take_while(|c| c.is_ascii_digit());
        start = i64::from(before.into_iter().any(|c| *c != '0'));
    }
    let number = |chars: &[char]| {
        let digits = chars[i..].iter().take_while(|c| c.is_ascii_digit());
        digits.fold((start, i), |(n, end), c| (n.wrapping_mul(10).wrapping_add(i64::from(u32::from(*c)) - 48), end + 1))
    };
    let ((an, ai), (bn, bi)) = (number(&ar), number(&br));
    if an != bn {
        return an < bn;
    }
    if ai != bi {
        return ai < bi;
    }
    ar[i] < br[i]
}
