//! Senders that post signed events, again and again until each is acknowledged, one event in twenty once more; and what they saw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use grapevine::platforms::sign_generic;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::{HEAL, pause, random_below, sized};

/// Events after which the story of the load begins anew, with the next person.
const PERSON: u64 = 4;
/// One event in this many is a bot's, and raises an alert of its own.
const BOT: u64 = 16;

/// What the senders share.
pub struct Load {
    client: reqwest::Client,
    url: String,
    secret: Vec<u8>,
    /// When the first event happened; each is a millisecond later than the one before it.
    since: DateTime<Utc>,
    next: AtomicU64,
    stop: AtomicBool,
    acknowledged: Mutex<HashMap<u64, String>>,
    refused: AtomicU64,
    unheard: AtomicU64,
    phase: AtomicU64,
    waits: Mutex<Vec<(u64, Duration)>>,
    started: Instant,
    /// How long it took until all was acknowledged.
    lasted: Mutex<Duration>,
}

/// Senders at work.
pub struct Running {
    load: Arc<Load>,
    senders: Vec<JoinHandle<()>>,
}

impl std::ops::Deref for Running {
    type Target = Arc<Load>;

    fn deref(&self) -> &Arc<Load> {
        &self.load
    }
}

impl Running {
    /// Lets every sender finish the event that it has in hand, however long that takes.
    pub async fn finish(mut self) -> Arc<Load> {
        self.load.stop.store(true, Ordering::SeqCst);
        for sender in &mut self.senders {
            sender.await.unwrap();
        }
        *self.load.lasted.lock().unwrap() = self.load.started.elapsed();
        Arc::clone(&self.load)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.senders.iter().for_each(JoinHandle::abort);
    }
}

impl Load {
    pub fn new(url: String, secret: &str, now: DateTime<Utc>) -> Arc<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Arc::new(Self {
            client,
            url,
            secret: secret.as_bytes().to_vec(),
            since: now - TimeDelta::hours(2),
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            refused: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
            phase: AtomicU64::new(0),
            waits: Mutex::default(),
            started: Instant::now(),
            lasted: Mutex::default(),
        })
    }

    /// Starts the senders: together they post this many new events a second, as long as they are answered.
    pub fn run(self: Arc<Self>, rate: u64) -> Running {
        let count = sized(8, 32);
        let senders = (0..count).map(|_| tokio::spawn(Arc::clone(&self).send(rate, count))).collect();
        Running { load: self, senders }
    }

    async fn send(self: Arc<Self>, rate: u64, count: u64) {
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 * count / rate));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stop.load(Ordering::SeqCst) {
            tick.tick().await;
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            self.post_until_acknowledged(number).await;
            if random_below(20) == 0 {
                self.post_until_acknowledged(random_below(number + 1)).await;
            }
        }
    }

    async fn post_until_acknowledged(&self, number: u64) {
        while !self.post(number).await {
            pause(50).await;
        }
    }

    /// Posts an event once; whether it was acknowledged.
    pub async fn post(&self, number: u64) -> bool {
        let (raw, started) = (self.body(number).to_string(), Instant::now());
        let signature = sign_generic(&self.secret, raw.as_bytes());
        let request = self.client.post(&self.url).header("x-webhook-signature", signature).body(raw);
        let Ok(answer) = request.send().await else {
            self.unheard.fetch_add(1, Ordering::SeqCst);
            return false;
        };
        let status = answer.status().as_u16();
        if !matches!(status, 200 | 202) {
            assert!(matches!(status, 429 | 503), "{status}: {:?}", answer.text().await);
            assert!(answer.headers().contains_key("retry-after"), "a refusal that does not say when to come back");
            self.refused.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        // An answer that is cut off was no acknowledgement.
        let Ok(answer) = answer.json::<Value>().await else {
            self.unheard.fetch_add(1, Ordering::SeqCst);
            return false;
        };
        self.waits.lock().unwrap().push((self.phase.load(Ordering::SeqCst), started.elapsed()));
        assert_ne!(answer["status"], "quarantined", "{answer}");
        let id = answer["event_id"].as_str().unwrap().to_owned();
        let known = self.acknowledged.lock().unwrap().insert(number, id.clone());
        assert!(known.is_none_or(|known| known == id), "event {number} got two identifiers");
        true
    }

    /// Three touches of the creator's link and a purchase per person, and now and then a bot.
    fn body(&self, number: u64) -> Value {
        let person = number / PERSON;
        let address = |first: u64| format!("{first}.{}.{}.{}", person >> 16 & 255, person >> 8 & 255, person & 255);
        let time = self.since + TimeDelta::milliseconds(number.cast_signed());
        let common = json!({"event_id": format!("n{number}"), "anonymous_id": format!("person-{person}"), "timestamp": time.to_rfc3339()});
        let more = if is_purchase(number) {
            json!({"event_type": "conversion", "conversion_value": "10.00", "order_id": format!("order-{number}")})
        } else if is_bot(number) {
            json!({"event_type": "click", "link_token": "zoe-link", "user_agent": "curl/8.5.0", "ip": address(11)})
        } else {
            json!({"event_type": "click", "link_token": "zoe-link", "ip": address(10),
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"})
        };
        let (Value::Object(mut common), Value::Object(more)) = (common, more) else { unreachable!() };
        common.extend(more);
        Value::Object(common)
    }

    /// Waits until this many more events are acknowledged, and returns how long that took.
    pub async fn progress(&self, count: usize) -> Duration {
        let (goal, started) = (self.acknowledged_count() + count, Instant::now());
        while self.acknowledged_count() < goal {
            assert!(started.elapsed() < HEAL, "nothing is acknowledged any more");
            pause(10).await;
        }
        started.elapsed()
    }

    pub fn acknowledged_count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// The identifiers of what was acknowledged.
    pub fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().values().cloned().collect()
    }

    /// Events acknowledged a second, from the first to the last, faults and all.
    pub fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.lasted.lock().unwrap().as_millis()).unwrap().max(1);
        self.acknowledged_count() as u64 * 1_000 / millis
    }

    pub fn sent_count(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    pub fn purchase_count(&self) -> u64 {
        (0..self.sent_count()).filter(|number| is_purchase(*number)).count() as u64
    }

    pub fn bot_count(&self) -> u64 {
        (0..self.sent_count()).filter(|number| is_bot(*number)).count() as u64
    }

    /// Answers of 503 and 429 so far.
    pub fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Requests that got no answer so far.
    pub fn unheard_count(&self) -> u64 {
        self.unheard.load(Ordering::SeqCst)
    }

    /// From here on, waits are kept under this number.
    pub fn begin_phase(&self, phase: u64) {
        self.phase.store(phase, Ordering::SeqCst);
    }

    /// The median wait for an acknowledgement in a phase, and the 99th of 100, in milliseconds.
    pub fn waits_ms(&self, phase: u64) -> (u128, u128) {
        let waits = self.waits.lock().unwrap();
        let mut waits: Vec<u128> =
            waits.iter().filter(|(own, _)| *own == phase).map(|(_, wait)| wait.as_millis()).collect();
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
        (at(50), at(99))
    }
}

fn is_purchase(number: u64) -> bool {
    number % PERSON == PERSON - 1
}

fn is_bot(number: u64) -> bool {
    number % BOT == 1
}
