//! One watch per kind and scope, kept alive for ever, into one store of objects.
//!
//! Guarantees: the store holds every matching object as of some moment not
//! longer ago than the watch has been silent. A watch that ends as it should is
//! resumed where it ended; after any failure it lists again, since the API server
//! may have come back with an older state. An event may be told twice; readers
//! compare whole states.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
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
/// The first and the longest wait between two attempts.
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A watch that ended sooner did not work, whatever it said.
const LASTING: Duration = Duration::from_secs(5);

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
    tried: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
}

impl Liveness {
    /// The first list is in the store, or could not be had.
    pub fn is_tried(&self) -> bool {
        self.tried.load(Ordering::Acquire)
    }

    /// The watch works: the store can be believed.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Notes how the newest attempt stands. The first word also ends the waiting for it.
    pub fn set(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
        self.tried.store(true, Ordering::Release);
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
        let before = self.get(&key);
        if before.as_ref().is_some_and(|known| is_same(&object, known)) {
            return;
        }
        if self.keep(key.clone(), object)
            && let Some(object) = self.get(&key)
        {
            (self.sink)(&key, &object);
            // Whose it was before must hear of it as well.
            let labels = |object: &Value| object.pointer("/metadata/labels").cloned();
            if let Some(before) = before.filter(|before| labels(before) != labels(&object)) {
                (self.sink)(&key, &before);
            }
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

    /// Takes in a fresh list of `scope`, as of the version `newest`. With `restored`
    /// the API server came back with an older state: nothing known before holds.
    fn listed(&self, scope: &Scope, kind: &Kind, objects: Vec<Value>, newest: &str, restored: bool) {
        let covered = |key: &ObjectKey, object: &Value| {
            key.kind == scope.kind
                && key.group == kind.group
                && scope.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                && scope.selects(object)
        };
        if restored {
            self.lock().retain(|key, object| !covered(key, object));
        }
        let mut seen = BTreeSet::new();
        for object in objects {
            let key = key_of(kind, &object);
            seen.insert(key.clone());
            self.changed(key, object);
        }
        let gone: Vec<(ObjectKey, Arc<Value>)> =
            self.select(|key, object| covered(key, object) && !seen.contains(key) && !is_newer_than(object, newest));
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
/// failure that is not the same as the one before (for the log); all are retried
/// with a growing pause.
pub async fn run(
    cluster: Cluster,
    scope: Scope,
    store: Store,
    liveness: Liveness,
    on_error: impl Fn(&Scope, &ClusterError) + Send,
) -> std::convert::Infallible {
    let mut place = Place::default();
    let mut backoff = MIN_BACKOFF;
    let mut told = String::new();
    loop {
        let begun = Instant::now();
        let outcome = once(&cluster, &scope, &store, &liveness, &mut place).await;
        let lasted = begun.elapsed() >= LASTING;
        if let Err(error) = &outcome {
            liveness.set(false);
            place.from = None;
            let text = error.to_string();
            if told != text && !matches!(error, ClusterError::Expired { .. }) {
                on_error(&scope, error);
                told = text;
            }
        }
        if lasted {
            backoff = MIN_BACKOFF;
            told.clear();
        }
        // A stream that ends at once must not be opened again at the rate it ends.
        if !(lasted && matches!(outcome, Ok(()) | Err(ClusterError::Expired { .. }))) {
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
}

/// Where a watch is in the API server's history.
#[derive(Default)]
struct Place {
    /// The version to resume from; `None` asks for a list.
    from: Option<String>,
    /// The newest version seen.
    newest: u64,
}

impl Place {
    fn reach(&mut self, version: String) {
        self.newest = self.newest.max(version.parse().unwrap_or_default());
        self.from = Some(version);
    }

    /// Takes the version of a list; true when it is older than what was seen: the
    /// API server's state was restored from a backup.
    fn list(&mut self, version: String) -> bool {
        let older = version.parse::<u64>().is_ok_and(|listed| listed < self.newest);
        if older {
            self.newest = 0;
        }
        self.reach(version);
        older
    }
}

/// Lists if need be, then watches until the stream ends.
async fn once(
    cluster: &Cluster,
    scope: &Scope,
    store: &Store,
    liveness: &Liveness,
    place: &mut Place,
) -> Result<(), ClusterError> {
    let kind = cluster.kind(&scope.api_version, &scope.kind).await?;
    let start = match place.from.clone() {
        Some(version) => version,
        None => {
            let (objects, version) = list(cluster, scope, &kind).await?;
            let restored = place.list(version.clone());
            store.listed(scope, &kind, objects, &version, restored);
            version
        }
    };
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
    liveness.set(true);
    pin_mut!(stream);
    loop {
        let event = match tokio::time::timeout(SILENCE, stream.next()).await {
            Err(_) => return Err(ClusterError::Deadline { operation, deadline: SILENCE }),
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(broken(cluster, &operation, error)),
            Ok(Some(Ok(event))) => event,
        };
        if let Some(version) = take(&kind, store, event, &operation)? {
            place.reach(version);
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

/// Every object of the scope, and the version of the list.
async fn list(cluster: &Cluster, scope: &Scope, kind: &Kind) -> Result<(Vec<Value>, String), ClusterError> {
    let mut objects = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = cluster.list_page(kind, scope.namespace.as_deref(), &scope.selector, next.as_deref()).await?;
        for mut object in page.items {
            // Items of a list come without their type.
            object["apiVersion"] = Value::from(kind.api_version());
            object["kind"] = Value::from(kind.kind.clone());
            objects.push(object);
        }
        next = page.next;
        if next.is_none() {
            return Ok((objects, page.resource_version));
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

    fn services() -> (Scope, Kind) {
        let scope =
            Scope { api_version: "v1".into(), kind: "Service".into(), namespace: None, selector: "mine".into() };
        let kind = Kind {
            group: String::new(),
            version: "v1".into(),
            kind: "Service".into(),
            plural: "services".into(),
            namespaced: true,
        };
        (scope, kind)
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
        let (scope, kind) = services();
        let others = Scope { selector: "mine=no".into(), ..scope.clone() };
        store.put(key(), object("12"));
        store.listed(&others, &kind, Vec::new(), "20", false);
        assert!(store.get(&key()).is_some(), "the list was of other objects");
        store.listed(&scope, &kind, Vec::new(), "11", false);
        assert!(store.get(&key()).is_some(), "written after the list was taken");
        store.listed(&scope, &kind, Vec::new(), "20", false);
        assert!(store.get(&key()).is_none());
    }

    #[test]
    fn after_a_restored_backup_the_older_state_is_the_truth() {
        let store = Store::new(Arc::new(|_, _| {}));
        let (scope, kind) = services();
        let mut place = Place::default();
        assert!(!place.list("12".to_owned()));
        store.put(key(), object("12"));
        let mut restored = object("7");
        restored["metadata"]["namespace"] = json!("dev");
        assert!(place.list("9".to_owned()));
        store.listed(&scope, &kind, vec![restored], "9", true);
        assert_eq!(version(&store.get(&key()).expect("listed")), Some(7));
        assert!(!place.list("10".to_owned()), "that is the new history");
    }

    #[test]
    fn whose_an_object_was_before_hears_of_its_new_label() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let store = Store::new(Arc::new(move |_, object: &Value| {
            sink.lock().expect("no panic").push(object["metadata"]["labels"]["mine"].clone());
        }));
        store.put(key(), object("12"));
        let mut other = object("13");
        other["metadata"]["labels"]["mine"] = json!("theirs");
        store.changed(key(), other);
        assert_eq!(*heard.lock().expect("no panic"), [json!("theirs"), json!("yes")]);
    }
}
