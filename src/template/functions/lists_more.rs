//! Sprig's functions that search and filter lists, and that make number ranges.

use super::{
    Call, Function, Outcome,
    Param::{Any, Int},
    Refusal, plain, variadic,
};
use crate::template::value::{List, ListKind, Value, deep_equal};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("uniq", &[Any], uniq),
    plain("mustUniq", &[Any], uniq),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    plain("has", &[Any, Any], has),
    plain("mustHas", &[Any, Any], has),
    plain("compact", &[Any], compact),
    plain("mustCompact", &[Any], compact),
    plain("until", &[Int], |c| {
        let end = c.int(0);
        ints(c, 0, end, end.signum())
    }),
    plain("untilStep", &[Int, Int, Int], |c| ints(c, c.int(0), c.int(1), c.int(2))),
    variadic("seq", &[], Int, seq),
];

fn uniq(call: &mut Call<'_, '_>) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    for item in call.list(0)?.iter() {
        if !kept.iter().any(|known| deep_equal(known, item)) {
            kept.push(item.clone());
        }
    }
    Ok(Value::List(List::any(kept)))
}

fn without(call: &mut Call<'_, '_>) -> Outcome {
    let list = call.list(0)?;
    let unwanted = |item: &&Value| !call.args[1..].iter().any(|other| deep_equal(other, item));
    Ok(Value::List(List::any(list.iter().filter(unwanted).cloned().collect())))
}

fn has(call: &mut Call<'_, '_>) -> Outcome {
    if call.args[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = call.list(1)?;
    Ok(Value::Bool(list.iter().any(|item| deep_equal(&call.args[0], item))))
}

fn compact(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::List(List::any(call.list(0)?.iter().filter(|item| item.truth()).cloned().collect())))
}

/// The numbers from `start` up to (or down to), but without, `stop`.
fn range(call: &Call<'_, '_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Refusal> {
    if step == 0 || (stop < start) != (step < 0) {
        return Ok(Vec::new());
    }
    let distance = i128::from(stop) - i128::from(start);
    let count = (distance.unsigned_abs()).div_ceil(u128::from(step.unsigned_abs()));
    let most = call.machine.limits.output / size_of::<Value>();
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok((0..count).map(|n| start + step * i64::try_from(n).unwrap_or(0)).collect()),
        _ => Err(format!("a list of {count} numbers is too long; at most {most} are possible").into()),
    }
}

fn ints(call: &Call<'_, '_>, start: i64, stop: i64, step: i64) -> Result<Value, Refusal> {
    let numbers = range(call, start, stop, step)?;
    Ok(Value::List(List::of(ListKind::Ints, numbers.into_iter().map(Value::int).collect())))
}

fn seq(call: &mut Call<'_, '_>) -> Outcome {
    let towards = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let numbers = match call.args.len() {
        1 => {
            let end = call.int(0);
            let step = towards(1, end);
            range(call, 1, end.saturating_add(step), step)?
        }
        2 => {
            let (start, end) = (call.int(0), call.int(1));
            let step = towards(start, end);
            range(call, start, end.saturating_add(step), step)?
        }
        3 => {
            let (start, step, end) = (call.int(0), call.int(1), call.int(2));
            if end < start && step > 0 {
                return Ok(Value::str(""));
            }
            range(call, start, end.saturating_add(towards(start, end)), step)?
        }
        _ => return Ok(Value::str("")),
    };
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(Value::str(texts.join(" ")))
}
