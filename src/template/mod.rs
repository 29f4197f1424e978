//! Helm's template language: Go's `text/template` with Sprig's and Helm's
//! functions.
//!
//! Templates are parsed once into a [`TemplateSet`] and executed with values.
//! Nothing here reads files, the clock or the cluster: functions that need them
//! ask a [`Host`]. Whatever a template does, a render ends with output or with a
//! [`TemplateError`]; limits keep it from exhausting memory, time or the stack.

mod ast;
pub(crate) mod encode;
mod error;
mod eval;
mod expr;
pub(crate) mod functions;
mod glob;
mod lexer;
mod literal;
mod parser;
mod print;
mod re2;
pub mod semver;
mod time;
mod toml;
mod value;

use std::{collections::HashMap, rc::Rc, sync::Arc};

pub use ast::Define;
pub(crate) use encode::to_yaml;
pub use error::{Source, Stage, TemplateError};
pub use eval::Limits;
pub use functions::Host;
pub(crate) use functions::base_name;
pub(crate) use glob::glob;
pub use value::{IntKind, List, ListKind, Map, MapKind, Object, Str, Value};

/// A parsed file: its template and those it defines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parsed(Arc<[Arc<Define>]>);

impl Parsed {
    /// Parses `text` as the template `name`.
    pub fn new(name: &str, text: &str) -> Result<Self, TemplateError> {
        Ok(Self(parser::parse(name, text, false)?.into_iter().map(Arc::new).collect()))
    }
}

/// Named templates that see each other.
#[derive(Debug, Default, Clone)]
pub struct TemplateSet {
    defines: HashMap<Box<str>, Arc<Define>>,
}

impl TemplateSet {
    /// Parses `text` as the template `name` and adds it with all it defines.
    /// A later definition replaces an earlier one, unless it is empty.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        self.add_parsed(&Parsed::new(name, text)?);
        Ok(())
    }

    /// Adds what was parsed before.
    pub fn add_parsed(&mut self, parsed: &Parsed) {
        for define in parsed.0.iter() {
            let replaces = match self.defines.get(&define.name) {
                Some(known) => known.is_empty() || !define.is_empty(),
                None => true,
            };
            if replaces {
                self.defines.insert(define.name.clone(), Arc::clone(define));
            }
        }
    }
}

/// One render: every execution shares its limits and what `set` changed.
pub struct Execution<'h> {
    scope: Rc<eval::Scope>,
    machine: eval::Machine<'h>,
}

impl<'h> Execution<'h> {
    /// Starts a render of templates in `set`.
    pub fn new(set: TemplateSet, host: &'h dyn Host, limits: Limits) -> Self {
        let scope = Rc::new(eval::Scope::new(set.defines, None));
        Self { scope, machine: eval::Machine::new(host, limits) }
    }

    /// Executes the template `name` with `dot` and returns what it writes,
    /// without the marks that Go leaves for missing values.
    pub fn run(&mut self, name: &str, dot: &Value) -> Result<Vec<u8>, TemplateError> {
        let mut out = Vec::new();
        if let Some(define) = self.scope.find(name) {
            self.machine.execute(&self.scope, &define, dot, &mut out)?;
        }
        Ok(eval::erase_no_value(out))
    }
}

#[cfg(test)]
mod tests;
