//! Follows the configuration file and publishes its newest good content.
//!
//! The folder is watched, not the file: an editor replaces the file, and a
//! mounted ConfigMap is replaced by the swap of a symbolic link beside it. A
//! burst of changes is read once, after it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};

use super::{Config, ConfigError};

/// How long a folder must have been quiet before the file is read.
const QUIET: Duration = Duration::from_millis(100);

/// The watched configuration. Dropping it ends the watching.
pub struct Watch {
    /// The newest good configuration. What waits for a restart keeps the value
    /// it was started with, so this is always what is in effect.
    pub config: watch::Receiver<Arc<Config>>,
    /// What became of the newest content of the file.
    pub reload: watch::Receiver<Reload>,
    _watcher: RecommendedWatcher,
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
    /// Follows `file`, whose content was read as `config` when the daemon
    /// started. Needs a tokio runtime.
    pub fn start(file: &Path, config: Config) -> Result<Self, WatchError> {
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let fail = |cause| WatchError { folder: folder.clone(), cause };
        // One slot: a change while another waits to be read adds nothing.
        let (changed, changes) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            let _ = changed.try_send(());
        })
        .map_err(fail)?;
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(fail)?;

        let started = Arc::new(config);
        let (config_to, config) = watch::channel(Arc::clone(&started));
        let (reload_to, reload) = watch::channel(Reload::default());
        let follower = Follower { file: file.to_owned(), text: None, started, config: config_to, reload: reload_to };
        tokio::spawn(follower.run(changes));
        Ok(Self { config, reload, _watcher: watcher })
    }
}

struct Follower {
    file: PathBuf,
    /// What was read last.
    text: Option<String>,
    started: Arc<Config>,
    config: watch::Sender<Arc<Config>>,
    reload: watch::Sender<Reload>,
}

impl Follower {
    /// Ends when the watcher, which holds the other end, is dropped.
    async fn run(mut self, mut changes: mpsc::Receiver<()>) {
        // The file may have changed between its first reading and the watch.
        self.read().await;
        while changes.recv().await.is_some() {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {}
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let file = self.file.clone();
        let Ok(text) = tokio::task::spawn_blocking(move || Config::read(&file)).await else {
            return;
        };
        // The folder holds other files too, and their changes are no news.
        if self.text.is_some() && self.text == text.as_ref().ok().cloned() {
            return;
        }
        self.text = text.as_ref().ok().cloned();
        match text.and_then(|text| Config::parse(&text, &self.file)) {
            Ok(mut config) => {
                let needs_restart = keep_started(&mut config, &self.started);
                let changed = self.config.send_if_modified(|current| {
                    let new = **current != config;
                    if new {
                        *current = Arc::new(config);
                    }
                    new
                });
                // Other files of the folder change too: what is as before is no news.
                self.reload.send_if_modified(|reload| {
                    let news = changed || reload.rejected.is_some() || reload.needs_restart != needs_restart;
                    if news {
                        *reload = Reload { rejected: None, needs_restart };
                    }
                    news
                });
            }
            Err(error) => {
                self.reload.send_if_modified(|reload| {
                    let news = reload.rejected.as_ref().is_none_or(|known| known.to_string() != error.to_string());
                    if news {
                        reload.rejected = Some(Arc::new(error));
                    }
                    news
                });
            }
        }
    }
}

/// Puts back what a running daemon cannot change, and names what that was.
fn keep_started(config: &mut Config, started: &Config) -> Vec<&'static str> {
    let mut waiting = Vec::new();
    if config.listen != started.listen {
        config.listen = started.listen;
        waiting.push("listen");
    }
    if config.data_dir != started.data_dir {
        config.data_dir.clone_from(&started.data_dir);
        waiting.push("dataDir");
    }
    if config.kubernetes != started.kubernetes {
        config.kubernetes.clone_from(&started.kubernetes);
        waiting.push("kubernetes");
    }
    waiting
}
