//! One look at an environment: what the cluster holds, what was learnt beside
//! it, and the plan that follows. Remembers what spares requests and work, and
//! keeps the redactor of everything that is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use super::{
    environment::Shared,
    execute::Execution,
    facts,
    masks::Masks,
    observe::{DryRuns, Observer},
    report,
};
use crate::{
    cluster::{StoredInventory, watch::Scope},
    desired::DesiredState,
    diff::{Redactor, RedactorError},
    difference::Difference,
    environment::Environment,
    live::LiveState,
    plan::{self, ClusterFacts, Plan},
    resource::ObjectKey,
    revision::Revision,
    telemetry::Stage,
};

/// How long a look waits for the watches' first lists before it reads by name.
const LIST_LIMIT: Duration = Duration::from_secs(10);

/// Which desired state is looked at. Each has its own remembered answers, since
/// both are looked at in turn while the tip cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The branch's tip.
    Tip,
    /// What was applied before.
    Base,
}

/// Compares one environment with its cluster.
pub(super) struct Comparer {
    environment: Environment,
    shared: Shared,
    tip: DryRuns,
    base: DryRuns,
    scopes: BTreeSet<Scope>,
    /// What differs although we have just written it; shown, not fought.
    unstable: BTreeMap<ObjectKey, Vec<Difference>>,
    facts: ClusterFacts,
    facts_for: Option<Revision>,
    /// Masks every secret seen so far in what is shown or logged.
    masks: Masks,
}

impl Comparer {
    /// A comparer that knows nothing.
    pub(super) fn new(environment: Environment, shared: Shared) -> Self {
        Self {
            environment,
            shared,
            tip: DryRuns::default(),
            base: DryRuns::default(),
            scopes: BTreeSet::new(),
            unstable: BTreeMap::new(),
            facts: ClusterFacts::default(),
            facts_for: None,
            masks: Masks::new(),
        }
    }

    /// Forgets every answer: the next look asks anew.
    pub(super) fn forget(&mut self) {
        self.tip.clear();
        self.base.clear();
        self.unstable.clear();
        self.facts_for = None;
    }

    /// Forgets what was learnt beside the objects: a person may have changed it.
    pub(super) fn forget_facts(&mut self) {
        self.facts_for = None;
    }

    /// Learns what a commit's guards need beside the objects, when it is not known.
    pub(super) async fn learn(&mut self, revision: &Revision) {
        if self.facts_for.as_ref() != Some(revision) {
            self.facts = facts::of_cluster(&self.shared.cluster, self.environment.namespace.as_str()).await;
            self.facts_for = Some(revision.clone());
        }
    }

    /// Masks the secrets of the newest look.
    pub(super) fn redactor(&self) -> &Arc<Redactor> {
        self.masks.redactor()
    }

    /// The remembered dry-run answers, for the writes to add theirs.
    pub(super) fn known(&mut self, target: Target) -> &mut DryRuns {
        match target {
            Target::Tip => &mut self.tip,
            Target::Base => &mut self.base,
        }
    }

    /// Whether nothing can have happened unseen since the last look.
    pub(super) fn sees_everything(&self) -> bool {
        self.shared.watches.connected(&self.scopes)
    }

    /// Observes and plans. Fails when secrets could not be masked.
    pub(super) async fn compare(
        &mut self,
        desired: &Arc<DesiredState>,
        stored: &StoredInventory,
        target: Target,
    ) -> Result<(LiveState, Plan), RedactorError> {
        self.watch_kinds(desired, stored).await;
        let started = Instant::now();
        let observer = Observer {
            cluster: &self.shared.cluster,
            watches: &self.shared.watches,
            environment: self.environment.name.as_str(),
            salt: stored.salt.as_bytes(),
            ignore: &self.environment.ignore,
        };
        let known = match target {
            Target::Tip => &mut self.tip,
            Target::Base => &mut self.base,
        };
        let live = observer.observe(desired, &stored.inventory, known).await;
        self.shared.metrics.stage(Stage::Observe, started.elapsed());
        let started = Instant::now();
        let (store, namespace) = (self.shared.watches.store(), self.environment.namespace.as_str());
        self.masks.refresh(desired, store, namespace, &stored.salt)?;
        let plan = self.plan(desired, &live, stored);
        self.shared.metrics.stage(Stage::Plan, started.elapsed());
        Ok((live, plan))
    }

    fn plan(&self, desired: &DesiredState, live: &LiveState, stored: &StoredInventory) -> Plan {
        let name = self.environment.name.as_str();
        let policy = plan::Policy {
            environment: name.to_owned(),
            drift: self.environment.drift,
            prune: self.environment.prune,
            throw_away: self.environment.throw_away,
            ignore: self.environment.ignore.clone(),
        };
        plan::plan(&plan::Inputs {
            policy: &policy,
            desired,
            live,
            inventory: &stored.inventory,
            unstable: &self.unstable,
            salt: stored.salt.as_bytes(),
            cluster: &self.facts,
            redis: &facts::of_redis(self.shared.watches.store(), &self.shared.board, name),
            redactor: self.masks.redactor(),
        })
    }

    async fn watch_kinds(&mut self, desired: &DesiredState, stored: &StoredInventory) {
        let watches = &self.shared.watches;
        let stated = desired.manifests.iter().map(|manifest| (&manifest.key, &manifest.api_version));
        let named = stored.inventory.entries.iter().map(|(key, entry)| (key, &entry.api_version));
        let mut scopes: BTreeSet<Scope> =
            stated.chain(named).map(|(key, version)| watches.scope_of(version, &key.kind, &key.namespace)).collect();
        let namespace = self.environment.namespace.as_str();
        scopes.extend(report::pod_names(desired).into_iter().map(|name| watches.pods_of(&name, namespace)));
        if scopes != self.scopes {
            watches.ensure(scopes.iter().cloned());
            if !watches.tried(&scopes, LIST_LIMIT).await {
                warn!(environment = %self.environment.name, "some watches are not open yet; objects are read by name");
            }
            self.scopes = scopes;
        }
    }

    /// Keeps in mind what differs right after our own writes.
    pub(super) fn note_unstable(&mut self, execution: &Execution) {
        for (key, differences) in &execution.unstable {
            if differences.is_empty() {
                self.unstable.remove(key);
            } else if self.unstable.insert(key.clone(), differences.clone()).as_ref() != Some(differences) {
                let fields: Vec<&str> = differences.iter().map(|d| d.path.as_str()).collect();
                warn!(environment = %self.environment.name, object = %key, fields = %fields.join(", "), "admission changes these fields after every write; they are shown and not written again");
            }
        }
    }
}
