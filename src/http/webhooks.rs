//! Inbound webhooks: the raw bytes are read under a cap, their signature is checked, and what is authentic is always taken, at
//! worst into quarantine. One answer for everything that is not authentic, so that nothing can be learned from it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ALLOW, HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use super::house::House;
use super::sources::Known;
use super::{answer, body};
use crate::base::limits::BODY_BYTES_MAX;
use crate::base::{Kind, Result};
use crate::ingest::{Origin, Receipt, ReceiptStatus, Source};
use crate::kv::Limit;
use crate::platforms::{self, Authentic};

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
    match take(&house, &slug, &parts.headers, &raw).await {
        Ok(response) => response,
        Err(error) => {
            house.metrics.count_event("refused", 1);
            answer::fault(&error)
        }
    }
}

async fn take(house: &House, slug: &str, headers: &HeaderMap, raw: &[u8]) -> Result<Response> {
    let Some((known, authentic)) = authenticate(house, slug, headers, raw).await? else {
        house.metrics.count_event("rejected", 1);
        return Ok(unauthentic());
    };
    let (source, app) = (&known.source, &house.app);
    // Only what is authentic counts: else anyone who knows the address could use the sender's quota up.
    let spent =
        app.limiter.spend(Limit::SourceRequests, source.scope.brand_id, source.id.into_bytes(), 1, app.env.now());
    if let Err(wait) = spent.await {
        house.metrics.count_event("limited", 1);
        return Ok(answer::limited(wait));
    }
    let parsed = platforms::parse(source.scheme, raw);
    let origin = Origin {
        scope: source.scope.clone(),
        source_id: source.id,
        delivery_id: authentic.delivery_id,
        is_import: false,
    };
    let receipts = app.door.accept(&origin, parsed.items).await?;
    known.note_event(house).await;
    Ok(taken(house, parsed.is_array, &receipts))
}

/// No source that we know has anything to shake hands about with GET, whether the slug is known or not.
pub(super) async fn handshake() -> Response {
    let message = "Post signed events here; there is nothing to read.";
    let mut response = answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The source that signed the body. What does not fit a source as it is remembered is checked against the source as it is now: its
/// secret may have been rotated a moment ago.
async fn authenticate(
    house: &House,
    slug: &str,
    headers: &HeaderMap,
    raw: &[u8],
) -> Result<Option<(Arc<Known>, Authentic)>> {
    let started = Instant::now();
    let known = house.sources.find(house, slug).await?;
    let verified = verify(house, known.as_deref(), headers, raw);
    if let (None, Some(known)) = (&verified, &known)
        && let Some(newer) = house.sources.read_again(house, slug, known, started).await?
    {
        let verified = verify(house, Some(&newer), headers, raw);
        return Ok(verified.map(|authentic| (newer, authentic)));
    }
    Ok(known.zip(verified))
}

/// An unknown source costs the same work as a known one with a wrong signature.
fn verify(house: &House, known: Option<&Known>, headers: &HeaderMap, raw: &[u8]) -> Option<Authentic> {
    let lookup = |name: &str| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let now = house.app.env.now();
    let source: Option<&Source> = known.map(|known| &known.source);
    let decoy = [0_u8; 32];
    let (scheme, keys) = match source {
        Some(source) => (source.scheme, source.keys(now)),
        None => (platforms::guess_scheme(&lookup), vec![decoy.as_slice()]),
    };
    let verified = platforms::verify(scheme, &keys, &lookup, raw, now);
    if let Err(rejected) = &verified {
        tracing::info!(reason = %rejected, source.is_known = source.is_some(), "a webhook was not authentic");
    }
    verified.ok().filter(|_| source.is_some())
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
