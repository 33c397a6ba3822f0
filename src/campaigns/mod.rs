//! Campaigns and their versioned policies. A policy is never changed: a change makes the next version.
//! It never judges: `attribution`, `fraud` and `rewards` read the policies from here.

mod book;
mod policy;
mod reads;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::base::{Currency, Money};
use crate::text_enum;

pub use book::{CampaignFacts, PolicyBook};
pub use policy::{
    AttributionModel, AttributionPolicy, FraudPolicy, Policies, RewardKind, RewardPolicy, RewardTier, SignalMode,
    SignalPolicy,
};
pub use store::{by_ids, by_slug, policies_by_versions};

text_enum! {
    /// What a campaign is for. It sets the default lookback window: 30, 14 or 7 days.
    CampaignObjective { Awareness = "AWARENESS", Consideration = "CONSIDERATION", Conversion = "CONVERSION" }
}

text_enum! {
    /// Whether a campaign runs.
    CampaignStatus { Draft = "DRAFT", Active = "ACTIVE", Paused = "PAUSED", Ended = "ENDED" }
}

/// One campaign, with the version of its policies that is in force.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub objective: CampaignObjective,
    pub status: CampaignStatus,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    /// `None`: rewards are not limited by a budget.
    pub budget: Option<Money>,
    pub currency: Currency,
    pub destination_url: Option<String>,
    pub policy_version: i32,
    pub created_at: DateTime<Utc>,
}
