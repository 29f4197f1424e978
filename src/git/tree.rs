//! The files of one commit, read from blobs when they are asked for.
//!
//! A symbolic link is refused and not followed: a chart that depends on one
//! reads otherwise here than in a checkout. A submodule counts as absent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use git2::{ErrorCode, FileMode, ObjectType, Oid, Repository, Tree};

use super::store::Store;
use crate::snapshot::{FileTree, ReadError};

/// Larger files are refused; no chart or values file comes near.
const MAX_BLOB: usize = 16 * 1024 * 1024;
/// How much the newer half of the cache may hold.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Blobs by id, which never change. Two halves: when the newer is full it
/// becomes the older, so what is used stays.
#[derive(Default)]
pub(super) struct BlobCache(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    newer: HashMap<Oid, Arc<[u8]>>,
    newer_bytes: usize,
    older: HashMap<Oid, Arc<[u8]>>,
}

impl BlobCache {
    fn get(&self, id: Oid) -> Option<Arc<[u8]>> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = halves.newer.get(&id) {
            return Some(Arc::clone(content));
        }
        let content = halves.older.remove(&id)?;
        halves.put(id, Arc::clone(&content));
        Some(content)
    }

    fn put(&self, id: Oid, content: Arc<[u8]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(id, content);
    }
}

impl Halves {
    fn put(&mut self, id: Oid, content: Arc<[u8]>) {
        if self.newer_bytes + content.len() > CACHE_BYTES {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += content.len();
        self.newer.insert(id, content);
    }
}

/// A commit's tree in a mirror, which it keeps open.
pub(super) struct CommitTree {
    pub store: Arc<Store>,
    pub root: Oid,
}

enum Found {
    Blob(Oid),
    Folder(Oid),
    Nothing,
}

impl CommitTree {
    /// An error that should be impossible in a whole mirror.
    fn damaged(&self, path: &str, error: &git2::Error) -> ReadError {
        let cause = error.message().to_owned();
        self.store.report_damage(format!("{path}: {cause}"));
        ReadError {
            path: path.to_owned(),
            cause: format!("the mirror is damaged ({cause}); the next poll rebuilds it"),
        }
    }

    fn find(&self, repository: &Repository, path: &str) -> Result<Found, ReadError> {
        let mut id = self.root;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        if parts.peek().is_none() {
            return Ok(Found::Folder(id));
        }
        while let Some(part) = parts.next() {
            let tree = repository.find_tree(id).map_err(|error| self.damaged(path, &error))?;
            let Some(entry) = tree.get_name(part) else { return Ok(Found::Nothing) };
            id = entry.id();
            let last = parts.peek().is_none();
            match entry.kind() {
                _ if is_link(entry.filemode()) => return Err(link(path, part)),
                Some(ObjectType::Tree) if last => return Ok(Found::Folder(id)),
                Some(ObjectType::Tree) => {}
                Some(ObjectType::Blob) if last => return Ok(Found::Blob(id)),
                _ => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Nothing)
    }

    fn walk(
        &self,
        repository: &Repository,
        tree: &Tree<'_>,
        prefix: &str,
        files: &mut Vec<String>,
    ) -> Result<(), ReadError> {
        for entry in tree {
            let name = String::from_utf8_lossy(entry.name_bytes());
            let path = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") };
            match entry.kind() {
                Some(ObjectType::Blob) => files.push(path),
                Some(ObjectType::Tree) => {
                    let below = repository.find_tree(entry.id()).map_err(|error| self.damaged(&path, &error))?;
                    self.walk(repository, &below, &path, files)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_link(mode: i32) -> bool {
    mode == i32::from(FileMode::Link)
}

fn link(path: &str, part: &str) -> ReadError {
    let cause = format!("{part} is a symbolic link, which is not followed; put the file itself in its place");
    ReadError { path: path.to_owned(), cause }
}

impl FileTree for CommitTree {
    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, ReadError> {
        let repository = self.store.reader();
        let Found::Blob(id) = self.find(&repository, path)? else { return Ok(None) };
        if let Some(content) = self.store.blobs.get(id) {
            return Ok(Some(content));
        }
        let header = repository.odb().and_then(|odb| odb.read_header(id));
        let (size, _) = header.map_err(|error| self.damaged(path, &error))?;
        if size > MAX_BLOB {
            let cause = format!("it has {size} bytes, and at most {MAX_BLOB} are read");
            return Err(ReadError { path: path.to_owned(), cause });
        }
        let blob = repository.find_blob(id).map_err(|error| self.damaged(path, &error))?;
        let content: Arc<[u8]> = Arc::from(blob.content());
        self.store.blobs.put(id, Arc::clone(&content));
        Ok(Some(content))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, ReadError> {
        let repository = self.store.reader();
        let Found::Folder(id) = self.find(&repository, dir)? else { return Ok(Vec::new()) };
        let tree = repository.find_tree(id).map_err(|error| self.damaged(dir, &error))?;
        let mut files = Vec::new();
        self.walk(&repository, &tree, dir.trim_matches('/'), &mut files)?;
        files.sort();
        Ok(files)
    }
}

/// Whether an error means that an object is not there, as opposed to unreadable.
pub(super) fn is_absent(error: &git2::Error) -> bool {
    error.code() == ErrorCode::NotFound
}
