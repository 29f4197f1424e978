//! What can go wrong between the daemon and a repository.

use std::{io, path::PathBuf};

use crate::{repository::RepositoryUrl, revision::Revision};

/// Something about a repository failed. No variant ever holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Another process uses the mirror's folder.
    #[error("the mirror {} is in use by process {owner}; stop that daemon, or give this one another dataDir", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process id that the lock file names.
        owner: String,
    },
    /// The mirror's folder could not be made, opened or replaced.
    #[error("the mirror {} could not be {operation}: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// `created`, `opened` or `replaced`.
        operation: &'static str,
        /// What the operating system or libgit2 said.
        cause: String,
    },
    /// A file with a credential or certificates could not be used.
    #[error("{what} {} could not be used: {cause}", file.display())]
    Secret {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What the operating system said; never the content.
        cause: io::Error,
    },
    /// The repository could not be asked.
    #[error("{operation} {url} failed: {failure}")]
    Remote {
        /// What was being done, as in `listing the branches of`.
        operation: Operation,
        /// The repository.
        url: RepositoryUrl,
        /// Why.
        failure: RemoteFailure,
    },
    /// The commit is not in the mirror, or cannot be read from it.
    #[error("commit {} could not be read from the mirror of {url}: {cause}", revision.short())]
    Commit {
        /// The commit.
        revision: Revision,
        /// The repository.
        url: RepositoryUrl,
        /// What libgit2 said.
        cause: String,
    },
}

/// What was being asked of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Waiting until an earlier poll of the same mirror ends.
    Wait,
    /// Reading the advertisement of branches.
    List,
    /// Receiving commits.
    Fetch,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wait => "waiting for an earlier poll of",
            Self::List => "listing the branches of",
            Self::Fetch => "fetching from",
        })
    }
}

/// Why a repository gave no answer that could be used, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFailure {
    /// 401 or 403.
    #[error(
        "the server refused the credentials (HTTP {status}); check the credentials files and the account's right to read"
    )]
    Authentication {
        /// The status.
        status: u16,
    },
    /// 404, or no such folder.
    #[error(
        "there is no such repository; check repository.url (some servers also say so when credentials are missing)"
    )]
    NotFound,
    /// The deadline passed.
    #[error("no complete answer within {seconds} s; check the network, or raise repository.timeout")]
    Timeout {
        /// The whole deadline.
        seconds: u64,
    },
    /// The certificate or the handshake was not accepted.
    #[error("the TLS connection was not trusted: {0}; check repository.caFile and the server's certificate")]
    Tls(String),
    /// No connection: refused, unreachable, or the name is unknown.
    #[error("no connection: {0}; check that the server runs and the address is right")]
    Unreachable(String),
    /// A redirect to another host or away from https.
    #[error("the server redirects to {0}, which is not followed; set repository.url to the final address")]
    Redirect(String),
    /// 5xx and 429.
    #[error("the server answered HTTP {status}; the next poll tries again")]
    Server {
        /// The status.
        status: u16,
    },
    /// More bytes than are accepted.
    #[error("the answer is larger than {limit} MiB; keep large files out of this repository")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The answer is not Git's.
    #[error("the answer is not a Git server's: {0}; check repository.url")]
    Protocol(String),
    /// The daemon is stopping, or the poll was given up.
    #[error("it was cancelled")]
    Cancelled,
}
