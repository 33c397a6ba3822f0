//! Writes planned rows, a chunk per transaction. Referrers are in an earlier chunk, in the same one, or were there before.

use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::plan::{Known, Seat};
use super::row::Row;
use super::store;
use crate::access::Scope;
use crate::base::{Env, Result};
use crate::db::{Conn, Db};
use crate::members::{MemberStatus, NewMember, insert_members, next_numbers, place};

/// The rows of an import and the members that they may stand under so far.
pub(super) struct Writer<'a> {
    rows: &'a [Row],
    seats: Known,
    pub imported_count: usize,
}

impl<'a> Writer<'a> {
    pub fn new(rows: &'a [Row], seats: Known) -> Self {
        Self { rows, seats, imported_count: 0 }
    }

    /// Writes one chunk of the plan's order.
    pub async fn write(&mut self, db: &Db, scope: &Scope, env: &Env, chunk: &[usize]) -> Result<()> {
        let rows: Vec<&Row> = chunk.iter().map(|index| &self.rows[*index]).collect();
        let (rows, seats) = (&rows, &self.seats);
        let (imported_count, new) = db.transaction(|conn| insert(conn, scope, env, rows, seats).scope_boxed()).await?;
        self.imported_count += imported_count;
        self.seats.extend(new);
        Ok(())
    }
}

/// Inserts rows and returns how many, with the seats of all rows. Taking numbers locks the brand's counter, so that from here to the
/// commit nobody else makes members: whoever came in since the plan was made is seen, and stays.
async fn insert(conn: &mut Conn, scope: &Scope, env: &Env, rows: &[&Row], seats: &Known) -> Result<(usize, Known)> {
    next_numbers(conn, scope, 0).await?;
    let ids: Vec<String> = rows.iter().map(|row| row.external_id.clone()).collect();
    let mut new = store::members(conn, scope, &ids).await?;
    let fresh: Vec<&Row> = rows.iter().filter(|row| !new.contains_key(&row.external_id)).copied().collect();
    let first = next_numbers(conn, scope, fresh.len()).await?;
    let mut members = Vec::with_capacity(fresh.len());
    for (number, row) in (first..).zip(fresh) {
        let referrer = row.referrer.as_ref().and_then(|id| new.get(id).or_else(|| seats.get(id)));
        let member = to_member(row, referrer, number, env);
        new.insert(row.external_id.clone(), to_seat(&member));
        members.push(member);
    }
    insert_members(conn, scope, &members, env.now()).await?;
    Ok((members.len(), new))
}

/// A member that came through a referrer belongs to the referrer's creator and campaign unless its row names others.
fn to_member(row: &Row, referrer: Option<&Seat>, number: i64, env: &Env) -> NewMember {
    let signed_up_at = (row.status != MemberStatus::Invited).then_some(row.joined_at);
    // Activated before we knew them: their next activation is not their first, so that history earns no reward.
    let activated_at: Option<DateTime<Utc>> = (row.status == MemberStatus::Activated).then_some(row.joined_at);
    NewMember {
        id: env.new_id(),
        number,
        external_id: Some(row.external_id.clone()),
        status: row.status,
        referrer_id: referrer.map(|seat| seat.id),
        creator_id: row.creator_id.or(referrer.and_then(|seat| seat.creator_id)),
        campaign_id: row.campaign_id.or(referrer.and_then(|seat| seat.campaign_id)),
        placement: place(referrer.map(|seat| (seat.path.as_str(), seat.depth)), number),
        joined_at: row.joined_at,
        signed_up_at,
        activated_at,
        activation_count: i32::from(activated_at.is_some()),
        person_id: None,
        pending_referrer: None,
    }
}

fn to_seat(member: &NewMember) -> Seat {
    Seat {
        id: member.id,
        referrer_id: member.referrer_id,
        creator_id: member.creator_id,
        campaign_id: member.campaign_id,
        path: member.placement.path.clone(),
        depth: member.placement.depth,
    }
}
