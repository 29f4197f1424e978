//! Sprig's string functions: trimming, cutting, searching, quoting.

use super::{
    Call, Function, Outcome,
    Param::{Any, Int, Str as Text},
    Refusal, plain, printf, strval, variadic,
};
use crate::template::{
    print,
    value::{List, ListKind, Map, MapKind, Str, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("hello", &[], |_| Ok(Value::str("Hello!"))),
    plain("trim", &[Text], |c| Ok(Value::str(c.text(0).trim()))),
    plain("upper", &[Text], |c| Ok(Value::str(upper(&c.text(0))))),
    plain("lower", &[Text], |c| Ok(Value::str(lower(&c.text(0))))),
    plain("repeat", &[Int, Text], repeat),
    plain("trimAll", &[Text, Text], trim_all),
    plain("trimall", &[Text, Text], trim_all),
    plain("trimSuffix", &[Text, Text], |c| {
        let text = c.bytes(1);
        Ok(Value::str(text.strip_suffix(c.bytes(0)).unwrap_or(text)))
    }),
    plain("trimPrefix", &[Text, Text], |c| {
        let text = c.bytes(1);
        Ok(Value::str(text.strip_prefix(c.bytes(0)).unwrap_or(text)))
    }),
    plain("contains", &[Text, Text], |c| Ok(Value::Bool(c.text(1).contains(&*c.text(0))))),
    plain("hasPrefix", &[Text, Text], |c| Ok(Value::Bool(c.bytes(1).starts_with(c.bytes(0))))),
    plain("hasSuffix", &[Text, Text], |c| Ok(Value::Bool(c.bytes(1).ends_with(c.bytes(0))))),
    plain("replace", &[Text, Text, Text], |c| Ok(Value::str(c.text(2).replace(&*c.text(0), &c.text(1))))),
    plain("trunc", &[Int, Text], trunc),
    plain("substr", &[Int, Int, Text], substr),
    plain("indent", &[Int, Text], |c| Ok(Value::str(indent(c, 0)?))),
    plain("nindent", &[Int, Text], |c| Ok(Value::str(indent(c, 1)?))),
    variadic("quote", &[], Any, quote),
    variadic("squote", &[], Any, squote),
    variadic("cat", &[], Any, cat),
    plain("toString", &[Any], |c| Ok(Value::Str(strval(&c.args[0])?))),
    plain("toStrings", &[Any], |c| Ok(Value::List(List::of(ListKind::Strings, strings(&c.args[0])?)))),
    plain("join", &[Text, Any], join),
    plain("split", &[Text, Text], |c| Ok(numbered(&split(&c.text(1), &c.text(0), -1)))),
    plain("splitList", &[Text, Text], |c| Ok(Value::strings(split(&c.text(1), &c.text(0), -1)))),
    plain("splitn", &[Text, Int, Text], |c| Ok(numbered(&split(&c.text(2), &c.text(0), c.int(1))))),
    plain("plural", &[Text, Text, Int], |c| Ok(c.args[usize::from(c.int(2) != 1)].clone())),
];

/// Maps each character alone, as Go does: `ß` has no upper case.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(upper_char).collect()
}

pub(super) fn lower(text: &str) -> String {
    text.chars().map(lower_char).collect()
}

pub(super) fn upper_char(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

pub(super) fn lower_char(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// A count of bytes that is sane to allocate.
pub(super) fn bounded(call: &Call<'_, '_>, size: i64) -> Result<usize, Refusal> {
    usize::try_from(size)
        .ok()
        .filter(|size| *size <= call.machine.limits.output)
        .ok_or_else(|| format!("a result of {size} bytes is out of bounds").into())
}

fn repeat(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.int(0);
    if count < 0 {
        return Err("the count is negative".into());
    }
    let size = i64::try_from(call.bytes(1).len()).unwrap_or(i64::MAX).saturating_mul(count);
    bounded(call, size)?;
    Ok(Value::str(call.bytes(1).repeat(usize::try_from(count).unwrap_or(0))))
}

fn trim_all(call: &mut Call<'_, '_>) -> Outcome {
    let cutset = call.text(0);
    Ok(Value::str(call.text(1).trim_matches(|c| cutset.contains(c))))
}

fn trunc(call: &mut Call<'_, '_>) -> Outcome {
    let (count, text) = (call.int(0), call.bytes(1));
    let len = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let cut = |at: i64| usize::try_from(at).unwrap_or(0);
    Ok(Value::str(if count < 0 && len + count > 0 {
        &text[cut(len + count)..]
    } else if count >= 0 && len > count {
        &text[..cut(count)]
    } else {
        text
    }))
}

fn substr(call: &mut Call<'_, '_>) -> Outcome {
    let (start, end, text) = (call.int(0), call.int(1), call.bytes(2));
    let len = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let (from, to) = match (start, end) {
        (start, end) if start < 0 => (0, end),
        (start, end) if end < 0 || end > len => (start, len),
        other => other,
    };
    let bounds = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match bounds.and_then(|(from, to)| text.get(from..to)) {
        Some(cut) => Ok(Value::str(cut)),
        None => Err(format!("{start} to {end} is out of bounds; the length is {len}").into()),
    }
}

fn indent(call: &Call<'_, '_>, newlines: usize) -> Result<Vec<u8>, Refusal> {
    let spaces = call.int(0);
    if spaces < 0 {
        return Err("the number of spaces is negative".into());
    }
    let text = call.bytes(1);
    let lines = text.iter().filter(|b| **b == b'\n').count() + 1;
    let size = i64::try_from(lines).unwrap_or(i64::MAX).saturating_mul(spaces);
    let pad = vec![b' '; bounded(call, size)? / lines];
    let mut out = Vec::with_capacity(text.len() + lines * pad.len() + newlines);
    out.extend(std::iter::repeat_n(b'\n', newlines));
    out.extend_from_slice(&pad);
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
            out.extend_from_slice(&pad);
        }
        out.extend_from_slice(line);
    }
    Ok(out)
}

fn quote(call: &mut Call<'_, '_>) -> Outcome {
    let mut parts = Vec::new();
    for value in call.args.iter().filter(|v| !v.is_nil()) {
        parts.push(printf::quote(&strval(value)?));
    }
    Ok(Value::str(parts.join(" ")))
}

fn squote(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for (index, value) in call.args.iter().filter(|v| !v.is_nil()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.push(b'\'');
        print::plain(&mut out, value, 0)?;
        out.push(b'\'');
    }
    Ok(Value::str(out))
}

fn cat(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for (index, value) in call.args.iter().filter(|v| !v.is_nil()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        print::plain(&mut out, value, 0)?;
    }
    Ok(Value::str(out))
}

/// Sprig's `strslice`: the items as strings, without nil.
pub(super) fn strings(value: &Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::List(list) => {
            list.iter().filter(|item| !item.is_nil()).map(|item| Ok(Value::Str(strval(item)?))).collect()
        }
        value if value.is_nil() => Ok(Vec::new()),
        value => Ok(vec![Value::Str(strval(value)?)]),
    }
}

fn join(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for (index, item) in strings(&call.args[1])?.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(call.bytes(0));
        }
        if let Value::Str(text) = item {
            out.extend_from_slice(text);
        }
    }
    Ok(Value::str(out))
}

/// Go's `strings.SplitN`: an empty separator splits into characters.
fn split(text: &str, separator: &str, limit: i64) -> Vec<String> {
    let limit = match limit {
        0 => return Vec::new(),
        n if n < 0 => usize::MAX,
        n => usize::try_from(n).unwrap_or(usize::MAX),
    };
    if !separator.is_empty() {
        return text.splitn(limit, separator).map(str::to_owned).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest.to_owned());
            return parts;
        }
        parts.push(c.to_string());
        rest = &rest[c.len_utf8()..];
    }
    parts
}

fn numbered(parts: &[String]) -> Value {
    let entries =
        parts.iter().enumerate().map(|(n, part)| (Str::from(format!("_{n}")), Value::str(part.as_str()))).collect();
    Value::Map(Map::of(MapKind::Strings, entries))
}
