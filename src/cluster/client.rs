//! One connection to one API server: every request has a deadline, is counted
//! once, and fails with a class. Retries are the loop's business, never hidden here.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::{Client, client::Body, core::Status};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    discovery::{Discovery, Kind},
    error::ClusterError,
};
use crate::{resource::ObjectKey, telemetry::Verb};

/// The deadline of every request that is not a watch.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long "no such kind" is believed: many objects of an unknown kind ask once.
const REDISCOVER: Duration = Duration::from_secs(2);

/// Requests under way at once, so that many environments do not open a connection
/// for each of theirs: the API server is no faster for it.
const CONCURRENCY: usize = 16;

/// The field manager of everything the daemon applies.
pub const FIELD_MANAGER: &str = "redis-gitops";

/// Told of every finished request: the verb and the HTTP status; `None` when there
/// was no answer.
pub type RequestObserver = Arc<dyn Fn(Verb, Option<u16>) + Send + Sync>;

/// How to find the API server.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// A kubeconfig file; otherwise `KUBECONFIG`, the home folder's, or the pod's service account.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The context in it; otherwise its current one.
    pub context: Option<String>,
}

/// A connected cluster. Clones share everything.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    address: String,
    discovery: RwLock<Arc<Discovery>>,
    /// When an unknown kind made us look again last.
    looked: tokio::sync::Mutex<Option<Instant>>,
    observer: RequestObserver,
    turns: Semaphore,
}

impl Cluster {
    /// Connects and reads which kinds the API server serves.
    pub async fn connect(connection: &Connection, observer: RequestObserver) -> Result<Self, ClusterError> {
        let mut config = load(connection).await?;
        config.default_retry = false;
        config.connect_timeout = Some(DEADLINE);
        let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client =
            Client::try_from(config).map_err(|error| ClusterError::Configuration { message: error.to_string() })?;
        let inner = Inner {
            client,
            address,
            discovery: RwLock::default(),
            looked: tokio::sync::Mutex::default(),
            observer,
            turns: Semaphore::new(CONCURRENCY),
        };
        let cluster = Self { inner: Arc::new(inner) };
        cluster.discover().await?;
        Ok(cluster)
    }

    /// The API server's address, as metrics and errors name the cluster.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// What the API server serves, as of the last look.
    pub fn discovery(&self) -> Arc<Discovery> {
        Arc::clone(&self.inner.discovery.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Looks again at what the API server serves: three requests. The value is
    /// another one only when something changed.
    pub async fn discover(&self) -> Result<Arc<Discovery>, ClusterError> {
        let found = Discovery::read(self).await?;
        let mut known = self.inner.discovery.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if **known != found {
            *known = Arc::new(found);
        }
        Ok(Arc::clone(&known))
    }

    /// The kind an object is of; asks the API server again when it is not known,
    /// though not more often than every few seconds.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, ClusterError> {
        if let Some(found) = self.discovery().kind(api_version, kind) {
            return Ok(found.clone());
        }
        let mut looked = self.inner.looked.lock().await;
        let known = match *looked {
            Some(last) if last.elapsed() < REDISCOVER => self.discovery(),
            _ => {
                let found = self.discover().await?;
                *looked = Some(Instant::now());
                found
            }
        };
        known.kind(api_version, kind).cloned().ok_or_else(|| known.unknown(api_version, kind))
    }

    /// The underlying client, for what streams (watches, port-forwards).
    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(super) fn observe(&self, verb: Verb, code: Option<u16>) {
        (self.inner.observer)(verb, code);
    }

    /// Sends one request and reads the JSON answer. `verb` is counted; `operation`
    /// begins every error.
    pub(super) async fn send(
        &self,
        verb: Verb,
        operation: &str,
        request: Request<Vec<u8>>,
    ) -> Result<Value, ClusterError> {
        // The semaphore is never closed. Its deadline begins with the request itself.
        let _turn = self.inner.turns.acquire().await;
        match tokio::time::timeout(DEADLINE, self.exchange(verb, operation, request)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.observe(verb, None);
                Err(ClusterError::Deadline { operation: operation.to_owned(), deadline: DEADLINE })
            }
        }
    }

    async fn exchange(&self, verb: Verb, operation: &str, request: Request<Vec<u8>>) -> Result<Value, ClusterError> {
        let transient = |message: String| ClusterError::Transient { operation: operation.to_owned(), message };
        let response = self.inner.client.send(request.map(Body::from)).await.map_err(|error| {
            self.observe(verb, None);
            transient(with_causes(&error))
        })?;
        let code = response.status();
        self.observe(verb, Some(code.as_u16()));
        let bytes = response.into_body().collect().await.map_err(|error| transient(with_causes(&error)))?.to_bytes();
        if code.is_success() {
            // The parser's own message may quote the content, which may be a Secret.
            return serde_json::from_slice(&bytes).map_err(|error| ClusterError::Protocol {
                operation: operation.to_owned(),
                message: format!("line {}, column {}: not JSON", error.line(), error.column()),
            });
        }
        let status = serde_json::from_slice::<Status>(&bytes)
            .unwrap_or_else(|_| Status::failure(&format!("HTTP {code} without an explanation"), ""));
        Err(ClusterError::from_status(operation, code.as_u16(), &status))
    }
}

async fn load(connection: &Connection) -> Result<kube::Config, ClusterError> {
    let unusable = |message: String| ClusterError::Configuration { message };
    let options = kube::config::KubeConfigOptions { context: connection.context.clone(), cluster: None, user: None };
    match &connection.kubeconfig {
        Some(path) => {
            let file =
                kube::config::Kubeconfig::read_from(path).map_err(|e| unusable(format!("{}: {e}", path.display())))?;
            kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|e| unusable(format!("{}: {e}", path.display())))
        }
        None if connection.context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.map_err(|e| unusable(e.to_string()))
        }
        None => kube::Config::infer().await.map_err(|e| unusable(e.to_string())),
    }
}

/// An error with what caused it, since the outermost text alone rarely helps.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

/// Starts a request that the API server answers with JSON.
pub(super) fn request(method: Method, uri: &str, content_type: Option<&str>, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Paths are built from names the API server or our own checks have validated.
    *request.uri_mut() = uri.parse().unwrap_or_else(|_| http::Uri::from_static("/"));
    if let Some(content_type) = content_type.and_then(|text| text.parse().ok()) {
        request.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    }
    request
}

impl Kind {
    /// The path of the collection (`name` is `None`) or of one object.
    pub(super) fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// The path of the object `key`.
    pub(super) fn object_path(&self, key: &ObjectKey) -> String {
        self.path(Some(&key.namespace), Some(&key.name))
    }
}
