//! Lists of creators, and what each has brought about, read over the facts and judgements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::store::CreatorRow;
use super::{Creator, CreatorStatus};
use crate::access::Scope;
use crate::base::{Currency, Error, ListKey, Money, Page, Result, Slice};
use crate::db::{Conn, sql};

/// Which creators are wanted. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct CreatorFilter {
    pub ids: Option<Vec<Uuid>>,
    pub statuses: Option<Vec<CreatorStatus>>,
    pub tier: Option<String>,
    /// Part of the handle or of the display name, whatever the case.
    pub search: Option<String>,
    /// Those with a link in this campaign.
    pub campaign_id: Option<Uuid>,
}

/// How a list of creators is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreatorOrder {
    #[default]
    CreatedAt,
    Handle,
}

/// Where a creator fits a [`CreatorFilter`], bound as $1 to $6.
macro_rules! fitting {
    () => {
        " from creators c
         where c.brand_id = $1 and ($2::uuid[] is null or c.id = any ($2)) and ($3::text[] is null or c.status = any ($3))
             and ($4::text is null or c.tier = $4)
             and ($5::text is null or c.handle ilike $5 or c.display_name ilike $5)
             and ($6::uuid is null or exists (select from links l
                 where l.brand_id = c.brand_id and l.creator_id = c.id and l.campaign_id = $6))"
    };
}

macro_rules! page_by_created_at {
    ($direction:literal) => {
        concat!(
            "select c.id, c.handle, c.display_name, c.status, c.tier, c.created_at",
            fitting!(),
            " and (c.created_at, c.id) > ($8, $9) and (c.created_at, c.id) < ($10, $11) order by c.created_at ",
            $direction,
            ", c.id ",
            $direction,
            " limit $7"
        )
    };
}

// Handles are unique, so a cursor needs the identifier only: the handle is looked up.
macro_rules! page_by_handle {
    ($direction:literal) => {
        concat!(
            "select c.id, c.handle, c.display_name, c.status, c.tier, c.created_at",
            fitting!(),
            " and ($8::uuid is null or c.handle > (select handle from creators where brand_id = $1 and id = $8))
              and ($9::uuid is null or c.handle < (select handle from creators where brand_id = $1 and id = $9))
              order by c.handle ",
            $direction,
            " limit $7"
        )
    };
}

macro_rules! bind_filter {
    ($text:expr, $scope:expr, $filter:expr) => {
        sql($text)
            .bind::<SqlUuid, _>($scope.brand_id)
            .bind::<Nullable<Array<SqlUuid>>, _>($filter.ids.as_deref())
            .bind::<Nullable<Array<Text>>, _>($filter.status_names())
            .bind::<Nullable<Text>, _>($filter.tier.as_deref())
            .bind::<Nullable<Text>, _>($filter.pattern())
            .bind::<Nullable<SqlUuid>, _>($filter.campaign_id)
    };
}

impl CreatorFilter {
    fn status_names(&self) -> Option<Vec<&'static str>> {
        self.statuses.as_ref().map(|statuses| statuses.iter().map(|status| status.as_str()).collect())
    }

    fn pattern(&self) -> Option<String> {
        let search = self.search.as_ref()?;
        Some(format!("%{}%", search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
    }
}

/// One page of the creators that fit.
pub async fn page(
    conn: &mut Conn,
    scope: &Scope,
    filter: &CreatorFilter,
    order: CreatorOrder,
    page: &Page,
) -> Result<Slice<Creator>> {
    let rows: Vec<CreatorRow> = match order {
        CreatorOrder::CreatedAt => {
            let text = if page.is_backward { page_by_created_at!("desc") } else { page_by_created_at!("asc") };
            let [(low, low_id), (high, high_id)] = page.time_bounds();
            bind_filter!(text, scope, filter)
                .bind::<BigInt, _>(page.fetch_limit())
                .bind::<Timestamptz, _>(low)
                .bind::<SqlUuid, _>(low_id)
                .bind::<Timestamptz, _>(high)
                .bind::<SqlUuid, _>(high_id)
                .load(conn)
                .await?
        }
        CreatorOrder::Handle => {
            let text = if page.is_backward { page_by_handle!("desc") } else { page_by_handle!("asc") };
            bind_filter!(text, scope, filter)
                .bind::<BigInt, _>(page.fetch_limit())
                .bind::<Nullable<SqlUuid>, _>(page.after.map(|after| after.id))
                .bind::<Nullable<SqlUuid>, _>(page.before.map(|before| before.id))
                .load(conn)
                .await?
        }
    };
    Ok(page.slice(rows.into_iter().map(CreatorRow::into_creator).collect::<Result<_>>()?))
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Pg))]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many creators fit.
pub async fn count(conn: &mut Conn, scope: &Scope, filter: &CreatorFilter) -> Result<i64> {
    let row: CountRow =
        bind_filter!(concat!("select count(*) as count", fitting!()), scope, filter).get_result(conn).await?;
    Ok(row.count)
}

/// Which part of a creator's facts is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PerformanceQuery {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub campaign_id: Option<Uuid>,
    /// `None`: the model of each campaign's own policy.
    pub model: Option<&'static str>,
    /// Only amounts in this currency are summed.
    pub currency: Currency,
}

/// What a creator has brought about.
#[derive(Clone, Copy, Debug)]
pub struct Performance {
    pub click_count: i64,
    pub conversion_count: i64,
    pub attributed: Money,
    pub commission: Money,
    pub touch_count: i64,
    pub blocked_count: i64,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Pg))]
struct PerformanceRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    click_count: i64,
    #[diesel(sql_type = BigInt)]
    conversion_count: i64,
    #[diesel(sql_type = BigInt)]
    attributed_minor: i64,
    #[diesel(sql_type = BigInt)]
    commission_minor: i64,
    #[diesel(sql_type = BigInt)]
    touch_count: i64,
    #[diesel(sql_type = BigInt)]
    blocked_count: i64,
}

/// The performance of each creator; one statement per distinct query.
pub async fn performances(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, PerformanceQuery)],
) -> Result<HashMap<(Uuid, PerformanceQuery), Performance>> {
    let mut groups: HashMap<PerformanceQuery, Vec<Uuid>> = HashMap::new();
    for (id, query) in keys {
        groups.entry(*query).or_default().push(*id);
    }
    let mut performances = HashMap::new();
    for (query, ids) in groups {
        for row in sums(conn, scope, &query, &ids).await? {
            let performance = Performance {
                click_count: row.click_count,
                conversion_count: row.conversion_count,
                attributed: Money::new(row.attributed_minor, query.currency),
                commission: Money::new(row.commission_minor, query.currency),
                touch_count: row.touch_count,
                blocked_count: row.blocked_count,
            };
            performances.insert((row.id, query), performance);
        }
    }
    Ok(performances)
}

async fn sums(conn: &mut Conn, scope: &Scope, query: &PerformanceQuery, ids: &[Uuid]) -> Result<Vec<PerformanceRow>> {
    let rows = sql("select k.id, t.click_count, t.touch_count, t.blocked_count, a.conversion_count, a.attributed_minor, r.commission_minor
         from unnest($2::uuid[]) as k (id)
         cross join lateral (
             select count(*) filter (where kind = 'CLICK' and decision <> 'BLOCK') as click_count, count(*) as touch_count,
                    count(*) filter (where decision = 'BLOCK') as blocked_count
             from touchpoints
             where brand_id = $1 and creator_id = k.id and ($3::timestamptz is null or occurred_at >= $3)
                 and ($4::timestamptz is null or occurred_at < $4) and ($5::uuid is null or campaign_id = $5)) t
         cross join lateral (
             select count(distinct a.conversion_id) as conversion_count,
                    coalesce(sum(a.amount_minor) filter (where a.currency = $7), 0)::int8 as attributed_minor
             from attribution_records a
             where a.brand_id = $1 and a.creator_id = k.id and a.superseded_at is null and ($6::text is null or a.model = $6)
                 and ($3::timestamptz is null or a.occurred_at >= $3)
                 and ($4::timestamptz is null or a.occurred_at < $4) and ($5::uuid is null or a.campaign_id = $5)) a
         cross join lateral (
             select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as commission_minor
             from rewards
             where brand_id = $1 and beneficiary_creator_id = k.id and currency = $7 and kind in ('CREDIT', 'COMMISSION')
                 and state <> 'REJECTED' and ($3::timestamptz is null or triggered_at >= $3)
                 and ($4::timestamptz is null or triggered_at < $4) and ($5::uuid is null or campaign_id = $5)) r")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Nullable<Timestamptz>, _>(query.from)
    .bind::<Nullable<Timestamptz>, _>(query.to)
    .bind::<Nullable<SqlUuid>, _>(query.campaign_id)
    .bind::<Nullable<Text>, _>(query.model)
    .bind::<Text, _>(query.currency.to_string())
    .load(conn)
    .await?;
    Ok(rows)
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Pg))]
struct ListedRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(embed)]
    creator: CreatorRow,
}

/// The first creators with a link in each campaign, the oldest first.
pub async fn of_campaigns(conn: &mut Conn, scope: &Scope, keys: &[ListKey]) -> Result<HashMap<ListKey, Vec<Creator>>> {
    let (after_times, after_ids): (Vec<DateTime<Utc>>, Vec<Uuid>) = keys.iter().map(ListKey::after_time).unzip();
    let rows: Vec<ListedRow> = sql("select k.place, c.id, c.handle, c.display_name, c.status, c.tier, c.created_at
         from unnest($2::uuid[], $3::int8[], $4::timestamptz[], $5::uuid[])
              with ordinality as k (campaign_id, row_limit, after_at, after_id, place)
         cross join lateral (
             select c.* from creators c
             where c.brand_id = $1 and (c.created_at, c.id) > (k.after_at, k.after_id)
                 and exists (select from links l
                     where l.brand_id = $1 and l.creator_id = c.id and l.campaign_id = k.campaign_id)
             order by c.created_at, c.id limit k.row_limit) c
         order by k.place, c.created_at, c.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.parent_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.limit).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(after_times)
    .bind::<Array<SqlUuid>, _>(after_ids)
    .load(conn)
    .await?;
    let mut lists: HashMap<ListKey, Vec<Creator>> = HashMap::new();
    for row in rows {
        let key = usize::try_from(row.place - 1).ok().and_then(|place| keys.get(place));
        let key = key.ok_or_else(|| Error::fault("reading creators of campaigns", "an unasked list"))?;
        lists.entry(*key).or_default().push(row.creator.into_creator()?);
    }
    Ok(lists)
}
