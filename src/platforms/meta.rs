//! Meta: people who open a chat with the brand through an `ig.me` or `m.me` link that carries one of our tokens as its `ref`.
//! `X-Hub-Signature-256`, HMAC-SHA256 over the body under the app secret
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started>); one post holds many entries.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::adapter::{
    Adapter, Authentic, Doubt, Post, Rejected, Request, SignedHeaders, bad_field, json_doubt, only, raw, unknown_kind,
};
use super::signing::{digest, is_signed, outcome, sha256};
use super::{EventFields, Parsed, Submission};
use crate::base::limits::EVENTS_PER_REQUEST_MAX;

const HEADER: &str = "x-hub-signature-256";
/// The Graph version is chosen in the app's dashboard and not sent; this is when we read the description.
const VERSION: &str = "2026-11";
/// What people and posts do that leads nobody here, by the field of a change.
const IDLE_FIELDS: [&str; 8] =
    ["comments", "live_comments", "mentions", "story_insights", "feed", "likes", "media", "business_account"];

pub(super) struct Meta;

#[derive(Deserialize)]
struct Notice<'a> {
    object: String,
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    id: String,
    #[serde(borrow, default)]
    messaging: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    standby: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    changes: Vec<&'a RawValue>,
    /// A change that stands in the entry itself
    /// (<https://developers.facebook.com/docs/instagram-platform/webhooks/examples>).
    #[serde(default)]
    field: Option<String>,
}

impl Entry<'_> {
    /// Why it holds nothing that this adapter knows. `None`: it holds something, or a change that leads nobody here.
    fn doubt(&self) -> Option<Doubt> {
        let is_empty = self.messaging.is_empty() && self.standby.is_empty() && self.changes.is_empty();
        match self.field.as_deref() {
            _ if !is_empty => None,
            Some(field) if IDLE_FIELDS.contains(&field) => None,
            Some(field) => Some(unknown_kind(field)),
            None => Some(strange_entry()),
        }
    }
}

fn strange_entry() -> Doubt {
    bad_field("entry", "an object with an id, and with messaging or changes")
}

#[derive(Deserialize)]
struct Change {
    field: String,
}

#[derive(Deserialize)]
struct Message {
    sender: Option<Party>,
    /// Unix milliseconds.
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(default)]
    referral: Option<Referral>,
    #[serde(default)]
    message: Option<Inner>,
    #[serde(default)]
    postback: Option<Inner>,
    #[serde(default)]
    reaction: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    read: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    delivery: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    message_edit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Party {
    id: String,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    referral: Option<Referral>,
}

#[derive(Deserialize)]
struct Referral {
    #[serde(rename = "ref", default)]
    token: Option<String>,
}

impl Adapter for Meta {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, _now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        vec![(HEADER, format!("sha256={}", hex::encode(sha256(key, &[raw]))))]
    }

    /// Over the bytes as they came: Meta escapes what is not ASCII before it signs, and writing the JSON anew would undo that.
    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        let text = only(request.headers, HEADER).unwrap_or_default();
        let offer: Option<[u8; 32]> = text.strip_prefix("sha256=").and_then(digest);
        let is_signed = is_signed(keys, &[offer.unwrap_or_default()], |key| sha256(key, &[request.raw]));
        outcome(offer.is_some(), is_signed, None)
    }

    fn schema_version(&self, _post: &Post<'_>) -> Option<String> {
        Some(VERSION.to_owned())
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        match items(post) {
            Ok(items) => Parsed::of(items),
            Err(doubt) => Parsed::of(vec![post.submission(Err(doubt))]),
        }
    }
}

/// Every part of a batch by itself, written as a post of its own: so each has its own fate, and can be read again alone.
fn items(post: &Post<'_>) -> Result<Vec<Submission>, Doubt> {
    let notice: Notice<'_> = post.json()?;
    if !matches!(notice.object.as_str(), "instagram" | "page") {
        return Err(unknown_kind(&notice.object));
    }
    let mut items = Vec::new();
    for text in notice.entry {
        let read = serde_json::from_str::<Entry<'_>>(text.get()).map_err(|_error: serde_json::Error| strange_entry());
        let entry = match read.and_then(|entry| entry.doubt().map_or(Ok(entry), Err)) {
            Ok(entry) => entry,
            Err(doubt) => {
                let alone = format!(r#"{{"object":"{}","entry":[{}]}}"#, notice.object, text.get());
                items.push(kept(alone, Err(doubt)));
                check_count(&items)?;
                continue;
            }
        };
        let id = serde_json::to_string(&entry.id).map_err(|error| json_doubt(&error))?;
        let parts = [("messaging", &entry.messaging), ("standby", &entry.standby), ("changes", &entry.changes)];
        for (name, part) in parts.iter().flat_map(|(name, parts)| parts.iter().map(move |part| (name, part))) {
            let read = if *name == "changes" { change(part.get()) } else { message(&notice.object, part.get()) };
            if let Some(read) = read.transpose() {
                let alone =
                    format!(r#"{{"object":"{}","entry":[{{"id":{id},"{name}":[{}]}}]}}"#, notice.object, part.get());
                items.push(kept(alone, read));
            }
            check_count(&items)?;
        }
    }
    Ok(items)
}

fn check_count(items: &[Submission]) -> Result<(), Doubt> {
    if items.len() > EVENTS_PER_REQUEST_MAX {
        return Err(("TOO_MANY_EVENTS", format!("A post holds at most {EVENTS_PER_REQUEST_MAX} events.")));
    }
    Ok(())
}

fn kept(alone: String, read: Result<EventFields, Doubt>) -> Submission {
    let raw = alone.into_bytes();
    match read {
        Ok(fields) => Submission::Fields { fields: Box::new(fields), raw },
        Err((code, reason)) => Submission::Unreadable { raw, code, reason },
    }
}

fn change(text: &str) -> Result<Option<EventFields>, Doubt> {
    let change: Change = serde_json::from_str(text).map_err(|error| json_doubt(&error))?;
    if IDLE_FIELDS.contains(&change.field.as_str()) { Ok(None) } else { Err(unknown_kind(&change.field)) }
}

fn message(object: &str, text: &str) -> Result<Option<EventFields>, Doubt> {
    let message: Message = serde_json::from_str(text).map_err(|error| json_doubt(&error))?;
    let is_idle = message.message.is_some()
        || message.postback.is_some()
        || message.reaction.is_some()
        || message.read.is_some()
        || message.delivery.is_some()
        || message.message_edit.is_some();
    let inner = [message.message, message.postback].into_iter().flatten().find_map(|inner| inner.referral);
    let Some(referral) = message.referral.or(inner) else {
        return if is_idle { Ok(None) } else { Err(unknown_kind("messaging")) };
    };
    // People also come by advertisements and by links of others, which carry no token.
    let Some(token) = referral.token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let sender = message.sender.ok_or_else(|| bad_field("sender", "who opened the chat"))?;
    let name = if object == "instagram" { "INSTAGRAM" } else { "OTHER" };
    Ok(Some(EventFields {
        event_type: Some("click".to_owned()),
        timestamp: message.timestamp.and_then(raw),
        link_token: Some(token),
        anonymous_id: Some(format!("{object}:{}", sender.id)),
        platform: Some(name.to_owned()),
        ..EventFields::default()
    }))
}
