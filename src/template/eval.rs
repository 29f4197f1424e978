//! Executes templates: Go's `text/template` with the option
//! `missingkey=zero`, as Helm sets it.
//!
//! Bounded: calls, output, steps and the size of values have limits with errors
//! of their own, and the stack grows on the heap, so no template can exhaust it.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use super::{
    ast::{Branch, Define, Node, Pipe, Span},
    error::{Frame, Stage, TemplateError},
    functions::Host,
    print,
    value::{Map, Value},
};

/// What a render may consume. The numbers are far above what charts need.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Template calls inside each other, of `template`, `include` and `tpl`.
    pub depth: usize,
    /// Bytes that one render may write, and that one string may have.
    pub output: usize,
    /// Bytes that all functions of one render may produce together.
    pub produced: usize,
    /// Nodes and calls of one render.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 10_000, output: 64 << 20, produced: 2 << 30, steps: 200_000_000 }
    }
}

/// Helm refuses the same template inside itself past this many `include`s.
const MAX_INCLUDES: usize = 1000;

/// The named templates in sight: a chart's, and inside `tpl` those it defines.
pub(crate) struct Scope {
    defines: HashMap<Box<str>, Arc<Define>>,
    outer: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn new(defines: HashMap<Box<str>, Arc<Define>>, outer: Option<Rc<Self>>) -> Self {
        Self { defines, outer }
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Define>> {
        match self.defines.get(name) {
            Some(define) => Some(Arc::clone(define)),
            None => self.outer.as_ref()?.find(name),
        }
    }
}

/// How a body ended.
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// The state of one render.
pub(crate) struct Machine<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) limits: Limits,
    pub(super) steps: u64,
    pub(super) produced: usize,
    depth: usize,
    includes: HashMap<Box<str>, usize>,
    /// Maps that `set` and its like changed: they may hold themselves, so they
    /// are emptied at the end.
    pub(crate) changed_maps: Vec<Map>,
}

/// One template in execution.
pub(super) struct Context<'t> {
    pub define: &'t Define,
    pub scope: &'t Rc<Scope>,
    pub vars: Vec<(&'t str, Value)>,
}

impl Context<'_> {
    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> TemplateError {
        TemplateError::new(Stage::Execute, &self.define.source, span, message)
    }
}

pub(super) type Run<T> = Result<T, TemplateError>;

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        for map in self.changed_maps.drain(..) {
            map.clear();
        }
    }
}

impl<'h> Machine<'h> {
    pub(crate) fn new(host: &'h dyn Host, limits: Limits) -> Self {
        Self { host, limits, steps: 0, produced: 0, depth: 0, includes: HashMap::new(), changed_maps: Vec::new() }
    }

    /// Executes `define` with `dot`, appending to `out`.
    pub(crate) fn execute(&mut self, scope: &Rc<Scope>, define: &Define, dot: &Value, out: &mut Vec<u8>) -> Run<()> {
        self.depth += 1;
        let mut context = Context { define, scope, vars: vec![("$", dot.clone())] };
        let result = self.body(&mut context, dot, &define.body, out);
        self.depth -= 1;
        result.map(|_| ())
    }

    pub(super) fn enter(&self, context: &Context<'_>, span: Span) -> Run<()> {
        if self.depth >= self.limits.depth {
            let message = format!("templates call each other more than {} levels deep", self.limits.depth);
            return Err(context.error(span, message));
        }
        Ok(())
    }

    /// Helm's `include`: the output of a named template as a string.
    pub(super) fn include(&mut self, context: &Context<'_>, span: Span, name: &str, dot: &Value) -> Run<Value> {
        self.enter(context, span)?;
        let Some(define) = context.scope.find(name) else {
            return Err(context.error(span, format!("template {name:?} is not defined")));
        };
        let count = self.includes.entry(name.into()).or_insert(0);
        if *count > MAX_INCLUDES {
            let message = format!("template {name:?} includes itself more than {MAX_INCLUDES} times");
            return Err(context.error(span, message));
        }
        *count += 1;
        let mut out = Vec::new();
        let result = self.execute(context.scope, &define, dot, &mut out);
        if let Some(count) = self.includes.get_mut(name) {
            *count -= 1;
        }
        result.map_err(|e| {
            e.within(Frame { source: Arc::clone(&context.define.source), span, what: format!("include {name:?}") })
        })?;
        Ok(Value::str(out))
    }

    /// Helm's `tpl`: a string executed as a template that sees this one's
    /// definitions, its own first.
    pub(super) fn tpl(&mut self, context: &Context<'_>, span: Span, text: &str, dot: &Value) -> Run<Value> {
        self.enter(context, span)?;
        let frame = || Frame { source: Arc::clone(&context.define.source), span, what: "tpl".to_owned() };
        if !text.contains("{{") {
            return Ok(Value::str(text.replace("<no value>", "")));
        }
        let outer = &*context.define.source.name;
        let label = if outer.starts_with("tpl in ") { outer.to_owned() } else { format!("tpl in {outer}") };
        let parsed = super::parser::parse(&label, text, true).map_err(|e| e.within(frame()))?;
        let mut defines = HashMap::new();
        let mut main = None;
        for define in parsed {
            if *define.name == *label {
                main = Some(define);
            } else if !define.is_empty() || context.scope.find(&define.name).is_none() {
                defines.insert(define.name.clone(), Arc::new(define));
            }
        }
        let Some(main) = main else { return Ok(Value::str("")) };
        let scope = Rc::new(Scope::new(defines, Some(Rc::clone(context.scope))));
        let mut out = Vec::new();
        self.execute(&scope, &main, dot, &mut out).map_err(|e| e.within(frame()))?;
        Ok(Value::str(erase_no_value(out)))
    }

    pub(super) fn step(&mut self, context: &Context<'_>, span: Span) -> Run<()> {
        self.steps += 1;
        if self.steps > self.limits.steps {
            return Err(context.error(span, format!("the render takes more than {} steps", self.limits.steps)));
        }
        Ok(())
    }

    fn body<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, nodes: &'t [Node], out: &mut Vec<u8>) -> Run<Flow> {
        stacker::maybe_grow(128 << 10, 2 << 20, || self.nodes(cx, dot, nodes, out))
    }

    fn nodes<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, nodes: &'t [Node], out: &mut Vec<u8>) -> Run<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.write(cx, out, text, Span { start: 0, end: 0 })?;
                    Flow::Next
                }
                Node::Action(pipe) => {
                    let value = self.pipeline(cx, dot, pipe)?;
                    if pipe.declares.is_empty() {
                        self.write_value(cx, out, &value, pipe.span)?;
                    }
                    Flow::Next
                }
                Node::If(branch) => self.branch(cx, dot, branch, out, false)?,
                Node::With(branch) => self.branch(cx, dot, branch, out, true)?,
                Node::Range(branch) => self.range(cx, dot, branch, out)?,
                Node::Template { name, pipe, span } => {
                    self.template(cx, dot, name, pipe.as_ref(), *span, out)?;
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, cx: &Context<'_>, out: &mut Vec<u8>, bytes: &[u8], span: Span) -> Run<()> {
        if out.len() + bytes.len() > self.limits.output {
            return Err(cx.error(span, format!("the output is larger than {} bytes", self.limits.output)));
        }
        self.produced += bytes.len();
        if self.produced > self.limits.produced {
            return Err(cx.error(span, format!("the render produces more than {} bytes", self.limits.produced)));
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn write_value(&mut self, cx: &Context<'_>, out: &mut Vec<u8>, value: &Value, span: Span) -> Run<()> {
        if let Value::Str(text) = value {
            return self.write(cx, out, text, span);
        }
        let mut text = Vec::new();
        print::action(&mut text, value).map_err(|message| cx.error(span, message))?;
        self.write(cx, out, &text, span)
    }

    fn branch<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        branch: &'t Branch,
        out: &mut Vec<u8>,
        with: bool,
    ) -> Run<Flow> {
        let mark = cx.vars.len();
        let value = self.pipeline(cx, dot, &branch.pipe)?;
        let flow = if value.truth() {
            self.body(cx, if with { &value } else { dot }, &branch.body, out)
        } else {
            self.body(cx, dot, &branch.otherwise, out)
        };
        cx.vars.truncate(mark);
        flow
    }

    fn range<'t>(&mut self, cx: &mut Context<'t>, dot: &Value, branch: &'t Branch, out: &mut Vec<u8>) -> Run<Flow> {
        let mark = cx.vars.len();
        let value = self.pipeline(cx, dot, &branch.pipe)?;
        let inner = cx.vars.len();
        let mut ran = false;
        for (index, item) in self.items(cx, &branch.pipe, value)? {
            ran = true;
            self.step(cx, branch.pipe.span)?;
            self.bind(cx, &branch.pipe, index, &item)?;
            let flow = self.body(cx, &item, &branch.body, out)?;
            cx.vars.truncate(inner);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        let flow = if ran { Flow::Next } else { self.body(cx, dot, &branch.otherwise, out)? };
        cx.vars.truncate(mark);
        Ok(if matches!(flow, Flow::Continue) { flow } else { Flow::Next })
    }

    /// What a range visits: index or key, and item.
    fn items(&self, cx: &Context<'_>, pipe: &Pipe, value: Value) -> Run<Box<dyn Iterator<Item = (Value, Value)>>> {
        let wrap = |item: Value| if matches!(item, Value::Nil) { Value::NilInterface } else { item };
        Ok(match value {
            Value::Int(count, kind) => {
                if pipe.declares.len() > 1 {
                    let message = format!("a range over the number {count} gives one variable, not two");
                    return Err(cx.error(pipe.span, message));
                }
                Box::new((0..count).map(move |n| (Value::Nil, Value::Int(n, kind))))
            }
            Value::List(list) => Box::new(
                (0..list.len()).map(move |n| (Value::int(i64::try_from(n).unwrap_or(i64::MAX)), wrap(list[n].clone()))),
            ),
            Value::Map(map) => {
                Box::new(map.entries().into_iter().map(move |(key, item)| (Value::Str(key), wrap(item))))
            }
            Value::Nil | Value::NilInterface => Box::new(std::iter::empty()),
            Value::Object(object) if object.entries().is_some() => {
                let entries = object.entries().unwrap_or_default();
                Box::new(entries.into_iter().map(|(key, item)| (Value::Str(key), item)))
            }
            other => {
                let kind = other.type_name();
                let message = format!("cannot range over a {kind}; expected a list, a map or a whole number");
                return Err(cx.error(pipe.span, message));
            }
        })
    }

    /// Sets the variables of a range for one item: the last one takes the item.
    fn bind<'t>(&mut self, cx: &mut Context<'t>, pipe: &'t Pipe, index: Value, item: &Value) -> Run<()> {
        let count = pipe.declares.len();
        let values = [index, item.clone()].into_iter().skip(2 - count.min(2));
        if pipe.assigns {
            for (name, value) in pipe.declares.iter().zip(values) {
                self.declare(cx, name, pipe, value)?;
            }
            return Ok(());
        }
        let first = cx.vars.len() - count;
        for (slot, value) in cx.vars[first..].iter_mut().zip(values) {
            slot.1 = value;
        }
        Ok(())
    }

    pub(super) fn declare<'t>(&mut self, cx: &mut Context<'t>, name: &'t str, pipe: &Pipe, value: Value) -> Run<()> {
        if !pipe.assigns {
            cx.vars.push((name, value));
            return Ok(());
        }
        match cx.vars.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(cx.error(pipe.span, format!("variable {name} is not declared here"))),
        }
    }

    fn template<'t>(
        &mut self,
        cx: &mut Context<'t>,
        dot: &Value,
        name: &str,
        pipe: Option<&'t Pipe>,
        span: Span,
        out: &mut Vec<u8>,
    ) -> Run<()> {
        self.step(cx, span)?;
        let Some(define) = cx.scope.find(name) else {
            return Err(cx.error(span, format!("template {name:?} is not defined")));
        };
        self.enter(cx, span)?;
        let dot = match pipe {
            Some(pipe) => self.pipeline(cx, dot, pipe)?,
            None => Value::Nil,
        };
        self.execute(cx.scope, &define, &dot, out).map_err(|e| {
            e.within(Frame { source: Arc::clone(&cx.define.source), span, what: format!("template {name:?}") })
        })
    }
}

/// Helm erases the text that Go prints for a missing value.
pub(crate) fn erase_no_value(out: Vec<u8>) -> Vec<u8> {
    const MARK: &[u8] = b"<no value>";
    if !out.windows(MARK.len()).any(|window| window == MARK) {
        return out;
    }
    let mut kept = Vec::with_capacity(out.len());
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        if rest.starts_with(MARK) {
            rest = &rest[MARK.len()..];
        } else {
            kept.push(rest[0]);
            rest = &rest[1..];
        }
    }
    kept
}
