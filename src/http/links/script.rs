//! `/gv.js`: the script for a brand's own pages that keeps the click in first-party cookies, so that its back end can send it back.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

const SCRIPT: &str = include_str!("../../../web/gv.js");

pub(in crate::http) async fn script() -> Response {
    let headers = [
        (CONTENT_TYPE.as_str(), "text/javascript; charset=utf-8"),
        ("cache-control", "public, max-age=3600"),
        // Pages of other sites load it: that is what it is for.
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
    ];
    (headers, SCRIPT).into_response()
}
