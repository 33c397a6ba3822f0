//! A merge of two people is undone: who they were credited with is judged again, and the ledger moves by the difference. It happens between two
//! batches of the brand's shard, so that a replay of the log finds its place.

use chrono::DateTime;
use uuid::Uuid;

use super::sales::{self, Sales};
use super::{PIPELINE, pipeline};
use crate::access::Scope;
use crate::base::{Env, Result};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::events::Place;
use crate::identity::{self, MergeRuling, Undoing};
use crate::journeys::conversion_ids_since;
use crate::outbox::Topic;
use crate::{fraud, outbox, rewards};

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
    let mut reopened = sales::reseated(conn, scope, now, &parted).await?;
    let since: Vec<_> = parted.into_iter().map(|id| (id, DateTime::UNIX_EPOCH)).collect();
    reopened.extend(conversion_ids_since(conn, scope, &since).await?);
    let book = &mut PolicyBook::load(conn, scope).await?;
    let sold = sales::attribute(conn, scope, now, book, &Sales::default(), reopened).await?;
    let buyers = pipeline::buyers(&sold.attributed);
    let decisions = fraud::decisions_on(conn, scope, &buyers, &[]).await?;
    let owed = rewards::settle_commissions(conn, scope, now, book, &sold.attributed, &decisions).await?;
    let mut changed: Vec<(Topic, Uuid)> = owed.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
    changed.extend(sold.changed.into_iter().map(|id| (Topic::AttributionChanged, id)));
    outbox::append(conn, scope, now, &changed).await?;
    Ok(())
}
