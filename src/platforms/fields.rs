//! What a sender says about one event, as text and numbers, before it is checked and resolved.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of an inbound event, by the names of the HTTP contract. Unknown fields are tolerated: senders add them without notice.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EventFields {
    pub event_type: Option<String>,
    /// RFC 3339, or Unix seconds or milliseconds.
    pub timestamp: Option<Box<RawValue>>,
    pub event_id: Option<String>,
    pub creator_id: Option<String>,
    pub campaign: Option<String>,
    pub sub_id: Option<String>,
    pub user_id: Option<String>,
    pub anonymous_id: Option<String>,
    pub link_token: Option<String>,
    /// The `gv_click` that the redirect passed on.
    pub click_id: Option<String>,
    pub referrer_user_id: Option<String>,
    pub order_id: Option<String>,
    /// A decimal string, or a JSON number that is read from its own digits.
    pub conversion_value: Option<Box<RawValue>>,
    pub currency: Option<String>,
    pub platform: Option<String>,
    pub url: Option<String>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub device_id: Option<String>,
    pub consent: Option<Consent>,
    pub properties: Option<Box<RawValue>>,
    /// The creator's account on `platform`, as the platform names it: how a platform says whose doing it was.
    #[serde(skip)]
    pub account_id: Option<String>,
}

/// What the person agreed to.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Consent {
    pub attribution: Option<bool>,
    pub at: Option<String>,
    pub version: Option<String>,
}

/// One thing that was posted: readable fields with the raw JSON that they came from, or bytes that could not be read.
#[derive(Clone, Debug)]
pub enum Submission {
    Fields { fields: Box<EventFields>, raw: Vec<u8> },
    Unreadable { raw: Vec<u8>, code: &'static str, reason: String },
}

impl Submission {
    /// The bytes that it is kept as.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Fields { raw, .. } | Self::Unreadable { raw, .. } => raw,
        }
    }
}

/// A body as an adapter read it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Whether the answer is an array, item by item.
    pub is_array: bool,
    pub items: Vec<Submission>,
    /// The version of the platform's format, where it has one.
    pub version: Option<String>,
}

impl Parsed {
    /// What a platform posted: answered as an array unless it is one event.
    #[must_use]
    pub fn of(items: Vec<Submission>) -> Self {
        Self { is_array: items.len() != 1, items, version: None }
    }
}
