//! Merges that somebody rules undone: two people again, and never joined by an event any more. The ruling is kept with how far the log had been
//! worked on, so that a replay undoes the merge at the same place. What follows for credit and money is the caller's.
//! Start with [`rule`].

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::limits::RULING_REASON_BYTES_MAX;
use crate::base::{Code, Env, Error, Result};
use crate::db::Conn;
use crate::events::Place;

pub(super) use store::barred;
pub use store::{merge_by_id, merges_of, next_ruling, shards_waiting};

/// Two people whom an event showed to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityMerge {
    pub id: Uuid,
    /// Who became part of the other.
    pub from_person_id: Uuid,
    pub into_person_id: Uuid,
    pub event_id: Uuid,
    pub merged_at: DateTime<Utc>,
    /// When somebody ruled it undone.
    pub undone_at: Option<DateTime<Utc>>,
}

/// A merge that is to be undone, and why.
#[derive(Clone, Debug)]
pub struct Undoing {
    pub merge_id: Uuid,
    pub reason: String,
}

/// A ruling on a merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeRuling {
    pub brand_id: Uuid,
    pub id: Uuid,
    pub merge_id: Uuid,
    pub ruled_at: DateTime<Utc>,
    /// What of the log was worked on before.
    pub place: Place,
}

/// Keeps the ruling that a merge is undone, behind this place of the log. NOT_FOUND where there is no such merge, CONFLICT where it was undone
/// before.
pub async fn rule(conn: &mut Conn, scope: &Scope, env: &Env, undoing: &Undoing, place: Place) -> Result<MergeRuling> {
    scope.require(Permission::WriteGrowth)?;
    let reason = undoing.reason.trim();
    if reason.is_empty() || undoing.reason.len() > RULING_REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        let message = format!("Pass a reason of 1 to {RULING_REASON_BYTES_MAX} bytes without control characters.");
        return Err(Error::invalid(&["reason"], message));
    }
    let merge = merge_by_id(conn, scope, undoing.merge_id).await?;
    let merge = merge.ok_or_else(|| Error::not_found(&["mergeId"], "There is no such merge."))?;
    if merge.undone_at.is_some() {
        return Err(Error::refused(Code::Conflict, &["mergeId"], "This merge was undone before."));
    }
    let ruling =
        MergeRuling { brand_id: scope.brand_id, id: env.new_id(), merge_id: merge.id, ruled_at: env.now(), place };
    store::keep(conn, scope, &ruling, &undoing.reason).await?;
    Ok(ruling)
}

/// Parts the people of a ruled merge and returns both as they are known from now on, with their other merges. None where the merge is not
/// there: then there is nothing to undo.
pub async fn part(conn: &mut Conn, scope: &Scope, ruling: &MergeRuling) -> Result<Vec<Uuid>> {
    store::finish(conn, scope, ruling).await?;
    let Some(merge) = merge_by_id(conn, scope, ruling.merge_id).await?.filter(|merge| merge.undone_at.is_none()) else {
        tracing::warn!(merge.id = %ruling.merge_id, "a merge that was ruled undone is not there");
        return Ok(Vec::new());
    };
    let other = store::part(conn, scope, &merge, ruling.ruled_at).await?;
    Ok(vec![merge.from_person_id, other])
}
