//! Sprig's functions on words and letter case.

use super::{
    Call, Function, Outcome,
    Param::{Int, Str as Text},
    plain,
    strings::{lower_char, upper_char},
};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("title", &[Text], |c| Ok(Value::str(title(&c.text(0))))),
    plain("untitle", &[Text], |c| Ok(Value::str(untitle(&c.text(0))))),
    plain("swapcase", &[Text], |c| Ok(Value::str(swap_case(&c.text(0))))),
    plain("nospace", &[Text], |c| Ok(Value::str(c.text(0).replace(char::is_whitespace, "")))),
    plain("initials", &[Text], |c| Ok(Value::str(initials(c.bytes(0))))),
    plain("snakecase", &[Text], |c| Ok(Value::str(delimited(&c.text(0), '_')))),
    plain("kebabcase", &[Text], |c| Ok(Value::str(delimited(&c.text(0), '-')))),
    plain("camelcase", &[Text], |c| Ok(Value::str(pascal(&c.text(0))))),
    plain("wrap", &[Int, Text], |c| Ok(Value::str(wrap(c.bytes(1), c.int(0), b"\n", false)))),
    plain("wrapWith", &[Int, Text, Text], |c| {
        let separator = if c.bytes(1).is_empty() { b"\n" } else { c.bytes(1) };
        Ok(Value::str(wrap(c.bytes(2), c.int(0), separator, true)))
    }),
    plain("abbrev", &[Int, Text], abbrev),
    plain("abbrevboth", &[Int, Int, Text], abbrev_both),
];

fn title(text: &str) -> String {
    let mut separated = true;
    text.chars()
        .map(|c| {
            let result = if separated { upper_char(c) } else { c };
            let joins = c == '_' || c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace());
            separated = !joins;
            result
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut first = true;
    text.chars()
        .map(|c| {
            let result = if first && !c.is_whitespace() { lower_char(c) } else { c };
            first = c.is_whitespace();
            result
        })
        .collect()
}

fn swap_case(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|c| {
            if c.is_uppercase() {
                after_space = false;
                lower_char(c)
            } else if c.is_lowercase() {
                after_space = false;
                upper_char(c)
            } else {
                after_space = c.is_whitespace();
                c
            }
        })
        .collect()
}

/// The first byte of each word, as the Go library does.
fn initials(text: &[u8]) -> String {
    let mut gap = true;
    let mut out = String::new();
    for byte in text {
        let c = char::from(*byte);
        if c.is_whitespace() {
            gap = true;
        } else if gap {
            out.push(c);
            gap = false;
        }
    }
    out
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// Upper camel case, as `xstrings.ToPascalCase`: connectors at the start stay.
fn pascal(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let Some(first) = chars.iter().position(|c| !is_connector(*c)) else { return text.to_owned() };
    let mut out: String = chars[..first].iter().collect();
    let mut lowering = chars[first].is_uppercase();
    let mut pending = upper_char(chars[first]);
    for &c in &chars[first + 1..] {
        let previous = pending;
        pending = c;
        if is_connector(c) && is_connector(previous) {
            out.push(previous);
        } else if is_connector(previous) {
            lowering = c.is_uppercase();
            pending = upper_char(c);
        } else {
            if lowering {
                if c.is_uppercase() {
                    pending = lower_char(c);
                } else {
                    lowering = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(pending);
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

fn is_alphabet(c: char) -> bool {
    c.is_alphabetic() && (c.is_lowercase() || c.is_uppercase())
}

/// Go's `unicode.IsPunct`, for ASCII; further punctuation counts as other.
fn is_punct(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

fn run(chars: &[char], from: usize, test: impl Fn(char) -> bool) -> usize {
    from + chars[from..].iter().take_while(|c| test(**c)).count()
}

/// The kind and length of the word at the start of `chars`.
fn next_word(chars: &[char]) -> (Word, usize) {
    let Some(&c) = chars.first() else { return (Word::None, 0) };
    if is_connector(c) {
        (Word::Connector, run(chars, 1, is_connector))
    } else if is_punct(c) {
        (Word::Punct, run(chars, 1, is_punct))
    } else if c.is_uppercase() {
        let uppers = run(chars, 1, char::is_uppercase);
        let end = if uppers > 1 {
            // The last capital belongs to the word that follows: HTTP|Status.
            if chars.get(uppers).is_some_and(|c| is_alphabet(*c)) { uppers - 1 } else { uppers }
        } else {
            run(chars, 1, |c| is_alphabet(c) && !c.is_uppercase())
        };
        (Word::Upper, end)
    } else if is_alphabet(c) {
        (Word::Alphabet, run(chars, 1, |c| is_alphabet(c) && !c.is_uppercase()))
    } else if c.is_numeric() {
        (Word::Number, run(chars, 1, char::is_numeric))
    } else {
        let other = |c: char| !(is_connector(c) || is_alphabet(c) || c.is_numeric() || is_punct(c));
        (Word::Other, run(chars, 1, other))
    }
}

/// Words in lower case with a connector between them, as `xstrings.ToSnakeCase`.
fn delimited(text: &str, connector: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (kind, len) = next_word(&chars[at..]);
        words.push((kind, &chars[at..at + len]));
        at += len;
    }
    let mut state = Delimiter { words: &words, next: 0, out: String::new(), connector };
    state.run();
    state.out
}

struct Delimiter<'w> {
    words: &'w [(Word, &'w [char])],
    next: usize,
    out: String,
    connector: char,
}

impl<'w> Delimiter<'w> {
    fn take(&mut self) -> (Word, &'w [char]) {
        let word = self.words.get(self.next).copied().unwrap_or((Word::None, &[]));
        self.next += 1;
        word
    }

    fn more(&self) -> bool {
        self.next < self.words.len()
    }

    fn put(&mut self, (kind, word): (Word, &[char])) {
        if kind == Word::Connector {
            self.out.extend(std::iter::repeat_n(self.connector, word.len()));
        } else {
            self.out.extend(word.iter().map(|c| lower_char(*c)));
        }
    }

    fn connect_unless(&mut self, kind: Word, except: &[Word]) {
        if !except.contains(&kind) {
            self.out.push(self.connector);
        }
    }

    fn run(&mut self) {
        let mut word = self.take();
        while self.more() {
            if word.0 != Word::Connector {
                self.put(word);
            }
            let previous = word;
            word = self.take();
            word = match previous.0 {
                Word::Number => self.after_number(word),
                Word::Connector => {
                    self.put(previous);
                    word
                }
                Word::Punct => word,
                _ => self.after_letters(word),
            };
        }
        self.put(word);
    }

    fn letters(&mut self, mut word: (Word, &'w [char])) -> (Word, &'w [char]) {
        while matches!(word.0, Word::Alphabet | Word::Number) {
            self.put(word);
            word = self.take();
        }
        word
    }

    fn after_number(&mut self, word: (Word, &'w [char])) -> (Word, &'w [char]) {
        let word = self.letters(word);
        self.connect_unless(word.0, &[Word::None, Word::Punct, Word::Connector]);
        word
    }

    fn after_letters(&mut self, word: (Word, &'w [char])) -> (Word, &'w [char]) {
        if word.0 != Word::Number {
            self.connect_unless(word.0, &[Word::Connector, Word::Punct]);
            return word;
        }
        if !self.more() {
            return word;
        }
        let number = word;
        let word = self.take();
        if word.0 != Word::Alphabet {
            self.put(number);
            self.connect_unless(word.0, &[Word::Connector, Word::Punct]);
            return word;
        }
        self.out.push(self.connector);
        self.put(number);
        let word = self.letters(word);
        self.connect_unless(word.0, &[Word::None, Word::Connector, Word::Punct]);
        word
    }
}

fn wrap(text: &[u8], width: i64, separator: &[u8], break_words: bool) -> Vec<u8> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut out = Vec::new();
    let mut at = 0;
    while text.len() - at > width {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let space = text[at..=at + width].iter().rposition(|b| *b == b' ');
        let (end, next) = match space {
            Some(space) => (at + space, at + space + 1),
            None if break_words => (at + width, at + width),
            None => match text[at + width..].iter().position(|b| *b == b' ') {
                Some(space) => (at + width + space, at + width + space + 1),
                None => break,
            },
        };
        out.extend_from_slice(&text[at..end]);
        out.extend_from_slice(separator);
        at = next;
    }
    out.extend_from_slice(&text[at..]);
    out
}

fn abbrev(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::str(abbreviate(call.bytes(1), 0, call.int(0))))
}

fn abbrev_both(call: &mut Call<'_, '_>) -> Outcome {
    let (left, right) = (call.int(0), call.int(1));
    if right < 4 || (left > 0 && right < 7) {
        return Ok(call.args[2].clone());
    }
    Ok(Value::str(abbreviate(call.bytes(2), left, right)))
}

/// Cuts to `width` bytes with dots where something is missing.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let len = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if width < 4 || len <= width {
        return text.to_vec();
    }
    let mut offset = offset.min(len);
    if len - offset < width - 3 {
        offset = len - (width - 3);
    }
    let cut = |from: i64, to: i64| {
        let bound = |at: i64| usize::try_from(at.clamp(0, len)).unwrap_or(0);
        &text[bound(from)..bound(to).max(bound(from))]
    };
    if offset <= 4 {
        return [cut(0, width - 3), b"..."].concat();
    }
    if width < 7 {
        return text.to_vec();
    }
    if offset + width - 3 < len {
        return [b"...", &*abbreviate(cut(offset, len), 0, width - 3)].concat();
    }
    [b"...", cut(len - (width - 3), len)].concat()
}
