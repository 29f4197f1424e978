//! What is wrong with a configuration file, for the person who wrote it.

use std::{fmt, io, path::PathBuf};

/// The file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {} could not be read: {cause}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file was read and is wrong.
    #[error("{}", lines(problems))]
    Invalid {
        /// All that is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The path of the key, as in `environments[0].branch`; empty for the document.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}
