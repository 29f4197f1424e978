//! A folder on disk as a [`FileTree`].

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::snapshot::{FileTree, ReadError};

/// Files below a folder. Links are followed.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The tree whose root is `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

fn failed(path: &str, cause: &std::io::Error) -> ReadError {
    ReadError { path: path.to_owned(), cause: cause.to_string() }
}

impl FileTree for Folder {
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, ReadError> {
        match fs::read(self.0.join(path)) {
            Ok(data) => Ok(Some(data.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, ReadError> {
        let mut files = Vec::new();
        if self.0.join(dir).is_dir() {
            walk(&self.0, Path::new(dir), &mut files, 0)?;
        }
        files.sort();
        Ok(files)
    }
}

/// Folders inside each other past this depth are a cycle of links.
const MAX_DEPTH: usize = 64;

fn walk(root: &Path, dir: &Path, files: &mut Vec<String>, depth: usize) -> Result<(), ReadError> {
    let shown = dir.to_string_lossy().into_owned();
    let fail = |error: std::io::Error| failed(&shown, &error);
    if depth > MAX_DEPTH {
        return Err(ReadError { path: shown, cause: "folders are nested too deep (a cycle of links?)".to_owned() });
    }
    for entry in fs::read_dir(root.join(dir)).map_err(fail)? {
        let inner = dir.join(entry.map_err(fail)?.file_name());
        if fs::metadata(root.join(&inner)).map_err(fail)?.is_dir() {
            walk(root, &inner, files, depth + 1)?;
        } else {
            files.push(inner.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
