//! The people who share links for a brand, and their accounts on platforms.
//! It never verifies an account by itself: a platform adapter does that.

mod reads;
mod rules;
pub mod import;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::{Env, Error, Result};
use crate::db::Conn;
use crate::text_enum;

pub use reads::{CreatorFilter, CreatorOrder, Performance, PerformanceQuery, count, of_campaigns, page, performances};
pub use rules::{CreatorChange, NewCreator, NewPlatformAccount};
pub use store::{account_named, accounts_of, by_handle, by_ids};

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
    /// When the platform was last heard about it.
    pub checked_at: Option<DateTime<Utc>>,
}

/// Makes a creator. A handle that is taken is a CONFLICT.
pub async fn create(conn: &mut Conn, scope: &Scope, env: &Env, input: &NewCreator) -> Result<Uuid> {
    scope.require(Permission::WriteGrowth)?;
    rules::check_new(input)?;
    let creator = Creator {
        id: env.new_id(),
        handle: input.handle.clone(),
        display_name: input.display_name.clone().unwrap_or_else(|| input.handle.clone()),
        status: CreatorStatus::Active,
        tier: input.tier.clone(),
        created_at: env.now(),
    };
    store::insert(conn, scope, &creator).await?;
    Ok(creator.id)
}

/// Changes a creator. The handle stays: links and senders know it.
pub async fn update(conn: &mut Conn, scope: &Scope, id: Uuid, change: &CreatorChange) -> Result<()> {
    scope.require(Permission::WriteGrowth)?;
    rules::check_change(change)?;
    if store::update(conn, scope, id, change).await? {
        return Ok(());
    }
    Err(Error::not_found(&["creatorId"], "There is no such creator."))
}

/// Records an account as not verified. An account that is another creator's is a CONFLICT; the creator's own is brought up to date.
pub async fn connect_account(conn: &mut Conn, scope: &Scope, env: &Env, input: &NewPlatformAccount) -> Result<()> {
    scope.require(Permission::WriteGrowth)?;
    rules::check_account(input)?;
    store::upsert_account(conn, scope, env.new_id(), input, env.now()).await
}
