//! The loop of one environment: what Git wants, what the cluster holds, a plan,
//! the plan carried out, the status published.
//!
//! Level-based: each pass compares whole states, so a lost or doubled wake-up and
//! a crash between any two requests are repaired by the next pass. A tip that
//! cannot be used applies nothing; drift is still undone against what was
//! applied before.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    compare::{Comparer, Target},
    execute::{Execution, Executor},
    herald::{Findings, Herald},
    pace::{Outcome, Pace, Spacing, jittered},
    render::{Renderer, Unusable},
    report,
    repository::{Tip, TipMap},
    watches::{Interest, Watches},
};
use crate::{
    cluster::{Cluster, InventoryName, StoredInventory},
    desired::DesiredState,
    environment::Environment,
    git::Mirror,
    live::LiveState,
    plan::{Plan, Verb},
    revision::Revision,
    status::SyncState,
    telemetry::{Metrics, Stage, SyncResult},
};

/// How often the verdict's age is renewed while nothing happens.
const FRESHNESS: Duration = Duration::from_secs(15);
/// While something fails, wake-ups are answered no faster than this: what fails
/// must not fail at the rate of events.
const HOLD: Duration = Duration::from_secs(1);

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
    comparer: Comparer,
    herald: Herald,
    stored: StoredInventory,
    /// `stored` is what the cluster holds; false before the first read and after a failed write.
    loaded: bool,
    spacing: Spacing,
    next_full: Instant,
    /// The tip that the newest pass saw.
    tip: Option<Tip>,
}

/// What the pass learnt about the tip.
enum Wanted {
    /// Nothing is known of the branch yet.
    Unknown,
    /// The environment is not managed at present.
    Detached(String),
    /// Only the mirror says so, and it is not what was applied.
    Unconfirmed(Revision),
    /// The tip, rendered, and since when it is known.
    Tip(Arc<DesiredState>, Instant),
    /// The tip cannot be rendered.
    Broken(Revision, String),
    /// What the render needs cannot be read now.
    Unreadable(String),
}

/// A desired state with what a look at the cluster found.
struct Looked {
    desired: Arc<DesiredState>,
    live: LiveState,
    plan: Plan,
    target: Target,
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
        let mirror = shared.mirror.clone();
        Self {
            next_full: Instant::now() + jittered(environment.resync),
            renderer: Renderer::new(environment.clone(), shared.cluster.clone(), mirror.clone()),
            comparer: Comparer::new(environment.clone(), shared.clone()),
            herald: Herald::new(&environment, shared.board.clone(), shared.metrics.clone(), mirror, uids),
            environment,
            shared,
            wake,
            name,
            stored: StoredInventory::default(),
            loaded: false,
            spacing: Spacing::default(),
            tip: None,
        }
    }

    /// Runs until the process ends; the write in hand is finished first.
    pub async fn run(mut self) {
        let (name, namespace) = (self.name.environment.clone(), self.name.namespace.clone());
        self.shared.watches.register(&name, &namespace, Interest::Objects, Arc::clone(&self.wake));
        let mut tips = self.shared.tips.clone();
        let mut pace = Pace::default();
        while !self.shared.shutdown.is_cancelled() {
            let outcome = self.pass().await;
            let due = pace.after(outcome, Instant::now());
            if !self.wait(&mut tips, due).await {
                break;
            }
        }
        self.shared.watches.unregister(&name);
    }

    /// Waits for a reason to look again; false when the process ends.
    async fn wait(&mut self, tips: &mut watch::Receiver<TipMap>, due: Option<Instant>) -> bool {
        let held = due.map(|due| due.min(Instant::now() + HOLD));
        loop {
            let ready = self.herald.ready_due().unwrap_or(self.next_full);
            let due = due.unwrap_or(self.next_full).min(self.next_full).min(ready);
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return false,
                changed = tips.changed() => match changed {
                    Err(_) => return false,
                    Ok(()) if tips.borrow_and_update().get(&self.environment.branch) == self.tip.as_ref() => continue,
                    Ok(()) => {}
                },
                () = async {
                    if let Some(held) = held {
                        sleep_until(held.into()).await;
                    }
                    self.wake.notified().await;
                } => {}
                () = sleep_until(due.into()) => {}
                () = sleep(FRESHNESS) => {
                    if self.comparer.sees_everything() {
                        self.herald.still_holds();
                    }
                    continue;
                }
            }
            if Instant::now() >= self.next_full {
                self.comparer.forget();
                self.renderer.forget();
                self.next_full = Instant::now() + jittered(self.environment.resync);
            }
            return true;
        }
    }

    /// One pass.
    async fn pass(&mut self) -> Outcome {
        self.herald.begin();
        if let Err(message) = self.load_inventory().await {
            self.fail("inventory", &message);
            return Outcome::Later;
        }
        match self.wanted().await {
            Wanted::Unknown => Outcome::Later,
            Wanted::Detached(message) => {
                self.herald.sync(SyncState::Detached { message });
                Outcome::Settled
            }
            Wanted::Unconfirmed(revision) => {
                let message = format!(
                    "the repository has not answered since the start; the newest commit of {} in the mirror, {}, is not the one that is applied here, so nothing is applied before it answers",
                    self.environment.branch,
                    revision.short()
                );
                self.fail("git", &message);
                self.heal_base().await.unwrap_or(Outcome::Settled)
            }
            Wanted::Broken(revision, message) => {
                self.herald.count(&revision, SyncResult::Failure);
                self.fail("render", &message);
                self.heal_base().await.unwrap_or(Outcome::Settled)
            }
            Wanted::Unreadable(message) => {
                self.fail("render", &message);
                Outcome::Later
            }
            Wanted::Tip(desired, seen) => self.follow(desired, seen).await,
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

    async fn wanted(&mut self) -> Wanted {
        self.tip = self.shared.tips.borrow().get(&self.environment.branch).cloned();
        let (revision, seen) = match self.tip.clone() {
            None => return Wanted::Unknown,
            Some(Tip::Missing) => return Wanted::Detached(report::missing_branch(&self.environment)),
            Some(Tip::Remembered { revision }) => (revision, None),
            Some(Tip::At { revision, seen }) => (revision, Some(seen)),
        };
        self.herald.tip(&revision);
        let inventory = &self.stored.inventory;
        let ours = inventory.applying.as_ref().or(inventory.applied.as_ref()) == Some(&revision);
        if seen.is_none() && !ours {
            return Wanted::Unconfirmed(revision);
        }
        let started = Instant::now();
        let (rendered, ()) = tokio::join!(self.renderer.render(&revision), self.comparer.learn(&revision));
        self.shared.metrics.stage(Stage::Render, started.elapsed());
        match rendered {
            Ok(desired) => Wanted::Tip(desired, seen.unwrap_or_else(Instant::now)),
            Err(Unusable::Detached(message)) => Wanted::Detached(message),
            Err(Unusable::Broken(message)) => Wanted::Broken(revision, message),
            Err(Unusable::Transient(message)) => Wanted::Unreadable(message),
        }
    }

    /// Brings the cluster to `desired`, the tip.
    async fn follow(&mut self, desired: Arc<DesiredState>, seen: Instant) -> Outcome {
        let Some(looked) = self.look(&desired, Target::Tip).await else { return Outcome::Later };
        let inventory = &self.stored.inventory;
        let applied = inventory.applied.as_ref() == Some(&desired.revision) && inventory.applying.is_none();
        if applied && !looked.plan.is_pending() {
            self.herald.sync(SyncState::Synced);
            return self.heal(looked).await;
        }
        if looked.plan.refusals().next().is_some() {
            self.herald.count(&desired.revision, SyncResult::Refused);
            self.herald.sync(SyncState::Refused { refusals: report::refusals(&looked.plan) });
            // What refuses may be lifted without a sign: a quota, a right, a storage class.
            self.comparer.forget_facts();
            return match self.heal_base().await {
                Some(outcome) => outcome.or_later(),
                None => {
                    self.publish(&looked, Vec::new());
                    Outcome::Later
                }
            };
        }
        if let Some(reason) = report::waiting(&looked.plan) {
            self.fail("observe", &reason);
            self.publish(&looked, Vec::new());
            return Outcome::Later;
        }
        self.herald.sync(SyncState::Syncing);
        match self.apply(&looked, Some(seen)).await {
            Ok(execution) if execution.is_complete() => {
                self.herald.count(&desired.revision, SyncResult::Success);
                self.herald.sync(SyncState::Synced);
                // The answers of the writes are the new comparison: no request is needed.
                if let Some(looked) = self.look(&desired, Target::Tip).await {
                    self.publish(&looked, Vec::new());
                }
                Outcome::Settled
            }
            Ok(execution) => {
                self.herald.count_attempt(&desired.revision, SyncResult::Failure);
                self.herald.sync(SyncState::Partial { message: execution.explanation() });
                if execution.conflict { Outcome::Again } else { Outcome::Later }
            }
            Err(message) => {
                self.herald.count_attempt(&desired.revision, SyncResult::Failure);
                self.fail("apply", &message);
                Outcome::Later
            }
        }
    }

    /// Carries a whole plan out. `seen` when its commit is the tip.
    async fn apply(&mut self, looked: &Looked, seen: Option<Instant>) -> Result<Execution, String> {
        let started = Instant::now();
        self.herald.drift(&looked.plan);
        let execution = self.execute(looked, &looked.plan, true).await;
        self.shared.metrics.stage(Stage::Apply, started.elapsed());
        let execution = execution?;
        if execution.is_complete() {
            self.herald.applied(&looked.desired.revision, started.elapsed(), seen);
        }
        Ok(execution)
    }

    /// Finishes a commit that is half applied, or undoes drift against the one
    /// that is applied, when the tip cannot be used. `None` when there is neither.
    async fn heal_base(&mut self) -> Option<Outcome> {
        let inventory = &self.stored.inventory;
        let partial = inventory.applying.clone();
        let base = partial.clone().or_else(|| inventory.applied.clone())?;
        let desired = match self.renderer.render(&base).await {
            Ok(desired) => desired,
            Err(Unusable::Broken(message) | Unusable::Detached(message)) => {
                self.herald.warn(&format!("drift is not undone: the applied commit cannot be rendered: {message}"));
                return Some(Outcome::Settled);
            }
            Err(Unusable::Transient(message)) => {
                self.herald.warn(&format!("drift is not undone: the applied commit cannot be read: {message}"));
                return Some(Outcome::Later);
            }
        };
        let Some(looked) = self.look(&desired, Target::Base).await else { return Some(Outcome::Later) };
        let refused = looked.plan.refusals().next().is_some() || report::waiting(&looked.plan).is_some();
        if partial.is_none() || refused {
            return Some(self.heal(looked).await);
        }
        let (outcome, failures) = match self.apply(&looked, None).await {
            Ok(execution) if execution.is_complete() => (Outcome::Settled, Vec::new()),
            Ok(execution) if execution.conflict => (Outcome::Again, Vec::new()),
            Ok(execution) => (Outcome::Later, vec![execution.explanation()]),
            Err(message) => (Outcome::Later, vec![message]),
        };
        if let Some(looked) = self.look(&desired, Target::Base).await {
            self.publish(&looked, failures);
        }
        Some(outcome)
    }

    /// Undoes drift as the policy allows, and nothing else: what is pending waits
    /// for a plan without refusals.
    async fn heal(&mut self, looked: Looked) -> Outcome {
        self.herald.drift(&looked.plan);
        let mut plan = looked.plan.healing();
        let blocked = plan.refusals().next().is_some() || report::waiting(&plan).is_some();
        let now = Instant::now();
        let mut held: Option<Duration> = None;
        plan.actions.retain(|action| {
            let hold = self.spacing.hold(&action.key, now).filter(|_| action.verb.writes());
            held = held.into_iter().chain(hold).min();
            hold.is_none()
        });
        let rest = match held {
            Some(pause) => Outcome::Held(pause),
            None if blocked => Outcome::Later,
            None => Outcome::Settled,
        };
        if !plan.writes() {
            self.publish(&looked, Vec::new());
            return rest;
        }
        let execution = match self.execute(&looked, &plan, false).await {
            Ok(execution) => execution,
            Err(message) => {
                self.publish(&looked, vec![format!("drift is not undone: {message}")]);
                return Outcome::Later;
            }
        };
        for (key, verb) in &execution.written {
            if matches!(verb, Verb::Create | Verb::Update | Verb::Adopt) {
                self.herald.corrected(key);
                self.spacing.corrected(key, now);
            }
        }
        let failed = !execution.is_complete() && !execution.conflict;
        let failures = failed.then(|| format!("drift is not undone: {}", execution.explanation()));
        if let Some(looked) = self.look(&looked.desired, looked.target).await {
            self.herald.drift(&looked.plan);
            self.publish(&looked, failures.into_iter().collect());
        }
        match execution {
            execution if execution.conflict => Outcome::Again,
            execution if execution.is_complete() => rest,
            _ => Outcome::Later,
        }
    }

    /// Compares; `None` (and said) when the findings could not be masked.
    async fn look(&mut self, desired: &Arc<DesiredState>, target: Target) -> Option<Looked> {
        match self.comparer.compare(desired, &self.stored, target).await {
            Ok((live, plan)) => Some(Looked { desired: Arc::clone(desired), live, plan, target }),
            Err(error) => {
                self.fail("observe", &error.to_string());
                None
            }
        }
    }

    async fn execute(&mut self, looked: &Looked, plan: &Plan, commit: bool) -> Result<Execution, String> {
        let redactor = Arc::clone(self.comparer.redactor());
        let executor = Executor {
            cluster: &self.shared.cluster,
            watches: &self.shared.watches,
            name: &self.name,
            shutdown: &self.shared.shutdown,
            limit: self.environment.timeouts.apply,
            drift: self.environment.drift,
            ignore: &self.environment.ignore,
            redactor: &redactor,
        };
        let known = self.comparer.known(looked.target);
        let outcome = if commit {
            executor.commit(plan, &looked.desired, &mut self.stored, known).await
        } else {
            executor.heal(plan, &looked.desired, &mut self.stored, known).await
        };
        match outcome {
            Ok(execution) => {
                self.herald.wrote(plan, &execution);
                self.comparer.note_unstable(&execution);
                Ok(execution)
            }
            Err(error) => {
                self.loaded = false;
                Err(redactor.text(&error.to_string()))
            }
        }
    }

    fn publish(&mut self, looked: &Looked, failures: Vec<String>) {
        self.herald.publish(Findings {
            desired: &looked.desired,
            live: &looked.live,
            plan: &looked.plan,
            inventory: &self.stored.inventory,
            redactor: self.comparer.redactor(),
            complete: self.comparer.sees_everything(),
            failures,
        });
    }

    fn fail(&mut self, stage: &str, message: &str) {
        self.herald.fail(stage, message, self.comparer.redactor());
    }
}
