//! Plain answers: JSON bodies, and the errors of every path but `/graphql`.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::base::Error;
use crate::kv::Wait;

pub(super) const RETRY_AFTER_SECONDS: &str = "1";
pub(super) const RATE_LIMITED: &str = "RATE_LIMITED";

/// A body as JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An error with its code and a sentence that says what to do.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &serde_json::json!({ "code": code, "message": message }))
}

/// Something failed on our side; the cause is in the log only.
pub(super) fn internal() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something failed on our side.")
}

/// Not now: the same request may be made again.
pub(super) fn unavailable() -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "Not possible now: send it again.");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}

/// Over a rate limit: the same request may be made again after a while.
pub(super) fn limited(wait: Wait) -> Response {
    let message = "Too many requests: send it again after the time that Retry-After says.";
    let mut response = error(StatusCode::TOO_MANY_REQUESTS, RATE_LIMITED, message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.seconds));
    response
}

/// Logs a fault once and answers without its cause.
pub(super) fn fault(error: &Error) -> Response {
    if error.is_transient() {
        tracing::warn!(error = error as &dyn std::error::Error, "a request could not be served now");
        return unavailable();
    }
    tracing::error!(error = error as &dyn std::error::Error, "a request failed");
    internal()
}
