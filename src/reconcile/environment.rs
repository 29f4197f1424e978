//! The loop of one environment: what Git wants, what the cluster holds, a plan,
//! the plan carried out, the status published.
//!
//! Level-based: each pass compares whole states, so a lost or doubled wake-up and
//! a crash between any two requests are repaired by the next pass. A tip that
//! cannot be used applies nothing; drift is still undone against what was
//! applied before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::OptionFuture;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    board::Board,
    execute::{Execution, Executor},
    facts,
    ledger::Ledger,
    masks::Masks,
    observe::{DryRuns, Observer},
    pace::{Backoff, jittered},
    render::{Renderer, Unusable},
    report,
    repository::{Tip, TipMap},
    watches::Watches,
};
use crate::{
    cluster::{Cluster, InventoryName, StoredInventory, watch::Scope},
    desired::DesiredState,
    difference::Difference,
    environment::Environment,
    git::Mirror,
    live::LiveState,
    plan::{self, ClusterFacts, Plan, Verb},
    resource::ObjectKey,
    revision::Revision,
    status::SyncState,
    telemetry::{Metrics, Stage, SyncResult},
};

/// How long a pass waits for the watches' first lists before it reads by name.
const LIST_LIMIT: Duration = Duration::from_secs(10);
/// How often the verdict's age is renewed while nothing happens.
const FRESHNESS: Duration = Duration::from_secs(15);

/// What all environments share.
#[derive(Clone)]
pub struct Shared {
    /// The API server.
    pub cluster: Cluster,
    /// Its watches.
    pub watches: Watches,
    /// The repository.
    pub mirror: Mirror,
    /// The branches' tips.
    pub tips: watch::Receiver<TipMap>,
    /// Where status goes.
    pub board: Board,
    /// Where events are counted.
    pub metrics: Metrics,
    /// Set when the process ends.
    pub shutdown: CancellationToken,
}

/// Reconciles one environment for ever.
pub struct EnvironmentLoop {
    environment: Environment,
    shared: Shared,
    wake: Arc<Notify>,
    name: InventoryName,
    renderer: Renderer,
    stored: StoredInventory,
    /// `stored` is what the cluster holds; false before the first read and after a failed write.
    loaded: bool,
    known: DryRuns,
    ledger: Ledger,
    backoff: Backoff,
    scopes: BTreeSet<Scope>,
    next_full: Instant,
    /// The tip whose outcome was counted last, so that a refused commit counts once.
    counted: Option<(Revision, SyncResult)>,
    /// The branch as the last pass found it: news of other branches is no reason to look.
    looked_at: Option<Tip>,
    /// The commit that waits to become ready, since when it is known.
    awaiting_ready: Option<Instant>,
    /// What differs although we have just written it; shown, not fought.
    unstable: BTreeMap<ObjectKey, Vec<Difference>>,
    /// Masks every secret seen so far in what is shown or logged.
    masks: Masks,
    /// What the cluster told beside the objects, for the commit it was asked for.
    facts: ClusterFacts,
    facts_for: Option<Revision>,
    /// The uids in the inventory, for the prober.
    uids: Arc<watch::Sender<BTreeSet<String>>>,
}

/// What the pass learnt about the tip.
enum Target {
    /// Nothing is known of the branch yet.
    Unknown,
    /// The environment is not managed at present.
    Detached(String),
    /// The tip, rendered.
    Tip(Arc<DesiredState>, Instant),
    /// The tip cannot be rendered.
    Broken(Revision, String),
    /// What the render needs cannot be read now.
    Unreadable(String),
}

impl EnvironmentLoop {
    /// A loop that has done nothing yet. `wake` asks it to look again; `uids`
    /// takes the uids of what it has applied.
    pub fn new(
        environment: Environment,
        shared: Shared,
        wake: Arc<Notify>,
        uids: Arc<watch::Sender<BTreeSet<String>>>,
    ) -> Self {
        let name = InventoryName {
            environment: environment.name.to_string(),
            namespace: environment.namespace.to_string(),
            release: environment.release.to_string(),
        };
        let renderer = Renderer::new(environment.clone(), shared.cluster.clone(), shared.mirror.clone());
        Self {
            next_full: Instant::now() + jittered(environment.resync),
            environment,
            shared,
            wake,
            name,
            renderer,
            stored: StoredInventory::default(),
            loaded: false,
            known: DryRuns::default(),
            ledger: Ledger::default(),
            backoff: Backoff::default(),
            scopes: BTreeSet::new(),
            counted: None,
            looked_at: None,
            awaiting_ready: None,
            unstable: BTreeMap::new(),
            masks: Masks::new(),
            facts: ClusterFacts::default(),
            facts_for: None,
            uids,
        }
    }

    /// Runs until the process ends; the write in hand is finished first.
    pub async fn run(mut self) {
        let name = self.name.environment.clone();
        self.shared.board.environment(&name, |status| report::describe(status, &self.environment));
        self.shared.watches.register(&name, &self.name.namespace, Arc::clone(&self.wake));
        let mut tips = self.shared.tips.clone();
        let mut retry: Option<Instant> = None;
        loop {
            if self.shared.shutdown.is_cancelled() {
                break;
            }
            let settled = self.pass().await;
            retry = if settled {
                self.backoff.reset();
                None
            } else {
                Some(retry.filter(|at| *at > Instant::now()).unwrap_or_else(|| Instant::now() + self.backoff.next()))
            };
            if !self.wait(&mut tips, retry).await {
                break;
            }
        }
        self.shared.watches.unregister(&name);
    }

    /// Waits for a reason to look again; false when the process ends.
    async fn wait(&mut self, tips: &mut watch::Receiver<TipMap>, retry: Option<Instant>) -> bool {
        loop {
            let full = self.next_full;
            let retry_at = retry.unwrap_or(full).min(full);
            let fresh_at = Instant::now() + FRESHNESS;
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return false,
                changed = tips.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    if tips.borrow().get(&self.environment.branch) == self.looked_at.as_ref() {
                        continue;
                    }
                }
                () = self.wake.notified() => {}
                () = sleep_until(retry_at.into()) => {
                    if Instant::now() >= self.next_full {
                        self.known.clear();
                        self.renderer.forget();
                        self.next_full = Instant::now() + jittered(self.environment.resync);
                    }
                }
                () = sleep_until(fresh_at.into()) => {
                    self.refresh_comparison();
                    continue;
                }
            }
            return true;
        }
    }

    /// The verdict holds as long as every watch is open: nothing happened unseen.
    fn refresh_comparison(&self) {
        if self.shared.watches.connected(&self.scopes) {
            self.shared.board.environment(&self.name.environment, |status| {
                if status.last_comparison.is_some() {
                    status.last_comparison = Some(Timestamp::now());
                }
            });
        }
    }

    /// One pass; true when there is nothing left to try again.
    async fn pass(&mut self) -> bool {
        if let Err(message) = self.load_inventory().await {
            self.fail("inventory", message);
            return false;
        }
        match self.target().await {
            Target::Unknown => false,
            Target::Detached(message) => {
                warn!(environment = %self.name.environment, reason = %message, "detached");
                self.set_sync(SyncState::Detached { message });
                true
            }
            Target::Broken(revision, message) => {
                self.count(&revision, SyncResult::Failure);
                self.fail("render", message);
                self.heal_base().await
            }
            Target::Unreadable(message) => {
                self.fail("render", message);
                false
            }
            Target::Tip(desired, seen) => self.follow(desired, seen).await,
        }
    }

    async fn load_inventory(&mut self) -> Result<(), String> {
        if !self.loaded {
            let salt = format!("{:032x}", rand::random::<u128>());
            self.stored =
                self.shared.cluster.load_inventory(&self.name, salt).await.map_err(|error| error.to_string())?;
            self.loaded = true;
        }
        Ok(())
    }

    async fn target(&mut self) -> Target {
        let tip = self.shared.tips.borrow().get(&self.environment.branch).cloned();
        self.looked_at.clone_from(&tip);
        let (revision, seen) = match tip {
            None => return Target::Unknown,
            Some(Tip::Missing) => return Target::Detached(report::missing_branch(&self.environment)),
            Some(Tip::At { revision, seen }) => (revision, seen),
        };
        self.shared.board.environment(&self.name.environment, |status| {
            if status.tip.as_ref().is_none_or(|known| known.revision != revision) {
                status.tip = Some(report::commit(&self.shared.mirror, &revision));
            }
        });
        let started = Instant::now();
        let new = self.facts_for.as_ref() != Some(&revision);
        let asked = OptionFuture::from(new.then(|| facts::of_cluster(&self.shared.cluster, &self.name.namespace)));
        let (rendered, facts) = tokio::join!(self.renderer.render(&revision), asked);
        self.shared.metrics.stage(Stage::Render, started.elapsed());
        if let Some(facts) = facts {
            (self.facts, self.facts_for) = (facts, Some(revision.clone()));
        }
        match rendered {
            Ok(desired) => Target::Tip(desired, seen),
            Err(Unusable::Detached(message)) => Target::Detached(message),
            Err(Unusable::Broken(message)) => Target::Broken(revision, message),
            Err(Unusable::Transient(message)) => Target::Unreadable(message),
        }
    }

    /// Brings the cluster to `desired`, the tip.
    async fn follow(&mut self, desired: Arc<DesiredState>, seen: Instant) -> bool {
        let (live, plan) = self.compare(&desired).await;
        let inventory = &self.stored.inventory;
        let applied = inventory.applied.as_ref() == Some(&desired.revision) && inventory.applying.is_none();
        if applied {
            return self.heal(&desired, &live, &plan).await;
        }
        if plan.refusals().next().is_some() {
            self.count(&desired.revision, SyncResult::Refused);
            self.set_sync(SyncState::Refused { refusals: report::refusals(&plan) });
            self.publish(&desired, &live, &plan, true);
            return self.heal_base().await;
        }
        if let Some(reason) = report::waiting(&plan) {
            self.set_sync(SyncState::Failed { stage: "observe".to_owned(), message: reason });
            self.publish(&desired, &live, &plan, false);
            return false;
        }
        self.apply(&desired, &plan, seen).await
    }

    async fn apply(&mut self, desired: &Arc<DesiredState>, plan: &Plan, seen: Instant) -> bool {
        let started = Instant::now();
        self.set_sync(SyncState::Syncing);
        self.note_drift(plan);
        let execution = self.execute(plan, desired, true).await;
        self.shared.metrics.stage(Stage::Apply, started.elapsed());
        let complete = match execution {
            Ok(execution) => self.conclude(desired, &execution),
            Err(message) => {
                self.loaded = false;
                self.fail("apply", message);
                false
            }
        };
        if complete {
            self.count(&desired.revision, SyncResult::Success);
            self.awaiting_ready = Some(seen);
            let took = started.elapsed();
            info!(environment = %self.name.environment, revision = %desired.revision, took_ms = took.as_millis(), "synced");
            let commit = report::commit(&self.shared.mirror, &desired.revision);
            self.shared.board.environment(&self.name.environment, |status| {
                status.applied = Some(commit);
                status.last_sync = Some(Timestamp::now());
                status.last_sync_seconds = Some(took.as_secs_f64());
            });
            // The answers of the writes are the new comparison: no request is needed.
            let (live, plan) = self.compare(desired).await;
            self.publish(desired, &live, &plan, true);
        } else {
            self.counted = None;
            self.count(&desired.revision, SyncResult::Failure);
        }
        complete
    }

    fn conclude(&mut self, desired: &DesiredState, execution: &Execution) -> bool {
        self.note_unstable(execution);
        if execution.is_complete() {
            self.set_sync(SyncState::Synced);
            return true;
        }
        let message = execution.explanation();
        warn!(environment = %self.name.environment, revision = %desired.revision, reason = %message, "partly applied");
        self.set_sync(SyncState::Partial { message });
        if execution.conflict {
            self.wake.notify_one();
        }
        false
    }

    /// Undoes drift against what was applied, when the tip cannot be used.
    async fn heal_base(&mut self) -> bool {
        let inventory = &self.stored.inventory;
        let Some(base) = inventory.applying.clone().or_else(|| inventory.applied.clone()) else { return true };
        let desired = match self.renderer.render(&base).await {
            Ok(desired) => desired,
            Err(Unusable::Broken(message) | Unusable::Detached(message) | Unusable::Transient(message)) => {
                warn!(environment = %self.name.environment, revision = %base.short(), reason = %message, "drift cannot be undone: the applied commit cannot be rendered");
                return true;
            }
        };
        let (live, plan) = self.compare(&desired).await;
        self.heal(&desired, &live, &plan).await
    }

    /// Undoes drift as the policy allows. `desired` is what is applied (or half applied).
    async fn heal(&mut self, desired: &Arc<DesiredState>, live: &LiveState, plan: &Plan) -> bool {
        self.note_drift(plan);
        let at_tip = self.at_tip(&desired.revision);
        if at_tip {
            self.set_sync(SyncState::Synced);
        }
        if !plan.writes() {
            self.publish(desired, live, plan, at_tip);
            self.note_applied(desired);
            return report::waiting(plan).is_none();
        }
        let execution = match self.execute(plan, desired, false).await {
            Ok(execution) => execution,
            Err(message) => {
                self.loaded = false;
                self.fail("apply", message);
                return false;
            }
        };
        for (key, verb) in &execution.written {
            if matches!(verb, Verb::Create | Verb::Update | Verb::Adopt) && self.ledger.corrected(key) {
                self.shared.metrics.drift_corrected(&self.name.environment);
            }
        }
        self.note_unstable(&execution);
        if execution.conflict {
            self.wake.notify_one();
        }
        let (live, plan) = self.compare(desired).await;
        self.publish(desired, &live, &plan, at_tip);
        self.note_applied(desired);
        execution.is_complete()
    }

    fn note_applied(&self, desired: &DesiredState) {
        self.shared.board.environment(&self.name.environment, |status| {
            if status.applied.as_ref().is_none_or(|known| known.revision != desired.revision) {
                status.applied = Some(report::commit(&self.shared.mirror, &desired.revision));
            }
        });
    }

    fn at_tip(&self, revision: &Revision) -> bool {
        let tips = self.shared.tips.borrow();
        matches!(tips.get(&self.environment.branch), Some(Tip::At { revision: tip, .. }) if tip == revision)
    }

    /// Observes and plans.
    async fn compare(&mut self, desired: &Arc<DesiredState>) -> (LiveState, Plan) {
        self.watch_kinds(desired).await;
        let started = Instant::now();
        let observer = Observer {
            cluster: &self.shared.cluster,
            watches: &self.shared.watches,
            environment: &self.name.environment,
            salt: self.stored.salt.as_bytes(),
        };
        let live = observer.observe(desired, &self.stored.inventory, &mut self.known).await;
        self.shared.metrics.stage(Stage::Observe, started.elapsed());
        let started = Instant::now();
        self.refresh_masks(desired);
        let policy = plan::Policy {
            environment: self.name.environment.clone(),
            drift: self.environment.drift,
            prune: self.environment.prune,
            throw_away: self.environment.throw_away,
        };
        let redis = facts::of_redis(self.shared.watches.store(), &self.shared.board, &self.name.environment);
        let plan = plan::plan(&plan::Inputs {
            policy: &policy,
            desired,
            live: &live,
            inventory: &self.stored.inventory,
            unstable: &self.unstable,
            salt: self.stored.salt.as_bytes(),
            cluster: &self.facts,
            redis: &redis,
            redactor: self.masks.redactor(),
        });
        self.shared.metrics.stage(Stage::Plan, started.elapsed());
        (live, plan)
    }

    async fn watch_kinds(&mut self, desired: &DesiredState) {
        let watches = &self.shared.watches;
        let mut scopes: BTreeSet<Scope> =
            desired.manifests.iter().map(|m| watches.scope_of(&m.api_version, &m.key.kind, &m.key.namespace)).collect();
        scopes.extend(report::pod_names(desired).into_iter().map(|name| watches.pods_of(&name, &self.name.namespace)));
        if scopes != self.scopes {
            watches.ensure(scopes.iter().cloned());
            self.scopes = scopes;
        }
        if !watches.listed(&self.scopes, LIST_LIMIT).await {
            warn!(environment = %self.name.environment, "some watches are not open yet; objects are read by name");
        }
    }

    async fn execute(&mut self, plan: &Plan, desired: &DesiredState, commit: bool) -> Result<Execution, String> {
        let executor = Executor {
            cluster: &self.shared.cluster,
            watches: &self.shared.watches,
            name: &self.name,
            shutdown: &self.shared.shutdown,
            redactor: self.masks.redactor(),
        };
        let outcome = if commit {
            executor.commit(plan, desired, &mut self.stored, &mut self.known).await
        } else {
            executor.heal(plan, desired, &mut self.stored, &mut self.known).await
        };
        outcome.map_err(|error| self.masks.redactor().text(&error.to_string()))
    }

    /// Counts and records drift that was not there before.
    fn note_drift(&mut self, plan: &Plan) {
        for (class, fields) in self.ledger.update(plan, Timestamp::now()) {
            self.shared.metrics.drift_detected(&self.name.environment, class, fields);
        }
    }

    fn publish(&mut self, desired: &DesiredState, live: &LiveState, plan: &Plan, compared: bool) {
        self.note_drift(plan);
        let objects = report::objects(desired, live, plan);
        let ready = report::is_ready(&objects);
        let uids = self.stored.inventory.entries.values().filter_map(|entry| entry.uid.clone()).collect();
        self.uids.send_if_modified(|known| {
            *known != uids && {
                *known = uids;
                true
            }
        });
        let warnings = report::warnings(desired, plan);
        self.shared.board.environment(&self.name.environment, |status| {
            status.objects = objects;
            status.ready = ready;
            status.warnings = warnings;
            status.drift_first_seen = self.ledger.first_seen();
            status.recent_drift = self.ledger.recent();
            if compared {
                status.last_comparison = Some(Timestamp::now());
            }
        });
        if ready && let Some(seen) = self.awaiting_ready.take() {
            self.shared.metrics.commit_to_ready(seen.elapsed());
        }
    }

    fn refresh_masks(&mut self, desired: &DesiredState) {
        let (store, namespace) = (self.shared.watches.store(), &self.name.namespace);
        if let Err(error) = self.masks.refresh(desired, store, namespace, &self.stored.salt) {
            warn!(environment = %self.name.environment, reason = %error, "secrets cannot be masked");
        }
    }

    fn note_unstable(&mut self, execution: &Execution) {
        for (key, differences) in &execution.unstable {
            if differences.is_empty() {
                self.unstable.remove(key);
            } else if self.unstable.insert(key.clone(), differences.clone()).as_ref() != Some(differences) {
                let fields: Vec<&str> = differences.iter().map(|d| d.path.as_str()).collect();
                warn!(environment = %self.name.environment, object = %key, fields = %fields.join(", "), "admission changes these fields after every write; they are shown and not written again");
            }
        }
    }

    fn fail(&self, stage: &str, message: String) {
        let message = self.masks.redactor().text(&message);
        warn!(environment = %self.name.environment, stage, reason = %message, "failed");
        self.set_sync(SyncState::Failed { stage: stage.to_owned(), message });
    }

    fn set_sync(&self, sync: SyncState) {
        self.shared.board.environment(&self.name.environment, |status| status.sync = sync);
    }

    /// Counts the outcome of a tip once, however often it is tried.
    fn count(&mut self, revision: &Revision, result: SyncResult) {
        let outcome = Some((revision.clone(), result));
        if self.counted != outcome {
            self.shared.metrics.sync_finished(&self.name.environment, result);
            self.counted = outcome;
        }
    }
}
