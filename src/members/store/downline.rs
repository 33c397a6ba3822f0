//! The sums over everyone below a member, by degree: from the kept numbers, or counted live where only a part is wanted.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::ALL_HOPS;
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

/// Which part of a downline is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DownlineQuery {
    pub degrees_max: i32,
    /// Only members who joined, and sales and rewards, at or after this moment: counted live, the rest is kept.
    pub since: Option<DateTime<Utc>>,
    /// Whether sales since then are wanted: they cost a look-up per member.
    pub has_value: bool,
    /// Whether rewards are wanted: they come by degree.
    pub has_rewards: bool,
    /// Whether the degrees are told apart; else one row may sum them all up, under the degree 0. The degrees of a page of members at the
    /// top of a chain of ten thousand are a million rows.
    pub has_degrees: bool,
}

impl DownlineQuery {
    /// The sums of each degree.
    #[must_use]
    pub fn by_degree(degrees_max: i32, since: Option<DateTime<Utc>>) -> Self {
        Self { degrees_max, since, has_value: false, has_rewards: false, has_degrees: true }
    }

    /// The sums of all degrees together.
    #[must_use]
    pub fn of_all(degrees_max: i32, since: Option<DateTime<Utc>>) -> Self {
        Self { has_degrees: false, ..Self::by_degree(degrees_max, since) }
    }
}

/// One degree of a downline. Amounts are in the brand's currency.
#[derive(Clone, Copy, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct DegreeSums {
    #[diesel(sql_type = SqlUuid)]
    top_id: Uuid,
    #[diesel(sql_type = Integer)]
    pub degree: i32,
    #[diesel(sql_type = BigInt)]
    pub member_count: i64,
    #[diesel(sql_type = BigInt)]
    pub activated_count: i64,
    /// Sales less refunds.
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
    /// What the member at the top earned from this degree.
    #[diesel(sql_type = BigInt)]
    pub reward_minor: i64,
}

// `offset 0` keeps a look-up per degree what it is: else PostgreSQL may rather read the whole brand by depth, and join the degrees to it.

/// Joins what the tops earned to `counted`.
macro_rules! with_earnings {
    ($counted:literal) => {
        concat!(
            segments!(),
            ", counted as (",
            $counted,
            "), earned as (
                 select beneficiary_member_id as top_id, degree::int4 as degree, sum(amount_minor - reversed_minor)::int8 as reward_minor
                 from rewards
                 where (select $5::bool) and brand_id = $1 and beneficiary_member_id = any ((select $2)::uuid[]) and degree > 0
                     and currency = (select $6) and state <> 'REJECTED' and triggered_at >= (select coalesce($4::timestamptz, '-infinity'))
                 group by 1, 2)
             select c.top_id, c.degree, c.member_count, c.activated_count, c.value_minor, coalesce(e.reward_minor, 0) as reward_minor
             from counted c left join earned e on e.top_id = c.top_id and e.degree = c.degree
             order by c.top_id, c.degree"
        )
    };
}

const KEPT: &str = with_earnings!(
    "select s.top_id, (s.depth - s.top_depth + k.degree)::int4 as degree, sum(k.member_count)::int8 as member_count,
            sum(k.activated_count)::int8 as activated_count, sum(k.value_minor)::int8 as value_minor
     from segments s join member_downlines k on k.brand_id = $1 and k.member_number = s.number
     where s.depth - s.top_depth + k.degree <= $3
     group by 1, 2"
);

/// What an anchor keeps is summed up once, however many of the members asked about stand above it.
const KEPT_TOTALS: &str = concat!(
    segments!(),
    ", kept as materialized (
         select member_number, sum(member_count) as member_count, sum(activated_count) as activated_count, sum(value_minor) as value_minor
         from member_downlines where brand_id = $1 and member_number = any (array (select distinct number from segments))
         group by 1)
     select s.top_id, 0 as degree, sum(k.member_count)::int8 as member_count, sum(k.activated_count)::int8 as activated_count,
            sum(k.value_minor)::int8 as value_minor, 0::int8 as reward_minor
     from segments s join kept k on k.member_number = s.number
     group by 1"
);

/// Only who has bought, and was active since then, can have bought since then: their sales are read, and of everybody else no more than
/// the index holds.
const LIVE: &str = with_earnings!(
    "select s.top_id, (m.depth - s.top_depth)::int4 as degree, count(*) as member_count, count(m.activated_at) as activated_count,
            coalesce(sum(
                case when (select $7::bool) and m.value_minor > 0 and m.last_active_at >= (select $4::timestamptz) then (
                    select sum(c.amount_minor - c.refunded_minor)
                    from members b
                    join conversions c on c.brand_id = $1 and c.member_id = b.id and c.currency = (select $6) and c.occurred_at >= (select $4::timestamptz)
                    where b.brand_id = $1 and b.depth = m.depth and b.path = m.path)
                end), 0)::int8 as value_minor
     from segments s
     cross join lateral generate_series(s.depth + 1, least(s.top_depth + $3, (s.depth / 63 + 1) * 63)) as d (depth)
     cross join lateral (
         select depth, path, activated_at, last_active_at, value_minor from members
         where brand_id = $1 and depth = d.depth and path >= s.low and path < s.high and joined_at >= (select $4::timestamptz) offset 0) m
     group by 1, 2"
);

/// The sums of each (member, query), the nearest degree first, or one row for all; who has no downline is absent.
pub async fn downlines(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, DownlineQuery)],
) -> Result<HashMap<(Uuid, DownlineQuery), Vec<DegreeSums>>> {
    let mut downlines: HashMap<(Uuid, DownlineQuery), Vec<DegreeSums>> = HashMap::new();
    for (query, ids) in by_query(keys) {
        for sums in sums(conn, scope, &query, &ids).await? {
            downlines.entry((sums.top_id, query)).or_default().push(sums);
        }
    }
    Ok(downlines)
}

/// The members that each question is asked about.
fn by_query<Q: Copy + Eq + std::hash::Hash>(keys: &[(Uuid, Q)]) -> HashMap<Q, Vec<Uuid>> {
    let mut groups: HashMap<Q, Vec<Uuid>> = HashMap::new();
    for (id, query) in keys {
        groups.entry(*query).or_default().push(*id);
    }
    groups
}

async fn sums(conn: &mut Conn, scope: &Scope, query: &DownlineQuery, ids: &[Uuid]) -> Result<Vec<DegreeSums>> {
    if !query.has_degrees && query.degrees_max == ALL_HOPS && query.since.is_none() {
        let totals = sql(KEPT_TOTALS)
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Integer, _>(query.degrees_max);
        return Ok(totals.load(conn).await?);
    }
    let statement = sql(if query.since.is_some() { LIVE } else { KEPT })
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Integer, _>(query.degrees_max)
        .bind::<Nullable<Timestamptz>, _>(query.since)
        .bind::<Bool, _>(query.has_rewards)
        .bind::<Text, _>(scope.currency.to_string());
    let rows = match query.since {
        Some(_) => statement.bind::<Bool, _>(query.has_value).load(conn).await?,
        None => statement.load(conn).await?,
    };
    Ok(rows)
}

/// Which part of a downline is looked at for who was active of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActivityQuery {
    pub degrees_max: i32,
    /// Only members who joined at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Who signed up, was first activated or bought on this day (UTC) or later is active.
    pub active_from: NaiveDate,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ActiveRow {
    #[diesel(sql_type = SqlUuid)]
    top_id: Uuid,
    #[diesel(sql_type = BigInt)]
    member_count: i64,
}

const KEPT_ACTIVE: &str = concat!(
    segments!(),
    " select s.top_id, sum(k.member_count)::int8 as member_count
     from segments s join member_activity_days k on k.brand_id = $1 and k.member_number = s.number
     where k.active_on >= $4
     group by 1"
);

const LIVE_ACTIVE: &str = concat!(
    segments!(),
    " select s.top_id, count(*) as member_count
     from segments s
     cross join lateral generate_series(s.depth + 1, least(s.top_depth + $3, (s.depth / 63 + 1) * 63)) as d (depth)
     cross join lateral (
         select from members
         where brand_id = $1 and depth = d.depth and path >= s.low and path < s.high
             and last_active_at >= (select $4::timestamp at time zone 'UTC') and joined_at >= (select coalesce($5::timestamptz, '-infinity')) offset 0) m
     group by 1"
);

/// How many members below each were active; nobody: absent.
pub async fn active_counts(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, ActivityQuery)],
) -> Result<HashMap<(Uuid, ActivityQuery), i64>> {
    let mut counts = HashMap::new();
    for (query, ids) in by_query(keys) {
        let is_kept = query.since.is_none() && query.degrees_max == ALL_HOPS;
        let statement = sql(if is_kept { KEPT_ACTIVE } else { LIVE_ACTIVE })
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(&ids)
            .bind::<Integer, _>(query.degrees_max)
            .bind::<Date, _>(query.active_from);
        let rows: Vec<ActiveRow> = if is_kept {
            statement.load(conn).await?
        } else {
            statement.bind::<Nullable<Timestamptz>, _>(query.since).load(conn).await?
        };
        counts.extend(rows.into_iter().map(|row| ((row.top_id, query), row.member_count)));
    }
    Ok(counts)
}
