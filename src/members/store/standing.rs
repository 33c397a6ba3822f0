//! What members have brought about, read over sales and assessments: who leads.

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
    /// How far down counts: 1 is direct.
    pub hops: i32,
    pub since: Option<DateTime<Utc>>,
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

/// The leading referrers: what each joined member and each sale counts is carried up the forest, hop by hop.
pub async fn top_referrers(conn: &mut Conn, scope: &Scope, query: &RankingQuery) -> Result<Vec<Standing>> {
    let rows = sql("with recursive sold as (
             select member_id, sum(amount_minor - refunded_minor) as value_minor from conversions
             where brand_id = $1 and member_id is not null and currency = $4 and ($2::uuid is null or campaign_id = $2)
                 and ($3::timestamptz is null or occurred_at >= $3)
             group by member_id),
         carried as (
             select m.referrer_id as ancestor_id, 1 as hop, coalesce(s.value_minor, 0) as value_minor,
                    (m.signed_up_at is not null and ($2::uuid is null or m.campaign_id = $2)
                        and ($3::timestamptz is null or m.joined_at >= $3))::int4 as referral_count
             from members m left join sold s on s.member_id = m.id
             where m.brand_id = $1 and m.referrer_id is not null
             union all
             select a.referrer_id, c.hop + 1, c.value_minor, c.referral_count
             from carried c join members a on a.brand_id = $1 and a.id = c.ancestor_id
             where a.referrer_id is not null and c.hop < $5)
         select ancestor_id as member_id, sum(referral_count)::int8 as referral_count, sum(value_minor)::int8 as value_minor
         from carried
         where referral_count > 0 or value_minor > 0
         group by ancestor_id
         having case when $6 then sum(value_minor) > 0 else sum(referral_count) > 0 end
         order by case when $6 then sum(value_minor) else sum(referral_count) end desc, sum(referral_count) desc, ancestor_id
         limit $7")
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
