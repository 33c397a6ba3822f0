//! What is owed, to whom, and why: exactly one row per cause, beneficiary and degree, whatever is retried; a denial leaves a row too.
//! Money moves on the ledger in the same transaction. It never judges fraud: it reads the decision.
//! Start with `trigger.rs` (what makes a reward) and `grant.rs` (what may be paid).

mod activations;
mod caps;
mod commission;
mod grant;
mod lines;
mod manual;
mod paid;
pub mod reads;
pub mod rules;
mod settle;
pub mod simulation;
mod store;
mod trigger;
mod worth;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::base::{Currency, Money};
use crate::campaigns::RewardKind;
use crate::journeys::Decision;
use crate::ledger::{AccountKey, Bucket, Owner};
use crate::text_enum;

pub use commission::settle_commissions;
pub use grant::grant;
pub use manual::{NewReward, issue, release, reverse};
pub use paid::{Candidate, available_minor, candidates, lock, mark_available, mark_paid};
pub use settle::settle_due;
pub use trigger::activation_claims;

text_enum! {
    /// Where a reward stands. Moves are PENDING or ESCROWED or HELD to AVAILABLE to PAID, or to REVERSED; REJECTED is final.
    RewardState {
        Pending = "PENDING",
        Escrowed = "ESCROWED",
        Held = "HELD",
        Available = "AVAILABLE",
        Paid = "PAID",
        Reversed = "REVERSED",
        Rejected = "REJECTED",
    }
}

text_enum! {
    /// Why a reward was denied or taken back.
    RewardReason {
        BudgetExhausted = "BUDGET_EXHAUSTED",
        CampaignCap = "CAMPAIGN_CAP",
        CampaignNotRunning = "CAMPAIGN_NOT_RUNNING",
        CreatorNotActive = "CREATOR_NOT_ACTIVE",
        DailyCap = "DAILY_CAP",
        FraudBlocked = "FRAUD_BLOCKED",
        FraudReview = "FRAUD_REVIEW",
        FraudConfirmed = "FRAUD_CONFIRMED",
        Refunded = "REFUNDED",
        Reattributed = "REATTRIBUTED",
        TierNotReached = "TIER_NOT_REACHED",
    }
}

/// Who earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Beneficiary {
    Creator(Uuid),
    Member(Uuid),
}

impl Beneficiary {
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Creator(id) | Self::Member(id) => id,
        }
    }

    fn owner(self) -> Owner {
        match self {
            Self::Creator(_) => Owner::Creator,
            Self::Member(_) => Owner::Member,
        }
    }

    /// The beneficiary's account of a bucket.
    #[must_use]
    pub fn account(self, bucket: Bucket, currency: Currency) -> AccountKey {
        AccountKey::of(bucket, self.owner(), self.id(), currency)
    }

    #[must_use]
    pub fn creator_id(self) -> Option<Uuid> {
        if let Self::Creator(id) = self { Some(id) } else { None }
    }

    #[must_use]
    pub fn member_id(self) -> Option<Uuid> {
        if let Self::Member(id) = self { Some(id) } else { None }
    }
}

/// A reward that somebody has earned, before it is known whether it may be paid.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Names the cause: the same key is the same reward.
    pub key: String,
    pub campaign_id: Uuid,
    pub policy_version: i32,
    pub kind: RewardKind,
    pub beneficiary: Beneficiary,
    pub referee_id: Option<Uuid>,
    pub conversion_id: Option<Uuid>,
    pub cause_event_id: Option<Uuid>,
    /// 1 is the direct referrer; 0 is the referee's own side.
    pub degree: i16,
    pub value: Money,
    pub triggered_at: DateTime<Utc>,
    /// When we had it: caps and escrow count from here, so that a back-dated event cannot pass them.
    pub recorded_at: DateTime<Utc>,
    pub escrow_days: i32,
    pub per_day_max: Option<i32>,
    /// Rewards for activations that the beneficiary may be granted by the campaign in all.
    pub in_campaign_max: Option<i32>,
    /// The decision on the referee.
    pub decision: Decision,
    /// Whether the campaign paid for what happened when it happened.
    pub is_running: bool,
    pub is_limited: bool,
    /// Whether what its tier asks for was there.
    pub is_reached: bool,
    pub reason: Option<String>,
}

/// A reward as it is stored.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: Uuid,
    pub campaign_id: Uuid,
    pub kind: RewardKind,
    pub beneficiary: Beneficiary,
    pub referee_id: Option<Uuid>,
    pub conversion_id: Option<Uuid>,
    pub degree: i16,
    pub value: Money,
    pub reversed_minor: i64,
    pub state: RewardState,
    /// Whether a person took it back, by hand or by confirming fraud: that is final, and the same cause is not paid again.
    pub is_taken_back: bool,
    pub is_limited: bool,
}

impl Standing {
    /// What of it still stands, in minor units.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        match self.state {
            RewardState::Rejected | RewardState::Reversed => 0,
            _ => self.value.minor - self.reversed_minor,
        }
    }
}

/// Whether rewards of a kind are money on the ledger.
#[must_use]
pub fn is_money(kind: RewardKind) -> bool {
    matches!(kind, RewardKind::Credit | RewardKind::Commission)
}
