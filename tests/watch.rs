//! A watch against an API server that misbehaves: it ends every stream at once, or
//! has always forgotten the version it was asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::Query, http::StatusCode, response::IntoResponse, routing::get};
use redis_gitops::cluster::{
    Cluster, Connection,
    watch::{self, Liveness, Scope, Store},
};
use serde_json::{Value, json};

/// Runs a watch for a while against a server that answers each watch so; gives
/// how often it was asked for anything.
async fn requests(answer: fn() -> axum::response::Response) -> usize {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let objects = move |Query(query): Query<Value>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if query.get("watch").is_some() {
                return answer();
            }
            Json(
                json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []}),
            )
            .into_response()
        }
    };
    let resources =
        json!([{"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "scope": "Namespaced", "verbs": []}]);
    let core = json!({"items": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": resources}]}]});
    let router = Router::new()
        .route("/version", get(|| async { Json(json!({"gitVersion": "v1.36.0"})) }))
        .route("/api", get(move || async move { Json(core) }))
        .route("/apis", get(|| async { Json(json!({"items": []})) }))
        .route("/api/v1/configmaps", get(objects));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {}}],
    });
    std::fs::write(&kubeconfig, text.to_string()).expect("a file");
    let connection = Connection { kubeconfig: Some(kubeconfig), context: None };
    let cluster = Cluster::connect(&connection, Arc::new(|_, _| {})).await.expect("it answers");
    let scope = Scope { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, selector: "a".into() };
    let store = Store::new(Arc::new(|_, _| {}));
    let run = watch::run(cluster, scope, store, Liveness::default(), |_, _| {});
    assert!(tokio::time::timeout(Duration::from_secs(2), run).await.is_err(), "it runs for ever");
    server.abort();
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn streams_that_end_at_once_are_opened_ever_more_slowly() {
    let asked = requests(|| StatusCode::OK.into_response()).await;
    assert!((2..20).contains(&asked), "{asked} requests in two seconds");
}

#[tokio::test]
async fn versions_that_are_always_too_old_are_listed_ever_more_slowly() {
    let gone = || {
        let event = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410}});
        format!("{event}\n").into_response()
    };
    let asked = requests(gone).await;
    assert!((2..20).contains(&asked), "{asked} requests in two seconds");
}
