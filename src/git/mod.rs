//! One bare mirror per repository: asks for the branches' tips, fetches what is
//! new, and gives commits as snapshots of blobs; there is no work tree.
//!
//! Every network operation has a deadline. A failed poll changes nothing: what
//! was fetched before stays readable. Whom to ask and how often is the caller's.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use self::{http::Client, store::Store, transport::Exchange, tree::CommitTree};
use crate::{
    environment::BranchName,
    repository::{Repository, RepositoryUrl},
    revision::Revision,
    snapshot::Snapshot,
};

mod error;
mod http;
mod store;
mod sync;
mod transport;
mod tree;

pub use error::{GitError, Operation, RemoteFailure};

/// The local copy of one repository. Clones share it.
#[derive(Clone)]
pub struct Mirror {
    store: Arc<Store>,
    client: Arc<Client>,
    repository: Arc<Repository>,
}

/// How long after its deadline a poll is given up without an answer.
const GRACE: Duration = Duration::from_millis(500);

/// What one poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tips {
    /// Each branch that was asked for.
    pub branches: BTreeMap<BranchName, BranchTip>,
    /// Whether commits were received; false when every tip was known.
    pub fetched: bool,
    /// Why the mirror was built anew, when it was. After [`Rebuilt::Corrupt`] a
    /// file that could not be read is worth another try.
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
        let (url, data_dir) = (repository.url.clone(), data_dir.to_owned());
        let store = blocking(move || Store::open(url, &data_dir)).await?;
        Ok(Self { store: Arc::new(store), client: Arc::new(Client::new()), repository: Arc::new(repository) })
    }

    /// The same mirror with other settings (deadline, credentials, authorities);
    /// `None` when the URL differs, which needs another mirror.
    pub fn reconfigured(&self, repository: Repository) -> Option<Self> {
        (repository.url == self.repository.url).then(|| Self {
            store: Arc::clone(&self.store),
            client: Arc::new(Client::new()),
            repository: Arc::new(repository),
        })
    }

    /// The settings in use.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Asks for the tips with one request and, only when one of them is new,
    /// fetches all that are in one exchange. Ends within the repository's
    /// timeout; a dropped future stops the work behind it.
    pub async fn poll(&self, branches: &[BranchName]) -> Result<Tips, GitError> {
        let timeout = self.repository.timeout;
        let deadline = Instant::now() + timeout;
        let cancel = CancelOnDrop(Arc::default());
        let waiting = AtomicBool::new(true);
        let work = async {
            let turn = Arc::clone(&self.store.polling).lock_owned().await;
            waiting.store(false, Ordering::Relaxed);
            let (mirror, branches, cancelled) = (self.clone(), branches.to_vec(), Arc::clone(&cancel.0));
            blocking(move || {
                let _turn = turn;
                mirror.poll_blocking(&branches, deadline, cancelled)
            })
            .await
        };
        // The transport keeps the deadline and says what was late; this bound is
        // for what it cannot interrupt.
        let bound = tokio::time::Instant::from_std(deadline + GRACE);
        tokio::time::timeout_at(bound, work).await.unwrap_or_else(|_| {
            Err(GitError::Remote {
                operation: if waiting.load(Ordering::Relaxed) { Operation::Wait } else { Operation::Fetch },
                url: self.repository.url.clone(),
                failure: RemoteFailure::Timeout { seconds: timeout.as_secs() },
            })
        })
    }

    fn poll_blocking(
        &self,
        branches: &[BranchName],
        deadline: Instant,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Tips, GitError> {
        let session = match &self.repository.url {
            RepositoryUrl::Http(url) => Some(self.client.session(&self.repository, url, deadline)?),
            RepositoryUrl::Path(_) => None,
        };
        let exchange = Arc::new(Exchange::new(session, deadline, self.repository.timeout, cancelled));
        sync::poll(&self.store, &exchange, branches)
    }

    /// The tip of `branch` that was fetched last, without the network.
    pub fn last_known(&self, branch: &BranchName) -> Result<Option<Revision>, GitError> {
        match self.store.reader().refname_to_id(&format!("refs/heads/{branch}")) {
            Ok(id) => Ok(Some(sync::revision(id))),
            Err(error) if tree::is_absent(&error) => Ok(None),
            Err(error) => {
                self.store.report_damage(error.message().to_owned());
                Err(store::folder_error(&self.store.folder, "read", error.message()))
            }
        }
    }

    /// The files of a commit that was fetched. They are read when asked for.
    pub fn snapshot(&self, revision: &Revision) -> Result<Snapshot, GitError> {
        let root = self.commit(revision, |commit| Ok(commit.tree()?.id()))?;
        let files = Arc::new(CommitTree { store: Arc::clone(&self.store), root });
        Ok(Snapshot { revision: revision.clone(), files })
    }

    /// Author, subject and time of a commit that was fetched.
    pub fn commit_info(&self, revision: &Revision) -> Result<CommitInfo, GitError> {
        self.commit(revision, |commit| {
            let author = commit.author();
            let name = String::from_utf8_lossy(author.name_bytes()).into_owned();
            let address = String::from_utf8_lossy(author.email_bytes()).into_owned();
            let subject = commit.message_bytes().split(|byte| *byte == b'\n').next().unwrap_or_default();
            Ok(CommitInfo {
                revision: revision.clone(),
                author: format!("{name} <{address}>"),
                subject: String::from_utf8_lossy(subject).trim().to_owned(),
                // A time beyond the year 9999 is nonsense, and no reason to fail.
                time: jiff::Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
            })
        })
    }

    fn commit<T>(
        &self,
        revision: &Revision,
        read: impl FnOnce(&git2::Commit<'_>) -> Result<T, git2::Error>,
    ) -> Result<T, GitError> {
        let failed =
            |cause: String| GitError::Commit { revision: revision.clone(), url: self.repository.url.clone(), cause };
        let repository = self.store.reader();
        let id = git2::Oid::from_str(revision.as_str()).map_err(|error| failed(error.message().to_owned()))?;
        let found = repository.find_commit(id).map_err(|error| {
            if tree::is_absent(&error) {
                return failed("it was never fetched, or is on no branch any more".to_owned());
            }
            self.store.report_damage(error.message().to_owned());
            failed(error.message().to_owned())
        })?;
        read(&found).map_err(|error| {
            self.store.report_damage(error.message().to_owned());
            failed(error.message().to_owned())
        })
    }
}

/// Tells the thread behind a poll that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread that may block; its panic is passed on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down and will not poll this again.
            Err(_) => std::future::pending().await,
        },
    }
}
