//! One watch per kind and scope, kept alive for ever, into one store of objects.
//!
//! Guarantees: the store holds every matching object as of some moment not
//! longer ago than the watch has been silent; a broken watch is resumed where it
//! ended, and lists again only when the API server has forgotten that version.
//! An event may be told twice; readers compare whole states.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, pin_mut};
use http::Method;
use kube::core::WatchEvent;
use serde_json::Value;

use super::{
    client::{Cluster, request, with_causes},
    discovery::Kind,
    error::ClusterError,
    objects::escape,
};
use crate::{resource::ObjectKey, telemetry::Verb};

/// The API server ends a watch after this many seconds; it is resumed.
const WATCH_SECONDS: u64 = 120;
/// A watch that says nothing for longer is dead, whatever the connection claims.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS + 15);
/// The longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What one watch covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// `apiVersion` of the kind.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// `label` (it exists) or `label=value`.
    pub selector: String,
}

impl Scope {
    /// Whether the selector (`label` or `label=value`) selects the object.
    fn selects(&self, object: &Value) -> bool {
        let (label, wanted) = match self.selector.split_once('=') {
            Some((label, value)) => (label, Some(value)),
            None => (self.selector.as_str(), None),
        };
        let found = object.pointer("/metadata/labels").and_then(|labels| labels.get(label)).and_then(Value::as_str);
        found.is_some() && (wanted.is_none() || wanted == found)
    }
}

/// Told of every change in the store; must not block.
pub type ChangeSink = Arc<dyn Fn(&ObjectKey, &Value) + Send + Sync>;

/// The objects that the watches see.
#[derive(Clone)]
pub struct Store {
    objects: Arc<Mutex<BTreeMap<ObjectKey, Arc<Value>>>>,
    sink: ChangeSink,
}

/// Whether a watch's part of the store can be believed.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    listed: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
}

impl Liveness {
    /// The first list is in the store.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// The watch is open at this moment.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}

impl Store {
    /// An empty store.
    pub fn new(sink: ChangeSink) -> Self {
        Self { objects: Arc::default(), sink }
    }

    /// The object, when a watch (or our own write) has shown it.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.lock().get(key).cloned()
    }

    /// Every object for which `wanted` holds.
    pub fn select(&self, wanted: impl Fn(&ObjectKey, &Value) -> bool) -> Vec<(ObjectKey, Arc<Value>)> {
        self.lock().iter().filter(|(k, v)| wanted(k, v)).map(|(k, v)| (k.clone(), Arc::clone(v))).collect()
    }

    /// Keeps what a write of our own answered, so that nothing older is believed
    /// until the watch has caught up.
    pub fn put(&self, key: ObjectKey, object: Value) {
        self.keep(key, object);
    }

    /// Forgets an object that a read has shown to be gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn keep(&self, key: ObjectKey, object: Value) -> bool {
        let mut objects = self.lock();
        if objects.get(&key).is_some_and(|known| is_older(&object, known)) {
            return false;
        }
        objects.insert(key, Arc::new(object));
        true
    }

    /// The version that is known already, such as that of our own write, is no change.
    fn changed(&self, key: ObjectKey, object: Value) {
        if self.get(&key).is_some_and(|known| is_same(&object, &known)) {
            return;
        }
        if self.keep(key.clone(), object)
            && let Some(object) = self.get(&key)
        {
            (self.sink)(&key, &object);
        }
    }

    fn deleted(&self, key: &ObjectKey, object: &Value) {
        {
            let mut objects = self.lock();
            if objects.get(key).is_some_and(|known| is_older(object, known)) {
                return;
            }
            objects.remove(key);
        }
        (self.sink)(key, object);
    }

    /// Drops what a fresh list of `scope` no longer contains.
    fn retain(&self, scope: &Scope, group: &str, seen: &BTreeSet<ObjectKey>, newest: &str) {
        let gone: Vec<(ObjectKey, Arc<Value>)> = self.select(|key, object| {
            let covered = key.kind == scope.kind
                && key.group == group
                && scope.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                && scope.selects(object);
            covered && !seen.contains(key) && !is_newer_than(object, newest)
        });
        for (key, object) in gone {
            self.lock().remove(&key);
            (self.sink)(&key, &object);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Arc<Value>>> {
        self.objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Versions of one resource compare as numbers (Kubernetes KEP-5504); what does
/// not parse is taken as newer.
fn version(object: &Value) -> Option<u64> {
    object.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()
}

fn is_older(object: &Value, known: &Value) -> bool {
    let same = object.pointer("/metadata/uid") == known.pointer("/metadata/uid");
    matches!((version(object), version(known)), (Some(new), Some(old)) if same && new < old)
}

fn is_same(object: &Value, known: &Value) -> bool {
    let both = |pointer: &str| object.pointer(pointer).is_some_and(|own| known.pointer(pointer) == Some(own));
    both("/metadata/uid") && both("/metadata/resourceVersion")
}

fn is_newer_than(object: &Value, resource_version: &str) -> bool {
    matches!((version(object), resource_version.parse::<u64>()), (Some(own), Ok(other)) if own > other)
}

/// Runs one watch until it is dropped; never returns. `on_error` is told of each
/// failed attempt (for the log), which is retried with a growing pause.
pub async fn run(
    cluster: Cluster,
    scope: Scope,
    store: Store,
    liveness: Liveness,
    on_error: impl Fn(&Scope, &ClusterError) + Send,
) -> std::convert::Infallible {
    let mut from: Option<String> = None;
    let mut backoff = Duration::from_millis(200);
    loop {
        let outcome = once(&cluster, &scope, &store, &liveness, &mut from).await;
        liveness.connected.store(false, Ordering::Release);
        match outcome {
            Ok(()) => backoff = Duration::from_millis(200),
            Err(ClusterError::Expired { .. }) => from = None,
            Err(error) => {
                on_error(&scope, &error);
                if !error.is_transient() {
                    from = None;
                }
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}

/// Lists if need be, then watches until the stream ends.
async fn once(
    cluster: &Cluster,
    scope: &Scope,
    store: &Store,
    liveness: &Liveness,
    from: &mut Option<String>,
) -> Result<(), ClusterError> {
    let kind = cluster.kind(&scope.api_version, &scope.kind).await?;
    let start = match from.take() {
        Some(version) => version,
        None => list(cluster, scope, &kind, store).await?,
    };
    *from = Some(start.clone());
    let operation = format!("watch {}", kind.plural);
    let uri = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={start}&labelSelector={}",
        kind.path(scope.namespace.as_deref(), None),
        escape(&scope.selector)
    );
    let request = request(Method::GET, &uri, None, Vec::new());
    let opened = tokio::time::timeout(super::client::DEADLINE, cluster.client().request_events::<Value>(request)).await;
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(broken(cluster, &operation, error)),
        Err(_) => {
            cluster.observe(Verb::Watch, None);
            return Err(ClusterError::Deadline { operation, deadline: super::client::DEADLINE });
        }
    };
    cluster.observe(Verb::Watch, Some(200));
    liveness.listed.store(true, Ordering::Release);
    liveness.connected.store(true, Ordering::Release);
    pin_mut!(stream);
    loop {
        let event = match tokio::time::timeout(SILENCE, stream.next()).await {
            Err(_) => return Err(ClusterError::Deadline { operation, deadline: SILENCE }),
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(broken(cluster, &operation, error)),
            Ok(Some(Ok(event))) => event,
        };
        if let Some(version) = take(&kind, store, event, &operation)? {
            *from = Some(version);
        }
    }
}

/// Puts one event into the store; answers the version to resume from.
fn take(kind: &Kind, store: &Store, event: WatchEvent<Value>, operation: &str) -> Result<Option<String>, ClusterError> {
    let at = |object: &Value| object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            let version = at(&object);
            store.changed(key_of(kind, &object), object);
            Ok(version)
        }
        WatchEvent::Deleted(object) => {
            store.deleted(&key_of(kind, &object), &object);
            Ok(at(&object))
        }
        WatchEvent::Bookmark(bookmark) => Ok(Some(bookmark.metadata.resource_version)),
        WatchEvent::Error(status) => Err(ClusterError::from_status(operation, status.code, &status)),
    }
}

fn broken(cluster: &Cluster, operation: &str, error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => {
            cluster.observe(Verb::Watch, Some(status.code));
            ClusterError::from_status(operation, status.code, &status)
        }
        other => {
            cluster.observe(Verb::Watch, None);
            ClusterError::Transient { operation: operation.to_owned(), message: with_causes(&other) }
        }
    }
}

async fn list(cluster: &Cluster, scope: &Scope, kind: &Kind, store: &Store) -> Result<String, ClusterError> {
    let mut seen = BTreeSet::new();
    let mut next: Option<String> = None;
    loop {
        let page = cluster.list_page(kind, scope.namespace.as_deref(), &scope.selector, next.as_deref()).await?;
        for mut object in page.items {
            // Items of a list come without their type.
            object["apiVersion"] = Value::from(kind.api_version());
            object["kind"] = Value::from(kind.kind.clone());
            let key = key_of(kind, &object);
            seen.insert(key.clone());
            store.changed(key, object);
        }
        next = page.next;
        if next.is_none() {
            store.retain(scope, &kind.group, &seen, &page.resource_version);
            return Ok(page.resource_version);
        }
    }
}

fn key_of(kind: &Kind, object: &Value) -> ObjectKey {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    ObjectKey {
        kind: kind.kind.clone(),
        group: kind.group.clone(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: &str) -> Value {
        json!({"metadata": {"uid": "u", "name": "redis", "resourceVersion": version, "labels": {"mine": "yes"}}})
    }

    fn key() -> ObjectKey {
        ObjectKey { kind: "Service".into(), group: String::new(), namespace: "dev".into(), name: "redis".into() }
    }

    #[test]
    fn an_older_event_never_replaces_a_newer_object() {
        let store = Store::new(Arc::new(|_, _| {}));
        store.put(key(), object("12"));
        store.changed(key(), object("9"));
        assert_eq!(version(&store.get(&key()).expect("kept")), Some(12));
        store.deleted(&key(), &object("11"));
        assert!(store.get(&key()).is_some(), "the delete was of an earlier life");
        store.deleted(&key(), &object("13"));
        assert!(store.get(&key()).is_none());
    }

    #[test]
    fn what_is_known_already_wakes_nobody() {
        let told = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let store = Store::new(Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        store.put(key(), object("12"));
        store.changed(key(), object("12"));
        assert_eq!(told.load(Ordering::SeqCst), 0, "our own write");
        store.changed(key(), object("13"));
        assert_eq!(told.load(Ordering::SeqCst), 1, "somebody else's");
    }

    #[test]
    fn a_fresh_list_drops_what_is_gone_but_not_what_is_newer() {
        let store = Store::new(Arc::new(|_, _| {}));
        let scope =
            Scope { api_version: "v1".into(), kind: "Service".into(), namespace: None, selector: "mine".into() };
        let others = Scope { selector: "mine=no".into(), ..scope.clone() };
        store.put(key(), object("12"));
        store.retain(&others, "", &BTreeSet::new(), "20");
        assert!(store.get(&key()).is_some(), "the list was of other objects");
        store.retain(&scope, "", &BTreeSet::new(), "11");
        assert!(store.get(&key()).is_some(), "written after the list was taken");
        store.retain(&scope, "", &BTreeSet::new(), "20");
        assert!(store.get(&key()).is_none());
    }
}
