//! Follows one repository for all its environments: one poll per tick, however
//! many branches share it; a failed poll leaves the last tips in place.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::{Duration, sleep},
};
use tracing::{info, warn};

use super::{board::Board, pace::jittered};
use crate::{
    environment::BranchName,
    git::{BranchTip, Mirror, Tips},
    revision::Revision,
    telemetry::{FetchResult, Metrics},
};

/// A branch as the newest poll saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tip {
    /// The repository has no such branch.
    Missing,
    /// The newest commit the mirror has; the repository has not answered since
    /// the start. The mirror may be long behind.
    Remembered {
        /// The commit.
        revision: Revision,
    },
    /// Its newest commit, and when it was first seen.
    At {
        /// The commit.
        revision: Revision,
        /// When a poll first showed it.
        seen: Instant,
    },
}

/// The tips of all branches; empty until something is known.
pub type TipMap = Arc<BTreeMap<BranchName, Tip>>;

/// Polls a mirror and publishes tips.
pub struct RepositoryLoop {
    /// The mirror.
    pub mirror: Mirror,
    /// The branches that environments follow.
    pub branches: Vec<BranchName>,
    /// Asks for a poll at once.
    pub nudge: Arc<Notify>,
    /// Where the tips go.
    pub tips: Arc<watch::Sender<TipMap>>,
    /// Where the repository's state goes.
    pub board: Board,
    /// Where polls are counted.
    pub metrics: Metrics,
}

impl RepositoryLoop {
    /// Runs for ever.
    pub async fn run(self) {
        self.start_from_mirror();
        loop {
            self.poll().await;
            let pause = jittered(self.mirror.repository().interval);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    /// Until the server says more, the mirror's commits are what is known. Tips that
    /// a poll has shown stay.
    fn start_from_mirror(&self) {
        let mut known = (**self.tips.borrow()).clone();
        known.retain(|branch, _| self.branches.contains(branch));
        for branch in self.branches.iter().filter(|branch| !known.contains_key(branch)).collect::<Vec<_>>() {
            if let Ok(Some(revision)) = self.mirror.last_known(branch) {
                known.insert(branch.clone(), Tip::Remembered { revision });
            }
        }
        self.tips.send_replace(Arc::new(known));
    }

    async fn poll(&self) {
        let url = self.mirror.repository().url.to_string();
        let started = Instant::now();
        let outcome = self.mirror.poll(&self.branches).await;
        let took = started.elapsed();
        match outcome {
            Ok(tips) => {
                self.metrics.git_fetch(&url, FetchResult::Success, took);
                self.publish(&url, &tips, took);
                self.board.repository(&url, |repository| {
                    repository.last_success = Some(Timestamp::now());
                    repository.error = None;
                    repository.consecutive_failures = 0;
                });
            }
            Err(error) => {
                self.metrics.git_fetch(&url, FetchResult::Failure, took);
                warn!(repository = %url, reason = %error, "git poll failed; the last commits stay in force");
                self.board.repository(&url, |repository| {
                    repository.error = Some(error.to_string());
                    repository.consecutive_failures += 1;
                });
            }
        }
    }

    fn publish(&self, url: &str, tips: &Tips, took: Duration) {
        if let Some(rebuilt) = &tips.rebuilt {
            warn!(repository = %url, reason = ?rebuilt, "the mirror was built anew");
        }
        let before = Arc::clone(&self.tips.borrow());
        let mut now = BTreeMap::new();
        for (branch, tip) in &tips.branches {
            let tip = match tip {
                BranchTip::Missing => Tip::Missing,
                BranchTip::At { revision, rewound } => {
                    if *rewound {
                        warn!(repository = %url, %branch, %revision, "the branch was force-pushed; its new tip is followed");
                    }
                    match before.get(branch) {
                        Some(known @ Tip::At { revision: old, .. }) if old == revision => known.clone(),
                        Some(Tip::Remembered { revision: old }) if old == revision => {
                            Tip::At { revision: revision.clone(), seen: Instant::now() }
                        }
                        _ => {
                            info!(repository = %url, %branch, %revision, took_ms = took.as_millis(), "new commit");
                            Tip::At { revision: revision.clone(), seen: Instant::now() }
                        }
                    }
                }
            };
            now.insert(branch.clone(), tip);
        }
        self.tips.send_if_modified(|tips| {
            let changed = **tips != now;
            if changed {
                *tips = Arc::new(now);
            }
            changed
        });
    }
}
