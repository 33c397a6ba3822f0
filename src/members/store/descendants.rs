//! Everyone below a member, page by page. By degree: a degree is a depth, so each degree of each segment is one range of the index on
//! (depth, path), and a page costs what it returns, whatever stands below. The newest first: a small subtree is sorted; for a big one
//! the brand's latest members are walked until enough of them stand below.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{DownlineQuery, MemberRow, by_ids, downlines};
use crate::access::Scope;
use crate::base::limits::SEGMENT_DEPTH;
use crate::base::{Error, Page, Result, Slice};
use crate::db::{Conn, sql};
use crate::members::Member;

const _: () = assert!(SEGMENT_DEPTH == 63, "the statements of this module spell the depth of a segment");
/// Degrees that the first statement of a page looks through, and how many times more each next one does: what is wide is read little by
/// little, and a page of 500 along a chain takes three statements.
const DEGREES_AT_FIRST: i32 = 8;
const DEGREES_GROWTH: i32 = 8;
/// Descendants that are sorted for a page. Where there are more, so many of the brand's latest members are among them that walking
/// those is cheaper.
const SORTED_MAX: i64 = 50_000;

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct DescendantRow {
    #[diesel(embed)]
    member: MemberRow,
}

/// In which order descendants are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DescendantOrder {
    /// The nearest degree first, and within a degree by path, so that those of one referrer stand together.
    #[default]
    Degree,
    /// The last to join first.
    Newest,
}

/// One page of a member's descendants down to `degrees_max`. Goes forward only.
pub async fn descendants(
    conn: &mut Conn,
    scope: &Scope,
    top: &Member,
    degrees_max: i32,
    order: DescendantOrder,
    page: &Page,
) -> Result<Slice<Member>> {
    let found = match order {
        DescendantOrder::Degree => by_degree(conn, scope, top, degrees_max, page).await?,
        DescendantOrder::Newest => newest(conn, scope, top, degrees_max, page).await?,
    };
    Ok(page.slice(found))
}

async fn by_degree(conn: &mut Conn, scope: &Scope, top: &Member, degrees_max: i32, page: &Page) -> Result<Vec<Member>> {
    let wanted = usize::try_from(page.fetch_limit()).unwrap_or(0);
    let after = match page.after {
        Some(after) => Some(last_seen(conn, scope, after.id).await?),
        None => None,
    };
    let mut found: Vec<Member> = Vec::new();
    // Every degree has members as long as the next one has.
    let mut from = after.as_ref().map_or(1, |after| after.depth - top.depth).max(1);
    // A member whose referees alone fill the page needs no look at those below them.
    let is_filled = after.is_none() && usize::try_from(top.referee_count).is_ok_and(|count| count >= wanted);
    let mut window = if is_filled { 1 } else { DEGREES_AT_FIRST };
    while found.len() < wanted && from <= degrees_max {
        let missing = i32::try_from(wanted - found.len()).unwrap_or(i32::MAX);
        let to = from.saturating_add(window.min(missing.max(DEGREES_AT_FIRST)) - 1).min(degrees_max);
        let limit = i64::from(missing);
        let rows = degrees(conn, scope, top.id, from..=to, after.as_ref(), limit).await?;
        let deepest = rows.last().map(|member| member.depth - top.depth);
        let is_short = rows.len() < wanted - found.len();
        found.extend(rows);
        if is_short && deepest != Some(to) {
            break;
        }
        from = to.saturating_add(1);
        window = window.saturating_mul(DEGREES_GROWTH);
    }
    Ok(found)
}

const SMALL: &str = concat!(
    segments!(),
    " select ",
    member_columns!(),
    " from segments s
     cross join lateral generate_series(s.depth + 1, least(s.top_depth + $3, (s.depth / 63 + 1) * 63)) as d (depth)
     cross join lateral (
         select * from members
         where brand_id = $1 and depth = d.depth and path >= s.low and path < s.high
             and (joined_at, id) < (coalesce($4, 'infinity'), $5) offset 0) m
     order by m.joined_at desc, m.id desc limit $6"
);

const BIG: &str = concat!(
    segments!(),
    " select ",
    member_columns!(),
    " from members m
     where m.brand_id = $1 and (m.joined_at, m.id) < (coalesce($4, 'infinity'), $5)
         and exists (
             select from segments s
             where m.path > s.low and m.path < s.high and m.depth > s.depth and m.depth - s.top_depth <= $3)
     order by m.joined_at desc, m.id desc limit $6"
);

async fn newest(conn: &mut Conn, scope: &Scope, top: &Member, degrees_max: i32, page: &Page) -> Result<Vec<Member>> {
    let query = DownlineQuery::of_all(degrees_max, None);
    let sums = downlines(conn, scope, &[(top.id, query)]).await?.remove(&(top.id, query)).unwrap_or_default();
    let size: i64 = sums.iter().map(|sums| sums.member_count).sum();
    let before = page.after.map(|after| after.time());
    let before_id = page.after.map_or(Uuid::max(), |after| after.id);
    let rows: Vec<DescendantRow> = sql(if size <= SORTED_MAX { SMALL } else { BIG })
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(vec![top.id])
        .bind::<Integer, _>(degrees_max)
        .bind::<Nullable<Timestamptz>, _>(before)
        .bind::<SqlUuid, _>(before_id)
        .bind::<BigInt, _>(page.fetch_limit())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| row.member.into_member()).collect()
}

/// The member whose row a cursor names: the page goes on from where it stands now.
async fn last_seen(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Member> {
    let member = by_ids(conn, scope, &[id]).await?.remove(&id);
    member.ok_or_else(|| {
        Error::invalid(&["after"], "This is no cursor of this list: pass one that an earlier page returned.")
    })
}

async fn degrees(
    conn: &mut Conn,
    scope: &Scope,
    top_id: Uuid,
    degrees: std::ops::RangeInclusive<i32>,
    after: Option<&Member>,
    limit: i64,
) -> Result<Vec<Member>> {
    let rows: Vec<DescendantRow> = sql(concat!(
        segments!(),
        " select ",
        member_columns!(),
        " from segments s
         cross join lateral generate_series(greatest(s.depth + 1, s.top_depth + $4), least(s.top_depth + $3, (s.depth / 63 + 1) * 63)) as d (depth)
         cross join lateral (
             select * from members m
             where m.brand_id = $1 and m.depth = d.depth and m.path >= s.low and m.path < s.high
                 and ((select $5::int4) is null or m.depth > (select $5::int4) or m.path > (select $6)::ltree)
             order by m.path limit (select $7::int8)) m
         order by m.depth, m.path limit (select $7::int8)"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(vec![top_id])
    .bind::<Integer, _>(*degrees.end())
    .bind::<Integer, _>(*degrees.start())
    .bind::<Nullable<Integer>, _>(after.map(|after| after.depth))
    .bind::<Nullable<Text>, _>(after.map(|after| after.path.as_str()))
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| row.member.into_member()).collect()
}
