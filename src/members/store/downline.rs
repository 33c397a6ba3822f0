//! Down the forest. A subtree is a range of paths, from a member's own path to before the next one in byte order, in each
//! segment that it reaches; a degree is a depth, so each degree of each segment is one range of the index on (depth, path).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::MemberRow;
use crate::access::Scope;
use crate::base::limits::SEGMENT_LEVELS_MAX;
use crate::base::{Currency, Page, Result, Slice};
use crate::db::{Conn, sql};
use crate::members::Member;

const _: () = assert!(SEGMENT_LEVELS_MAX == 64, "the statements below count the room of a segment");
/// Degrees that one statement of a page looks through.
const DEGREES_PER_STATEMENT: i32 = 8;

/// The spans of each member of $2 down to $3 degrees: one for its own segment, one for each segment that starts below it. `room` is
/// how many levels a span can still have. The bound of a subtree is its path with the lowest letter put at the end of the last label.
macro_rules! spans {
    () => {
        "with recursive spans as (
             select m.id as top_id, m.depth as top_depth, m.depth, m.path as low, (m.path::text || '0')::ltree as high,
                    64 - nlevel(m.path) as room
             from members m where m.brand_id = $1 and m.id = any ($2)
             union all
             select s.top_id, s.top_depth, r.depth, r.path, (r.path::text || '0')::ltree, 63
             from spans s
             join member_segments g on g.brand_id = $1 and g.parent_path >= s.low and g.parent_path < s.high
             join members r on r.brand_id = $1 and r.id = g.root_member_id
             where r.depth - s.top_depth <= $3)"
    };
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct DescendantRow {
    #[diesel(embed)]
    member: MemberRow,
}

/// One page of a member's descendants down to `degrees_max`, by degree and then by path. Goes forward only.
pub async fn descendants(
    conn: &mut Conn,
    scope: &Scope,
    top: &Member,
    degrees_max: i32,
    page: &Page,
) -> Result<Slice<Member>> {
    let wanted = usize::try_from(page.fetch_limit()).unwrap_or(0);
    let mut found: Vec<Member> = Vec::new();
    // A cursor names its row's depth; the path is looked up. Every degree has members as long as the next one has.
    let start = page.after.map_or(1, |after| i32::try_from(after.key).unwrap_or(i32::MAX).saturating_sub(top.depth));
    let mut from = start.max(1);
    while found.len() < wanted && from <= degrees_max {
        let to = from.saturating_add(DEGREES_PER_STATEMENT - 1).min(degrees_max);
        let limit = i64::try_from(wanted - found.len()).unwrap_or(0);
        let after = page.after.filter(|_| from == start.max(1)).map(|after| after.id);
        let rows = degrees(conn, scope, top.id, from, to, after, limit).await?;
        let deepest = rows.last().map(|member| member.depth - top.depth);
        let is_short = rows.len() < wanted - found.len();
        found.extend(rows);
        if is_short && deepest != Some(to) {
            break;
        }
        from = to.saturating_add(1);
    }
    Ok(page.slice(found))
}

async fn degrees(
    conn: &mut Conn,
    scope: &Scope,
    top_id: Uuid,
    from: i32,
    to: i32,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Member>> {
    let rows: Vec<DescendantRow> = sql(concat!(
        spans!(),
        ", place as (select depth, path from members where brand_id = $1 and id = $5)
         select ",
        member_columns!(),
        " from spans s
         cross join lateral generate_series(greatest(s.depth, s.top_depth + $4), least(s.top_depth + $3, s.depth + s.room)) as d (depth)
         cross join lateral (
             select * from members m
             where m.brand_id = $1 and m.depth = d.depth and m.path >= s.low and m.path < s.high
                 and ($5::uuid is null or m.depth > (select depth from place) or m.path > (select path from place))
             order by m.path limit $6) m
         order by m.depth, m.path limit $6"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(vec![top_id])
    .bind::<Integer, _>(to)
    .bind::<Integer, _>(from)
    .bind::<Nullable<SqlUuid>, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| row.member.into_member()).collect()
}

/// Which part of a downline is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DownlineQuery {
    pub degrees_max: i32,
    /// Only members who joined, and sales, at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Who did something from this moment on counts as active.
    pub active_since: DateTime<Utc>,
    /// Only amounts in this currency are summed.
    pub currency: Currency,
    /// Whether sales and rewards are wanted: they cost a look-up per member.
    pub has_value: bool,
}

/// One degree of a downline.
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
    /// Members with a sign-up, a first activation or a sale since then.
    #[diesel(sql_type = BigInt)]
    pub active_count: i64,
    /// Sales less refunds.
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
    /// What the member at the top earned from this degree.
    #[diesel(sql_type = BigInt)]
    pub reward_minor: i64,
}

/// The sums of each (member, query), the nearest degree first; who has no downline is absent.
pub async fn downlines(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, DownlineQuery)],
) -> Result<HashMap<(Uuid, DownlineQuery), Vec<DegreeSums>>> {
    let mut groups: HashMap<DownlineQuery, Vec<Uuid>> = HashMap::new();
    for (id, query) in keys {
        groups.entry(*query).or_default().push(*id);
    }
    let mut downlines: HashMap<(Uuid, DownlineQuery), Vec<DegreeSums>> = HashMap::new();
    for (query, ids) in groups {
        for sums in sums(conn, scope, &query, &ids).await? {
            downlines.entry((sums.top_id, query)).or_default().push(sums);
        }
    }
    Ok(downlines)
}

async fn sums(conn: &mut Conn, scope: &Scope, query: &DownlineQuery, ids: &[Uuid]) -> Result<Vec<DegreeSums>> {
    let rows = sql(concat!(
        spans!(),
        ", counted as (
             select s.top_id, m.depth - s.top_depth as degree, count(*) as member_count,
                    count(*) filter (where m.activated_at is not null) as activated_count,
                    count(*) filter (where m.signed_up_at >= $7 or m.activated_at >= $7 or c.is_active) as active_count,
                    coalesce(sum(c.value_minor), 0)::int8 as value_minor
             from spans s
             cross join lateral generate_series(greatest(s.depth, s.top_depth + 1), least(s.top_depth::int8 + $3, s.depth + s.room)) as d (depth)
             join members m on m.brand_id = $1 and m.depth = d.depth and m.path >= s.low and m.path < s.high
             left join lateral (
                 select sum(amount_minor - refunded_minor) filter (where currency = $5 and ($4::timestamptz is null or occurred_at >= $4))
                            as value_minor,
                        bool_or(occurred_at >= $7) as is_active
                 from conversions where $6 and brand_id = $1 and member_id = m.id) c on true
             where $4::timestamptz is null or m.joined_at >= $4
             group by s.top_id, degree),
         earned as (
             select beneficiary_member_id as top_id, degree::int4 as degree, sum(amount_minor - reversed_minor)::int8 as reward_minor
             from rewards
             where $6 and brand_id = $1 and beneficiary_member_id = any ($2) and degree > 0 and currency = $5 and state <> 'REJECTED'
                 and ($4::timestamptz is null or triggered_at >= $4)
             group by 1, 2)
         select c.top_id, c.degree, c.member_count, c.activated_count, c.active_count, c.value_minor,
                coalesce(e.reward_minor, 0) as reward_minor
         from counted c left join earned e on e.top_id = c.top_id and e.degree = c.degree
         order by c.top_id, c.degree"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Integer, _>(query.degrees_max)
    .bind::<Nullable<Timestamptz>, _>(query.since)
    .bind::<Text, _>(query.currency.to_string())
    .bind::<Bool, _>(query.has_value)
    .bind::<Timestamptz, _>(query.active_since)
    .load(conn)
    .await?;
    Ok(rows)
}
