//! Share links: who shares what, until when. A token is 128 random bits and a keyed check, so that a guessed one costs no look-up.
//! It never counts: the pipeline does, from the events of the log.

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::creators::Platform;

pub use store::{by_ids, by_token};

/// Whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Creator(Uuid),
    Member(Uuid),
}

/// The parameters that analytics tools read from the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utm {
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub content: Option<String>,
    pub term: Option<String>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub id: Uuid,
    pub token: String,
    pub campaign_id: Uuid,
    pub owner: Owner,
    pub platform: Platform,
    pub sub_id: Option<String>,
    pub destination_url: String,
    pub utm: Utm,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub click_count: i64,
    pub signup_count: i64,
    pub conversion_count: i64,
    pub created_at: DateTime<Utc>,
}

impl Link {
    /// The creator who owns the link, if a creator does.
    #[must_use]
    pub fn creator_id(&self) -> Option<Uuid> {
        match self.owner {
            Owner::Creator(id) => Some(id),
            Owner::Member(_) => None,
        }
    }

    /// The member who owns the link, if a member does.
    #[must_use]
    pub fn member_id(&self) -> Option<Uuid> {
        match self.owner {
            Owner::Member(id) => Some(id),
            Owner::Creator(_) => None,
        }
    }
}
