//! Writes planned rows, a chunk per transaction. Referrers are in an earlier chunk, in the same one, or were there before; who finds
//! none waits as a root.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::roster::Roster;
use super::row::Row;
use super::store::{self, Seat};
use crate::access::Scope;
use crate::base::{Env, Result};
use crate::db::{Conn, Db};
use crate::members::{MemberStatus, NewMember, insert_members, next_numbers, place};

/// Writes one chunk of the plan's order, and says how many of its members are new.
pub(super) async fn write(db: &Db, scope: &Scope, env: &Env, rows: &[&Row], roster: &Roster<'_>) -> Result<usize> {
    db.transaction(|conn| insert(conn, scope, env, rows, roster).scope_boxed()).await
}

/// Taking numbers locks the brand's counter, so that from here to the commit nobody else makes members: whoever came in since the plan
/// was made is seen, and stays, and places are read as they are now.
async fn insert(conn: &mut Conn, scope: &Scope, env: &Env, rows: &[&Row], roster: &Roster<'_>) -> Result<usize> {
    next_numbers(conn, scope, 0).await?;
    let mut names: Vec<&str> =
        rows.iter().flat_map(|row| [Some(row.member), row.referrer]).flatten().map(|name| roster.name(name)).collect();
    names.sort_unstable();
    names.dedup();
    let there = store::seats(conn, scope, &names).await?;
    let fresh: Vec<&Row> = rows.iter().filter(|row| !there.contains_key(roster.name(row.member))).copied().collect();
    let first = next_numbers(conn, scope, fresh.len()).await?;
    let mut new: HashMap<usize, Seat> = HashMap::with_capacity(fresh.len());
    let mut members = Vec::with_capacity(fresh.len());
    for (number, row) in (first..).zip(fresh) {
        let find = |referrer: usize| new.get(&referrer).or_else(|| there.get(roster.name(referrer)));
        let member = to_member(row, row.referrer.and_then(find), number, roster, env);
        new.insert(row.member, to_seat(&member));
        members.push(member);
    }
    insert_members(conn, scope, &members, env.now()).await?;
    Ok(members.len())
}

/// A member that came through a referrer belongs to the referrer's creator and campaign unless its row names others.
fn to_member(row: &Row, referrer: Option<&Seat>, number: i64, roster: &Roster<'_>, env: &Env) -> NewMember {
    let signed_up_at = (row.status != MemberStatus::Invited).then_some(row.joined_at);
    // Activated before we knew them: their next activation is not their first, so that history earns no reward.
    let activated_at: Option<DateTime<Utc>> = (row.status == MemberStatus::Activated).then_some(row.joined_at);
    let absent = row.referrer.filter(|_| referrer.is_none());
    NewMember {
        id: env.new_id(),
        number,
        external_id: Some(roster.name(row.member).to_owned()),
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
        pending_referrer: absent.map(|name| roster.name(name).to_owned()),
    }
}

fn to_seat(member: &NewMember) -> Seat {
    Seat {
        id: member.id,
        creator_id: member.creator_id,
        campaign_id: member.campaign_id,
        path: member.placement.path.clone(),
        depth: member.placement.depth,
    }
}
