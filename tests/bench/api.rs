//! The benchmark's own look at the API server: plain requests, and raw watches
//! that time-stamp each event as its line arrives.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{Method, Request},
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

/// How long an event may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one API server.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    server: String,
    token: String,
}

/// Events of one kind, from the moment it was opened.
pub struct Watch {
    events: mpsc::Receiver<(Instant, Value)>,
}

impl Api {
    /// The cluster and user of a kubeconfig that holds an authority and a token.
    pub fn new(kubeconfig: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).expect("a kubeconfig");
        let config: Value = serde_yaml::from_str(&text).expect("YAML");
        let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        let authority = STANDARD.decode(text("/clusters/0/cluster/certificate-authority-data")).expect("base64");
        let authority = Certificate::from_pem(&authority).expect("a certificate");
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder().http_status_as_error(false).tls_config(tls).build().new_agent();
        Self { agent, server: text("/clusters/0/cluster/server"), token: text("/users/0/user/token") }
    }

    /// Creates an object; one that exists is fine.
    pub fn create(&self, path: &str, object: &Value) {
        let (status, answer) = self.send(Method::POST, path, "application/json", object);
        assert!(matches!(status, 201 | 409), "POST {path}: {status} {answer}");
    }

    /// Changes an object as a person with kubectl would.
    pub fn merge(&self, path: &str, patch: &Value) {
        let path = format!("{path}?fieldManager=by-hand");
        let (status, answer) = self.send(Method::PATCH, &path, "application/merge-patch+json", patch);
        assert_eq!(status, 200, "PATCH {path}: {answer}");
    }

    /// Watches objects of all namespaces that redis-gitops manages, from now on.
    pub fn watch(&self, collection: &str) -> Watch {
        let selector = "labelSelector=redis-gitops%2Fenvironment";
        let (status, list) = self.send(Method::GET, &format!("{collection}?limit=1&{selector}"), "", &Value::Null);
        assert_eq!(status, 200, "GET {collection}: {list}");
        let from = list["metadata"]["resourceVersion"].as_str().expect("a list has a version");
        let (api, collection, mut from) = (self.clone(), collection.to_owned(), from.to_owned());
        let (sender, events) = mpsc::channel();
        // The API server may end a watch at any time; it goes on from where it was.
        thread::spawn(move || while api.follow(&collection, selector, &mut from, &sender) {});
        Watch { events }
    }

    /// One connection of a watch; false when nobody listens any more.
    fn follow(
        &self,
        collection: &str,
        selector: &str,
        from: &mut String,
        sender: &mpsc::Sender<(Instant, Value)>,
    ) -> bool {
        let uri =
            format!("{}{collection}?watch=true&timeoutSeconds=3600&resourceVersion={from}&{selector}", self.server);
        let response = self.agent.get(uri).header("Authorization", format!("Bearer {}", self.token)).call();
        // The server is gone when the run is over.
        let Ok(response) = response else { return false };
        let lines = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader()).lines();
        for line in lines.map_while(Result::ok) {
            let at = Instant::now();
            let mut event: Value = serde_json::from_str(&line).expect("JSON lines");
            assert_ne!(event["type"], "ERROR", "the watch of {collection}: {event}");
            let object = event["object"].take();
            object["metadata"]["resourceVersion"].as_str().expect("a version").clone_into(from);
            if sender.send((at, object)).is_err() {
                return false;
            }
        }
        true
    }

    fn send(&self, method: Method, path: &str, content_type: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", content_type);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.agent.run(request.body(body).expect("a request")).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(json!(text)))
    }
}

impl Watch {
    /// When the first event arrived that `wanted` accepts; earlier ones are dropped.
    pub fn until(&self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Instant {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (at, object) =
                self.events.recv_timeout(left).unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
            if wanted(&object) {
                return at;
            }
        }
    }
}
