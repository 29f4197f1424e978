//! Values of charts: read from files and flags, layered, coalesced with a
//! chart's defaults as Helm does it, and checked against `values.schema.json`.
//!
//! Every value can be traced to the file, line and column that set it. Reading
//! files is left to others; they arrive as text.

mod coalesce;
mod schema;
mod set;
pub mod yaml;

use serde_json::{Map, Value};

pub(crate) use coalesce::{coalesce_globals, coalesce_over};
pub use coalesce::{is_table, merge_maps, merge_tables, table};
pub use schema::{SchemaViolation, check};
pub use set::{SetError, SetKind};

use yaml::{Node, Numbers, YamlError};

/// A table of values.
pub type Table = Map<String, Value>;

/// A values file: how errors call it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesFile {
    /// Such as `environments/prod/values.yaml`.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in a file.
    File(Location),
    /// A `--set` flag.
    Flag,
    /// Neither: a chart's default, or it is missing.
    Elsewhere,
}

fn at<'t>(table: &'t Table, pointer: &str) -> Option<&'t Value> {
    let mut parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = table.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Object(inner) => inner.get(&part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Values could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// A file is not YAML.
    #[error("{file}:{}:{}: {}", .cause.line, .cause.column, .cause.message)]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong in it, and where.
        cause: YamlError,
    },
    /// A file holds something else than a table.
    #[error("{file}: the values must be a mapping at the top, found {found}")]
    NotATable {
        /// The file.
        file: String,
        /// What it holds.
        found: &'static str,
    },
    /// A `--set` flag cannot be understood.
    #[error("--{flag} {text:?}: {cause}")]
    Set {
        /// The flag without its dashes.
        flag: &'static str,
        /// The argument.
        text: String,
        /// Why.
        cause: SetError,
    },
}

/// What a user gives over a chart's defaults: files in order, then settings.
#[derive(Clone, Debug, Default)]
pub struct Values {
    files: Vec<ValuesFile>,
    /// The files alone.
    from_files: Table,
    /// The files and the settings.
    table: Table,
}

impl Values {
    /// Layers files; later ones win. A `null` stays, to remove a default.
    pub fn from_files(files: impl IntoIterator<Item = ValuesFile>) -> Result<Self, ValuesError> {
        let mut values = Self::default();
        for file in files {
            let table = read_table(&file.name, &file.text)?;
            values.table = merge_maps(std::mem::take(&mut values.table), table);
            values.files.push(file);
        }
        values.from_files.clone_from(&values.table);
        Ok(values)
    }

    /// A table that is in no file.
    pub fn from_table(table: Table) -> Self {
        Self { files: Vec::new(), from_files: Table::new(), table }
    }

    /// Applies one setting, such as `image.tag=7.4` or `list[0]=a`.
    pub fn set(&mut self, kind: SetKind, text: &str) -> Result<(), ValuesError> {
        set::apply(&mut self.table, kind, text).map_err(|cause| ValuesError::Set {
            flag: kind.flag(),
            text: text.to_owned(),
            cause,
        })
    }

    /// The layers as one table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The files, in the order they were given.
    pub fn files(&self) -> &[ValuesFile] {
        &self.files
    }

    /// Where the value at a JSON pointer (such as `/redis/appendfsync`) comes
    /// from.
    pub fn origin(&self, pointer: &str) -> Origin {
        let value = at(&self.table, pointer);
        if value.is_none() {
            return Origin::Elsewhere;
        }
        if at(&self.from_files, pointer) != value {
            return Origin::Flag;
        }
        self.files.iter().rev().find_map(|file| locate(file, pointer)).map_or(Origin::Elsewhere, Origin::File)
    }
}

/// Where `file` sets the value at `pointer`; `None` when it does not.
pub fn locate(file: &ValuesFile, pointer: &str) -> Option<Location> {
    for (offset, document) in documents(&file.text).into_iter().rev() {
        let Ok(Some(root)) = yaml::read_node(document) else { continue };
        if let Some(node) = find(&root, pointer) {
            return Some(Location { file: file.name.clone(), line: node.line + offset, column: node.column });
        }
    }
    None
}

fn find<'n>(root: &'n Node, pointer: &str) -> Option<&'n Node> {
    let mut node = root;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        node = match part.parse::<usize>() {
            Ok(index) => node.item(index).or_else(|| node.get(&part))?,
            Err(_) => node.get(&part)?,
        };
    }
    Some(node)
}

/// Reads a values file: one table, or several documents that are merged.
pub fn read_table(name: &str, text: &str) -> Result<Table, ValuesError> {
    let mut table = Table::new();
    for (offset, document) in documents(text) {
        let json = yaml::read(document, Numbers::Floats).map_err(|cause| ValuesError::Syntax {
            file: name.to_owned(),
            cause: YamlError { line: cause.line + offset, ..cause },
        })?;
        let found = match json {
            Value::Object(next) => {
                table = merge_maps(table, next);
                continue;
            }
            Value::Null => continue,
            Value::Array(_) => "a sequence",
            Value::String(_) => "text",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
        };
        return Err(ValuesError::NotATable { file: name.to_owned(), found });
    }
    Ok(table)
}

/// The documents of a file, split at lines that start with `---`.
pub(crate) fn split_at_dashes(text: &str) -> impl Iterator<Item = &str> {
    documents(text).into_iter().map(|(_, document)| document)
}

/// The documents of a file with the number of lines before each, split at
/// lines that start with `---`.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("---") && at > start {
            found.push((start_line, &text[start..at]));
            start = at;
            start_line = number;
        }
        at += line.len();
    }
    found.push((start_line, &text[start..]));
    found
}
