//! Go's literals: quoted strings, characters and numbers.

use super::ast::Number;

/// The bytes of a double-quoted Go string, given with its quotes.
pub(super) fn unquote(quoted: &str) -> Result<Vec<u8>, String> {
    let inner = &quoted[1..quoted.len() - 1];
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            rest = escape(&rest[1..], '"', &mut out)?;
        } else {
            out.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(out)
}

/// Decodes one escape (after its backslash) and returns what follows it.
fn escape<'s>(rest: &'s str, quote: char, out: &mut Vec<u8>) -> Result<&'s str, String> {
    let c = rest.chars().next().ok_or("the escape has no character")?;
    let after = &rest[c.len_utf8()..];
    let simple = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' => return digits(after, 2, 16, out, false),
        'u' => return digits(after, 4, 16, out, true),
        'U' => return digits(after, 8, 16, out, true),
        '0'..='7' => return digits(rest, 3, 8, out, false),
        c => return Err(format!("unknown escape \\{c} in a string")),
    };
    out.push(simple);
    Ok(after)
}

fn digits<'s>(rest: &'s str, count: usize, radix: u32, out: &mut Vec<u8>, rune: bool) -> Result<&'s str, String> {
    let bad = || "bad digits in an escape".to_owned();
    let text = rest.get(..count).filter(|t| t.chars().all(|c| c.is_digit(radix))).ok_or_else(bad)?;
    let value = u32::from_str_radix(text, radix).map_err(|_| bad())?;
    if rune {
        let c = char::from_u32(value).ok_or_else(bad)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(value).map_err(|_| bad())?);
    }
    Ok(&rest[count..])
}

/// A character constant such as `'a'`, with its quotes.
pub(super) fn character(quoted: &str) -> Result<Number, String> {
    let inner = &quoted[1..quoted.len() - 1];
    let malformed = || format!("malformed character constant {quoted}");
    let c = inner.chars().next().ok_or_else(malformed)?;
    let value = if c == '\\' {
        let mut bytes = Vec::new();
        let rest = escape(&inner[1..], '\'', &mut bytes)?;
        let byte_escape = matches!(inner.as_bytes().get(1), Some(b'x' | b'0'..=b'7'));
        let value = if byte_escape {
            bytes.first().map(|b| i64::from(*b))
        } else {
            std::str::from_utf8(&bytes).ok().and_then(|s| s.chars().next()).map(|c| i64::from(u32::from(c)))
        };
        value.filter(|_| rest.is_empty()).ok_or_else(malformed)?
    } else if inner.len() == c.len_utf8() {
        i64::from(u32::from(c))
    } else {
        return Err(malformed());
    };
    Ok(Number { int: Some(value), float: Some(value as f64), float_form: false })
}

/// A numeric literal, as Go's `strconv` with base 0 reads it.
pub(super) fn number(text: &str) -> Result<Number, String> {
    let hex = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let float_like = if hex { text.contains(['p', 'P', '.']) } else { text.contains(['.', 'e', 'E']) };
    if !float_like {
        return match parse_int(text, 0) {
            Some(int) => Ok(Number { int: Some(int), float: Some(int as f64), float_form: false }),
            None => Err(format!("bad number {text:?}: it is malformed or does not fit 64 bits")),
        };
    }
    let float = parse_float(text).ok_or_else(|| format!("bad number {text:?}"))?;
    let int = (float as i64 as f64 == float).then_some(float as i64);
    Ok(Number { int, float: Some(float), float_form: true })
}

/// `strconv.ParseInt`. Base 0 takes the base from the prefix and allows `_`
/// between digits.
pub(crate) fn parse_int(text: &str, base: u32) -> Option<i64> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_magnitude(body, base)?;
    let signed = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(signed).ok()
}

fn parse_magnitude(body: &str, base: u32) -> Option<u64> {
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = match base {
        0 => match lower.get(..2) {
            Some("0x") => (16, &body[2..]),
            Some("0o") => (8, &body[2..]),
            Some("0b") => (2, &body[2..]),
            _ if body.len() > 1 && body.starts_with('0') => (8, &body[1..]),
            _ => (10, body),
        },
        base => (base, body),
    };
    let separators_fit = base == 0
        && !digits.ends_with('_')
        && !digits.contains("__")
        && (!digits.starts_with('_') || digits.len() < body.len());
    let clean = if digits.contains('_') {
        if !separators_fit {
            return None;
        }
        digits.replace('_', "")
    } else {
        digits.to_owned()
    };
    if clean.is_empty() || !clean.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(&clean, radix).ok()
}

/// `strconv.ParseFloat` for decimal and hexadecimal forms; no names.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        return hex_float(hex).map(|f| sign * f);
    }
    let valid = body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !valid || !body.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    body.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| sign * f)
}

fn hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = hex.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let value = u64::from_str_radix(&digits, 16).ok()? as f64;
    Some(value * 2f64.powi(exponent - 4 * i32::try_from(fraction.len()).ok()?))
}
