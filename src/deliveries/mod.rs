//! Webhooks that go out: a brand names endpoints, and what the outbox tells is posted to them, signed, in its order, again and again until
//! it is taken. It never decides what is told (`outbox` has it), and never holds anything that a restart would lose.
//! Start with `courier.rs`: entries of the outbox become deliveries, and deliveries are sent. `rules.rs` and `addresses.rs` are pure.

mod addresses;
mod courier;
mod endpoints;
mod message;
mod postman;
pub mod reads;
mod rules;
mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Keyring, Scope};
use crate::base::{Cursor, Error, Result};
use crate::text_enum;

pub use addresses::is_public;
pub use courier::{Courier, Sent};
pub use endpoints::{EndpointChange, NewEndpoint, SecretRotation, create, replay, rotate, update};
pub use rules::kinds_on_offer;

const PURPOSE: &str = "webhook endpoint secret";

text_enum! {
    /// How far a delivery has come.
    DeliveryState {
        /// It is tried, and tried again.
        Pending = "PENDING",
        /// The endpoint took it.
        Delivered = "DELIVERED",
        /// It was tried for the last time.
        Failed = "FAILED",
    }
}

/// Where a brand hears of what changed, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Uuid,
    pub url: String,
    /// Topics of the outbox, and all of a noun's as `noun.*`.
    pub kinds: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// Until when the secret before the last rotation signs too, which may be past.
    pub previous_until: Option<DateTime<Utc>>,
    /// Since when every try has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was disabled, and why.
    pub disabled: Option<(DateTime<Utc>, String)>,
}

impl Endpoint {
    /// The endpoint's place in lists, which are oldest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.created_at, self.id)
    }
}

/// One message to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number in the brand's outbox.
    pub seq: i64,
    /// What `webhook-id` holds: the same at every try and for every endpoint.
    pub message_id: Uuid,
    /// The topic.
    pub kind: String,
    /// The body, byte for byte.
    pub payload: String,
    pub state: DeliveryState,
    /// Tries so far, with one that is out.
    pub attempt_count: i16,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// What the endpoint answered last; `None` where it did not.
    pub last_status: Option<i16>,
    /// Why it was not taken the last time.
    pub last_error: Option<String>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl Delivery {
    /// The delivery's place in its endpoint's log, which is newest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::new(self.seq, self.message_id)
    }
}

/// An endpoint's new secret, still sealed, so that it can be kept as the result of a mutation. [`reveal`] opens it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedSecret {
    pub endpoint_id: Uuid,
    sealed: String,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    pub queued_count: usize,
    /// The number of the last one in the outbox, for the next call.
    pub end_seq: Option<i64>,
    pub has_more: bool,
}

/// The secret as people write it down.
pub fn reveal(scope: &Scope, keyring: &Keyring, made: &SealedSecret) -> Result<String> {
    let sealed = hex::decode(&made.sealed).map_err(|error| Error::fault("reading a sealed secret", error))?;
    open(scope, keyring, &sealed)
}

fn open(scope: &Scope, keyring: &Keyring, sealed: &[u8]) -> Result<String> {
    let secret = keyring.open(scope.brand_id, PURPOSE, sealed);
    let secret = secret.map_err(|error| Error::fault("opening an endpoint's secret", error))?;
    String::from_utf8(secret).map_err(|error| Error::fault("reading an endpoint's secret", error))
}
