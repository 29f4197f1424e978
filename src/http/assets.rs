//! The files pages refer to, built into the binary.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let (kind, body) = match &*name {
        "style.css" => ("text/css; charset=utf-8", include_str!("assets/style.css")),
        "refresh.js" => ("text/javascript; charset=utf-8", include_str!("assets/refresh.js")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
