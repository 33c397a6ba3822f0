//! A merge of two people is undone: who they were credited with is judged again, and the ledger moves by the difference. It happens between two
//! batches of the brand's shard, so that a replay of the log finds its place.

use std::collections::HashSet;

use uuid::Uuid;

use super::PIPELINE;
use super::sales::{self, Docket};
use crate::access::Scope;
use crate::base::{Env, Result};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::events::Place;
use crate::identity::{self, MergeRuling, Undoing};
use crate::journeys::conversion_ids_since;
use crate::outbox::{self, Topic};

/// Undoes a merge. Call it inside of a transaction: it waits for the worker's batch and keeps the next one out until the commit.
pub async fn unmerge(conn: &mut Conn, scope: &Scope, env: &Env, undoing: &Undoing) -> Result<()> {
    let position = PIPELINE.hold(conn, scope.shard).await?;
    let place = position.map_or(Place { recorded_xid: 0, seq: 0 }, |position| position.place);
    let ruling = identity::rule(conn, scope, env, undoing, place).await?;
    apply(conn, scope, &ruling).await
}

/// Makes everything that follows from a ruling, at the moment when it was made.
pub(super) async fn apply(conn: &mut Conn, scope: &Scope, ruling: &MergeRuling) -> Result<()> {
    let now = ruling.ruled_at;
    let parted = identity::part(conn, scope, ruling).await?;
    let mut ids = sales::reseated(conn, scope, now, &parted).await?;
    // What was before the first act of the other has nothing of the other; who never did anything left nothing with the other.
    let first_acts = identity::first_acts(conn, scope, &parted).await?;
    if first_acts.len() > 1
        && let Some(since) = first_acts.iter().map(|(_, first_at)| *first_at).max()
    {
        let since: Vec<_> = parted.into_iter().map(|id| (id, since)).collect();
        ids.extend(conversion_ids_since(conn, scope, &since).await?);
    }
    let book = &mut PolicyBook::load(conn, scope).await?;
    let docket = Docket { ids, new_ids: HashSet::new(), new_count: 0, event_count: 0, assessments: &[] };
    let settled = sales::settle(conn, scope, now, book, docket).await?;
    let mut changed: Vec<(Topic, Uuid)> = settled.owed.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
    changed.extend(settled.credited.into_iter().map(|id| (Topic::AttributionChanged, id)));
    outbox::append(conn, scope, now, &changed).await?;
    Ok(())
}
