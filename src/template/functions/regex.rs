//! Regular expressions in RE2's syntax, run by the `regex` crate.

use regex::bytes::{NoExpand, Regex, RegexBuilder};

use super::{
    Call, Function, Outcome,
    Param::{Int, Str as Text},
    Refusal, plain,
};
use crate::template::{
    re2,
    value::{List, ListKind, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("regexMatch", &[Text, Text], |c| Ok(Value::Bool(compile(c).is_ok_and(|regex| regex.is_match(c.bytes(1)))))),
    plain("mustRegexMatch", &[Text, Text], |c| Ok(Value::Bool(compile(c)?.is_match(c.bytes(1))))),
    plain("regexFindAll", &[Text, Text, Int], find_all),
    plain("mustRegexFindAll", &[Text, Text, Int], find_all),
    plain("regexFind", &[Text, Text], find),
    plain("mustRegexFind", &[Text, Text], find),
    plain("regexReplaceAll", &[Text, Text, Text], replace),
    plain("mustRegexReplaceAll", &[Text, Text, Text], replace),
    plain("regexReplaceAllLiteral", &[Text, Text, Text], replace_literal),
    plain("mustRegexReplaceAllLiteral", &[Text, Text, Text], replace_literal),
    plain("regexSplit", &[Text, Text, Int], split),
    plain("mustRegexSplit", &[Text, Text, Int], split),
    plain("regexQuoteMeta", &[Text], quote_meta),
];

/// Compiled programs past this size are refused.
const MAX_PROGRAM: usize = 10 << 20;

fn compile(call: &Call<'_, '_>) -> Result<Regex, Refusal> {
    let pattern = call.text(0);
    let refuse = |why: String| Refusal::from(format!("{pattern:?} is not a regular expression: {why}"));
    let translated = re2::translate(&pattern).map_err(refuse)?;
    RegexBuilder::new(&translated).size_limit(MAX_PROGRAM).build().map_err(|e| {
        let text = e.to_string();
        let last = text.lines().last().unwrap_or_default();
        refuse(last.trim_start_matches("error: ").to_owned())
    })
}

fn find_all(call: &mut Call<'_, '_>) -> Outcome {
    let limit = usize::try_from(call.int(2)).unwrap_or(usize::MAX);
    let regex = compile(call)?;
    let found: Vec<Value> = regex.find_iter(call.bytes(1)).take(limit).map(|m| Value::str(m.as_bytes())).collect();
    Ok(Value::List(if found.is_empty() { List::nil(ListKind::Strings) } else { List::of(ListKind::Strings, found) }))
}

fn find(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::str(compile(call)?.find(call.bytes(1)).map_or(&[][..], |m| m.as_bytes())))
}

fn replace(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::str(compile(call)?.replace_all(call.bytes(1), call.bytes(2)).into_owned()))
}

fn replace_literal(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::str(compile(call)?.replace_all(call.bytes(1), NoExpand(call.bytes(2))).into_owned()))
}

/// Go's `Regexp.Split`: an empty match at the start splits nothing off.
fn split(call: &mut Call<'_, '_>) -> Outcome {
    let limit = call.int(2);
    if limit == 0 {
        return Ok(Value::List(List::nil(ListKind::Strings)));
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let regex = compile(call)?;
    let text = call.bytes(1);
    if !call.bytes(0).is_empty() && text.is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts: Vec<Value> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(text) {
        if parts.len() + 1 >= most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Value::str(&text[begin..end]));
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(Value::str(&text[begin..]));
    }
    Ok(Value::List(List::of(ListKind::Strings, parts)))
}

fn quote_meta(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for byte in call.bytes(0) {
        if b"\\.+*?()|[]{}^$".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    Ok(Value::str(out))
}
