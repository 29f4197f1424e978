//! Tells what one environment's passes find: status, metrics, one log line per
//! change. Everything that leaves here is masked.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{board::Board, execute::Execution, ledger::Ledger, report};
use crate::{
    desired::DesiredState,
    diff::Redactor,
    environment::Environment,
    git::Mirror,
    inventory::Inventory,
    live::LiveState,
    plan::Plan,
    resource::ObjectKey,
    revision::Revision,
    status::SyncState,
    telemetry::{Metrics, SyncResult},
};

/// One environment's voice.
pub(super) struct Herald {
    name: String,
    board: Board,
    metrics: Metrics,
    mirror: Mirror,
    ledger: Ledger,
    /// The uids in the inventory, for the prober.
    uids: Arc<watch::Sender<BTreeSet<String>>>,
    /// The tip whose outcome was counted last, so that a refused commit counts once.
    counted: Option<(Revision, SyncResult)>,
    /// The commit that waits to become ready, since when it is known.
    awaiting_ready: Option<Instant>,
    ready_limit: Duration,
    /// The problem that was logged last: one that stays is logged once.
    said: Option<SyncState>,
    /// The newest pass compared Git with the cluster.
    compared: bool,
}

/// What a pass found, to be told.
pub(super) struct Findings<'a> {
    pub desired: &'a DesiredState,
    pub live: &'a LiveState,
    pub plan: &'a Plan,
    pub inventory: &'a Inventory,
    pub redactor: &'a Redactor,
    /// The watches saw everything that was compared.
    pub complete: bool,
    /// What could not be done about it.
    pub failures: Vec<String>,
}

impl Herald {
    /// A herald that has told nothing yet. `uids` takes the uids of what is applied.
    pub(super) fn new(
        environment: &Environment,
        board: Board,
        metrics: Metrics,
        mirror: Mirror,
        uids: Arc<watch::Sender<BTreeSet<String>>>,
    ) -> Self {
        Self {
            name: environment.name.to_string(),
            board,
            metrics,
            mirror,
            ledger: Ledger::default(),
            uids,
            counted: None,
            awaiting_ready: None,
            ready_limit: environment.timeouts.ready,
            said: None,
            compared: false,
        }
    }

    /// A pass begins; nothing is compared until it says so.
    pub(super) fn begin(&mut self) {
        self.compared = false;
    }

    /// The branch's newest commit.
    pub(super) fn tip(&self, revision: &Revision) {
        self.board.environment(&self.name, |status| {
            if status.tip.as_ref().is_none_or(|known| known.revision != *revision) {
                status.tip = Some(report::commit(&self.mirror, revision));
            }
        });
    }

    /// Where the environment stands.
    pub(super) fn sync(&mut self, sync: SyncState) {
        match &sync {
            SyncState::Synced => self.said = None,
            SyncState::Unknown | SyncState::Syncing => {}
            problem if self.said.as_ref() == Some(problem) => {}
            problem => {
                let (state, reason) = (problem.as_str(), reason(problem));
                warn!(environment = %self.name, state, %reason, "not synced");
                self.said = Some(sync.clone());
            }
        }
        self.board.environment(&self.name, |status| {
            if status.sync != sync {
                status.sync = sync;
            }
        });
    }

    /// A stage failed.
    pub(super) fn fail(&mut self, stage: &str, message: &str, redactor: &Redactor) {
        self.sync(SyncState::Failed { stage: stage.to_owned(), message: redactor.text(message) });
    }

    /// Something a person should know, beside where the environment stands.
    pub(super) fn warn(&mut self, message: &str) {
        let told = self.board.current();
        let shown =
            told.environments.get(&self.name).is_some_and(|status| status.warnings.iter().any(|w| w == message));
        if !shown {
            warn!(environment = %self.name, reason = %message, "warning");
            self.board.environment(&self.name, |status| status.warnings.insert(0, message.to_owned()));
        }
    }

    /// Counts the outcome of a tip once, however often it is tried.
    pub(super) fn count(&mut self, revision: &Revision, result: SyncResult) {
        let outcome = Some((revision.clone(), result));
        if self.counted != outcome {
            self.metrics.sync_finished(&self.name, result);
            self.counted = outcome;
        }
    }

    /// Counts a failed apply each time.
    pub(super) fn count_attempt(&mut self, revision: &Revision, result: SyncResult) {
        self.counted = None;
        self.count(revision, result);
    }

    /// A commit was applied whole; `seen` when it was the tip, first seen then.
    pub(super) fn applied(&mut self, revision: &Revision, took: Duration, seen: Option<Instant>) {
        info!(environment = %self.name, %revision, took_ms = took.as_millis(), "synced");
        self.awaiting_ready = seen;
        self.board.environment(&self.name, |status| {
            status.last_sync = Some(Timestamp::now());
            status.last_sync_seconds = Some(took.as_secs_f64());
        });
    }

    /// Counts what was written by what it meant to Redis.
    pub(super) fn wrote(&self, plan: &Plan, execution: &Execution) {
        for (key, _) in &execution.written {
            if let Some(action) = plan.actions.iter().find(|action| action.key == *key) {
                self.metrics.changed(&self.name, action.consequence);
            }
        }
    }

    /// An object was written because it had drifted.
    pub(super) fn corrected(&mut self, key: &ObjectKey) {
        if self.ledger.corrected(key) {
            self.metrics.drift_corrected(&self.name);
        }
    }

    /// Counts and records drift that was not there before, with who wrote it.
    pub(super) fn drift(&mut self, plan: &Plan) {
        for (key, difference) in self.ledger.update(plan, Timestamp::now()) {
            self.metrics.drift_detected(&self.name, difference.class, 1);
            info!(
                environment = %self.name, object = %key, field = %difference.path, class = %difference.class,
                live = difference.live.as_ref().map(tracing::field::display),
                desired = difference.desired.as_ref().map(tracing::field::display),
                writer = difference.writer.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string),
                "drift"
            );
        }
    }

    /// Everything a look found.
    pub(super) fn publish(&mut self, found: Findings<'_>) {
        self.compared = true;
        let objects = report::objects(found.desired, found.live, found.plan, found.redactor);
        let ready = report::is_ready(&objects);
        let uids = found.inventory.entries.values().filter_map(|entry| entry.uid.clone()).collect();
        self.uids.send_if_modified(|known| {
            *known != uids && {
                *known = uids;
                true
            }
        });
        let waits = self.awaiting_ready.filter(|_| !ready);
        let late = waits.filter(|seen| seen.elapsed() >= self.ready_limit).map(|_| report::not_ready(self.ready_limit));
        let mut warnings = found.failures;
        warnings.extend(late);
        warnings.extend(report::warnings(found.desired, found.plan));
        let applied = found.inventory.applied.as_ref();
        self.board.environment(&self.name, |status| {
            status.objects = objects;
            status.ready = ready;
            status.warnings = warnings;
            status.drift_first_seen = self.ledger.first_seen();
            status.recent_drift = self.ledger.recent();
            if status.applied.as_ref().map(|known| &known.revision) != applied {
                status.applied = applied.map(|revision| report::commit(&self.mirror, revision));
            }
            if found.complete {
                status.last_comparison = Some(Timestamp::now());
            }
        });
        if ready && let Some(seen) = self.awaiting_ready.take() {
            self.metrics.commit_to_ready(seen.elapsed());
        }
    }

    /// When the commit that waits to become ready is late.
    pub(super) fn ready_due(&self) -> Option<Instant> {
        self.awaiting_ready.map(|seen| seen + self.ready_limit).filter(|due| *due > Instant::now())
    }

    /// The newest verdict still holds: nothing happened unseen.
    pub(super) fn still_holds(&self) {
        if self.compared {
            self.board.environment(&self.name, |status| {
                if status.last_comparison.is_some() {
                    status.last_comparison = Some(Timestamp::now());
                }
            });
        }
    }
}

fn reason(state: &SyncState) -> String {
    match state {
        SyncState::Failed { stage, message } => format!("{stage}: {message}"),
        SyncState::Partial { message } | SyncState::Detached { message } => message.clone(),
        SyncState::Refused { refusals } => {
            let all: Vec<String> =
                refusals.iter().map(|refused| format!("{}: {}", refused.key, refused.refusal)).collect();
            all.join("; ")
        }
        SyncState::Unknown | SyncState::Synced | SyncState::Syncing => String::new(),
    }
}
