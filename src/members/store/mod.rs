//! Members in PostgreSQL. `path` is an ltree: it is read as text and bound as text.

/// The columns of a [`MemberRow`] from the alias `m`, as a literal for `concat!`.
macro_rules! member_columns {
    () => {
        "m.id, m.number, m.external_id, m.person_id, m.status, m.referrer_id, m.creator_id, m.campaign_id,
         m.path::text as path, m.depth, m.joined_at, m.signed_up_at, m.activated_at, m.activation_count, m.referee_count,
         m.value_minor, m.last_active_at"
    };
}

/// The segments of each member $2 that reach into its first $3 degrees: its own, and one for each anchor below it. `low` to `high` are
/// the paths of the segment's part below `top`, which stands `depth` levels deep: the bound of a subtree is its path with the lowest
/// letter put at the end of the last label. `number` is whose kept sums describe that part.
macro_rules! segments {
    () => {
        "with recursive segments as (
             select m.id as top_id, m.depth as top_depth, m.number, m.depth, n.low, (n.low::text || '0')::ltree as high
             from members m
             cross join lateral (select case when m.is_anchor then subpath(m.path, -1) else m.path end as low) n
             where m.brand_id = $1 and m.id = any ((select $2)::uuid[]) and m.referee_count > 0
             union all
             select s.top_id, s.top_depth, a.number, a.depth, n.low, (n.low::text || '0')::ltree
             from segments s
             join members a on a.brand_id = $1 and a.is_anchor and a.path >= s.low and a.path < s.high
             cross join lateral (select subpath(a.path, -1) as low) n
             where a.depth - s.top_depth < $3)"
    };
}

mod attach;
mod change;
mod descendants;
mod downline;
mod insert;
mod lists;
mod moves;
mod plant;
mod standing;
mod tally;
mod upline;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Member, MemberStatus};

use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::UPLINE_DEGREES_MAX;
use crate::db::{Conn, sql};
pub use attach::attach;
pub use change::{MemberChange, change_members, forget_identity};
pub use descendants::{DescendantOrder, descendants};
pub use downline::{ActivityQuery, DegreeSums, DownlineQuery, active_counts, downlines};
use insert::count_referees;
pub use insert::{NewMember, insert_members, lock_forest, next_numbers};
pub use lists::{MemberFilter, count, page, referees_of};
pub use moves::moves_of;
pub(super) use moves::{allow_long_move, keep_move};
pub use plant::{Planted, plant};
pub use standing::{RankingQuery, Standing, top_referrers};
pub use tally::{Sale, forget_activity, record_sales, recount_sales};
pub use upline::{ALL_HOPS, ancestors_of};

/// Who hangs elsewhere, and those below it whose credited up-line that changes.
const UPLINE_LEVELS: i32 = UPLINE_DEGREES_MAX as i32;

/// A member as a statement returns it: select [`MEMBER_COLUMNS`] of an alias `m`.
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(super) struct MemberRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    person_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Integer)]
    depth: i32,
    #[diesel(sql_type = Timestamptz)]
    joined_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    signed_up_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    activated_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Integer)]
    activation_count: i32,
    #[diesel(sql_type = Integer)]
    referee_count: i32,
    #[diesel(sql_type = BigInt)]
    value_minor: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_active_at: Option<DateTime<Utc>>,
}

impl MemberRow {
    pub(super) fn into_member(self) -> Result<Member> {
        Ok(Member {
            id: self.id,
            number: self.number,
            external_id: self.external_id,
            person_id: self.person_id,
            status: MemberStatus::from_column(&self.status)?,
            referrer_id: self.referrer_id,
            creator_id: self.creator_id,
            campaign_id: self.campaign_id,
            path: self.path,
            depth: self.depth,
            joined_at: self.joined_at,
            signed_up_at: self.signed_up_at,
            activated_at: self.activated_at,
            activation_count: self.activation_count,
            referee_count: self.referee_count,
            value_minor: self.value_minor,
            last_active_at: self.last_active_at,
        })
    }
}

/// Members by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Member>> {
    let rows: Vec<MemberRow> = sql(concat!(
        "select ",
        member_columns!(),
        " from members m where m.brand_id = $1 and m.id = any ((select $2)::uuid[])"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_member()?))).collect()
}

/// Members by the brand's own identifiers.
pub async fn by_external_ids(conn: &mut Conn, scope: &Scope, ids: &[String]) -> Result<HashMap<String, Member>> {
    let rows: Vec<MemberRow> = sql(concat!(
        "select ",
        member_columns!(),
        " from members m where m.brand_id = $1 and m.external_id = any ($2)"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(ids)
    .load(conn)
    .await?;
    let members = rows.into_iter().map(MemberRow::into_member);
    members.filter_map(|member| member.map(|m| m.external_id.clone().map(|id| (id, m))).transpose()).collect()
}
