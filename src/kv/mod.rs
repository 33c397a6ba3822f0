//! Redis, the only door to it. Redis is speed, never truth: every call here may fail, every caller goes on without it, and
//! a flush costs time only. Keys are led by a prefix and by the brand as the hash tag, so that one brand's keys share a slot.

mod gcra;
mod limiter;

use std::time::Duration;

pub use limiter::{Limit, Limiter, Wait};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, RedisError};
use uuid::Uuid;

use crate::base::limits::STREAM_LENGTH_MAX;
use crate::base::{Error, Result};

/// Answers slower than this count as none: a request must not wait for a cache.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);

/// The door to Redis.
#[derive(Clone)]
pub struct Kv {
    client: redis::Client,
    manager: ConnectionManager,
    prefix: String,
}

/// What the newest entries of a brand's stream say: the last sequence number seen.
pub type StreamPlace = u64;

impl Kv {
    /// Opens the door. Redis need not be there yet: the first call connects, and a lost connection comes back by itself.
    pub fn connect(url: &str, prefix: &str) -> Result<Self> {
        let fault = |error: RedisError| Error::fault("reading the Redis address", error);
        let client = redis::Client::open(url).map_err(fault)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(fault)?;
        Ok(Self { client, manager, prefix: prefix.to_owned() })
    }

    fn key(&self, brand_id: Uuid, rest: &str) -> String {
        format!("{}{{{}}}:{rest}", self.prefix, brand_id.simple())
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<()> {
        let mut manager = self.manager.clone();
        redis::cmd("PING").exec_async(&mut manager).await.map_err(away)
    }

    /// A value that is looked up before its brand is known.
    pub async fn get_global(&self, name: &str) -> Result<Option<String>> {
        let mut manager = self.manager.clone();
        manager.get(format!("{}{name}", self.prefix)).await.map_err(away)
    }

    /// Keeps a value for `ttl_seconds` (at least one).
    pub async fn set_global(&self, name: &str, value: &str, ttl_seconds: u64) -> Result<()> {
        let mut manager = self.manager.clone();
        manager.set_ex(format!("{}{name}", self.prefix), value, ttl_seconds.max(1)).await.map_err(away)
    }

    /// Forgets a value.
    pub async fn forget_global(&self, name: &str) -> Result<()> {
        let mut manager = self.manager.clone();
        manager.del(format!("{}{name}", self.prefix)).await.map_err(away)
    }

    /// Adds outbox entries to the brand's stream under their own sequence numbers, oldest first, and trims what is too old. The entries
    /// follow on `after`: a stream that ends below it lacks some, and gets none of these unless it may begin anew. An entry that
    /// is already there is left as it is, so publishing twice is harmless. Returns where the stream ends now.
    pub async fn publish(
        &self,
        brand_id: Uuid,
        entries: &[(u64, String, String)],
        after: StreamPlace,
        gap: Gap,
    ) -> Result<StreamPlace> {
        let mut manager = self.manager.clone();
        let key = self.key(brand_id, "outbox");
        let script = redis::Script::new(PUBLISH);
        let mut call = script.key(key);
        let last = entries.last().map_or(after, |(seq, ..)| *seq);
        call.arg(after).arg(u8::from(gap == Gap::BeginsAnew)).arg(last.saturating_sub(STREAM_LENGTH_MAX));
        for (seq, topic, subject) in entries {
            call.arg(*seq).arg(topic).arg(subject);
        }
        call.invoke_async(&mut manager).await.map_err(away)
    }

    /// Entries of the brand's stream above `place`, oldest first, `count` at most: sequence number, topic, subject.
    pub async fn read_stream(
        &self,
        brand_id: Uuid,
        place: StreamPlace,
        count: usize,
    ) -> Result<Vec<(StreamPlace, String, String)>> {
        let mut manager = self.manager.clone();
        let start = format!("{}-0", place.saturating_add(1));
        let key = self.key(brand_id, "outbox");
        let reply: redis::streams::StreamRangeReply =
            manager.xrange_count(key, start, "+", count).await.map_err(away)?;
        let entry = |id: redis::streams::StreamId| {
            Some((id.id.split('-').next()?.parse().ok()?, id.get("topic")?, id.get("subject")?))
        };
        Ok(reply.ids.into_iter().filter_map(entry).collect())
    }

    /// Waits for entries of the brand's stream above `place`, at most `wait`; returns the highest sequence number seen.
    pub async fn wait_for_stream(&self, brand_id: Uuid, place: StreamPlace, wait: Duration) -> Result<StreamPlace> {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(wait + RESPONSE_TIMEOUT));
        let mut conn = self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(away)?;
        let options = redis::streams::StreamReadOptions::default().block(to_millis(wait)).count(1_000);
        let key = self.key(brand_id, "outbox");
        let reply: Option<redis::streams::StreamReadReply> =
            conn.xread_options(&[key], &[format!("{place}-0")], &options).await.map_err(away)?;
        let ids = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(ids.filter_map(|entry| entry.id.split('-').next()?.parse().ok()).max().unwrap_or(place))
    }
}

/// What happens to entries that do not follow on the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    Refused,
    /// What the stream held is dropped.
    BeginsAnew,
}

/// XADD refuses an id at or below the newest: such an entry is already published. Trimming is by id, never by length, so that
/// nothing that is kept is lost however many readers stall.
const PUBLISH: &str = r"
local held = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local newest = held and tonumber(string.match(held[1], '^%d+')) or 0
if newest < tonumber(ARGV[1]) then
    if ARGV[2] == '0' then return newest end
    redis.call('DEL', KEYS[1])
    newest = tonumber(ARGV[1])
end
for index = 4, #ARGV, 3 do
    redis.pcall('XADD', KEYS[1], ARGV[index] .. '-0', 'topic', ARGV[index + 1], 'subject', ARGV[index + 2])
    newest = math.max(newest, tonumber(ARGV[index]))
end
redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[3] .. '-0')
return newest
";

fn away(error: RedisError) -> Error {
    Error::transient("talking to Redis", error)
}

fn to_millis(wait: Duration) -> usize {
    usize::try_from(wait.as_millis()).unwrap_or(usize::MAX)
}
