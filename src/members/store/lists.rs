//! Lists of members: the brand's, and the referees of each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::MemberRow;
use crate::access::Scope;
use crate::base::{Error, ListKey, Page, Result, Slice};
use crate::db::{Conn, sql};
use crate::members::{Member, MemberStatus};

/// Which members are wanted. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct MemberFilter {
    pub campaign_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub statuses: Option<Vec<MemberStatus>>,
    pub joined_from: Option<DateTime<Utc>>,
    pub joined_to: Option<DateTime<Utc>>,
    pub is_roots_only: bool,
}

macro_rules! fitting {
    () => {
        " from members m
         where m.brand_id = $1 and ($2::uuid is null or m.campaign_id = $2) and ($3::uuid is null or m.creator_id = $3)
             and ($4::text[] is null or m.status = any ($4)) and ($5::timestamptz is null or m.joined_at >= $5)
             and ($6::timestamptz is null or m.joined_at < $6) and (not $7 or m.referrer_id is null)"
    };
}

macro_rules! page_text {
    ($direction:literal) => {
        concat!(
            "select ",
            member_columns!(),
            fitting!(),
            " and (m.joined_at, m.id) > ($9, $10) and (m.joined_at, m.id) < ($11, $12) order by m.joined_at ",
            $direction,
            ", m.id ",
            $direction,
            " limit $8"
        )
    };
}

macro_rules! bind_filter {
    ($text:expr, $scope:expr, $filter:expr) => {
        sql($text)
            .bind::<SqlUuid, _>($scope.brand_id)
            .bind::<Nullable<SqlUuid>, _>($filter.campaign_id)
            .bind::<Nullable<SqlUuid>, _>($filter.creator_id)
            .bind::<Nullable<Array<Text>>, _>($filter.status_names())
            .bind::<Nullable<Timestamptz>, _>($filter.joined_from)
            .bind::<Nullable<Timestamptz>, _>($filter.joined_to)
            .bind::<Bool, _>($filter.is_roots_only)
    };
}

impl MemberFilter {
    fn status_names(&self) -> Option<Vec<&'static str>> {
        self.statuses.as_ref().map(|all| all.iter().map(|status| status.as_str()).collect())
    }
}

/// One page of the members that fit, the first to join first.
pub async fn page(conn: &mut Conn, scope: &Scope, filter: &MemberFilter, page: &Page) -> Result<Slice<Member>> {
    let text = if page.is_backward { page_text!("desc") } else { page_text!("asc") };
    let [(low, low_id), (high, high_id)] = page.time_bounds();
    let rows: Vec<MemberRow> = bind_filter!(text, scope, filter)
        .bind::<BigInt, _>(page.fetch_limit())
        .bind::<Timestamptz, _>(low)
        .bind::<SqlUuid, _>(low_id)
        .bind::<Timestamptz, _>(high)
        .bind::<SqlUuid, _>(high_id)
        .load(conn)
        .await?;
    Ok(page.slice(rows.into_iter().map(MemberRow::into_member).collect::<Result<_>>()?))
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many members fit.
pub async fn count(conn: &mut Conn, scope: &Scope, filter: &MemberFilter) -> Result<i64> {
    let row: CountRow =
        bind_filter!(concat!("select count(*) as count", fitting!()), scope, filter).get_result(conn).await?;
    Ok(row.count)
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ListedRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(embed)]
    member: MemberRow,
}

/// The first referees of each member, the first to join first.
pub async fn referees_of(conn: &mut Conn, scope: &Scope, keys: &[ListKey]) -> Result<HashMap<ListKey, Vec<Member>>> {
    let (after_times, after_ids): (Vec<DateTime<Utc>>, Vec<Uuid>) = keys.iter().map(ListKey::after_time).unzip();
    let rows: Vec<ListedRow> = sql(concat!(
        "select k.place, ",
        member_columns!(),
        " from unnest((select $2)::uuid[], (select $3)::int8[], (select $4)::timestamptz[], (select $5)::uuid[])
              with ordinality as k (referrer_id, row_limit, after_at, after_id, place)
          cross join lateral (
              select * from members
              where brand_id = $1 and referrer_id = k.referrer_id and (joined_at, id) > (k.after_at, k.after_id)
              order by joined_at, id limit k.row_limit) m
          order by k.place, m.joined_at, m.id"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.parent_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.limit).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(after_times)
    .bind::<Array<SqlUuid>, _>(after_ids)
    .load(conn)
    .await?;
    let mut lists: HashMap<ListKey, Vec<Member>> = HashMap::new();
    for row in rows {
        let key = usize::try_from(row.place - 1).ok().and_then(|place| keys.get(place));
        let key = key.ok_or_else(|| Error::fault("reading referees", "an unasked list"))?;
        lists.entry(*key).or_default().push(row.member.into_member()?);
    }
    Ok(lists)
}
