//! Which watches run: one per kind and scope, started when an environment first
//! needs it, shared by all environments.
//!
//! A change wakes the environment that owns the object: by its label, or by its
//! namespace when the label is gone. A watch that panics is begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tracing::{error, warn};

use crate::{
    cluster::{
        Cluster, ClusterError,
        watch::{self, Liveness, Scope, Store},
    },
    config,
    plan::ENVIRONMENT_LABEL,
    resource::ObjectKey,
};

/// The pause before a watch that panicked is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// The label that the pods of a workload carry, by Kubernetes' own convention.
const NAME_LABEL: &str = "app.kubernetes.io/name";

/// Wakes environments. Clones share it.
#[derive(Clone, Default)]
struct Router {
    inner: Arc<Mutex<Routes>>,
}

/// Whose changes wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// The environment's objects.
    Objects,
    /// Its pods as well.
    ObjectsAndPods,
}

#[derive(Default)]
struct Routes {
    environments: BTreeMap<String, Vec<(Interest, Arc<Notify>)>>,
    namespaces: BTreeMap<String, BTreeSet<String>>,
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, Routes> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object's label names its environment; a pod has none, and neither has an
    /// object that lost it, so those wake the environments of their namespace.
    fn wake(&self, key: &ObjectKey, object: &Value) {
        let routes = self.lock();
        let is_pod = key.kind == "Pod" && key.group.is_empty();
        let wake = |(interest, wake): &(Interest, Arc<Notify>)| {
            if !is_pod || *interest == Interest::ObjectsAndPods {
                wake.notify_one();
            }
        };
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL));
        if let Some(wakes) = label.and_then(Value::as_str).and_then(|name| routes.environments.get(name)) {
            wakes.iter().for_each(wake);
            return;
        }
        for name in routes.namespaces.get(&key.namespace).into_iter().flatten() {
            routes.environments.get(name).into_iter().flatten().for_each(wake);
        }
    }
}

/// All watches of one cluster. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Watches {
    cluster: Cluster,
    reach: config::Scope,
    store: Store,
    router: Router,
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    scopes: BTreeMap<Scope, Liveness>,
}

impl Watches {
    /// No watch yet.
    pub fn new(cluster: Cluster, reach: config::Scope) -> Self {
        let router = Router::default();
        let sink = router.clone();
        let store = Store::new(Arc::new(move |key, object| sink.wake(key, object)));
        Self { cluster, reach, store, router, running: Arc::default() }
    }

    /// The objects the watches see.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Notifies `wake` too when an object of the environment changes.
    pub(super) fn register(&self, environment: &str, namespace: &str, interest: Interest, wake: Arc<Notify>) {
        let mut routes = self.router.lock();
        routes.environments.entry(environment.to_owned()).or_default().push((interest, wake));
        routes.namespaces.entry(namespace.to_owned()).or_default().insert(environment.to_owned());
    }

    /// Ends the waking of an environment that left.
    pub fn unregister(&self, environment: &str) {
        let mut routes = self.router.lock();
        routes.environments.remove(environment);
        for environments in routes.namespaces.values_mut() {
            environments.remove(environment);
        }
    }

    /// The watch that covers objects of this kind in `namespace`. Secrets are
    /// watched per namespace whatever the reach, so that no right over all of
    /// them is needed.
    pub fn scope_of(&self, api_version: &str, kind: &str, namespace: &str) -> Scope {
        let whole_cluster = self.reach == config::Scope::Cluster && !(kind == "Secret" && api_version == "v1");
        Scope {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: (!whole_cluster && !namespace.is_empty()).then(|| namespace.to_owned()),
            selector: ENVIRONMENT_LABEL.to_owned(),
        }
    }

    /// The watch that covers the pods of workloads named `name` in `namespace`.
    pub fn pods_of(&self, name: &str, namespace: &str) -> Scope {
        Scope {
            selector: format!("{NAME_LABEL}={name}"),
            namespace: (self.reach == config::Scope::Namespaced).then(|| namespace.to_owned()),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
        }
    }

    /// Starts those watches that do not run yet.
    pub fn ensure(&self, scopes: impl IntoIterator<Item = Scope>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in scopes {
            if running.scopes.contains_key(&scope) {
                continue;
            }
            let liveness = Liveness::default();
            running.scopes.insert(scope.clone(), liveness.clone());
            running.tasks.spawn(keep(self.cluster.clone(), scope, self.store.clone(), liveness));
        }
    }

    /// Waits until every scope's first list is there or has failed, for `limit` at
    /// most; false when some has not ended.
    pub async fn tried(&self, scopes: &BTreeSet<Scope>, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut check = tokio::time::interval(Duration::from_millis(5));
        loop {
            if self.all(scopes, Liveness::is_tried) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            check.tick().await;
        }
    }

    /// Whether the store can be believed about objects of this kind in `namespace`.
    pub fn sees(&self, api_version: &str, kind: &str, namespace: &str) -> bool {
        self.connected(&BTreeSet::from([self.scope_of(api_version, kind, namespace)]))
    }

    /// Whether every scope's watch works at this moment.
    pub fn connected(&self, scopes: &BTreeSet<Scope>) -> bool {
        self.all(scopes, Liveness::is_connected)
    }

    fn all(&self, scopes: &BTreeSet<Scope>, holds: impl Fn(&Liveness) -> bool) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.iter().all(|scope| running.scopes.get(scope).is_some_and(&holds))
    }
}

/// Runs one watch for ever, whatever happens to it.
async fn keep(cluster: Cluster, scope: Scope, store: Store, liveness: Liveness) {
    let interrupted = |scope: &Scope, error: &ClusterError| {
        warn!(kind = %scope.kind, namespace = scope.namespace.as_deref().unwrap_or("*"), reason = %error, "watch interrupted");
    };
    loop {
        let run = watch::run(cluster.clone(), scope.clone(), store.clone(), liveness.clone(), interrupted);
        if std::panic::AssertUnwindSafe(run).catch_unwind().await.is_err() {
            liveness.set(false);
            error!(kind = %scope.kind, "a watch panicked and is begun again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
