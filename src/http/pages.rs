//! The pages a person reads.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;

use super::{
    HttpState,
    view::{self, Badge, Environment, Frame},
};

#[derive(Template)]
#[template(path = "index.html", config = "src/http/askama.toml")]
struct Index {
    frame: Frame,
    headline: Badge,
    environments: Vec<Environment>,
}

#[derive(Template)]
#[template(path = "environment.html", config = "src/http/askama.toml")]
struct Detail {
    frame: Frame,
    environment: Environment,
}

#[derive(Template)]
#[template(path = "not_found.html", config = "src/http/askama.toml")]
struct NotFound {
    frame: Frame,
    what: String,
}

pub(super) async fn index(State(state): State<HttpState>) -> Response {
    let (status, now) = (state.status(), Timestamp::now());
    let environments: Vec<_> = status.environments.values().map(|one| Environment::new(one, now)).collect();
    let git_answers = status.repositories.values().all(|repository| repository.error.is_none());
    let headline = view::headline(&environments, git_answers);
    html(StatusCode::OK, &Index { frame: Frame::new(&state, &status, now), headline, environments })
}

pub(super) async fn environment(State(state): State<HttpState>, Path(name): Path<String>) -> Response {
    let (status, now) = (state.status(), Timestamp::now());
    let frame = Frame::new(&state, &status, now);
    match status.environments.get(&name) {
        Some(one) => html(StatusCode::OK, &Detail { frame, environment: Environment::new(one, now) }),
        None => html(StatusCode::NOT_FOUND, &NotFound { frame, what: format!("environment {name:?}") }),
    }
}

pub(super) async fn not_found(State(state): State<HttpState>) -> Response {
    let frame = Frame::new(&state, &state.status(), Timestamp::now());
    html(StatusCode::NOT_FOUND, &NotFound { frame, what: "page at this address".to_owned() })
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered; see the log\n").into_response()
        }
    }
}
