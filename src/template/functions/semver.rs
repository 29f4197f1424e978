//! `semver` and `semverCompare`.

use std::rc::Rc;

use super::{Call, Function, Outcome, Param::Str as Text, plain};
use crate::template::{
    semver::{Constraint, Version},
    value::{IntKind, Object, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("semver", &[Text], |c| {
        let version = Version::parse(&c.text(0)).map_err(|e| e.to_string())?;
        Ok(Value::Object(Rc::new(version)))
    }),
    plain("semverCompare", &[Text, Text], compare),
];

fn compare(call: &mut Call<'_, '_>) -> Outcome {
    let constraint = Constraint::parse(&call.text(0)).map_err(|e| e.to_string())?;
    let version = Version::parse(&call.text(1)).map_err(|e| e.to_string())?;
    Ok(Value::Bool(constraint.allows(&version)))
}

impl Object for Version {
    fn type_name(&self) -> &'static str {
        "*semver.Version"
    }

    fn member(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let number = |index: usize| Value::Int(i64::try_from(self.numbers[index]).unwrap_or(i64::MAX), IntKind::Uint64);
        let other = || match args {
            [Value::Object(object)] => object.as_any().downcast_ref::<Self>().ok_or(()),
            _ => Err(()),
        };
        let compared = |test: fn(std::cmp::Ordering) -> Value| match other() {
            Ok(other) => Ok(test(self.compare(other))),
            Err(()) => Err(format!("{name} needs another version, made with semver")),
        };
        Some(match name {
            "Major" => Ok(number(0)),
            "Minor" => Ok(number(1)),
            "Patch" => Ok(number(2)),
            "Prerelease" => Ok(Value::str(self.pre.as_str())),
            "Metadata" => Ok(Value::str(self.metadata.as_str())),
            "Original" => Ok(Value::str(self.original.as_str())),
            "String" => Ok(Value::str(self.to_string())),
            "Compare" => compared(|order| Value::int(order as i64)),
            "Equal" => compared(|order| Value::Bool(order.is_eq())),
            "LessThan" => compared(|order| Value::Bool(order.is_lt())),
            "GreaterThan" => compared(|order| Value::Bool(order.is_gt())),
            _ => return None,
        })
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn plain(&self) -> Value {
        Value::str(self.to_string())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
