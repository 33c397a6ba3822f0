//! A move by hand: a member gets another referrer, or none, and takes everyone below it along. Who did it and why is kept.
//! It changes nothing that was given before: rewards and attribution name the policy and the up-line of their time.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::store::{self, Planted, plant};
use crate::access::{Permission, Scope};
use crate::base::limits::MOVE_REASON_BYTES_MAX;
use crate::base::{Code, Env, Error, Result};
use crate::db::Conn;

/// A member and its new place.
#[derive(Clone, Debug)]
pub struct NewPlace {
    pub member_id: Uuid,
    /// `None` makes it the root of a tree of its own.
    pub referrer_id: Option<Uuid>,
    pub reason: String,
}

/// One move that was made.
#[derive(Clone, Debug)]
pub struct MemberMove {
    pub id: Uuid,
    pub member_id: Uuid,
    pub from_referrer_id: Option<Uuid>,
    pub to_referrer_id: Option<Uuid>,
    /// The member and everyone who stood below it.
    pub moved_member_count: i64,
    pub reason: String,
    pub moved_at: DateTime<Utc>,
}

/// Moves a member with its subtree, all of it or nothing. CYCLE where the new referrer stands below the member or is the member
/// itself; NOT_FOUND where one of them does not exist. A member that stands there already is left alone.
pub async fn move_member(conn: &mut Conn, scope: &Scope, env: &Env, new: &NewPlace) -> Result<()> {
    scope.require(Permission::WriteGrowth)?;
    if new.reason.trim().is_empty() || new.reason.len() > MOVE_REASON_BYTES_MAX {
        let message = format!("Say why, in 1 to {MOVE_REASON_BYTES_MAX} bytes.");
        return Err(Error::invalid(&["reason"], message));
    }
    store::allow_long_move(conn).await?;
    let now = env.now();
    let (from_referrer_id, moved_member_count) = match plant(conn, scope, new.member_id, new.referrer_id, now).await? {
        Planted::Moved { from_referrer_id, member_count } => (from_referrer_id, member_count),
        Planted::Unchanged => return Ok(()),
        Planted::NoMember => return Err(Error::not_found(&["memberId"], "There is no such member.")),
        Planted::NoReferrer => return Err(Error::not_found(&["newReferrerId"], "There is no such member.")),
        Planted::Cycle => {
            let message = "The new referrer is the member itself or stands below it: pass a member of another branch.";
            return Err(Error::refused(Code::Cycle, &["newReferrerId"], message));
        }
    };
    let made = MemberMove {
        id: env.new_id(),
        member_id: new.member_id,
        from_referrer_id,
        to_referrer_id: new.referrer_id,
        moved_member_count,
        reason: new.reason.clone(),
        moved_at: now,
    };
    store::keep_move(conn, scope, &made).await
}
