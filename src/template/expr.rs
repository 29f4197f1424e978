//! Evaluates pipelines, fields and calls.
//!
//! Arguments are checked against the declared parameters of a function as Go's
//! reflection does, so that the same calls are refused.

use super::{
    ast::{Command, Number, Operand, Pipe, Span, Term},
    error::{Stage, TemplateError},
    eval::{Context, Machine, Run},
    functions::{Body, Call, Function, Param},
    value::{IntKind, ListKind, Map, MapKind, Str, Value},
};

impl Machine<'_> {
    pub(super) fn pipeline<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, pipe: &'t Pipe) -> Run<Value> {
        let mut last: Option<Value> = None;
        for command in &pipe.commands {
            last = Some(self.command(cx, dot, command, last)?.settled());
        }
        let value = last.unwrap_or(Value::Nil);
        for name in &pipe.declares {
            self.declare(cx, name, pipe, value.clone())?;
        }
        Ok(value)
    }

    fn command<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        command: &'t Command,
        last: Option<Value>,
    ) -> Run<Value> {
        let [first, arguments @ ..] = command.operands.as_slice() else { return Ok(Value::Nil) };
        self.step(cx, first.span)?;
        let given = Arguments { operands: arguments, last };
        match &first.term {
            Term::Field(names) => self.fields(cx, dot, dot.clone(), names, first.span, given),
            Term::Chain { inner, fields } => {
                let receiver = self.chain_receiver(cx, dot, inner)?;
                self.fields(cx, dot, receiver, fields, first.span, given)
            }
            Term::Variable { name, fields } => {
                let value = variable(cx, name, first.span)?;
                if fields.is_empty() {
                    given.refuse(cx, first.span)?;
                    return Ok(value);
                }
                self.fields(cx, dot, value, fields, first.span, given)
            }
            Term::Function(function) => self.call(cx, dot, function, first.span, given),
            term => {
                given.refuse(cx, first.span)?;
                match term {
                    Term::Pipe(pipe) => self.pipeline(cx, dot, pipe),
                    Term::Nil => Err(cx.error(first.span, "nil is not a command")),
                    Term::Dot => Ok(dot.clone()),
                    Term::Bool(value) => Ok(Value::Bool(*value)),
                    Term::Number(number) => ideal(cx, number, first.span),
                    Term::Text(text) => Ok(Value::Str(text.clone())),
                    _ => Ok(Value::Nil),
                }
            }
        }
    }

    fn chain_receiver<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, inner: &'t Operand) -> Run<Value> {
        match &inner.term {
            Term::Nil => Err(cx.error(inner.span, "nil has no fields")),
            Term::Pipe(pipe) => self.pipeline(cx, dot, pipe),
            Term::Function(function) => self.call(cx, dot, function, inner.span, Arguments::none()),
            _ => self.argument(cx, dot, inner, Param::Any),
        }
    }

    /// Walks `.a.b.c`; the last name may be a method that takes the arguments.
    fn fields<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        receiver: Value,
        names: &[Str],
        span: Span,
        given: Arguments<'t>,
    ) -> Run<Value> {
        let [path @ .., last] = names else { return Ok(receiver) };
        let mut value = receiver;
        for name in path {
            value = self.field(cx, dot, value, name, span, Arguments::none())?;
        }
        self.field(cx, dot, value, last, span, given)
    }

    fn field<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        receiver: Value,
        name: &Str,
        span: Span,
        given: Arguments<'t>,
    ) -> Run<Value> {
        let kind = match &receiver {
            Value::Nil => return Ok(Value::Nil),
            Value::NilInterface => {
                let message = format!("nil pointer: there is no value to take .{} of", name.text());
                return Err(cx.error(span, message));
            }
            value => value.type_name(),
        };
        if let Some(result) = self.method(cx, dot, &receiver, name, span, &given)? {
            return Ok(result);
        }
        match &receiver {
            Value::Map(map) => {
                if !given.is_empty() {
                    let message = format!(".{} is not a method but has arguments", name.text());
                    return Err(cx.error(span, message));
                }
                Ok(match map.get(name) {
                    Some(Value::Nil) => Value::NilInterface,
                    Some(value) => value,
                    None => zero_entry(map),
                })
            }
            _ => Err(cx.error(span, format!("cannot take field .{} of a {kind}; expected a map", name.text()))),
        }
    }

    /// Methods of maps, lists and objects; `None` when there is no such one.
    fn method<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        receiver: &Value,
        name: &Str,
        span: Span,
        given: &Arguments<'t>,
    ) -> Run<Option<Value>> {
        let has_methods = match receiver {
            Value::Object(_) => true,
            Value::Map(map) => matches!(map.kind(), MapKind::Files | MapKind::Values),
            Value::List(list) => list.kind == ListKind::Versions,
            _ => false,
        };
        if !has_methods {
            return Ok(None);
        }
        let mut arguments = Vec::with_capacity(given.count());
        for operand in given.operands {
            arguments.push(self.argument(cx, dot, operand, Param::Any)?.settled());
        }
        arguments.extend(given.last.clone());
        let result = match receiver {
            Value::Object(object) => object.member(&name.text(), &arguments),
            other => super::functions::method(other, &name.text(), &arguments),
        };
        result.transpose().map_err(|message| cx.error(span, message))
    }

    fn call<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        function: &'static Function,
        span: Span,
        given: Arguments<'t>,
    ) -> Run<Value> {
        self.step(cx, span)?;
        let count = given.count();
        let wanted = function.params.len();
        if count < wanted || (count > wanted && function.rest.is_none()) {
            let least = if function.rest.is_some() { "at least " } else { "" };
            let message = format!("function {:?} takes {least}{wanted} argument(s), not {count}", function.name);
            return Err(cx.error(span, message));
        }
        match function.body {
            Body::And => return self.short_circuit(cx, dot, given, false),
            Body::Or => return self.short_circuit(cx, dot, given, true),
            _ => {}
        }
        let mut arguments = Vec::with_capacity(count);
        for (index, operand) in given.operands.iter().enumerate() {
            arguments.push(self.argument(cx, dot, operand, function.param(index))?);
        }
        if let Some(last) = given.last {
            arguments.push(convert(cx, last, function.param(arguments.len()), span)?);
        }
        let value = self.run(cx, function, &mut arguments, span)?;
        self.account(cx, &value, span)?;
        Ok(value)
    }

    fn run(&mut self, cx: &Context<'_>, function: &Function, arguments: &mut [Value], span: Span) -> Run<Value> {
        let text = |value: &Value| match value {
            Value::Str(text) => text.text().into_owned(),
            _ => String::new(),
        };
        match function.body {
            Body::Include => self.include(cx, span, &text(&arguments[0]), &arguments[1]),
            Body::Tpl => self.tpl(cx, span, &text(&arguments[0]), &arguments[1]),
            Body::Plain(run) => {
                let mut call = Call { args: arguments, machine: self };
                run(&mut call).map_err(|refusal| {
                    let stage = if refusal.by_template { Stage::Refused } else { Stage::Execute };
                    let message = if refusal.by_template {
                        refusal.message
                    } else {
                        format!("function {:?}: {}", function.name, refusal.message)
                    };
                    TemplateError::new(stage, &cx.define.source, span, message)
                })
            }
            Body::And | Body::Or => Ok(Value::Nil),
        }
    }

    /// Counts what functions make, so that no loop can fill the memory.
    fn account(&mut self, cx: &Context<'_>, value: &Value, span: Span) -> Run<()> {
        let size = match value {
            Value::Str(text) => text.len(),
            Value::List(list) => list.len() * size_of::<Value>(),
            Value::Map(map) => map.len() * 2 * size_of::<Value>(),
            _ => 0,
        };
        self.produced += size;
        if size > self.limits.output || self.produced > self.limits.produced {
            let message = format!("the render produces more than it may ({size} bytes at once here)");
            return Err(cx.error(span, message));
        }
        Ok(())
    }

    /// `and` and `or`: the first argument that decides, else the last.
    fn short_circuit<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        given: Arguments<'t>,
        until: bool,
    ) -> Run<Value> {
        let mut value = Value::Nil;
        for operand in given.operands {
            value = self.argument(cx, dot, operand, Param::Any)?.settled();
            if value.truth() == until {
                return Ok(value);
            }
        }
        Ok(given.last.unwrap_or(value))
    }

    fn argument<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, operand: &'t Operand, param: Param) -> Run<Value> {
        let span = operand.span;
        let value = match &operand.term {
            Term::Nil => {
                if !param.can_be_nil() {
                    return Err(cx.error(span, format!("nil given, expected {}", param.name())));
                }
                return Ok(nil_of(param));
            }
            Term::Number(number) => return literal(cx, number, param, span),
            Term::Bool(value) => Value::Bool(*value),
            Term::Text(text) => Value::Str(text.clone()),
            Term::Dot => dot.clone(),
            Term::Field(names) => self.fields(cx, dot, dot.clone(), names, span, Arguments::none())?,
            Term::Variable { name, fields } => {
                let value = variable(cx, name, span)?;
                self.fields(cx, dot, value, fields, span, Arguments::none())?
            }
            Term::Chain { inner, fields } => {
                let receiver = self.chain_receiver(cx, dot, inner)?;
                self.fields(cx, dot, receiver, fields, span, Arguments::none())?
            }
            Term::Function(function) => self.call(cx, dot, function, span, Arguments::none())?,
            Term::Pipe(pipe) => stacker::maybe_grow(128 << 10, 2 << 20, || self.pipeline(cx, dot, pipe))?,
        };
        convert(cx, value, param, span)
    }
}

/// The operands after a command's first, and what was piped in.
struct Arguments<'t> {
    operands: &'t [Operand],
    last: Option<Value>,
}

impl Arguments<'_> {
    fn none() -> Self {
        Self { operands: &[], last: None }
    }

    fn count(&self) -> usize {
        self.operands.len() + usize::from(self.last.is_some())
    }

    fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn refuse(&self, cx: &Context<'_>, span: Span) -> Run<()> {
        if self.is_empty() {
            return Ok(());
        }
        Err(cx.error(span, "this is not a function, so it takes no arguments"))
    }
}

fn variable(cx: &Context<'_>, name: &str, span: Span) -> Run<Value> {
    match cx.vars.iter().rev().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(value.clone()),
        None => Err(cx.error(span, format!("variable {name} is not declared here"))),
    }
}

fn zero_entry(map: &Map) -> Value {
    match map.kind() {
        MapKind::Strings => Value::str(""),
        MapKind::Files => Value::List(super::value::List::nil(ListKind::Bytes)),
        MapKind::Any | MapKind::Values => Value::NilInterface,
    }
}

/// A numeric literal where any type will do.
fn ideal(cx: &Context<'_>, number: &Number, span: Span) -> Run<Value> {
    match (number.float_form, number.int, number.float) {
        (true, _, Some(float)) => Ok(Value::Float(float)),
        (_, Some(int), _) => Ok(Value::int(int)),
        _ => Err(cx.error(span, "the number does not fit an int")),
    }
}

fn literal(cx: &Context<'_>, number: &Number, param: Param, span: Span) -> Run<Value> {
    let value = match param {
        Param::Any => return ideal(cx, number, span),
        Param::Int => number.int.map(Value::int),
        Param::Float => number.float.map(Value::Float),
        _ => None,
    };
    value.ok_or_else(|| cx.error(span, format!("expected {}, found a number", param.name())))
}

fn nil_of(param: Param) -> Value {
    match param {
        Param::Map => Value::Map(Map::new()),
        _ => Value::Nil,
    }
}

/// Go's `validateType`: the value as the parameter takes it.
fn convert(cx: &Context<'_>, value: Value, param: Param, span: Span) -> Run<Value> {
    let fits = match (param, &value) {
        (Param::Any, _) => return Ok(value.settled()),
        (_, Value::Nil) if param.can_be_nil() => return Ok(nil_of(param)),
        (Param::Str, Value::Str(_)) | (Param::Bool, Value::Bool(_)) | (Param::Float, Value::Float(_)) => true,
        (Param::Int, Value::Int(_, kind)) => *kind == IntKind::Int,
        (Param::Map, Value::Map(map)) => matches!(map.kind(), MapKind::Any | MapKind::Values),
        (Param::Time, Value::Object(object)) => object.type_name() == "time.Time",
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    let found = if value.is_nil() { "no value (nil)" } else { value.type_name() };
    Err(cx.error(span, format!("expected {}, found {found}", param.name())))
}
