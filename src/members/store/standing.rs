//! Who leads. Over all time the ranking is read from the kept sums of downlines; since a moment or within a campaign, what counts is
//! carried up the forest hop by hop.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Currency, Result};
use crate::db::{Conn, sql};

/// How referrers are ranked.
#[derive(Clone, Debug)]
pub struct RankingQuery {
    pub campaign_id: Option<Uuid>,
    /// Whether value counts, or referrals.
    pub is_by_value: bool,
    /// How far down counts: 1 is direct. At most 10, the degrees that the indexes on magnitudes hold.
    pub hops: i32,
    pub since: Option<DateTime<Utc>>,
    /// The brand's own where no campaign is named.
    pub currency: Currency,
    pub limit: i64,
}

/// One place of a ranking.
#[derive(Clone, Copy, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Standing {
    #[diesel(sql_type = SqlUuid)]
    pub member_id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub referral_count: i64,
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
}

/// The leading referrers, by value or by members below who signed up.
pub async fn top_referrers(conn: &mut Conn, scope: &Scope, query: &RankingQuery) -> Result<Vec<Standing>> {
    match (query.campaign_id, query.since) {
        (None, None) => kept(conn, scope, query).await,
        (Some(_), _) => live(conn, scope, query, LIVE_OF_CAMPAIGN).await,
        (None, Some(_)) => live(conn, scope, query, LIVE).await,
    }
}

/// The top of a sum over degrees, from one index per degree (after Fagin's threshold algorithm). As many members as places are wanted
/// have a degree of magnitude `b`, so the last place has at least 2^b. Who has less than 2^b / 2^slack in every degree has less than that
/// in all, if 2^slack is more than the number of degrees. Only the others are added up. Anchors cut rows short: those who have one
/// near below are always added up, with what the anchor keeps. Nobody can say beforehand how few they are: `offset 0` keeps the sums from
/// being read from one end to the other.
macro_rules! kept_ranking {
    ($magnitude:literal, $sum:literal, $then:literal) => {
        concat!(
            "with recursive floors as (
                 select max(f.magnitude) - $4 as magnitude
                 from generate_series(1, $2) as d (degree)
                 cross join lateral (
                     select ", $magnitude, " as magnitude from member_downlines
                     where brand_id = $1 and degree = d.degree and degree <= 10
                     order by ", $magnitude, " desc offset $3 - 1 limit 1) f),
             near_anchors as (
                 select a.number as anchor_number, a.referrer_id, 0 as hops from members a where a.brand_id = $1 and a.is_anchor
                 union all
                 select n.anchor_number, m.referrer_id, n.hops + 1
                 from near_anchors n join members m on m.brand_id = $1 and m.id = n.referrer_id
                 where n.hops + 2 < $2),
             reached as (
                 select m.number as member_number, n.anchor_number, n.hops + 1 as hops
                 from near_anchors n join members m on m.brand_id = $1 and m.id = n.referrer_id
                 where n.hops + 1 < $2),
             candidates as (
                 select c.member_number
                 from generate_series(1, $2) as d (degree)
                 cross join lateral (
                     select member_number from member_downlines
                     where brand_id = $1 and degree = d.degree and degree <= 10
                         and ", $magnitude, " >= greatest(coalesce((select magnitude from floors), 0), 0)) c
                 union
                 select member_number from reached),
             parts as (
                 select c.member_number, k.signed_up_count, k.value_minor
                 from candidates c
                 cross join lateral (
                     select signed_up_count, value_minor from member_downlines
                     where brand_id = $1 and member_number = c.member_number and degree <= $2 offset 0) k
                 union all
                 select r.member_number, k.signed_up_count, k.value_minor
                 from reached r
                 cross join lateral (
                     select signed_up_count, value_minor from member_downlines
                     where brand_id = $1 and member_number = r.anchor_number and degree <= $2 - r.hops offset 0) k),
             summed as (
                 select member_number, sum(signed_up_count)::int8 as referral_count, sum(value_minor)::int8 as value_minor
                 from parts group by member_number)
             select m.id as member_id, s.referral_count, s.value_minor
             from summed s join members m on m.brand_id = $1 and m.number = s.member_number
             where s.", $sum, " > 0
             order by s.", $sum, " desc, s.", $then, " desc, m.id limit $3"
        )
    };
}

async fn kept(conn: &mut Conn, scope: &Scope, query: &RankingQuery) -> Result<Vec<Standing>> {
    let text = if query.is_by_value {
        kept_ranking!("value_magnitude", "value_minor", "referral_count")
    } else {
        kept_ranking!("referral_magnitude", "referral_count", "value_minor")
    };
    // One more than the logarithm of the number of degrees: that much the logarithms in the index may be off.
    let slack = query.hops.unsigned_abs().next_power_of_two().ilog2() + 1;
    let rows = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Integer, _>(query.hops)
        .bind::<BigInt, _>(query.limit)
        .bind::<Integer, _>(i32::try_from(slack).unwrap_or(i32::MAX))
        .load(conn)
        .await?;
    Ok(rows)
}

macro_rules! live_ranking {
    ($of_campaign:literal) => {
        concat!(
            "with recursive own as (
                 select m.referrer_id as ancestor_id, 1 as referral_count, 0::int8 as value_minor
                 from members m
                 where m.brand_id = $1 and m.referrer_id is not null and m.signed_up_at is not null
                     and m.joined_at >= coalesce($3, '-infinity') ", $of_campaign, "
                 union all
                 select m.referrer_id, 0, s.value_minor
                 from (select m.member_id, sum(m.amount_minor - m.refunded_minor)::int8 as value_minor from conversions m
                       where m.brand_id = $1 and m.member_id is not null and m.currency = $4
                           and m.occurred_at >= coalesce($3, '-infinity') ", $of_campaign, "
                       group by m.member_id) s
                 join members m on m.brand_id = $1 and m.id = s.member_id
                 where m.referrer_id is not null),
             carried as (
                 select o.ancestor_id, 1 as hop, sum(o.referral_count)::int8 as referral_count, sum(o.value_minor)::int8 as value_minor
                 from own o group by o.ancestor_id
                 union all
                 select a.referrer_id, c.hop + 1, c.referral_count, c.value_minor
                 from carried c join members a on a.brand_id = $1 and a.id = c.ancestor_id
                 where a.referrer_id is not null and c.hop < $5)
             select ancestor_id as member_id, sum(referral_count)::int8 as referral_count, sum(value_minor)::int8 as value_minor
             from carried
             group by ancestor_id
             having case when $6 then sum(value_minor) > 0 else sum(referral_count) > 0 end
             order by case when $6 then sum(value_minor) else sum(referral_count) end desc,
                      case when $6 then sum(referral_count) else sum(value_minor) end desc, ancestor_id
             limit $7"
        )
    };
}

const LIVE: &str = live_ranking!("and $2::uuid is null");
const LIVE_OF_CAMPAIGN: &str = live_ranking!("and m.campaign_id = $2");

/// What each joined member and each sale counts, carried up.
async fn live(conn: &mut Conn, scope: &Scope, query: &RankingQuery, text: &'static str) -> Result<Vec<Standing>> {
    let rows = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Nullable<SqlUuid>, _>(query.campaign_id)
        .bind::<Nullable<Timestamptz>, _>(query.since)
        .bind::<Text, _>(query.currency.to_string())
        .bind::<Integer, _>(query.hops)
        .bind::<Bool, _>(query.is_by_value)
        .bind::<BigInt, _>(query.limit)
        .load(conn)
        .await?;
    Ok(rows)
}
