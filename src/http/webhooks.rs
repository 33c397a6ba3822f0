//! Inbound webhooks: the raw bytes are read under a cap, their signature is checked, and what is authentic is always taken, at
//! worst into quarantine. One answer for everything that is not authentic, so that nothing can be learned from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ALLOW, HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use super::house::House;
use super::{answer, body};
use crate::base::limits::BODY_BYTES_MAX;
use crate::base::{Kind, Result};
use crate::ingest::{Origin, Receipt, ReceiptStatus, Source, source_by_slug};
use crate::platforms::{self, Scheme};

/// How long a source is remembered; a changed secret works after this at the latest.
const CACHE_TIME: Duration = Duration::from_secs(10);
const CACHE_ENTRIES_MAX: usize = 1_000;
const SLUG_LENGTH_MAX: usize = 100;

/// Remembers sources for a few seconds, so that a busy one does not cost two statements per request.
#[derive(Default)]
pub(super) struct SourceCache(Mutex<HashMap<String, (Arc<Source>, Instant)>>);

impl SourceCache {
    async fn find(&self, house: &House, slug: &str) -> Result<Option<Arc<Source>>> {
        if let Some((source, until)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(slug)
            && *until > Instant::now()
        {
            return Ok(Some(Arc::clone(source)));
        }
        if slug.len() > SLUG_LENGTH_MAX {
            return Ok(None);
        }
        let app = &house.app;
        let source = source_by_slug(&mut *app.db.conn().await?, &app.keyring, slug).await?;
        Ok(source.map(|source| self.remember(slug, Arc::new(source))))
    }

    fn remember(&self, slug: &str, source: Arc<Source>) -> Arc<Source> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if sources.len() >= CACHE_ENTRIES_MAX {
            sources.retain(|_, (_, until)| *until > now);
        }
        if sources.len() < CACHE_ENTRIES_MAX {
            sources.insert(slug.to_owned(), (Arc::clone(&source), now + CACHE_TIME));
        }
        source
    }
}

/// The answer for one event.
#[derive(Serialize)]
struct Taken<'a> {
    status: &'static str,
    event_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

type Slug = std::result::Result<Path<String>, PathRejection>;

pub(super) async fn receive(State(house): State<House>, slug: Slug, request: Request) -> Response {
    // A path that is not text names no source, as any unknown one.
    let slug = slug.map_or_else(|_: PathRejection| String::new(), |Path(slug)| slug);
    let (parts, body) = request.into_parts();
    let raw = match body::read(&parts.headers, body, BODY_BYTES_MAX, house.options.body_read).await {
        Ok(raw) => raw,
        Err(unread) => return unread.answer(),
    };
    let source = match house.sources.find(&house, &slug).await {
        Ok(source) => source,
        Err(error) => return answer::fault(&error),
    };
    let Some(source) = authentic(source, &parts.headers, &raw) else {
        house.metrics.count_event("rejected", 1);
        return unauthentic();
    };
    let parsed = platforms::parse(source.scheme, &raw);
    let origin = Origin { scope: source.scope.clone(), source_id: source.id, is_import: false };
    match house.app.door.accept(&origin, parsed.items).await {
        Ok(receipts) => taken(&house, parsed.is_array, &receipts),
        Err(error) => {
            house.metrics.count_event("refused", 1);
            answer::fault(&error)
        }
    }
}

/// No source that we know has anything to shake hands about with GET, whether the slug is known or not.
pub(super) async fn handshake() -> Response {
    let message = "Post signed events here; there is nothing to read.";
    let mut response = answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The source, if it signed the body. An unknown source costs the same work as a known one with a wrong signature.
fn authentic(source: Option<Arc<Source>>, headers: &HeaderMap, raw: &[u8]) -> Option<Arc<Source>> {
    let lookup = |name: &str| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let decoy = [vec![0_u8; 64]];
    let (scheme, secrets) = match &source {
        Some(source) => (source.scheme, source.secrets.as_slice()),
        None => (Scheme::Generic, decoy.as_slice()),
    };
    let verified = platforms::verify(scheme, secrets, &lookup, raw);
    if let Err(rejected) = &verified {
        tracing::info!(reason = %rejected, source.is_known = source.is_some(), "a webhook was not authentic");
    }
    source.filter(|_| verified.is_ok())
}

fn unauthentic() -> Response {
    let message = "The source is unknown, or the signature is missing, wrong or stale.";
    answer::error(StatusCode::UNAUTHORIZED, "UNAUTHENTIC", message)
}

fn taken(house: &House, is_array: bool, receipts: &[Receipt]) -> Response {
    let answers: Vec<Taken<'_>> = receipts.iter().map(to_taken).collect();
    for answer in &answers {
        house.metrics.count_event(answer.status, 1);
    }
    let is_new = receipts.iter().any(|receipt| receipt.status != ReceiptStatus::Duplicate);
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    match answers.first() {
        Some(answer) if !is_array => answer::json(status, answer),
        _ => answer::json(status, &answers),
    }
}

fn to_taken(receipt: &Receipt) -> Taken<'_> {
    let status = match receipt.status {
        ReceiptStatus::Queued => "queued",
        ReceiptStatus::Duplicate => "duplicate",
        ReceiptStatus::Quarantined => "quarantined",
    };
    Taken { status, event_id: Kind::Event.id(receipt.event_id), code: receipt.code, reason: receipt.reason.as_deref() }
}
