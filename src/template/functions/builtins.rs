//! Go's own functions, besides comparison and printing.

use super::{
    Body, Call, Function, Outcome, Param::Any, Param::Str as Text, Refusal, kind_for_person, plain, sprint, variadic,
};
use crate::template::value::{IntKind, ListKind, Map, MapKind, Str, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "and", params: &[Any], rest: Some(Any), body: Body::And },
    Function { name: "or", params: &[Any], rest: Some(Any), body: Body::Or },
    Function { name: "include", params: &[Text, Any], rest: None, body: Body::Include },
    Function { name: "tpl", params: &[Text, Any], rest: None, body: Body::Tpl },
    plain("len", &[Any], len),
    variadic("index", &[Any], Any, index),
    variadic("call", &[Any], Any, |_| Err("values hold no functions to call".into())),
    variadic("print", &[], Any, print),
    variadic("println", &[], Any, println),
    variadic("html", &[], Any, html),
    variadic("js", &[], Any, js),
    variadic("urlquery", &[], Any, urlquery),
];

fn len(call: &mut Call<'_, '_>) -> Outcome {
    let len = match &call.args[0] {
        Value::Str(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) if object.entries().is_some() => object.entries().map_or(0, |entries| entries.len()),
        other => return Err(format!("{} has no length", kind_for_person(other)).into()),
    };
    Ok(Value::int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn position(index: &Value, len: usize) -> Result<usize, Refusal> {
    let Value::Int(at, _) = index else {
        return Err(format!("an index must be a whole number, found {}", kind_for_person(index)).into());
    };
    usize::try_from(*at)
        .ok()
        .filter(|at| *at < len)
        .ok_or_else(|| format!("index {at} is out of range; the length is {len}").into())
}

fn index(call: &mut Call<'_, '_>) -> Outcome {
    let mut item = call.args[0].clone();
    for at in &call.args[1..] {
        item = match &item {
            Value::Nil | Value::NilInterface => return Err("there is no value (nil) to index".into()),
            Value::List(list) => list[position(at, list.len())?].clone(),
            Value::Str(text) => Value::Int(text[position(at, text.len())?].into(), IntKind::Uint8),
            Value::Map(map) => entry(map, at)?,
            Value::Object(object) => match object.plain() {
                Value::Map(map) => entry(&map, at)?,
                _ => return Err(format!("{} cannot be indexed", object.type_name()).into()),
            },
            other => return Err(format!("{} cannot be indexed", other.type_name()).into()),
        };
    }
    if call.args.len() == 1 && item.is_nil() {
        return Err("there is no value (nil) to index".into());
    }
    Ok(item.settled())
}

fn entry(map: &Map, key: &Value) -> Outcome {
    let Value::Str(key) = key else {
        return Err(format!("a map's keys are strings, found {}", kind_for_person(key)).into());
    };
    Ok(map.get(key).unwrap_or_else(|| match map.kind() {
        MapKind::Strings => Value::str(""),
        MapKind::Files => Value::List(crate::template::value::List::nil(ListKind::Bytes)),
        MapKind::Any | MapKind::Values => Value::Nil,
    }))
}

/// `fmt.Sprint`: a space between operands when neither is a string.
fn print(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::Str(sprint_all(call.args)?))
}

fn sprint_all(args: &[Value]) -> Result<Str, Refusal> {
    let mut out = Vec::new();
    let mut after_text = true;
    for (index, arg) in args.iter().enumerate() {
        let text = matches!(arg, Value::Str(_));
        if index > 0 && !text && !after_text {
            out.push(b' ');
        }
        out.extend_from_slice(&sprint(arg)?);
        after_text = text;
    }
    Ok(Str::from(out))
}

fn println(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for (index, arg) in call.args.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(&sprint(arg)?);
    }
    out.push(b'\n');
    Ok(Value::str(out))
}

/// The text that the escaping functions work on.
fn escapable(args: &[Value]) -> Result<Str, Refusal> {
    match args {
        [Value::Str(text)] => Ok(text.clone()),
        [value] if value.is_nil() => Ok(Str::from("<no value>")),
        args => sprint_all(args),
    }
}

fn html(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = Vec::new();
    for byte in escapable(call.args)?.iter() {
        match byte {
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(*byte),
        }
    }
    Ok(Value::str(out))
}

fn js(call: &mut Call<'_, '_>) -> Outcome {
    let text = escapable(call.args)?;
    let mut out = String::new();
    for c in text.text().chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_ascii() || super::printf::is_print(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    Ok(Value::str(out))
}

fn urlquery(call: &mut Call<'_, '_>) -> Outcome {
    let mut out = String::new();
    for byte in escapable(call.args)?.iter() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::str(out))
}
