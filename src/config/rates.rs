//! The rate limits as settings: how much of what, and 0 for no limit.

use super::Key;
use crate::base::limits::{
    ADDRESS_CLICKS_PER_MINUTE, KEY_COST_PER_MINUTE, KEY_REQUESTS_PER_MINUTE, LIMITER_WAIT_MS, LIMITER_WAIT_MS_MAX,
    RATE_PER_SECOND_MAX, SOURCE_REQUESTS_PER_SECOND,
};

/// Rate limits; 0 is none. As much as one period allows may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of one webhook source.
    pub source_requests_per_second: u32,
    /// GraphQL requests of one API key.
    pub key_requests_per_minute: u32,
    /// The cost of one API key's GraphQL documents.
    pub key_cost_per_minute: u32,
    /// Recorded clicks on one brand's links from one address.
    pub address_clicks_per_minute: u32,
    /// How long a request waits for Redis to count it; after that the process counts alone.
    pub rate_limit_wait_ms: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            source_requests_per_second: SOURCE_REQUESTS_PER_SECOND,
            key_requests_per_minute: KEY_REQUESTS_PER_MINUTE,
            key_cost_per_minute: KEY_COST_PER_MINUTE,
            address_clicks_per_minute: ADDRESS_CLICKS_PER_MINUTE,
            rate_limit_wait_ms: LIMITER_WAIT_MS,
        }
    }
}

impl RateLimits {
    /// The setting of a key, where it is one of these.
    pub(super) fn get(&self, key: Key) -> Option<u32> {
        Some(match key {
            Key::SourceRequestsPerSecond => self.source_requests_per_second,
            Key::KeyRequestsPerMinute => self.key_requests_per_minute,
            Key::KeyCostPerMinute => self.key_cost_per_minute,
            Key::AddressClicksPerMinute => self.address_clicks_per_minute,
            Key::RateLimitWaitMs => self.rate_limit_wait_ms,
            _ => return None,
        })
    }
}

/// Reads a rate per second.
pub(super) fn per_second(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count <= RATE_PER_SECOND_MAX)
}

/// Reads a rate per minute.
pub(super) fn per_minute(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count <= 60 * RATE_PER_SECOND_MAX)
}

/// Reads a time to wait.
pub(super) fn wait_ms(text: &str) -> Option<u32> {
    text.parse().ok().filter(|wait| (1..=LIMITER_WAIT_MS_MAX).contains(wait))
}
