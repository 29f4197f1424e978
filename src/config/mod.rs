//! The configuration file: one YAML document, read into types, with every
//! mistake reported at its line and column together with what was expected.
//!
//! A [`Config`] is valid as a whole: defaults are merged into each environment,
//! names are unique. [`watch`] keeps a running daemon on the newest good file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{environment::Environment, repository::Repository};

mod decode;
pub mod duration;
mod error;
mod instructions;
mod node;
mod read;
mod watch;

pub use error::{ConfigError, Problem};
pub use instructions::Instructions;
pub use watch::{Reload, Watch, WatchError};

/// Everything the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The repository all environments are read from.
    pub repository: Repository,
    /// Where metrics, health, the API and the page listen.
    pub listen: SocketAddr,
    /// The folder for the mirror and other state that can be rebuilt.
    pub data_dir: PathBuf,
    /// How to reach the cluster.
    pub kubernetes: Kubernetes,
    /// How Redis is asked for its health.
    pub probe: Probe,
    /// The environments in the order of the file; at least one.
    pub environments: Vec<Environment>,
}

/// How to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// A kubeconfig file; otherwise `KUBECONFIG`, the home folder's, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; otherwise its current one.
    pub context: Option<String>,
    /// How far watches reach.
    pub scope: Scope,
}

/// How far the daemon's rights and watches reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One watch per kind for the whole cluster.
    Cluster,
    /// One watch per kind and target namespace.
    Namespaced,
}

/// How Redis is asked for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How a pod is reached.
    pub connect: Connect,
    /// The time between two questions.
    pub interval: Duration,
}

/// How a pod is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// By its address.
    Direct,
    /// Through the API server.
    PortForward,
}

impl Config {
    /// Reads and checks the file at `file`. All mistakes are reported together.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::parse(&Self::read(file)?, file)
    }

    fn read(file: &Path) -> Result<String, ConfigError> {
        fs::read_to_string(file).map_err(|cause| ConfigError::Read { file: file.to_owned(), cause })
    }

    /// Reads `text` as the content of `file`, which is named in problems and
    /// from whose folder relative paths start.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        read::config(text, file).map_err(|problems| ConfigError::Invalid { problems })
    }
}
