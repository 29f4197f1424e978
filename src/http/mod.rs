//! What the daemon serves: metrics, health, the status as JSON and as pages,
//! and one way to steer, the nudge.
//!
//! Everything shown comes from the one [`Status`]; a request never asks Git,
//! the cluster or Redis. Pages need no script and load nothing from elsewhere.

mod assets;
mod format;
mod pages;
mod security;
mod steer;
mod view;

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};

pub use steer::Nudge;

use crate::{status::Status, telemetry::Metrics};

/// How long requests in hand may take once the daemon stops.
const DRAIN: Duration = Duration::from_secs(2);

/// What requests are answered from. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The daemon's state.
    pub status: watch::Receiver<Arc<Status>>,
    /// The process's own state.
    pub process: watch::Receiver<ProcessState>,
    /// What was counted.
    pub metrics: Metrics,
    /// Where a nudge goes.
    pub nudge: Arc<dyn Nudge>,
}

/// How the process itself is doing, as its supervisor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessState {
    /// This process is the one that acts.
    pub leader: bool,
    /// Every environment was looked at once since the start.
    pub first_pass_done: bool,
    /// A supervised task has ended for good; its name. The process must be restarted.
    pub dead_task: Option<String>,
}

/// Serves until `shutdown` completes, then lets requests in hand end, for two
/// seconds at most. Fails when the listener does.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (begun, stopping) = oneshot::channel();
    let graceful = axum::serve(listener, router(state)).with_graceful_shutdown(async move {
        shutdown.await;
        // An error means that nobody waits any more.
        let _unheard = begun.send(());
    });
    let too_long = async move {
        // An error means that the server is gone already.
        let _gone = stopping.await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = graceful => ended,
        () = too_long => Ok(()),
    }
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/environments/{name}", get(pages::environment))
        .route("/assets/{name}", get(assets::serve))
        .route("/api/v1/status", get(status))
        .route("/api/v1/sync", post(steer::sync))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(pages::not_found)
        .layer(middleware::from_fn(security::headers))
        .with_state(state)
}

impl HttpState {
    fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    fn process(&self) -> ProcessState {
        self.process.borrow().clone()
    }
}

async fn status(State(state): State<HttpState>) -> Response {
    Json(&*state.status()).into_response()
}

async fn metrics(State(state): State<HttpState>) -> Response {
    let text = state.metrics.render(&state.status(), state.process().leader);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn healthz(State(state): State<HttpState>) -> (StatusCode, String) {
    match state.process().dead_task {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(task) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the task {task:?} has ended; restart the process\n"))
        }
    }
}

async fn readyz(State(state): State<HttpState>) -> (StatusCode, &'static str) {
    if state.status().configuration.loaded.is_none() {
        (StatusCode::SERVICE_UNAVAILABLE, "the configuration is not loaded; see the log\n")
    } else if !state.process().first_pass_done {
        (StatusCode::SERVICE_UNAVAILABLE, "the first pass over the environments is not done yet\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
