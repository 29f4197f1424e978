//! What Helm adds and what asks the host.

use super::{
    Call, Function, Outcome,
    Param::{Any, Str as Text},
    Refusal, plain,
};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("required", &[Text, Any], required),
    plain("fail", &[Text], |c| {
        if c.machine.host.lenient() {
            return Ok(Value::str(""));
        }
        Err(Refusal { message: c.text(0).into_owned(), by_template: true })
    }),
    plain("lookup", &[Text, Text, Text, Text], |c| {
        Ok(c.machine.host.lookup(&c.text(0), &c.text(1), &c.text(2), &c.text(3))?)
    }),
    // Names are never resolved: Helm does it only when told to.
    plain("getHostByName", &[Text], |_| Ok(Value::str(""))),
];

fn required(call: &mut Call<'_, '_>) -> Outcome {
    let missing = match &call.args[1] {
        Value::Str(text) => text.is_empty(),
        value => value.is_nil(),
    };
    if !missing {
        return Ok(call.args[1].clone());
    }
    if call.machine.host.lenient() {
        return Ok(Value::str(""));
    }
    Err(Refusal { message: call.text(0).into_owned(), by_template: true })
}
