//! Which watches run: one per kind and scope, started when an environment first
//! needs it, shared by all environments.
//!
//! A change wakes the environment that owns the object: by its label, or by its
//! key when the label is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tracing::warn;

use crate::{
    cluster::{
        Cluster,
        watch::{self, Liveness, Scope, Store},
    },
    config,
    plan::ENVIRONMENT_LABEL,
    resource::ObjectKey,
};

/// The label that the pods of a workload carry, by Kubernetes' own convention.
const NAME_LABEL: &str = "app.kubernetes.io/name";

/// Wakes environments. Clones share it.
#[derive(Clone, Default)]
struct Router {
    inner: Arc<Mutex<Routes>>,
}

#[derive(Default)]
struct Routes {
    environments: BTreeMap<String, Vec<Arc<Notify>>>,
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
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL));
        if let Some(wakes) = label.and_then(Value::as_str).and_then(|name| routes.environments.get(name)) {
            wakes.iter().for_each(|wake| wake.notify_one());
            return;
        }
        for name in routes.namespaces.get(&key.namespace).into_iter().flatten() {
            for wake in routes.environments.get(name).into_iter().flatten() {
                wake.notify_one();
            }
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
    tasks: JoinSet<std::convert::Infallible>,
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
    pub fn register(&self, environment: &str, namespace: &str, wake: Arc<Notify>) {
        let mut routes = self.router.lock();
        routes.environments.entry(environment.to_owned()).or_default().push(wake);
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
            running.tasks.spawn(watch::run(self.cluster.clone(), scope, self.store.clone(), liveness, |scope, error| {
                warn!(kind = %scope.kind, namespace = scope.namespace.as_deref().unwrap_or("*"), reason = %error, "watch interrupted");
            }));
        }
    }

    /// Waits until every scope has been listed once, for `limit` at most; false
    /// when some has not.
    pub async fn listed(&self, scopes: &BTreeSet<Scope>, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut check = tokio::time::interval(Duration::from_millis(5));
        loop {
            if self.all(scopes, Liveness::is_listed) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            check.tick().await;
        }
    }

    /// Whether every scope's watch is open at this moment.
    pub fn connected(&self, scopes: &BTreeSet<Scope>) -> bool {
        self.all(scopes, Liveness::is_connected)
    }

    fn all(&self, scopes: &BTreeSet<Scope>, holds: impl Fn(&Liveness) -> bool) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.iter().all(|scope| running.scopes.get(scope).is_some_and(&holds))
    }
}
