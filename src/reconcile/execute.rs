//! Carries a plan out, write by write, and keeps the inventory true meanwhile.
//!
//! The inventory is written as a superset before the first write of a commit and
//! shrunk after the last, so a crash in between leaves nothing unnamed and the
//! next pass finishes it. Nothing is decided here.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{observe::DryRuns, watches::Watches};
use crate::{
    cluster::{Cluster, ClusterError, InventoryName, Mode, StoredInventory},
    desired::DesiredState,
    diff::{self, Redactor},
    difference::{Difference, DriftClass},
    environment::DriftPolicy,
    ignore::IgnoreRule,
    inventory::Entry,
    plan::{self, Action, Cause, Plan, Verb},
    resource::{Manifest, ObjectKey},
};

/// What came of a plan.
#[derive(Debug, Default)]
pub(super) struct Execution {
    /// Objects that were written, with the verb.
    pub written: Vec<(ObjectKey, Verb)>,
    /// Objects whose write failed, and why.
    pub failed: Vec<(ObjectKey, String)>,
    /// Something changed meanwhile: one fresh pass is due at once.
    pub conflict: bool,
    /// The rest was not begun, and why.
    pub stopped: Option<Stopped>,
    /// What still differs right after our own write: admission changes it, and
    /// another write would not help.
    pub unstable: BTreeMap<ObjectKey, Vec<Difference>>,
}

/// Why an execution ended before its plan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The process or the environment is ending.
    Shutdown,
    /// The time for one apply is over.
    Overdue(Duration),
}

impl Execution {
    /// Whether everything the plan asked for is done.
    pub(super) fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.conflict && self.stopped.is_none()
    }

    /// For a person: what is not done.
    pub(super) fn explanation(&self) -> String {
        let mut text: Vec<String> = self.failed.iter().map(|(key, why)| format!("{key}: {why}")).collect();
        if self.conflict {
            text.push("an object changed during the apply; a fresh look follows".to_owned());
        }
        match self.stopped {
            None => {}
            Some(Stopped::Shutdown) => text.push("the daemon is stopping; it resumes after its start".to_owned()),
            Some(Stopped::Overdue(limit)) => {
                text.push(format!("it took longer than timeouts.apply, {} s; the rest follows", limit.as_secs_f32()))
            }
        }
        text.join("; ")
    }
}

/// Writes of one environment.
pub(super) struct Executor<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// Told of our own writes.
    pub watches: &'a Watches,
    /// Which inventory.
    pub name: &'a InventoryName,
    /// Set when the process ends: the write in hand is finished, no other begun.
    pub shutdown: &'a CancellationToken,
    /// After this time no further write is begun.
    pub limit: Duration,
    /// Under `alert`, a write leaves what Git does not state.
    pub drift: DriftPolicy,
    /// Fields that others may set.
    pub ignore: &'a [IgnoreRule],
    /// Masks the secrets of the pass.
    pub redactor: &'a Redactor,
}

impl Executor<'_> {
    /// Applies a commit: every write of `plan`, then the inventory without what was
    /// pruned. Only a complete execution makes the commit the applied one.
    pub(super) async fn commit(
        &self,
        plan: &Plan,
        desired: &DesiredState,
        stored: &mut StoredInventory,
        known: &mut DryRuns,
    ) -> Result<Execution, ClusterError> {
        if self.made_own_namespace(plan, desired).await? {
            return Ok(Execution { conflict: true, ..Execution::default() });
        }
        self.announce(plan, desired, stored).await?;
        let execution = self.carry_out(plan, desired, stored, known).await;
        if execution.is_complete() {
            stored.inventory.applied = Some(desired.revision.clone());
            stored.inventory.applying = None;
        }
        self.cluster.save_inventory(self.name, stored).await?;
        Ok(execution)
    }

    /// Undoes drift against a commit that is already applied; `plan` is the
    /// [healing](Plan::healing) part of one. The inventory is written only when a
    /// write changed what it holds.
    pub(super) async fn heal(
        &self,
        plan: &Plan,
        desired: &DesiredState,
        stored: &mut StoredInventory,
        known: &mut DryRuns,
    ) -> Result<Execution, ClusterError> {
        let before = stored.inventory.clone();
        if plan.actions.iter().any(|action| matches!(action.verb, Verb::Create | Verb::Adopt)) {
            self.announce(plan, desired, stored).await?;
        }
        let execution = self.carry_out(plan, desired, stored, known).await;
        if execution.is_complete() {
            stored.inventory.applying.clone_from(&before.applying);
        }
        if stored.inventory != before {
            self.cluster.save_inventory(self.name, stored).await?;
        }
        Ok(execution)
    }

    /// Makes the namespace that holds the inventory, when Git states it and it is
    /// not there: nothing can be named, or tried by a dry-run, before it is.
    async fn made_own_namespace(&self, plan: &Plan, desired: &DesiredState) -> Result<bool, ClusterError> {
        let own = plan.actions.iter().find(|action| {
            action.verb == Verb::Create
                && action.key.kind == "Namespace"
                && action.key.group.is_empty()
                && action.key.name == self.name.namespace
        });
        let Some(manifest) = own.and_then(|action| desired.get(&action.key)) else { return Ok(false) };
        let kind = self.cluster.kind(&manifest.api_version, &manifest.key.kind).await?;
        self.cluster.apply(&kind, manifest, None, Mode::Write).await?;
        Ok(true)
    }

    /// Names everything that is about to exist. A commit that only confirms what is
    /// there needs no announcement: its one inventory write follows at the end.
    async fn announce(
        &self,
        plan: &Plan,
        desired: &DesiredState,
        stored: &mut StoredInventory,
    ) -> Result<(), ClusterError> {
        if !plan.writes() {
            return Ok(());
        }
        stored.inventory.applying = Some(desired.revision.clone());
        for action in &plan.actions {
            let Some(manifest) = desired.get(&action.key) else { continue };
            let unknown = Entry { api_version: manifest.api_version.clone(), uid: None, digest: None, revision: None };
            let entry = stored.inventory.entries.entry(action.key.clone()).or_insert(unknown);
            if matches!(action.verb, Verb::Create | Verb::Adopt) {
                // It may be another object soon: were we killed then, the next life
                // must not take it for finished.
                entry.digest = None;
            }
        }
        self.cluster.save_inventory(self.name, stored).await
    }

    async fn carry_out(
        &self,
        plan: &Plan,
        desired: &DesiredState,
        stored: &mut StoredInventory,
        known: &mut DryRuns,
    ) -> Execution {
        let mut execution = Execution::default();
        let mut failed_stage = None;
        let begun = Instant::now();
        for action in &plan.actions {
            let stage = stage(action);
            if failed_stage.is_some_and(|failed| failed < stage) {
                continue;
            }
            if action.verb.writes() {
                execution.stopped = if self.shutdown.is_cancelled() {
                    Some(Stopped::Shutdown)
                } else {
                    // The first write is begun in any case, so that each try gets further.
                    let overdue = !execution.written.is_empty() && begun.elapsed() > self.limit;
                    overdue.then_some(Stopped::Overdue(self.limit))
                };
                if execution.stopped.is_some() {
                    break;
                }
            }
            match self.one(action, desired, stored, known).await {
                Ok(Some(remaining)) => {
                    info!(
                        environment = %self.name.environment, revision = %plan.revision.short(), object = %action.key,
                        action = action.verb.as_str(), reason = ?action.cause, "done"
                    );
                    execution.written.push((action.key.clone(), action.verb.clone()));
                    execution.unstable.insert(action.key.clone(), remaining);
                }
                Ok(None) => {}
                Err(ClusterError::Conflict { operation, message }) => {
                    info!(environment = %self.name.environment, object = %action.key, reason = %self.redactor.text(&message), "{operation}: changed meanwhile");
                    execution.conflict = true;
                    failed_stage = failed_stage.or(Some(stage));
                }
                Err(error) => {
                    let why = self.redactor.text(&error.to_string());
                    warn!(environment = %self.name.environment, object = %action.key, reason = %why, "not done");
                    execution.failed.push((action.key.clone(), why));
                    failed_stage = failed_stage.or(Some(stage));
                }
            }
        }
        execution
    }

    /// One action; `Some` when it wrote, with what differs even so.
    async fn one(
        &self,
        action: &Action,
        desired: &DesiredState,
        stored: &mut StoredInventory,
        known: &mut DryRuns,
    ) -> Result<Option<Vec<Difference>>, ClusterError> {
        match &action.verb {
            Verb::Create | Verb::Adopt | Verb::Update => {
                let Some(manifest) = desired.get(&action.key) else { return Ok(None) };
                self.apply(action, manifest, desired, stored, known).await.map(Some)
            }
            Verb::Delete => {
                self.delete(action, stored).await?;
                Ok(Some(Vec::new()))
            }
            Verb::Detach => {
                stored.inventory.entries.remove(&action.key);
                Ok(None)
            }
            Verb::Unchanged => {
                // Under `alert` it may be unchanged without being ours, unless Git asks for it.
                let ours = matches!(action.cause, Cause::Commit | Cause::CommitOverDrift)
                    || self.drift == DriftPolicy::Correct;
                if let Some(manifest) = desired.get(&action.key).filter(|_| ours) {
                    let entry = entry(manifest, action.precondition.uid.clone(), desired, stored);
                    let known = stored.inventory.entries.get(&action.key);
                    if known.is_none_or(|known| known.digest != entry.digest || known.uid != entry.uid) {
                        stored.inventory.entries.insert(action.key.clone(), entry);
                    }
                }
                Ok(None)
            }
            Verb::Report | Verb::Wait { .. } | Verb::Refused(_) => Ok(None),
        }
    }

    async fn apply(
        &self,
        action: &Action,
        manifest: &Manifest,
        desired: &DesiredState,
        stored: &mut StoredInventory,
        known: &mut DryRuns,
    ) -> Result<Vec<Difference>, ClusterError> {
        let kind = self.cluster.kind(&manifest.api_version, &manifest.key.kind).await?;
        if let Some(managed_fields) = &action.take_over {
            let seen = serde_json::json!({"metadata": {
                "uid": action.precondition.uid, "resourceVersion": action.precondition.resource_version,
            }});
            self.cluster.take_over(&kind, &action.key, &seen, managed_fields).await?;
        }
        let stated = action.stated.as_ref().unwrap_or(manifest);
        let result = self.cluster.apply(&kind, stated, action.precondition.uid.as_deref(), Mode::Write).await?;
        let uid = result.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        let entry = entry(manifest, uid, desired, stored);
        stored.inventory.entries.insert(action.key.clone(), entry);
        known.note_applied(stated, &result, stored.salt.as_bytes());
        let spared = diff::spare(manifest, &result, self.ignore);
        let seen = spared.as_ref().map_or(&result, |spared| &spared.live);
        let mut remaining = diff::compare(stated, seen, &result, self.redactor);
        if self.drift == DriftPolicy::Alert {
            remaining.retain(|difference| !matches!(difference.class, DriftClass::Undeclared | DriftClass::Foreign));
        }
        self.watches.store().put(action.key.clone(), result);
        Ok(remaining)
    }

    async fn delete(&self, action: &Action, stored: &mut StoredInventory) -> Result<(), ClusterError> {
        let Some(entry) = stored.inventory.entries.get(&action.key) else { return Ok(()) };
        let kind = self.cluster.kind(&entry.api_version, &action.key.kind).await?;
        let uid = action.precondition.uid.as_deref().unwrap_or_default();
        let version = action.precondition.resource_version.as_deref().unwrap_or_default();
        self.cluster.delete(&kind, &action.key, uid, version).await?;
        stored.inventory.entries.remove(&action.key);
        Ok(())
    }
}

/// The object as it is now applied.
fn entry(manifest: &Manifest, uid: Option<String>, desired: &DesiredState, stored: &StoredInventory) -> Entry {
    Entry {
        api_version: manifest.api_version.clone(),
        uid,
        digest: Some(diff::digest(&manifest.body, stored.salt.as_bytes())),
        revision: Some(desired.revision.clone()),
    }
}

/// What a failure stops: everything of a later stage. Deletes come after all applies.
fn stage(action: &Action) -> u8 {
    let rank = plan::rank(&action.key.kind);
    if action.verb == Verb::Delete { u8::MAX - rank } else { rank }
}
