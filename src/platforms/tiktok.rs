//! TikTok for Developers: creators' posts that went public. `TikTok-Signature: t=<seconds>,s=<hex>`, HMAC-SHA256 over `t.body` under the
//! client secret (<https://developers.tiktok.com/doc/webhooks-verification>). TikTok Shop signs in another way and is none of this.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::adapter::{Adapter, Authentic, Doubt, Post, Rejected, Request, SignedHeaders, bad_field, raw, unknown_kind};
use super::signing::{sha256, timed, verify_timed};
use super::{EventFields, Parsed};

const HEADER: &str = "tiktok-signature";
/// TikTok leaves the age to us: as for Standard Webhooks.
const LATE_SECONDS_MAX: i64 = 300;
/// The format has no version; this is when we read its description.
const VERSION: &str = "2026-11";

pub(super) struct Tiktok;

#[derive(Deserialize)]
struct Notice {
    event: String,
    /// Unix seconds.
    create_time: u64,
    user_openid: String,
    /// JSON within JSON.
    content: String,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    post_id: Option<String>,
    #[serde(default)]
    publish_id: Option<String>,
    #[serde(default)]
    share_id: Option<String>,
}

impl Adapter for Tiktok {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        let sent_at = now.timestamp().to_string();
        let mac = sha256(key, &[sent_at.as_bytes(), b".", raw]);
        vec![(HEADER, format!("t={sent_at},s={}", hex::encode(mac)))]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        verify_timed(keys, request, timed(request.headers, HEADER, "s", 1), LATE_SECONDS_MAX)?;
        Ok(Authentic { delivery_id: None })
    }

    fn schema_version(&self, _post: &Post<'_>) -> Option<String> {
        Some(VERSION.to_owned())
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        post.one(post.json().and_then(read))
    }
}

fn read(notice: Notice) -> Result<Option<EventFields>, Doubt> {
    match notice.event.as_str() {
        "post.publish.publicly_available" | "video.publish.completed" => {}
        // What concerns the creator and TikTok alone. The third spelling is TikTok's own.
        "authorization.removed"
        | "post.publish.failed"
        | "post.publish.complete"
        | "post.publish.inbox_delivered"
        | "post.publish.no_longer_publicaly_available"
        | "video.upload.failed"
        | "portability.download.ready" => return Ok(None),
        other => return Err(unknown_kind(other)),
    }
    let wrong = |_error: serde_json::Error| bad_field("content", "a JSON object in a text");
    let content: Content = serde_json::from_str(&notice.content).map_err(wrong)?;
    let post_id = content.post_id.or(content.share_id).or(content.publish_id);
    let post_id = post_id.ok_or_else(|| bad_field("content", "an object that names the post"))?;
    Ok(Some(EventFields {
        event_type: Some("post".to_owned()),
        event_id: Some(format!("{}:{post_id}", notice.event)),
        timestamp: raw(notice.create_time),
        platform: Some("TIKTOK".to_owned()),
        account_id: Some(notice.user_openid),
        ..EventFields::default()
    }))
}
