//! Sprig's functions that take lists apart and put them together.

use super::{
    Call, Function, Outcome,
    Param::{Any, Int},
    kind_for_person,
    numbers::to_int64,
    plain,
    strings::strings,
    strval, variadic,
};
use crate::template::value::{List, ListKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Any, |c| Ok(Value::List(List::any(c.args.to_vec())))),
    variadic("tuple", &[], Any, |c| Ok(Value::List(List::any(c.args.to_vec())))),
    plain("append", &[Any, Any], append),
    plain("push", &[Any, Any], append),
    plain("mustAppend", &[Any, Any], append),
    plain("mustPush", &[Any, Any], append),
    plain("prepend", &[Any, Any], prepend),
    plain("mustPrepend", &[Any, Any], prepend),
    plain("first", &[Any], |c| Ok(c.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    plain("mustFirst", &[Any], |c| Ok(c.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    plain("last", &[Any], |c| Ok(c.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    plain("mustLast", &[Any], |c| Ok(c.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    plain("rest", &[Any], rest),
    plain("mustRest", &[Any], rest),
    plain("initial", &[Any], initial),
    plain("mustInitial", &[Any], initial),
    plain("reverse", &[Any], reverse),
    plain("mustReverse", &[Any], reverse),
    variadic("concat", &[], Any, concat),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    plain("chunk", &[Int, Any], chunk),
    plain("mustChunk", &[Int, Any], chunk),
    plain("sortAlpha", &[Any], sort_alpha),
];

fn append(call: &mut Call<'_, '_>) -> Outcome {
    let mut items = call.list(0)?.to_vec();
    items.push(call.args[1].clone());
    Ok(Value::List(List::any(items)))
}

fn prepend(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let items = std::iter::once(&call.args[1]).chain(list.iter()).cloned().collect();
    Ok(Value::List(List::any(items)))
}

fn part(items: Option<&[Value]>) -> Value {
    Value::List(items.map_or_else(|| List::nil(ListKind::Any), |items| List::any(items.to_vec())))
}

fn rest(call: &mut Call<'_, '_>) -> Outcome {
    Ok(part(call.list(0)?.split_first().map(|(_, rest)| rest)))
}

fn initial(call: &mut Call<'_, '_>) -> Outcome {
    Ok(part(call.list(0)?.split_last().map(|(_, initial)| initial)))
}

fn reverse(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::List(List::any(call.list(0)?.iter().rev().cloned().collect())))
}

fn concat(call: &mut Call<'_, '_>) -> Outcome {
    let mut items = Vec::new();
    for index in 0..call.args.len() {
        items.extend(call.list(index)?.iter().cloned());
    }
    Ok(Value::List(if items.is_empty() { List::nil(ListKind::Any) } else { List::any(items) }))
}

fn slice(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let len = list.len();
    let start = call.args.get(1).map_or(0, to_int64);
    let end = call.args.get(2).map_or(i64::try_from(len).unwrap_or(i64::MAX), to_int64);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match bounds.and_then(|(start, end)| list.get(start..end)) {
        Some(items) => Ok(Value::List(List::of(list.kind, items.to_vec()))),
        None => Err(format!("{start} to {end} is out of bounds; the list has {len} items").into()),
    }
}

fn chunk(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(1)?;
    let size = usize::try_from(call.int(0)).ok().filter(|size| *size > 0);
    let Some(size) = size else { return Err("the size must be at least 1".into()) };
    let chunks = list.chunks(size).map(|items| Value::List(List::any(items.to_vec()))).collect();
    Ok(Value::List(List::of(ListKind::Lists, chunks)))
}

fn sort_alpha(call: &mut Call<'_, '_>) -> Outcome {
    if !matches!(call.args[0], Value::List(_)) {
        if call.args[0].is_nil() {
            return Err(format!("a list is needed, found {}", kind_for_person(&call.args[0])).into());
        }
        return Ok(Value::strings([strval(&call.args[0])?]));
    }
    let mut items = strings(&call.args[0])?;
    items.sort_by(|a, b| match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    });
    Ok(Value::List(List::of(ListKind::Strings, items)))
}
