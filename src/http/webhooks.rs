//! Inbound webhooks: the raw bytes are read under a cap, their signature is checked, and what is authentic is always taken, at
//! worst into quarantine. One answer for everything that is not authentic, so that nothing can be learned from it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::house::House;
use super::sources::Known;
use super::{answer, body};
use crate::base::limits::BODY_BYTES_MAX;
use crate::base::{Kind, Result};
use crate::ingest::{Receipt, ReceiptStatus, Source};
use crate::kv::Limit;
use crate::outbound::grant;
use crate::platforms::{self, Authentic, Handshake, Scheme};

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
    match take(&house, &slug, &parts, &raw).await {
        Ok(response) => response,
        Err(error) => {
            house.metrics.count_event("refused", 1);
            answer::fault(&error)
        }
    }
}

async fn take(house: &House, slug: &str, parts: &Parts, raw: &[u8]) -> Result<Response> {
    let Some((known, authentic)) = authenticate(house, slug, parts, raw).await? else {
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
    let kept = platforms::keep(source.scheme, &lookup(&parts.headers), raw);
    let parsed = platforms::parse(source.scheme, &kept);
    let receipts = app.door.accept(&source.origin(authentic.delivery_id), parsed.items).await?;
    known.note_event(house, parsed.version.as_deref()).await;
    tell(house, &known, &receipts);
    Ok(taken(house, source.scheme, parsed.is_array, &receipts))
}

/// What a platform asks before it posts. Who agrees sends the challenge back; who does not says no more than that.
pub(super) async fn shake(State(house): State<House>, slug: Slug, RawQuery(query): RawQuery) -> Response {
    let slug = slug.map_or_else(|_: PathRejection| String::new(), |Path(slug)| slug);
    let Some(hello) = Handshake::read(&query.unwrap_or_default()) else { return refuse().await };
    match agree(&house, &slug, &hello).await {
        Ok(true) => (StatusCode::OK, [(CONTENT_TYPE, "text/plain")], hello.challenge).into_response(),
        Ok(false) => answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "Nobody here asked for this."),
        Err(error) => answer::fault(&error),
    }
}

async fn agree(house: &House, slug: &str, hello: &Handshake) -> Result<bool> {
    let Some(known) = house.sources.find(house, slug).await? else { return Ok(false) };
    let (app, source) = (&house.app, &known.source);
    match source.scheme {
        Scheme::Meta => Ok(hello.is_subscription_with(&source.verify_token(&app.keyring))),
        Scheme::Youtube => match hello.wanted_channel() {
            Some(channel_id) => {
                grant(&mut *app.db.conn().await?, source, channel_id, hello.lease_seconds, app.env.now()).await
            }
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

/// Whoever asks for anything else: there is nothing to read.
pub(super) async fn refuse() -> Response {
    let message = "Post signed events here; there is nothing to read.";
    let mut response = answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The source that signed the body. What does not fit a source as it is remembered is checked against the source as it is now: its
/// secret may have been rotated a moment ago.
async fn authenticate(house: &House, slug: &str, parts: &Parts, raw: &[u8]) -> Result<Option<(Arc<Known>, Authentic)>> {
    let started = Instant::now();
    let known = house.sources.find(house, slug).await?;
    let verified = verify(house, known.as_deref(), parts, raw);
    if let (None, Some(known)) = (&verified, &known)
        && let Some(newer) = house.sources.read_again(house, slug, known, started).await?
    {
        let verified = verify(house, Some(&newer), parts, raw);
        return Ok(verified.map(|authentic| (newer, authentic)));
    }
    Ok(known.zip(verified))
}

/// An unknown source costs the same work as a known one with a wrong signature.
fn verify(house: &House, known: Option<&Known>, parts: &Parts, raw: &[u8]) -> Option<Authentic> {
    let lookup = lookup(&parts.headers);
    let now = house.app.env.now();
    let source: Option<&Source> = known.map(|known| &known.source);
    let decoy = [0_u8; 32];
    let (scheme, keys) = match source {
        Some(source) => (source.scheme, source.keys(now)),
        None => (platforms::guess_scheme(&lookup), vec![decoy.as_slice()]),
    };
    let request = platforms::Request { headers: &lookup, query: parts.uri.query().unwrap_or_default(), raw, now };
    let verified = platforms::verify(scheme, &keys, &request);
    if let Err(rejected) = &verified {
        tracing::info!(reason = %rejected, source.is_known = source.is_some(), "a webhook was not authentic");
    }
    verified.ok().filter(|_| source.is_some())
}

fn lookup(headers: &HeaderMap) -> impl Fn(&str) -> Vec<Vec<u8>> + Sync {
    move |name: &str| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
}

/// What a platform posts and we cannot use is a sign that it changed its format: somebody should look before much is waiting.
fn tell(house: &House, known: &Known, receipts: &[Receipt]) {
    let source = &known.source;
    if !source.scheme.is_platform() {
        return;
    }
    for receipt in receipts {
        let Some(code) = receipt.code else { continue };
        house.metrics.count_quarantined(source.scheme.as_str(), code);
        if known.is_worth_telling(house.app.env.now()) {
            tracing::warn!(
                platform = source.scheme.as_str(), source.id = %source.id, code, reason = receipt.reason.as_deref(),
                "what a platform posted could not be used, and is kept"
            );
        }
    }
}

fn unauthentic() -> Response {
    let message = "The source is unknown, or the signature is missing, wrong or stale.";
    answer::error(StatusCode::UNAUTHORIZED, "UNAUTHENTIC", message)
}

fn taken(house: &House, scheme: Scheme, is_array: bool, receipts: &[Receipt]) -> Response {
    let answers: Vec<Taken<'_>> = receipts.iter().map(to_taken).collect();
    for answer in &answers {
        house.metrics.count_event(answer.status, 1);
    }
    let is_new = receipts.iter().any(|receipt| receipt.status != ReceiptStatus::Duplicate);
    // A platform may know no other success than 200: TikTok sends what was answered with 202 again, for three days
    // (<https://developers.tiktok.com/doc/webhooks-overview>).
    let status = if is_new && !scheme.is_platform() { StatusCode::ACCEPTED } else { StatusCode::OK };
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
