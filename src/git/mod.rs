//! One bare mirror per repository: asks for the branches' tips, fetches what is
//! new, and gives commits as snapshots of blobs; there is no work tree.
//!
//! Every network operation has a deadline. A failed poll changes nothing: what
//! was fetched before stays readable. Whom to ask and how often is the caller's.

use std::{collections::BTreeMap, path::Path};

use crate::{environment::BranchName, repository::Repository, revision::Revision, snapshot::Snapshot};

mod error;

pub use error::{GitError, Operation, RemoteFailure};

/// The local copy of one repository. Clones share it.
#[derive(Clone)]
pub struct Mirror {}

/// What one poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tips {
    /// Each branch that was asked for.
    pub branches: BTreeMap<BranchName, BranchTip>,
    /// Whether commits were received; false when every tip was known.
    pub fetched: bool,
    /// Why the mirror was built anew, when it was.
    pub rebuilt: Option<Rebuilt>,
}

/// Where a branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchTip {
    /// The repository has no such branch.
    Missing,
    /// The branch is there.
    At {
        /// Its newest commit.
        revision: Revision,
        /// The commit that was known before is not an ancestor: the branch was force-pushed.
        /// Said once, by the poll that saw it.
        rewound: bool,
    },
}

/// Why a mirror was built anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// It could not be read; the text says how that showed.
    Corrupt(String),
    /// It had grown to this many packs.
    Packs(usize),
}

/// Who wrote a commit, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CommitInfo {
    /// The commit.
    pub revision: Revision,
    /// `Name <address>`.
    pub author: String,
    /// The first line of the message.
    pub subject: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
}

impl Mirror {
    /// Opens the mirror below `data_dir`, or makes an empty one; locks it
    /// against a second daemon until the last clone and snapshot are gone.
    /// Needs no network.
    pub async fn open(repository: Repository, data_dir: &Path) -> Result<Self, GitError> {
        let _ = (repository, data_dir);
        Ok(Self {})
    }

    /// The same mirror with other settings (interval, deadline, credentials);
    /// `None` when the URL differs, which needs another mirror.
    pub fn reconfigured(&self, repository: Repository) -> Option<Self> {
        let _ = repository;
        None
    }

    /// The settings in use.
    pub fn repository(&self) -> &Repository {
        todo!()
    }

    /// Asks for the tips with one request and, only when one of them is new,
    /// fetches all of them with one more. Ends within the repository's timeout.
    pub async fn poll(&self, branches: &[BranchName]) -> Result<Tips, GitError> {
        let _ = branches;
        todo!()
    }

    /// The tip of `branch` that was fetched last, without the network.
    pub fn last_known(&self, branch: &BranchName) -> Result<Option<Revision>, GitError> {
        let _ = branch;
        todo!()
    }

    /// The files of a commit that was fetched. They are read when asked for.
    pub fn snapshot(&self, revision: &Revision) -> Result<Snapshot, GitError> {
        let _ = revision;
        todo!()
    }

    /// Author, subject and time of a commit that was fetched.
    pub fn commit_info(&self, revision: &Revision) -> Result<CommitInfo, GitError> {
        let _ = revision;
        todo!()
    }
}
