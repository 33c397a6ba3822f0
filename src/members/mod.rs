//! Members and the referral forest: who invited whom, at any depth.
//! It never lets a cycle in, and never gives a member two referrers.

pub mod import;
mod moving;
mod placement;
mod store;
mod tally;
mod tree;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::text_enum;

pub use moving::{MemberMove, NewPlace, move_member};
pub use placement::{Placement, is_anchor_depth, place};
pub use store::{
    ALL_HOPS, ActivityQuery, DegreeSums, DescendantOrder, DownlineQuery, MemberChange, MemberFilter, NewMember,
    Planted, RankingQuery, Sale, Standing, active_counts, ancestors_of, attach, by_external_ids, by_ids,
    change_members, count, descendants, downlines, forget_activity, forget_identity, insert_members, lock_forest,
    moves_of, next_numbers, page, plant, record_sales, recount_sales, referees_of, top_referrers,
};
pub use tree::{Tree, Way, tree, way};

text_enum! {
    /// How far a member has come. An ERASED one keeps its place in the forest and nothing else.
    MemberStatus {
        Invited = "INVITED",
        SignedUp = "SIGNED_UP",
        Activated = "ACTIVATED",
        Churned = "CHURNED",
        Erased = "ERASED",
    }
}

/// One member.
#[derive(Clone, Debug)]
pub struct Member {
    pub id: Uuid,
    pub number: i64,
    pub external_id: Option<String>,
    pub person_id: Option<Uuid>,
    pub status: MemberStatus,
    pub referrer_id: Option<Uuid>,
    /// The creator whose link this member joined through; on a root, the creator whose tree it is.
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    /// The path within the member's segment, labels joined by points.
    pub path: String,
    /// Hops to the root, across segments.
    pub depth: i32,
    /// Sign-up, or the invitation for a member that has not signed up yet.
    pub joined_at: DateTime<Utc>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
    pub activation_count: i32,
    pub referee_count: i32,
    /// Its own sales less refunds, in the brand's currency.
    pub value_minor: i64,
    /// The latest of its sign-up, first activation and sales.
    pub last_active_at: Option<DateTime<Utc>>,
}

impl Member {
    /// What it adds by itself to a downline that it is part of.
    fn sums(&self) -> tally::Sums {
        tally::Sums {
            member_count: 1,
            signed_up_count: i32::from(self.signed_up_at.is_some()),
            activated_count: i32::from(self.activated_at.is_some()),
            value_minor: self.value_minor,
        }
    }
}
