//! Up the forest: the ancestors of members, whatever the depth, an index look-up per hop in one statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::MemberRow;
use crate::access::Scope;
use crate::base::Result;
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
    #[diesel(embed)]
    ancestor: MemberRow,
}

/// The ancestors of each (member, hops), the nearest first; the root of a tree has none and is absent.
pub async fn ancestors_of(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, i32)],
) -> Result<HashMap<(Uuid, i32), Vec<Member>>> {
    let (ids, hops): (Vec<Uuid>, Vec<i32>) = keys.iter().copied().unzip();
    let rows: Vec<AncestorRow> = sql(concat!(
        "with recursive up as (
             select k.id as member_id, k.hops, 1 as hop, c.referrer_id as ancestor_id
             from unnest($2::uuid[], $3::int4[]) as k (id, hops)
             join members c on c.brand_id = $1 and c.id = k.id
             where c.referrer_id is not null and k.hops > 0
             union all
             select up.member_id, up.hops, up.hop + 1, a.referrer_id
             from up join members a on a.brand_id = $1 and a.id = up.ancestor_id
             where a.referrer_id is not null and up.hop < up.hops)
         select up.member_id, up.hops, ",
        member_columns!(),
        " from up join members m on m.brand_id = $1 and m.id = up.ancestor_id order by up.member_id, up.hops, up.hop"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(hops)
    .load(conn)
    .await?;
    let mut ancestors: HashMap<(Uuid, i32), Vec<Member>> = HashMap::new();
    for row in rows {
        ancestors.entry((row.member_id, row.hops)).or_default().push(row.ancestor.into_member()?);
    }
    Ok(ancestors)
}
