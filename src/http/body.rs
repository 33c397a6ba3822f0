//! Bodies under a cap and a deadline. It never holds more than the cap, whatever the sender announces.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::answer;

/// How much of a refused body is read and thrown away, so that a sender who writes first still sees the answer.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

impl Unread {
    pub(super) fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "Send at most 256 KiB in one request."),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "The body did not arrive in time."),
            Self::Broken => (StatusCode::BAD_REQUEST, "BODY_BROKEN", "The body could not be read to its end."),
        }
    }

    pub(super) fn answer(self) -> Response {
        let (status, code, message) = self.describe();
        answer::error(status, code, message)
    }
}

/// The whole body, if it is at most `bytes_max` long and arrives in time.
pub(super) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, time: Duration) -> Result<Bytes, Unread> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        discard(body).await;
        return Err(Unread::TooLarge);
    }
    let mut body = Limited::new(body, bytes_max);
    let collected = tokio::time::timeout(time, (&mut body).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::TooSlow),
    }
}

async fn discard(body: Body) {
    let mut body = Limited::new(body, DISCARD_BYTES_MAX);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Too slow to be worth waiting for: the answer goes out all the same.
    let _ = tokio::time::timeout(DISCARD_TIME, all).await;
}
