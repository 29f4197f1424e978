//! Sprig's functions on emptiness and types.

use super::{
    Call, Function, Outcome,
    Param::{Any, Bool, Str as Text},
    Refusal, plain, variadic,
};
use crate::template::value::{List, MAX_DEPTH, Map, Value, deep_equal};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("default", &[Any], Any, default),
    plain("empty", &[Any], |c| Ok(Value::Bool(!c.args[0].truth()))),
    variadic("coalesce", &[], Any, |c| Ok(c.args.iter().find(|v| v.truth()).cloned().unwrap_or(Value::Nil))),
    variadic("all", &[], Any, |c| Ok(Value::Bool(c.args.iter().all(Value::truth)))),
    variadic("any", &[], Any, |c| Ok(Value::Bool(c.args.iter().any(Value::truth)))),
    plain("ternary", &[Any, Any, Bool], |c| Ok(c.args[usize::from(!c.args[2].truth())].clone())),
    plain("typeOf", &[Any], |c| Ok(Value::str(c.args[0].type_name()))),
    plain("typeIs", &[Text, Any], |c| Ok(Value::Bool(c.text(0) == c.args[1].type_name()))),
    plain("typeIsLike", &[Text, Any], |c| {
        let actual = c.args[1].type_name();
        Ok(Value::Bool(c.text(0) == actual || format!("*{}", c.text(0)) == actual))
    }),
    plain("kindOf", &[Any], |c| Ok(Value::str(c.args[0].kind()))),
    plain("kindIs", &[Text, Any], |c| Ok(Value::Bool(c.text(0) == c.args[1].kind()))),
    plain("deepEqual", &[Any, Any], |c| Ok(Value::Bool(deep_equal(&c.args[0], &c.args[1])))),
    plain("deepCopy", &[Any], |c| deep_copy(&c.args[0], 0)),
    plain("mustDeepCopy", &[Any], |c| deep_copy(&c.args[0], 0)),
];

fn default(call: &mut Call<'_, '_>) -> Outcome {
    Ok(match call.args {
        [_, given, ..] if given.truth() => given.clone(),
        [fallback, ..] => fallback.clone(),
        [] => Value::Nil,
    })
}

fn deep_copy(value: &Value, depth: usize) -> Outcome {
    if depth > MAX_DEPTH {
        return Err(Refusal::from("the value is nested too deep (or holds itself)"));
    }
    Ok(match value {
        Value::List(list) => {
            let items = list.iter().map(|item| deep_copy(item, depth + 1)).collect::<Result<_, _>>()?;
            Value::List(List::of(list.kind, items))
        }
        Value::Map(map) => {
            let copy = Map::of(map.kind(), std::collections::BTreeMap::new());
            for (key, item) in map.entries() {
                copy.set(key, deep_copy(&item, depth + 1)?);
            }
            Value::Map(copy)
        }
        other => other.clone(),
    })
}
