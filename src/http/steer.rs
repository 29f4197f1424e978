//! The nudge: look at Git and the cluster now instead of at the next tick.
//!
//! A page of another site must not be able to send it: the request needs a
//! header that no form can set, and a browser's request must come from this
//! origin.

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::Deserialize;

use super::HttpState;

/// The header a nudge must have, with any value.
const GUARD: &str = "x-redis-gitops";

/// Takes nudges. It returns at once; the loops work from the newest state, so
/// a nudge too many changes nothing.
pub trait Nudge: Send + Sync {
    /// Wakes one environment, or all.
    fn nudge(&self, environment: Option<&str>);
}

#[derive(Deserialize)]
pub(super) struct Which {
    environment: Option<String>,
}

/// `POST /api/v1/sync[?environment=NAME]`.
pub(super) async fn sync(
    State(state): State<HttpState>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if let Err(reason) = same_origin(&headers) {
        return (StatusCode::FORBIDDEN, format!("{reason}\n"));
    }
    if !state.process().leader {
        return (StatusCode::SERVICE_UNAVAILABLE, "this process is a standby; ask the leader\n".to_owned());
    }
    if let Some(name) = &which.environment
        && !state.status().environments.contains_key(name)
    {
        return (StatusCode::NOT_FOUND, format!("there is no environment {name:?}\n"));
    }
    tracing::info!(environment = which.environment.as_deref().unwrap_or("all"), "nudged over HTTP");
    state.nudge.nudge(which.environment.as_deref());
    (StatusCode::ACCEPTED, "accepted\n".to_owned())
}

fn same_origin(headers: &HeaderMap) -> Result<(), &'static str> {
    if !headers.contains_key(GUARD) {
        return Err("the request needs the header X-Redis-Gitops, with any value");
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !matches!(text(header::HeaderName::from_static("sec-fetch-site")), None | Some("same-origin" | "none")) {
        return Err("the request comes from another site");
    }
    match (headers.get(header::ORIGIN), text(header::HOST)) {
        (None, _) => Ok(()),
        (Some(origin), Some(host)) if origin.to_str().is_ok_and(|origin| host_of(origin) == Some(host)) => Ok(()),
        (Some(_), _) => Err("the request comes from another origin"),
    }
}

fn host_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}
