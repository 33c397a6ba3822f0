//! The people who share links for a brand, and their accounts on platforms.
//! It never verifies an account by itself: a platform adapter does that.

pub mod import;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::text_enum;

pub use store::{by_handle, by_ids};

text_enum! {
    /// Where a link is shared or an account lives.
    Platform {
        Web = "WEB",
        Ios = "IOS",
        Android = "ANDROID",
        Instagram = "INSTAGRAM",
        Tiktok = "TIKTOK",
        Youtube = "YOUTUBE",
        Shopify = "SHOPIFY",
        Stripe = "STRIPE",
        Branch = "BRANCH",
        Appsflyer = "APPSFLYER",
        Other = "OTHER",
    }
}

text_enum! {
    /// Whether a creator takes part. Links of a paused or banned creator still resolve; a banned one earns nothing.
    CreatorStatus { Active = "ACTIVE", Paused = "PAUSED", Banned = "BANNED" }
}

/// One creator.
#[derive(Clone, Debug)]
pub struct Creator {
    pub id: Uuid,
    /// Unique in the brand; lower-case letters, digits, `_`, `.` and `-`.
    pub handle: String,
    pub display_name: String,
    pub status: CreatorStatus,
    pub tier: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// A creator's account on a platform.
#[derive(Clone, Debug)]
pub struct PlatformAccount {
    pub id: Uuid,
    pub creator_id: Uuid,
    pub platform: Platform,
    pub external_id: String,
    pub username: Option<String>,
    pub verified_at: Option<DateTime<Utc>>,
    pub follower_count: Option<i32>,
}
