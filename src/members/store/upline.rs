//! Up the forest: the ancestors of members, whatever the depth, an index look-up per hop in one statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::MemberRow;
use crate::access::Scope;
use crate::base::limits::ANCESTORS_MAX;
use crate::base::{Code, Error, Result};
use crate::db::{Conn, sql};
use crate::members::Member;

/// How many hops to climb where all are wanted: more than any chain has.
pub const ALL_HOPS: i32 = 1_000_000_000;

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct AncestorRow {
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = Integer)]
    hops: i32,
    #[diesel(sql_type = Integer)]
    hop: i32,
    #[diesel(embed)]
    ancestor: MemberRow,
}

/// The ancestors of each (member, hops), the nearest first; the root of a tree has none and is absent. LIMIT_REACHED where all of them
/// together are more than one answer may hold.
pub async fn ancestors_of(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, i32)],
) -> Result<HashMap<(Uuid, i32), Vec<Member>>> {
    let (ids, hops): (Vec<Uuid>, Vec<i32>) = keys.iter().copied().unzip();
    let limit = i64::try_from(ANCESTORS_MAX + 1).unwrap_or(i64::MAX);
    let mut rows: Vec<AncestorRow> = sql(concat!(
        "with recursive up as (
             select k.id as member_id, k.hops, 1 as hop, c.referrer_id as ancestor_id
             from unnest((select $2)::uuid[], (select $3)::int4[]) as k (id, hops)
             join members c on c.brand_id = $1 and c.id = k.id
             where c.referrer_id is not null and k.hops > 0
             union all
             select up.member_id, up.hops, up.hop + 1, a.referrer_id
             from up join members a on a.brand_id = $1 and a.id = up.ancestor_id
             where a.referrer_id is not null and up.hop < up.hops)
         select up.member_id, up.hops, up.hop, ",
        member_columns!(),
        " from up join members m on m.brand_id = $1 and m.id = up.ancestor_id limit $4"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(hops)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    if rows.len() > ANCESTORS_MAX {
        let message =
            format!("The members have more than {ANCESTORS_MAX} ancestors: ask for fewer members or fewer hops.");
        return Err(Error::refused(Code::LimitReached, &["hops"], message));
    }
    rows.sort_unstable_by_key(|row| row.hop);
    let mut ancestors: HashMap<(Uuid, i32), Vec<Member>> = HashMap::new();
    for row in rows {
        ancestors.entry((row.member_id, row.hops)).or_default().push(row.ancestor.into_member()?);
    }
    Ok(ancestors)
}
