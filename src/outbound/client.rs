//! One client per platform: a deadline per try, tries again with growing pauses, and a breaker over all of it. It logs neither addresses
//! nor what was answered: both can hold credentials.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::breaker::{Breaker, BreakerState};
use crate::base::limits::{CALL_ANSWER_BYTES_MAX, CALL_PAUSE_MS, CALL_TRIES_MAX};
use crate::base::{Env, random_bytes};
use crate::creators::Platform;
use crate::platforms::profiles::{Question, Trouble};

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections to platforms, shared by all clients of the process.
static CONNECTIONS: OnceLock<Https> = OnceLock::new();

/// Why a platform said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("it failed several times in a row and is not asked for a while")]
    Open,
    #[error("it did not answer in time, or not at all")]
    Unreachable,
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// How a call ended, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    Answered,
    Failed,
    /// The breaker let nothing through.
    Spared,
}

/// The client of one platform.
pub struct PlatformClient {
    platform: Platform,
    env: Env,
    /// How long one try may take.
    timeout: Duration,
    breaker: Mutex<Breaker>,
    counts: [AtomicU64; 3],
}

impl Unanswered {
    /// Whether it is the platform that is in trouble. One that refuses us, or does not let us ask about one account, works.
    #[must_use]
    pub fn is_outage(self) -> bool {
        matches!(self, Self::Open | Self::Unreachable | Self::Trouble(Trouble::Later))
    }
}

impl PlatformClient {
    pub(super) fn new(platform: Platform, env: Env, timeout: Duration) -> Self {
        Self { platform, env, timeout, breaker: Mutex::default(), counts: Default::default() }
    }

    /// The platform that it asks.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// What the breaker lets through now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// How many calls ended so.
    #[must_use]
    pub fn count(&self, outcome: CallOutcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Asks until there is an answer that `read` understands, a limit of tries, or a reason not to ask on.
    pub async fn ask<T>(
        &self,
        question: &Question,
        read: impl Fn(u16, &[u8]) -> Result<T, Trouble>,
    ) -> Result<T, Unanswered> {
        let mut tries = 0;
        let mut failed = None;
        let answer = loop {
            let answer = self.ask_once(question, &read).await;
            if let (Err(Unanswered::Open), Some(unanswered)) = (&answer, failed) {
                // The tries before this one opened the breaker: why they failed is what there is to tell.
                break Err(unanswered);
            }
            failed = answer.as_ref().err().copied();
            tries += 1;
            let is_worth_it = matches!(answer, Err(Unanswered::Unreachable | Unanswered::Trouble(Trouble::Later)));
            if !is_worth_it || tries >= CALL_TRIES_MAX {
                break answer;
            }
            let [chance] = random_bytes::<1>(&*self.env.chance);
            tokio::time::sleep(pause(tries, chance)).await;
        };
        let outcome = match answer {
            Ok(_) => CallOutcome::Answered,
            Err(Unanswered::Open) => CallOutcome::Spared,
            Err(_) => CallOutcome::Failed,
        };
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn ask_once<T>(
        &self,
        question: &Question,
        read: &impl Fn(u16, &[u8]) -> Result<T, Trouble>,
    ) -> Result<T, Unanswered> {
        let lock = || self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ticket) = lock().admit(self.env.now()) else { return Err(Unanswered::Open) };
        let answer = match tokio::time::timeout(self.timeout, exchange(question)).await {
            Ok(Some((status, body))) => read(status, &body).map_err(Unanswered::Trouble),
            Ok(None) | Err(_) => Err(Unanswered::Unreachable),
        };
        let mut breaker = lock();
        let before = breaker.state();
        match &answer {
            // Who says no is there. It may be about this one account, and must not keep all others from being asked about.
            Ok(_) | Err(Unanswered::Trouble(Trouble::Refused)) => breaker.succeed(ticket),
            Err(_) => breaker.fail(ticket, self.env.now()),
        }
        let state = breaker.state();
        drop(breaker);
        if state != before {
            tracing::warn!(
                platform = self.platform.as_str(),
                state = state.as_str(),
                "a platform's circuit breaker changed"
            );
        }
        answer
    }
}

/// How long to wait after so many tries; `chance` keeps those who failed together from trying together.
fn pause(tries: u32, chance: u8) -> Duration {
    let whole = CALL_PAUSE_MS.saturating_mul(1 << (tries - 1).min(10));
    Duration::from_millis(whole + whole * u64::from(chance) / 512)
}

/// One request and its whole answer. `None`: there was none, or it was too long.
async fn exchange(question: &Question) -> Option<(u16, Bytes)> {
    let request = Request::builder().method(question.method).uri(&question.url).header("user-agent", "grapevine");
    let request = question.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let request = request.body(Full::new(Bytes::from(question.body.clone()))).ok()?;
    let response = CONNECTIONS.get_or_init(connections).request(request).await.ok()?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), CALL_ANSWER_BYTES_MAX).collect().await.ok()?;
    Some((status, body.to_bytes()))
}

/// With the certificates of Mozilla's list. Redirects are not followed: no platform's interface answers with one.
fn connections() -> Https {
    let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_chance_adds_less_than_half() {
        let millis = |tries: u32, chance: u8| pause(tries, chance).as_millis();
        assert_eq!([1, 2, 3].map(|tries| millis(tries, 0)), [200, 400, 800]);
        assert_eq!(millis(1, 255), 299);
        assert!(millis(40, 255) < 400_000);
    }
}
