//! The tree of a parsed template. Immutable and shared between renders.

use super::{functions::Function, value::Str};

/// A range of bytes in a template's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

/// A piece of a template's body.
#[derive(Debug)]
pub(super) enum Node {
    Text(Str),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: Box<str>, pipe: Option<Pipe>, span: Span },
    Break,
    Continue,
}

/// `if`, `with` and `range`: a pipeline, a body and what follows `else`.
#[derive(Debug)]
pub(super) struct Branch {
    pub pipe: Pipe,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// Commands whose results flow into each other, with the variables they set.
#[derive(Debug)]
pub(super) struct Pipe {
    pub declares: Vec<Box<str>>,
    pub assigns: bool,
    pub commands: Vec<Command>,
    pub span: Span,
}

/// An operand with its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub term: Term,
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text(Str),
    Field(Vec<Str>),
    Variable { name: Box<str>, fields: Vec<Str> },
    Chain { inner: Box<Operand>, fields: Vec<Str> },
    Function(&'static Function),
    Pipe(Box<Pipe>),
}

/// A numeric literal in each of the types it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub int: Option<i64>,
    pub float: Option<f64>,
    /// Written like a float, which decides its type where any is allowed.
    pub float_form: bool,
}

/// A named template: a whole file, or the body of a `define` or `block`.
#[derive(Debug)]
pub struct Define {
    pub(super) name: Box<str>,
    pub(super) source: std::sync::Arc<super::error::Source>,
    pub(super) body: Vec<Node>,
}

impl Define {
    /// Whether it holds nothing but white space, comments and definitions.
    /// Such a template never replaces another of the same name.
    pub(super) fn is_empty(&self) -> bool {
        self.body.iter().all(|node| matches!(node, Node::Text(text) if text.trim_ascii().is_empty()))
    }
}
