//! Channels of which YouTube's hub tells a source. We ask the hub for each channel that a creator has connected; it asks back whether that
//! is meant, and grants a lease; before the lease ends we ask again (<https://www.w3.org/TR/websub/>).

use chrono::{DateTime, TimeDelta, Utc};
use url::form_urlencoded;

use super::client::Unanswered;
use super::{Desk, store};
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{
    LEASE_HOURS_LEFT_MIN, LEASE_RETRY_MINUTES, LEASE_SECONDS_DEFAULT, LEASE_SECONDS_MAX, WATCHES_PER_ROUND_MAX,
};
use crate::creators::Platform;
use crate::db::Conn;
use crate::ingest::{Source, source_by_slug};
use crate::platforms::profiles::{Question, Trouble};
use crate::platforms::{Scheme, youtube_topic};

/// Agrees to hear of a channel until the lease ends, where a creator of the brand has connected it. False: nobody has.
pub async fn grant(
    conn: &mut Conn,
    source: &Source,
    channel_id: &str,
    lease_seconds: Option<u32>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let lease = lease_seconds.unwrap_or(LEASE_SECONDS_DEFAULT).min(LEASE_SECONDS_MAX);
    let expires_at = now + TimeDelta::seconds(i64::from(lease));
    store::grant(conn, &source.scope, source.id, channel_id, expires_at).await
}

impl Desk<'_> {
    /// Asks the hub for every channel whose lease is missing or ends within a day. Returns how many requests it took.
    pub async fn renew_watches(&self, scope: &Scope, public_url: &str) -> Result<usize> {
        let now = self.env.now();
        let due = store::WatchesDue {
            now,
            ends_before: now + TimeDelta::hours(LEASE_HOURS_LEFT_MIN),
            asked_before: now - TimeDelta::minutes(LEASE_RETRY_MINUTES),
            limit: WATCHES_PER_ROUND_MAX,
        };
        // Claimed before the work, so that two workers do not ask for the same one.
        let due = store::claim_watches(&mut *self.db.conn().await?, scope, &due).await?;
        let Some(client) = self.outbound.client(Platform::Youtube) else { return Ok(0) };
        let mut count = 0;
        for watch in due {
            let source = source_by_slug(&mut *self.db.conn().await?, self.keyring, &watch.slug).await?;
            let Some(source) = source.filter(|source| source.scheme == Scheme::Youtube) else { continue };
            let callback = format!("{public_url}/webhooks/{}", watch.slug);
            let Some(question) = subscribe(&self.settings.youtube_hub_url, &callback, &watch.channel_id, &source, now)
            else {
                continue;
            };
            let answer = client.ask(&question, accepted).await;
            self.outbound.keep_health(self.db, self.env, client, answer.as_ref().err()).await?;
            match answer {
                Ok(()) => count += 1,
                Err(unanswered) => {
                    tracing::warn!(reason = %unanswered, "the hub did not take a request for a channel, which is made again later");
                    if unanswered != Unanswered::Trouble(Trouble::Refused) {
                        break;
                    }
                }
            }
        }
        Ok(count)
    }
}

/// The request that the hub tells the source of a channel, signed with the source's newest key.
fn subscribe(hub: &str, callback: &str, channel_id: &str, source: &Source, now: DateTime<Utc>) -> Option<Question> {
    let keys = source.keys(now);
    let secret = std::str::from_utf8(keys.first()?).ok()?;
    let lease = LEASE_SECONDS_DEFAULT.to_string();
    let topic = youtube_topic(channel_id);
    let fields = [
        ("hub.callback", callback),
        ("hub.mode", "subscribe"),
        ("hub.topic", &topic),
        ("hub.verify", "async"),
        ("hub.lease_seconds", &lease),
        ("hub.secret", secret),
    ];
    Some(Question {
        method: "POST",
        url: hub.to_owned(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish(),
    })
}

/// What the hub answers: it has taken the request, and asks back by itself.
fn accepted(status: u16, _body: &[u8]) -> std::result::Result<(), Trouble> {
    match status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => Err(Trouble::Later),
        400..=499 => Err(Trouble::Refused),
        _ => Err(Trouble::Shape),
    }
}
