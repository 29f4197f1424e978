//! Go's comparisons: `eq`, `ne`, `lt`, `le`, `gt`, `ge`, and `not`.

use std::cmp::Ordering;

use super::{Call, Function, Outcome, Param::Any, Refusal, kind_for_person, plain, variadic};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("eq", &[Any], Any, eq),
    plain("ne", &[Any, Any], ne),
    plain("lt", &[Any, Any], lt),
    plain("le", &[Any, Any], le),
    plain("gt", &[Any, Any], gt),
    plain("ge", &[Any, Any], ge),
    plain("not", &[Any], |call| Ok(Value::Bool(!call.args[0].truth()))),
];

#[derive(PartialEq)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Str,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_, kind) if kind.unsigned() => Basic::Uint,
        Value::Int(..) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Str(_) => Basic::Str,
        Value::Object(object) if object.type_name() == "time.Duration" => Basic::Int,
        _ => Basic::Other,
    }
}

fn incompatible(a: &Value, b: &Value) -> Refusal {
    let hint = match (basic(a), basic(b)) {
        (Basic::Float, Basic::Int) | (Basic::Int, Basic::Float) => {
            " (numbers from values files are float64; pipe them through int)"
        }
        _ => "",
    };
    format!("{} and {} cannot be compared{hint}", kind_for_person(a), kind_for_person(b)).into()
}

fn equal(a: &Value, b: &Value) -> Result<bool, Refusal> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a, _), Value::Int(b, _)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (a, b) if basic(a) != basic(b) => {
            if a.is_nil() || b.is_nil() {
                return Ok(false);
            }
            Err(incompatible(a, b))
        }
        (a, b) => {
            let nil = |v: &Value| v.is_nil() || matches!(v, Value::List(list) if list.nil);
            if !(a.is_nil() || b.is_nil()) && a.kind() != b.kind() {
                return Err(incompatible(a, b));
            }
            if nil(a) || nil(b) {
                return Ok(nil(a) == nil(b));
            }
            match (a, b) {
                (Value::Object(a), Value::Object(b)) => Ok(a.print() == b.print()),
                _ => Err(incompatible(a, b)),
            }
        }
    }
}

fn eq(call: &mut Call<'_, '_>) -> Outcome {
    let [first, others @ ..] = &*call.args else { return Ok(Value::Nil) };
    if others.is_empty() {
        return Err("there is nothing to compare with".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn ne(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::Bool(!equal(&call.args[0], &call.args[1])?))
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Refusal> {
    match (a, b) {
        (Value::Int(a, _), Value::Int(b, _)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        (a, b) => Err(incompatible(a, b)),
    }
}

fn lt(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::Bool(order(&call.args[0], &call.args[1])? == Some(Ordering::Less)))
}

fn le(call: &mut Call<'_, '_>) -> Outcome {
    let order = order(&call.args[0], &call.args[1])?;
    Ok(Value::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

fn gt(call: &mut Call<'_, '_>) -> Outcome {
    let order = order(&call.args[0], &call.args[1])?;
    Ok(Value::Bool(!matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

fn ge(call: &mut Call<'_, '_>) -> Outcome {
    Ok(Value::Bool(order(&call.args[0], &call.args[1])? != Some(Ordering::Less)))
}
