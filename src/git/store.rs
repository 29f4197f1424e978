//! The mirror's folder: its lock, the handle that readers share, and its
//! replacement as a whole.
//!
//! Readers use one handle under a mutex, each for one object at a time; a fetch
//! opens its own, so neither waits for the other for long.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use git2::{ErrorCode, Repository};
use sha2::{Digest, Sha256};

use super::{GitError, transport, tree::BlobCache};
use crate::repository::RepositoryUrl;

/// How long an opening waits for another holder of the lock: a daemon that is
/// just ending, or a child process that has not become its own program yet.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Store {
    pub url: RepositoryUrl,
    pub folder: PathBuf,
    /// Held through a poll, so that polls of one mirror follow each other.
    pub polling: Arc<tokio::sync::Mutex<()>>,
    pub blobs: BlobCache,
    reader: Mutex<Repository>,
    damage: Mutex<Option<String>>,
    /// The operating system releases it with the process, however that ends.
    _lock: File,
}

impl Store {
    /// Opens or makes the mirror of `url` below `data_dir`, and locks it.
    pub fn open(url: RepositoryUrl, data_dir: &Path) -> Result<Self, GitError> {
        let folder = data_dir.join("git").join(folder_name(&url));
        let created = |cause: io::Error| folder_error(&folder, "created", cause);
        fs::create_dir_all(folder.parent().unwrap_or(data_dir)).map_err(created)?;
        let lock = lock(&folder)?;
        transport::initialise().map_err(|cause| folder_error(&folder, "opened", cause))?;
        let (reader, damage) = open_or_create(&folder)?;
        let damage = damage.or_else(|| verify(&reader).err());
        Ok(Self {
            url,
            folder,
            polling: Arc::default(),
            blobs: BlobCache::default(),
            reader: Mutex::new(reader),
            damage: Mutex::new(damage),
            _lock: lock,
        })
    }

    /// The shared handle, for one short read.
    pub fn reader(&self) -> MutexGuard<'_, Repository> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that something that must be there could not be read; the next
    /// poll builds the mirror anew.
    pub fn report_damage(&self, what: String) {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    /// What is known to be damaged.
    pub fn damage(&self) -> Option<String> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An empty repository beside the mirror, to be filled and swapped in.
    pub fn aside(&self) -> Result<PathBuf, GitError> {
        let aside = self.folder.with_extension("new");
        remove(&aside).map_err(|cause| folder_error(&aside, "created", cause))?;
        let created = Repository::init_bare(&aside);
        created.map_err(|error| folder_error(&aside, "created", error.message()))?;
        Ok(aside)
    }

    /// Puts `aside` in the place of the mirror. Readers wait meanwhile.
    pub fn swap(&self, aside: &Path) -> Result<(), GitError> {
        let failed = |cause: String| folder_error(&self.folder, "replaced", cause);
        let open = |path: &Path| Repository::open_bare(path).map_err(|error| failed(error.message().to_owned()));
        let old = self.folder.with_extension("old");
        remove(&old).map_err(|error| failed(error.to_string()))?;
        let mut reader = self.reader();
        // libgit2 shares open packs by path: the old must be closed before the
        // new are opened where they were.
        *reader = open(aside)?;
        fs::rename(&self.folder, &old).map_err(|error| failed(error.to_string()))?;
        fs::rename(aside, &self.folder).map_err(|error| failed(error.to_string()))?;
        *reader = open(&self.folder)?;
        drop(reader);
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = None;
        remove(&old).map_err(|error| failed(error.to_string()))
    }
}

pub(super) fn folder_error(folder: &Path, operation: &'static str, cause: impl ToString) -> GitError {
    GitError::Folder { folder: folder.to_owned(), operation, cause: cause.to_string() }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last part of the URL for people, and a digest to tell two apart.
fn folder_name(url: &RepositoryUrl) -> String {
    let text = url.to_string();
    let last = text.rsplit('/').next().unwrap_or_default().trim_end_matches(".git");
    let readable: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
    let digest = Sha256::digest(text.as_bytes());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{readable}-{digest}.git")
}

fn lock(folder: &Path) -> Result<File, GitError> {
    let path = folder.with_extension("lock");
    let failed = |cause: io::Error| folder_error(folder, "locked", cause);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner).map_err(failed)?;
                return Err(GitError::Locked { folder: folder.to_owned(), owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The repository in `folder`; an empty one, with what was wrong, when what is
/// there cannot be opened.
fn open_or_create(folder: &Path) -> Result<(Repository, Option<String>), GitError> {
    let damage = match Repository::open_bare(folder) {
        Ok(repository) => return Ok((repository, None)),
        Err(error) if error.code() == ErrorCode::NotFound && !folder.exists() => None,
        Err(error) => Some(error.message().to_owned()),
    };
    remove(folder).map_err(|cause| folder_error(folder, "replaced", cause))?;
    let created = Repository::init_bare(folder).map_err(|error| folder_error(folder, "created", error.message()))?;
    Ok((created, damage))
}

/// That each branch leads to a commit and its tree.
fn verify(repository: &Repository) -> Result<(), String> {
    let check = || -> Result<(), git2::Error> {
        for reference in repository.references_glob("refs/heads/*")? {
            reference?.peel_to_commit()?.tree()?;
        }
        Ok(())
    };
    check().map_err(|error| error.message().to_owned())
}
