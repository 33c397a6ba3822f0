//! One adapter per kind of source, each in one file: `verify` who sent the raw bytes, `schema_version` they are written in, `parse` them
//! into our vocabulary. Pure: it never reads a database, a clock or a secret store; what it needs is handed in.
//! Start with `adapter.rs`, what every adapter is, and [`EventFields`], what every adapter produces; `stripe.rs` is a full example.

mod adapter;
mod amounts;
mod appsflyer;
mod branch;
mod canonical;
mod fields;
mod generic;
mod handshake;
mod meta;
pub mod profiles;
mod shop_money;
mod shopify;
mod signing;
mod standard;
mod stripe;
mod tiktok;
mod youtube;
pub mod user_agents;

use chrono::{DateTime, Utc};

pub use adapter::{Authentic, HeaderLookup, Rejected, Request, SignedHeaders};
pub use canonical::canonical_json;
pub use fields::{Consent, EventFields, Parsed, Submission};
pub use generic::sign as sign_generic;
pub use handshake::Handshake;
pub use youtube::topic_of as youtube_topic;

use adapter::{Adapter, Post, unknown_version};

use crate::base::limits::VERSION_BYTES_MAX;
use crate::base::{Chance, random_bytes};
use crate::text_enum;

text_enum! {
    /// Who posts: how it signs, and what its bodies mean.
    Scheme {
        /// `x-webhook-signature`: hexadecimal HMAC-SHA256 over the raw body.
        Generic = "GENERIC",
        /// Standard Webhooks 1.0: HMAC-SHA256 over the request's own name, the moment and the body.
        StandardWebhooks = "STANDARD_WEBHOOKS",
        /// Meta: Instagram and Facebook.
        Meta = "META",
        /// TikTok for Developers.
        Tiktok = "TIKTOK",
        /// YouTube, by way of its WebSub hub.
        Youtube = "YOUTUBE",
        /// A Shopify shop.
        Shopify = "SHOPIFY",
        /// Stripe.
        Stripe = "STRIPE",
        /// Branch.
        Branch = "BRANCH",
        /// AppsFlyer's Push API.
        Appsflyer = "APPSFLYER",
    }
}

/// The one place that says which adapter is whose.
fn adapter(scheme: Scheme) -> &'static dyn Adapter {
    match scheme {
        Scheme::Generic => &generic::Generic,
        Scheme::StandardWebhooks => &standard::Standard,
        Scheme::Meta => &meta::Meta,
        Scheme::Tiktok => &tiktok::Tiktok,
        Scheme::Youtube => &youtube::Youtube,
        Scheme::Shopify => &shopify::Shopify,
        Scheme::Stripe => &stripe::Stripe,
        Scheme::Branch => &branch::Branch,
        Scheme::Appsflyer => &appsflyer::Appsflyer,
    }
}

impl Scheme {
    /// Whether the sender is a platform with a format of its own, and not the brand's own back end.
    #[must_use]
    pub fn is_platform(self) -> bool {
        !matches!(self, Self::Generic | Self::StandardWebhooks)
    }

    /// Whether what comes under the same name is the same, whatever else it says by now: a platform that tries again may count its tries
    /// in the body.
    #[must_use]
    pub fn names_its_events(self) -> bool {
        adapter(self).names_its_events()
    }
}

/// Checks that one of the source's live keys signed these bytes, and where the scheme says when, that it was about now. What is wrong
/// makes no difference to the work.
pub fn verify(scheme: Scheme, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
    adapter(scheme).verify(keys, request)
}

/// The scheme that a request seems to be signed by: what to feign for a source that does not exist.
#[must_use]
pub fn guess_scheme(headers: HeaderLookup<'_>) -> Scheme {
    let is_meant = |scheme: &Scheme| !headers(adapter(*scheme).proof_header()).is_empty();
    Scheme::ALL.iter().copied().find(is_meant).unwrap_or(Scheme::Generic)
}

/// The headers with which a sender posts these bytes; `delivery_id` is its own name of the request.
#[must_use]
pub fn sign(scheme: Scheme, key: &[u8], delivery_id: &str, now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
    adapter(scheme).sign(key, delivery_id, now, raw)
}

/// The key behind a secret as people write it down. `None`: it is no secret of this scheme.
#[must_use]
pub fn key_of(scheme: Scheme, secret: &str) -> Option<Vec<u8>> {
    adapter(scheme).key_of(secret)
}

/// What a secret of this scheme must look like, as a sentence that says what to pass.
#[must_use]
pub fn secret_expected(scheme: Scheme) -> &'static str {
    adapter(scheme).secret_expected()
}

/// Draws a secret of 256 bits, as people write it down.
#[must_use]
pub fn draw_secret(scheme: Scheme, chance: &dyn Chance) -> String {
    adapter(scheme).secret_of(&random_bytes(chance))
}

/// An authentic request as [`parse`] reads it, and as it is kept: the body, led by the headers without which it cannot be understood.
#[must_use]
pub fn keep(scheme: Scheme, headers: HeaderLookup<'_>, raw: &[u8]) -> Vec<u8> {
    adapter::keep(adapter(scheme), headers, raw)
}

/// A version is remembered and shown, so it is a short plain word.
fn is_version(text: &str) -> bool {
    (1..=VERSION_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads an authentic request as [`keep`] wrote it. What cannot be read is a [`Submission::Unreadable`], never an error.
#[must_use]
pub fn parse(scheme: Scheme, kept: &[u8]) -> Parsed {
    let adapter = adapter(scheme);
    let post = Post::read(adapter, kept);
    let version = adapter.schema_version(&post);
    let unknown = version.as_deref().filter(|version| !adapter.knows_version(version));
    let mut parsed = match unknown {
        Some(version) => Parsed::of(vec![post.submission(Err(unknown_version(version)))]),
        None => adapter.parse(&post),
    };
    parsed.version = version.filter(|version| is_version(version));
    parsed
}
