//! What a plain scalar stands for, by the rules of YAML 1.1 as the Go library
//! yaml.v2 applies them.

/// The meaning of a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `on`, `y` and their like.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A date, which reads as text but is quoted when written.
    Timestamp,
    /// Text.
    Text,
}

/// Resolves a plain scalar.
pub fn resolve(text: &str) -> Scalar {
    match text.as_bytes().first() {
        None => Scalar::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => word(text),
        Some(b'.') => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            _ => go_float(text).map_or(Scalar::Text, Scalar::Float),
        },
        Some(b'+' | b'-' | b'0'..=b'9') => number(text),
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(whole) = whole(&plain) {
        return whole;
    }
    if is_yaml_float(&plain)
        && let Ok(float) = plain.parse::<f64>()
        && float.is_finite()
    {
        return Scalar::Float(float);
    }
    Scalar::Text
}

/// `strconv.ParseInt` and `ParseUint` with base 0.
fn whole(plain: &str) -> Option<Scalar> {
    let (negative, signed, body) = match plain.as_bytes().first()? {
        b'-' => (true, true, &plain[1..]),
        b'+' => (false, true, &plain[1..]),
        _ => (false, false, plain),
    };
    let lower = |n: usize| body.get(..n).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower(2).as_deref() {
        Some("0x") => (16, &body[2..]),
        Some("0o") => (8, &body[2..]),
        Some("0b") => (2, &body[2..]),
        _ if body.len() > 1 && body.starts_with('0') => (8, &body[1..]),
        _ => (10, body),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(if negative { -value } else { value })),
        Err(_) if negative && magnitude == 1 << 63 => Some(Scalar::Int(i64::MIN)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_yaml_float(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let body = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !body.is_empty() && digits(body)
    });
    mantissa_fits && exponent_fits
}

/// `strconv.ParseFloat` of what starts with a dot.
fn go_float(text: &str) -> Option<f64> {
    if is_yaml_float(text) { text.parse().ok().filter(|float: &f64| float.is_finite()) } else { None }
}

/// The date forms of the Go library, each field checked for its range.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(date_end);
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let field = |part: &str, low: u32, high: u32| {
        let fits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|n| fits && (low..=high).contains(n))
    };
    let Some(month) = field(month, 1, 12) else { return false };
    let year: u32 = year.parse().unwrap_or(0);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if field(day, 1, days).is_none() {
        return false;
    }
    let Some(marker) = time.chars().next() else { return true };
    let time = &time[1..];
    let clock = if marker == ' ' { Some(time) } else { without_zone(time) };
    clock.is_some_and(|clock| {
        let mut parts = clock.split(':');
        let (Some(hour), Some(minute), Some(second), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
        let fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        field(hour, 0, 23).is_some() && field(minute, 0, 59).is_some() && field(second, 0, 59).is_some() && fraction
    })
}

fn without_zone(time: &str) -> Option<&str> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some(clock);
    }
    let at = time.rfind(['+', '-'])?;
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    (two(hours) && two(minutes)).then(|| &time[..at])
}
