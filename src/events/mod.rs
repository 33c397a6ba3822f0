//! The vocabulary of what happened, and the append-only log that holds it. An event in the log is canonical: parsed, resolved
//! to our identifiers, and free of raw personal data. It never judges and never changes an event's content.

mod days;
pub mod reads;
mod store;
mod stretches;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::creators::Platform;
use crate::db::Conn;
use crate::text_enum;
use crate::urls::{AdClicks, Channel};

pub use days::{keep, log_begins_at, open_day, span_of};
pub use store::{Attempts, Head, Place, Position, Reader, Row};

text_enum! {
    /// What happened.
    EventType {
        Click = "click",
        View = "view",
        Install = "install",
        Open = "open",
        Signup = "signup",
        Activation = "activation",
        Conversion = "conversion",
        Refund = "refund",
        Identify = "identify",
        /// A creator published something on a platform. It is nobody's touch.
        Post = "post",
    }
}

text_enum! {
    /// The kind of a touchpoint.
    TouchKind {
        Click = "CLICK",
        View = "VIEW",
        Install = "INSTALL",
        Open = "OPEN",
        Signup = "SIGNUP",
        Activation = "ACTIVATION",
        Conversion = "CONVERSION",
    }
}

text_enum! {
    /// What a user agent is taken for.
    AgentClass { Browser = "BROWSER", Bot = "BOT", Preview = "PREVIEW", Unknown = "UNKNOWN" }
}

text_enum! {
    /// What is stored of an event's fate: ACCEPTED ones are queued or processed, which the reader's position tells.
    StoredState { Accepted = "ACCEPTED", Quarantined = "QUARANTINED", Dead = "DEAD" }
}

/// One event of the log. Hashes are keyed by brand; `value_minor` goes with `currency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub event_type: EventType,
    pub occurred_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<Uuid>,
    /// The member who owns the link, or who is named as the referrer and already known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_id: Option<Uuid>,
    /// The referrer as the sender names it, resolved by the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_hash: Option<Hash16>,
    /// The click that this event follows (`gv_click`): the identifier of that click's event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_id: Option<String>,
    /// The channel group of what led here, as the link or the address tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What advertising platforms call the click, by parameter (`gclid`, `fbclid`, ...).
    #[serde(default, skip_serializing_if = "AdClicks::is_empty")]
    pub ad_clicks: AdClicks,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_hash: Option<Hash16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_hash: Option<Hash16>,
    pub agent_class: AgentClass,
    /// False only where the sender says that attribution was not consented to.
    pub has_consent: bool,
    /// What the sender says beyond our vocabulary, a text per name, where the brand keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<serde_json::Value>,
}

/// A keyed hash, written as hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash16(pub [u8; 16]);

/// Takes accepted events out of the line with a reason: they were read and cannot have an effect as they are.
pub async fn quarantine(conn: &mut Conn, scope: &Scope, refused: &[(Uuid, &'static str, String)]) -> Result<()> {
    if refused.is_empty() { Ok(()) } else { store::quarantine(conn, scope, refused).await }
}

impl Serialize for Hash16 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Hash16 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(&text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}
