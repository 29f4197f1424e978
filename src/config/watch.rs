//! Follows the configuration file and publishes its newest good content.
//!
//! The folder is watched, not the file: an editor replaces the file, and a
//! mounted ConfigMap is replaced by the swap of a symbolic link beside it.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;

use super::{Config, ConfigError};

/// The watched configuration. Dropping it ends the watching.
pub struct Watch {
    /// The newest good configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// What became of the newest content of the file.
    pub reload: watch::Receiver<Reload>,
}

/// What became of the newest content of the file.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    /// Why the newest content is not in use; the configuration before it is.
    pub rejected: Option<Arc<ConfigError>>,
    /// Keys whose new value waits for a restart, as in `listen`.
    pub needs_restart: Vec<&'static str>,
}

/// The folder of the configuration cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("changes to {} cannot be noticed: {cause}; check the limit fs.inotify.max_user_watches, or restart after each change", folder.display())]
pub struct WatchError {
    /// The folder.
    pub folder: PathBuf,
    /// What the operating system said.
    pub cause: notify::Error,
}

impl Watch {
    /// Follows `file`, whose content was read as `config`. Needs a tokio runtime.
    pub fn start(file: &std::path::Path, config: Config) -> Result<Self, WatchError> {
        let _ = (file, config);
        todo!()
    }
}
