//! YouTube: creators' videos, as its WebSub hub tells them in Atom (<https://developers.google.com/youtube/v3/guides/push_notifications>).
//! `X-Hub-Signature: sha1=<hex>` over the body under the secret that we gave when we subscribed. The hub asks back before it posts:
//! that handshake, and the lease that it grants, are `watches`.

use chrono::{DateTime, Utc};
use quick_xml::de::from_reader;
use quick_xml::escape::escape;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::adapter::{
    Adapter, Authentic, Doubt, Post, Rejected, Request, SignedHeaders, bad_field, bad_xml, only, raw, text_key,
};
use super::signing::{digest, is_signed, outcome, sha1, sha256};
use super::{EventFields, Parsed, Submission};

const HEADER: &str = "x-hub-signature";
/// The namespace of YouTube's own elements ends with the year of their making.
const VERSION: &str = "2015";
const NAMESPACE: &str = "http://www.youtube.com/xml/schemas/";
const SECRET_BYTES_MIN: usize = 16;
/// WebSub has `hub.secret` shorter than 200 bytes.
const SECRET_BYTES_MAX: usize = 199;
/// How far into the body the namespace is looked for.
const HEAD_BYTES: usize = 2_048;
/// Entries of one post: the hub sends one.
const ENTRIES_MAX: usize = 100;

/// The topic of a channel: what one subscribes to, and what the hub names in the handshake.
#[must_use]
pub fn topic_of(channel_id: &str) -> String {
    format!("https://www.youtube.com/xml/feeds/videos.xml?channel_id={channel_id}")
}

/// The same topic, as older subscriptions name it.
pub(super) fn old_topic_of(channel_id: &str) -> String {
    format!("https://www.youtube.com/feeds/videos.xml?channel_id={channel_id}")
}

pub(super) struct Youtube;

#[derive(Deserialize)]
struct Feed {
    #[serde(default, rename = "entry")]
    entries: Vec<Entry>,
    #[serde(default, rename = "deleted-entry")]
    deleted: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "videoId")]
    video_id: String,
    #[serde(rename = "channelId")]
    channel_id: String,
    published: String,
    updated: String,
}

impl Adapter for Youtube {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        text_key(secret, SECRET_BYTES_MIN).filter(|key| key.len() <= SECRET_BYTES_MAX)
    }

    fn secret_expected(&self) -> &'static str {
        "Pass a secret of 16 to 199 visible ASCII characters, or leave it out."
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, _now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        vec![(HEADER, format!("sha1={}", hex::encode(sha1(key, raw))))]
    }

    /// The hub uses SHA-1; WebSub lets it change to SHA-256.
    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        let text = only(request.headers, HEADER).unwrap_or_default();
        let old: Option<[u8; 20]> = text.strip_prefix("sha1=").and_then(digest);
        let new: Option<[u8; 32]> = text.strip_prefix("sha256=").and_then(digest);
        let is_old = is_signed(keys, &[old.unwrap_or_default()], |key| sha1(key, request.raw));
        let is_new = is_signed(keys, &[new.unwrap_or_default()], |key| sha256(key, &[request.raw]));
        let is_signed = (old.is_some() && is_old) || (new.is_some() && is_new);
        outcome(old.is_some() || new.is_some(), is_signed, None)
    }

    fn schema_version(&self, post: &Post<'_>) -> Option<String> {
        let head = &post.body[..post.body.len().min(HEAD_BYTES)];
        let text = String::from_utf8_lossy(head);
        let rest = text.split_once(NAMESPACE)?.1;
        Some(rest.chars().take_while(char::is_ascii_alphanumeric).collect())
    }

    fn knows_version(&self, version: &str) -> bool {
        version == VERSION
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        match items(post) {
            Ok(items) => Parsed::of(items),
            Err(doubt) => Parsed::of(vec![post.submission(Err(doubt))]),
        }
    }
}

fn items(post: &Post<'_>) -> Result<Vec<Submission>, Doubt> {
    if post.body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'<') {
        return Err(bad_xml());
    }
    let feed: Feed = from_reader(post.body).map_err(|error| match error {
        quick_xml::DeError::Custom(_) => {
            bad_field("feed", "a feed whose entries name a video, its channel and its moments")
        }
        _ => bad_xml(),
    })?;
    if feed.entries.is_empty() && feed.deleted.is_empty() {
        return Err(bad_field("feed", "a feed with an entry"));
    }
    if feed.entries.len() > ENTRIES_MAX {
        return Err(("TOO_MANY_EVENTS", format!("A feed holds at most {ENTRIES_MAX} entries.")));
    }
    let is_one = feed.entries.len() == 1;
    let submission = |entry: Entry| {
        let raw = if is_one { post.kept.to_vec() } else { alone(&entry) };
        Submission::Fields { fields: Box::new(published(entry)), raw }
    };
    Ok(feed.entries.into_iter().map(submission).collect())
}

/// An entry of several, as a post of its own.
fn alone(entry: &Entry) -> Vec<u8> {
    let [video_id, channel_id] = [&entry.video_id, &entry.channel_id].map(escape);
    let [published, updated] = [&entry.published, &entry.updated].map(escape);
    format!(
        r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:yt="{NAMESPACE}{VERSION}"><entry><yt:videoId>{video_id}</yt:videoId><yt:channelId>{channel_id}</yt:channelId><published>{published}</published><updated>{updated}</updated></entry></feed>"#
    )
    .into_bytes()
}

/// The hub posts when a video appears, and again when its title or description changes: `updated` tells these apart.
fn published(entry: Entry) -> EventFields {
    EventFields {
        event_type: Some("post".to_owned()),
        event_id: Some(format!("yt:video:{}@{}", entry.video_id, entry.updated)),
        timestamp: raw(if entry.updated.is_empty() { entry.published } else { entry.updated }),
        platform: Some("YOUTUBE".to_owned()),
        account_id: Some(entry.channel_id),
        ..EventFields::default()
    }
}
