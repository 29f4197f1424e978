//! `printf`: Go's `fmt` verbs, flags, widths and its way of showing mistakes
//! inside the output.

use super::{
    Call, Function, Outcome,
    Param::{Any, Str as Text},
    Refusal, sprint, variadic,
};
use crate::template::{
    print,
    value::{ListKind, MAX_DEPTH, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[variadic("printf", &[Text], Any, printf)];

/// Whether Go's `strconv` shows the character as it is.
pub(super) fn is_print(c: char) -> bool {
    // The first character of a string is escaped more eagerly, so it is padded.
    !['a', c].iter().collect::<String>().escape_debug().skip(1).take(2).eq(['\\', 'u'])
}

/// `strconv.Quote`.
pub(crate) fn quote(bytes: &[u8]) -> String {
    quoted(bytes, '"', false)
}

fn quoted(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape(&mut out, c, mark, ascii);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push(mark);
    out
}

fn escape(out: &mut String, c: char, mark: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c == mark => {
            out.push('\\');
            out.push(c);
        }
        ' '..='~' => out.push(c),
        c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if !ascii && is_print(c) => out.push(c),
        c if u32::from(c) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    args: &'a [Value],
    next: usize,
    reordered: bool,
    out: Vec<u8>,
    limit: usize,
}

/// Widths and precisions past this are refused, as Go does.
const MAX_WIDTH: i64 = 1_000_000;

fn printf(call: &mut Call<'_, '_>) -> Outcome {
    let format = call.text(0).into_owned();
    let limit = call.machine.limits.output;
    let mut printer = Printer { args: &call.args[1..], next: 0, reordered: false, out: Vec::new(), limit };
    printer.run(&format)?;
    Ok(Value::str(printer.out))
}

impl Printer<'_> {
    fn run(&mut self, format: &str) -> Result<(), Refusal> {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            self.out.extend_from_slice(&rest.as_bytes()[..at]);
            rest = self.directive(&rest[at + 1..])?;
            if self.out.len() > self.limit {
                return Err(format!("the output is larger than {} bytes", self.limit).into());
            }
        }
        self.out.extend_from_slice(rest.as_bytes());
        if !self.reordered && self.next < self.args.len() {
            self.out.extend_from_slice(b"%!(EXTRA ");
            for (index, arg) in self.args[self.next..].iter().enumerate() {
                if index > 0 {
                    self.out.extend_from_slice(b", ");
                }
                if arg.is_nil() {
                    self.out.extend_from_slice(b"<nil>");
                } else {
                    self.out.extend_from_slice(arg.type_name().as_bytes());
                    self.out.push(b'=');
                    print::plain(&mut self.out, arg, 0)?;
                }
            }
            self.out.push(b')');
        }
        Ok(())
    }

    /// Handles what follows a percent sign; returns the rest of the format.
    fn directive<'f>(&mut self, format: &'f str) -> Result<&'f str, Refusal> {
        let mut flags = Flags::default();
        let mut rest = format.trim_start_matches(|c| {
            match c {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => return false,
            }
            true
        });
        let mut bad_index = !self.argument_index(&mut rest);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
        } else {
            flags.width = digits(&mut rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            bad_index |= !self.argument_index(&mut rest);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match self.star().and_then(|p| usize::try_from(p).ok()) {
                    Some(precision) => flags.precision = Some(precision),
                    None => self.out.extend_from_slice(b"%!(BADPREC)"),
                }
            } else {
                flags.precision = Some(digits(&mut rest).unwrap_or(0));
            }
        }
        bad_index |= !self.argument_index(&mut rest);
        flags.zero &= !flags.minus;
        let Some(verb) = rest.chars().next() else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return Ok(rest);
        };
        rest = &rest[verb.len_utf8()..];
        self.verb(verb, flags, bad_index)?;
        Ok(rest)
    }

    fn verb(&mut self, verb: char, flags: Flags, bad_index: bool) -> Result<(), Refusal> {
        if verb == '%' {
            self.out.push(b'%');
            return Ok(());
        }
        if bad_index {
            self.out.extend_from_slice(format!("%!{verb}(BADINDEX)").as_bytes());
            return Ok(());
        }
        let Some(arg) = self.args.get(self.next) else {
            self.out.extend_from_slice(format!("%!{verb}(MISSING)").as_bytes());
            return Ok(());
        };
        self.next += 1;
        let mut text = Vec::new();
        match verb {
            'T' => pad(&mut text, arg.type_name().as_bytes(), flags),
            _ => format_value(&mut text, arg, verb, flags, 0)?,
        }
        self.out.append(&mut text);
        Ok(())
    }

    /// `[n]` before a verb or star; false when it is malformed.
    fn argument_index(&mut self, rest: &mut &str) -> bool {
        let Some(after) = rest.strip_prefix('[') else { return true };
        self.reordered = true;
        let Some((number, after)) = after.split_once(']') else { return false };
        *rest = after;
        match number.parse::<usize>() {
            Ok(index) if index >= 1 && index <= self.args.len() => {
                self.next = index - 1;
                true
            }
            _ => false,
        }
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.args.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(width, _) if width.abs() <= MAX_WIDTH => Some(*width),
            _ => None,
        }
    }
}

fn digits(rest: &mut &str) -> Option<usize> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..end].parse::<usize>().ok().filter(|n| *n <= 1_000_000);
    *rest = &rest[end..];
    number
}

/// Pads to the width with spaces (or zeros, as Go does for strings too).
fn pad(out: &mut Vec<u8>, text: &[u8], flags: Flags) {
    let count = String::from_utf8_lossy(text).chars().count();
    let missing = flags.width.unwrap_or(0).saturating_sub(count);
    let fill = if flags.zero { b'0' } else { b' ' };
    if !flags.minus {
        out.extend(std::iter::repeat_n(fill, missing));
    }
    out.extend_from_slice(text);
    if flags.minus {
        out.extend(std::iter::repeat_n(b' ', missing));
    }
}

fn format_value(out: &mut Vec<u8>, value: &Value, verb: char, flags: Flags, depth: usize) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err("the value is nested too deep (or holds itself)".into());
    }
    if verb == 'v' && flags.sharp {
        pad(out, go_syntax(value, depth)?.as_bytes(), flags);
        return Ok(());
    }
    match value {
        Value::Nil | Value::NilInterface => match verb {
            'v' => pad(out, b"<nil>", flags),
            _ => out.extend_from_slice(format!("%!{verb}(<nil>)").as_bytes()),
        },
        Value::Bool(value) if matches!(verb, 't' | 'v') => pad(out, value.to_string().as_bytes(), flags),
        Value::Int(number, _) => integer(out, *number, verb, flags, value)?,
        Value::Float(number) => float(out, *number, verb, flags, value)?,
        Value::Str(text) => string(out, text, verb, flags, value)?,
        Value::List(list) if list.kind == ListKind::Bytes && matches!(verb, 's' | 'q' | 'x' | 'X') => {
            string(out, &print::byte_list(value).unwrap_or_default(), verb, flags, value)?;
        }
        Value::List(list) => {
            out.push(b'[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                format_value(out, item, verb, flags, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.extend_from_slice(b"map[");
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                format_value(out, &Value::Str(key.clone()), verb, flags, depth + 1)?;
                out.push(b':');
                format_value(out, item, verb, flags, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(object) if matches!(verb, 'v' | 's') => pad(out, object.print().as_bytes(), flags),
        Value::Object(object) if verb == 'q' => pad(out, quote(object.print().as_bytes()).as_bytes(), flags),
        other => mistake(out, other, verb)?,
    }
    Ok(())
}

/// `%!d(string=hi)`.
fn mistake(out: &mut Vec<u8>, value: &Value, verb: char) -> Result<(), Refusal> {
    out.extend_from_slice(format!("%!{verb}({}=", value.type_name()).as_bytes());
    print::plain(out, value, 0)?;
    out.push(b')');
    Ok(())
}

fn string(out: &mut Vec<u8>, text: &[u8], verb: char, flags: Flags, value: &Value) -> Result<(), Refusal> {
    let cut = match flags.precision {
        Some(precision) if matches!(verb, 'v' | 's' | 'q') => {
            let lossy = String::from_utf8_lossy(text);
            match lossy.char_indices().nth(precision) {
                Some((at, _)) => &text[..at.min(text.len())],
                None => text,
            }
        }
        Some(precision) => &text[..precision.min(text.len())],
        None => text,
    };
    match verb {
        'v' | 's' => pad(out, cut, flags),
        'q' if flags.sharp && !cut.iter().any(|b| *b == b'`' || (*b < b' ' && *b != b'\t') || *b == 0x7f) => {
            pad(out, &[b"`", cut, b"`"].concat(), flags);
        }
        'q' => pad(out, quoted(cut, '"', flags.plus).as_bytes(), flags),
        'x' | 'X' => pad(out, hex(cut, verb == 'X', flags).as_bytes(), flags),
        _ => mistake(out, value, verb)?,
    }
    Ok(())
}

fn hex(bytes: &[u8], upper: bool, flags: Flags) -> String {
    let prefix = match (flags.sharp, upper) {
        (false, _) => "",
        (true, false) => "0x",
        (true, true) => "0X",
    };
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && flags.space {
            out.push(' ');
        }
        if index == 0 || flags.space {
            out.push_str(prefix);
        }
        out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
    }
    out
}

fn integer(out: &mut Vec<u8>, number: i64, verb: char, flags: Flags, value: &Value) -> Result<(), Refusal> {
    let magnitude = number.unsigned_abs();
    let (prefix, body) = match verb {
        'v' | 'd' => ("", magnitude.to_string()),
        'b' => (if flags.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
        'o' => (if flags.sharp { "0" } else { "" }, format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => (if flags.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
        'X' => (if flags.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
        'c' | 'q' | 'U' => return rune(out, number, verb, flags),
        _ => return mistake(out, value, verb),
    };
    if flags.precision == Some(0) && number == 0 {
        pad(out, b"", Flags { zero: false, ..flags });
        return Ok(());
    }
    let sign = sign_of(number < 0, flags);
    let wanted = match (flags.precision, flags.zero, flags.width) {
        (Some(precision), ..) => precision,
        (None, true, Some(width)) => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(wanted.saturating_sub(body.len()));
    pad(out, format!("{sign}{prefix}{zeros}{body}").as_bytes(), Flags { zero: false, ..flags });
    Ok(())
}

fn sign_of(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn rune(out: &mut Vec<u8>, number: i64, verb: char, flags: Flags) -> Result<(), Refusal> {
    let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{FFFD}');
    let text = match verb {
        'c' => c.to_string(),
        'q' => quoted(c.to_string().as_bytes(), '\'', flags.plus),
        _ if flags.sharp && is_print(c) => format!("U+{number:04X} '{c}'"),
        _ => format!("U+{number:04X}"),
    };
    pad(out, text.as_bytes(), Flags { zero: false, ..flags });
    Ok(())
}

fn float(out: &mut Vec<u8>, number: f64, verb: char, flags: Flags, value: &Value) -> Result<(), Refusal> {
    let magnitude = number.abs();
    let body = match (verb, print::special(magnitude), flags.precision) {
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'v', Some(_), _) => {
            let text = if number.is_nan() { "NaN" } else { "Inf" };
            let sign = if number.is_infinite() { sign_of(number < 0.0, flags) } else { "" };
            pad(out, format!("{sign}{text}").as_bytes(), Flags { zero: false, ..flags });
            return Ok(());
        }
        ('v' | 'g' | 'G', _, None) if flags.sharp => format!("{magnitude:.6}"),
        ('v' | 'g' | 'G', _, None) => print::float_general(magnitude),
        ('v' | 'g' | 'G', _, Some(precision)) => rounded_general(magnitude, precision.max(1)),
        ('f' | 'F', _, precision) => format!("{magnitude:.p$}", p = precision.unwrap_or(6)),
        ('e' | 'E', _, precision) => exponent_form(&format!("{magnitude:.p$e}", p = precision.unwrap_or(6))),
        _ => return mistake(out, value, verb),
    };
    let body = if verb.is_uppercase() { body.to_uppercase() } else { body };
    let sign = sign_of(number.is_sign_negative(), flags);
    let zeros = match (flags.zero, flags.width) {
        (true, Some(width)) => "0".repeat(width.saturating_sub(sign.len() + body.len())),
        _ => String::new(),
    };
    pad(out, format!("{sign}{zeros}{body}").as_bytes(), Flags { zero: false, ..flags });
    Ok(())
}

/// `1.5e2` with Go's two-digit exponent.
fn exponent_form(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn rounded_general(value: f64, precision: usize) -> String {
    let exponential = format!("{value:.p$e}", p = precision - 1);
    let (mantissa, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    let limit = i64::try_from(precision).unwrap_or(i64::MAX);
    if exponent < -4 || exponent >= limit {
        return exponent_form(&format!("{}e{exponent}", trim(mantissa)));
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// `%#v`.
fn go_syntax(value: &Value, depth: usize) -> Result<String, Refusal> {
    if depth > MAX_DEPTH {
        return Err("the value is nested too deep (or holds itself)".into());
    }
    let items = |items: Vec<Result<String, Refusal>>| -> Result<String, Refusal> {
        Ok(items.into_iter().collect::<Result<Vec<_>, _>>()?.join(", "))
    };
    Ok(match value {
        Value::Nil | Value::NilInterface if depth == 0 => "<nil>".to_owned(),
        Value::Nil | Value::NilInterface => "interface {}(nil)".to_owned(),
        Value::Str(text) => quote(text),
        Value::List(list) if list.nil => format!("{}(nil)", value.type_name()),
        Value::List(list) => {
            let inner = items(list.iter().map(|item| go_syntax(item, depth + 1)).collect())?;
            format!("{}{{{inner}}}", value.type_name())
        }
        Value::Map(map) => {
            let entries = map.entries();
            let inner =
                items(entries.iter().map(|(k, v)| Ok(format!("{}:{}", quote(k), go_syntax(v, depth + 1)?))).collect())?;
            format!("{}{{{inner}}}", value.type_name())
        }
        other => sprint(other)?.text().into_owned(),
    })
}
