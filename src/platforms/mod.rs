//! One adapter per inbound source: `verify` the signature over the raw bytes, `parse` the body into our vocabulary.
//! Pure: it never reads a database, a clock or a secret store; what it needs is handed in.
//! Start with [`EventFields`], what every adapter produces.

mod canonical;
mod fields;
mod generic;
mod standard;
pub mod user_agents;

use chrono::{DateTime, Utc};

pub use canonical::canonical_json;
pub use fields::{Consent, EventFields, Parsed, Submission};
pub use generic::sign as sign_generic;

use crate::base::{Chance, random_bytes};
use crate::text_enum;

text_enum! {
    /// How a source signs what it posts.
    Scheme {
        /// `x-webhook-signature`: hexadecimal HMAC-SHA256 over the raw body.
        Generic = "GENERIC",
        /// Standard Webhooks 1.0: HMAC-SHA256 over the request's own name, the moment and the body.
        StandardWebhooks = "STANDARD_WEBHOOKS",
    }
}

/// A request that is not authentic. The door answers every cause with the same body; the cause is for our log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("a signature header is missing, repeated or malformed")]
    Header,
    #[error("the request is too old, or from the future")]
    Stale,
    #[error("the signature does not fit the body and the secret")]
    Signature,
}

/// What the headers of an authentic request say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic {
    /// The sender's own name of the request, the same however often it is tried. It was signed with the body.
    pub delivery_id: Option<String>,
}

/// All values of a request header, by its lower-case name.
pub type HeaderLookup<'a> = &'a (dyn Fn(&str) -> Vec<Vec<u8>> + Sync);

/// Checks that one of the source's live keys signed these bytes, and where the scheme says when, that it was about now. What is wrong
/// makes no difference to the work.
pub fn verify(
    scheme: Scheme,
    keys: &[&[u8]],
    headers: HeaderLookup<'_>,
    raw: &[u8],
    now: DateTime<Utc>,
) -> Result<Authentic, Rejected> {
    match scheme {
        Scheme::Generic => generic::verify(keys, headers, raw),
        Scheme::StandardWebhooks => standard::verify(keys, headers, raw, now),
    }
}

/// The scheme that a request seems to be signed by: what to feign for a source that does not exist.
#[must_use]
pub fn guess_scheme(headers: HeaderLookup<'_>) -> Scheme {
    if standard::is_meant(headers) { Scheme::StandardWebhooks } else { Scheme::Generic }
}

/// The headers with which a sender posts these bytes; `delivery_id` is its own name of the request.
#[must_use]
pub fn sign(
    scheme: Scheme,
    key: &[u8],
    delivery_id: &str,
    now: DateTime<Utc>,
    raw: &[u8],
) -> Vec<(&'static str, String)> {
    match scheme {
        Scheme::Generic => generic::headers(key, raw),
        Scheme::StandardWebhooks => standard::sign(key, delivery_id, now, raw),
    }
}

/// The key behind a secret as people write it down. `None`: it is no secret of this scheme.
#[must_use]
pub fn key_of(scheme: Scheme, secret: &str) -> Option<Vec<u8>> {
    match scheme {
        Scheme::Generic => generic::key_of(secret),
        Scheme::StandardWebhooks => standard::key_of(secret),
    }
}

/// Draws a secret of 256 bits, as people write it down.
#[must_use]
pub fn draw_secret(scheme: Scheme, chance: &dyn Chance) -> String {
    let key: [u8; 32] = random_bytes(chance);
    match scheme {
        Scheme::Generic => hex::encode(key),
        Scheme::StandardWebhooks => standard::secret_of(&key),
    }
}

/// Reads an authentic body. What cannot be read is an [`Submission::Unreadable`], never an error.
#[must_use]
pub fn parse(scheme: Scheme, raw: &[u8]) -> Parsed {
    match scheme {
        Scheme::Generic | Scheme::StandardWebhooks => generic::parse(raw),
    }
}

/// The value of a header that stands once and is a plain word or list of words: not empty, visible ASCII and spaces.
fn only(headers: HeaderLookup<'_>, name: &str) -> Option<String> {
    let mut values = headers(name);
    let value = values.pop().filter(|value| values.is_empty() && !value.is_empty())?;
    let is_plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    String::from_utf8(value).ok().filter(|_| is_plain)
}
