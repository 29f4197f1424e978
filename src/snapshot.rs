//! What a repository (or a folder) holds at one moment, as files to read.
//!
//! The core reads charts and values through [`FileTree`] and never knows
//! whether blobs of a commit or a directory stand behind it.

use std::{fmt, sync::Arc};

use crate::revision::Revision;

/// Read access to an immutable tree of files. Paths are relative, separated by
/// `/`, without `.` or `..` parts.
pub trait FileTree: Send + Sync {
    /// The content of the file at `path`; `Ok(None)` when there is no such file.
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, ReadError>;

    /// The paths of all files below the folder `dir` (recursively, relative to
    /// the tree's root, sorted); empty when there is no such folder.
    fn list(&self, dir: &str) -> Result<Vec<String>, ReadError>;
}

/// A file or folder that exists could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path} could not be read: {cause}")]
pub struct ReadError {
    /// The path inside the tree.
    pub path: String,
    /// What the operating system or libgit2 said.
    pub cause: String,
}

/// The files of one commit.
#[derive(Clone)]
pub struct Snapshot {
    /// The commit.
    pub revision: Revision,
    /// Its tree.
    pub files: Arc<dyn FileTree>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
    }
}
