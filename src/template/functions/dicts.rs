//! Sprig's functions on maps. `set`, `unset` and the merges change a map in
//! place, for everyone who holds it.

use super::{
    Call, Function, Outcome,
    Param::{Any, Map as Dict, Str as Text},
    Refusal, kind_for_person, plain, strval, variadic,
};
use crate::template::value::{List, MAX_DEPTH, Map, Str, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Any, dict),
    plain("get", &[Dict, Text], |c| Ok(c.map(0).get(c.bytes(1)).unwrap_or_else(|| Value::str("")))),
    plain("set", &[Dict, Text, Any], set),
    plain("unset", &[Dict, Text], |c| {
        c.map(0).remove(c.bytes(1));
        Ok(c.args[0].clone())
    }),
    plain("hasKey", &[Dict, Text], |c| Ok(Value::Bool(c.map(0).contains(c.bytes(1))))),
    variadic("pluck", &[Text], Dict, |c| {
        let found = (1..c.args.len()).filter_map(|n| c.map(n).get(c.bytes(0))).collect();
        Ok(Value::List(List::any(found)))
    }),
    variadic("keys", &[], Dict, |c| Ok(Value::strings((0..c.args.len()).flat_map(|n| c.map(n).keys())))),
    plain("values", &[Dict], |c| {
        Ok(Value::List(List::any(c.map(0).entries().into_iter().map(|(_, value)| value).collect())))
    }),
    variadic("pick", &[Dict], Text, |c| Ok(filtered(c, true))),
    variadic("omit", &[Dict], Text, |c| Ok(filtered(c, false))),
    variadic("merge", &[Dict], Dict, |c| merge(c, false)),
    variadic("mustMerge", &[Dict], Dict, |c| merge(c, false)),
    variadic("mergeOverwrite", &[Dict], Dict, |c| merge(c, true)),
    variadic("mustMergeOverwrite", &[Dict], Dict, |c| merge(c, true)),
    variadic("dig", &[], Any, dig),
];

fn dict(call: &mut Call<'_, '_>) -> Outcome {
    let map = Map::new();
    for pair in call.args.chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::str(""));
        map.set(strval(&pair[0])?, value);
    }
    Ok(Value::Map(map))
}

fn set(call: &mut Call<'_, '_>) -> Outcome {
    let map = call.map(0);
    let value = call.args[2].clone();
    if matches!(value, Value::Map(_) | Value::List(_)) {
        call.machine.changed_maps.push(map.clone());
    }
    map.set(Str::from(call.bytes(1)), value);
    Ok(Value::Map(map))
}

fn filtered(call: &Call<'_, '_>, keep: bool) -> Value {
    let result = Map::new();
    let named = |key: &Str| (1..call.args.len()).any(|n| call.bytes(n) == &**key);
    for (key, value) in call.map(0).entries() {
        if named(&key) == keep {
            result.set(key, value);
        }
    }
    Value::Map(result)
}

fn merge(call: &mut Call<'_, '_>, overwrite: bool) -> Outcome {
    let target = call.map(0);
    for index in 1..call.args.len() {
        let source = call.map(index);
        if !source.same(&target) {
            merge_into(&target, &source, overwrite, 0)?;
        }
    }
    call.machine.changed_maps.push(target.clone());
    Ok(Value::Map(target))
}

/// Follows the Go library mergo: nested maps merge in place, an empty value
/// counts as absent, and what is copied is shared, not cloned.
fn merge_into(target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::from("the maps are nested too deep (or hold themselves)"));
    }
    for (key, value) in source.entries() {
        let current = target.get(&key);
        if value.is_nil() {
            if overwrite {
                target.set(key, value);
            }
            continue;
        }
        if let (Value::Map(value), Some(Value::Map(current))) = (&value, &current)
            && !value.same(current)
        {
            let filled = !current.is_empty();
            merge_into(current, value, overwrite, depth + 1)?;
            if filled {
                continue;
            }
        }
        let absent = current.as_ref().is_none_or(|current| !current.truth());
        if overwrite || absent {
            target.set(key, value);
        }
    }
    Ok(())
}

fn dig(call: &mut Call<'_, '_>) -> Outcome {
    let [path @ .., fallback, start] = &*call.args else {
        return Err("at least three arguments are needed: keys, a default and a map".into());
    };
    if path.is_empty() {
        return Err("at least three arguments are needed: keys, a default and a map".into());
    }
    let mut at = start.clone();
    for key in path {
        let Value::Str(key) = key else {
            return Err(format!("keys are strings, found {}", kind_for_person(key)).into());
        };
        let Value::Map(map) = &at else {
            return Err(format!("a map is needed to look for {:?}, found {}", key.text(), kind_for_person(&at)).into());
        };
        if map.kind() != crate::template::value::MapKind::Any {
            return Err(format!("a plain map is needed, found {}", at.type_name()).into());
        }
        match map.get(key) {
            Some(value) => at = value,
            None => return Ok(fallback.clone()),
        }
    }
    Ok(at)
}
