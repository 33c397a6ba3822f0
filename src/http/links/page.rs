//! Small pages that load nothing and say nothing of the request.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::base::Error;
use crate::http::answer;
use crate::links::Resolution;

/// It loads nothing, and stands in no other page.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page of one sentence, for this one visitor.
pub(super) fn page(status: StatusCode, sentence: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\">\
         <title>Link</title><p>{sentence}</p></html>"
    );
    let headers = [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", POLICY),
    ];
    (status, headers, html).into_response()
}

pub(super) fn unknown() -> Response {
    page(StatusCode::NOT_FOUND, "This link does not exist.")
}

/// The page of a link that leads nowhere.
pub(super) fn closed(resolution: &Resolution) -> Response {
    match resolution {
        Resolution::Expired => page(StatusCode::GONE, "This link has expired."),
        Resolution::Revoked => page(StatusCode::GONE, "This link is no longer in use."),
        Resolution::Found(_) | Resolution::Unknown => unknown(),
    }
}

/// Logs a fault, and asks the visitor to come back.
pub(super) fn fault(error: &Error) -> Response {
    log(error);
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, "This link cannot be opened now. Please try again.");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(answer::RETRY_AFTER_SECONDS));
    response
}

pub(super) fn log(error: &Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "a link could not be served in full");
}
