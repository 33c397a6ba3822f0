//! What happened, as a simulation reads it: activations, conversions, credits, and what was granted in truth.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::Sums;
use super::{Part, Question};
use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

/// The moment at which a referee's activation reached the threshold: that of the activation, or of the sign-up where it came after.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Activation {
    #[diesel(sql_type = SqlUuid)]
    pub member_id: Uuid,
    /// The creator in whose tree the member is.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub creator_id: Option<Uuid>,
    #[diesel(sql_type = SqlUuid)]
    pub event_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    pub occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub recorded_at: DateTime<Utc>,
}

impl Activation {
    pub(super) fn place(&self) -> (DateTime<Utc>, Uuid) {
        (self.occurred_at, self.event_id)
    }
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The activations of a page of the campaign's members, whenever they were, and the last member of the page, if there may be more.
pub(super) async fn activations(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    after: Uuid,
    limit: i64,
) -> Result<(Vec<Activation>, Option<Uuid>)> {
    let page: Vec<IdRow> = sql("select id from members
         where brand_id = $1 and campaign_id = $2 and signed_up_at is not null and activation_count >= $3 and id > $4
         order by id limit $5")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(question.campaign_id)
    .bind::<Integer, _>(question.policies.reward.activation_threshold)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let ids: Vec<Uuid> = page.into_iter().map(|row| row.id).collect();
    let found: Vec<Activation> = sql("select m.id as member_id, m.creator_id, c.id as event_id, c.occurred_at, c.recorded_at
         from unnest($2::uuid[]) as wanted (id)
         cross join lateral (select * from members where brand_id = $1 and id = wanted.id offset 0) m
         cross join lateral (select canonical_id from people where brand_id = $1 and id = m.person_id offset 0) p
         cross join lateral (
             select t.id, t.occurred_at, t.recorded_at from people o join touchpoints t on t.brand_id = o.brand_id and t.person_id = o.id
             where o.brand_id = $1 and o.canonical_id = p.canonical_id and t.kind = 'ACTIVATION'
             order by t.recorded_at, t.occurred_at, t.id offset $3 - 1 limit 1) a
         left join lateral (
             select t.id, t.occurred_at, t.recorded_at from people o join touchpoints t on t.brand_id = o.brand_id and t.person_id = o.id
             where o.brand_id = $1 and o.canonical_id = p.canonical_id and t.kind = 'SIGNUP'
             order by t.recorded_at, t.occurred_at, t.id limit 1) s on true
         cross join lateral (
             select * from (values (a.id, a.occurred_at, a.recorded_at), (s.id, s.occurred_at, s.recorded_at)) as v (id, occurred_at, recorded_at)
             where v.id is not null order by v.recorded_at desc, v.occurred_at desc, v.id desc limit 1) c")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Integer, _>(question.policies.reward.activation_threshold)
    .load(conn)
    .await?;
    let is_full = i64::try_from(ids.len()).is_ok_and(|count| count >= limit);
    Ok((found, ids.last().copied().filter(|_| is_full)))
}

/// A member who has signed up.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Member {
    #[diesel(sql_type = SqlUuid)]
    pub member_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub canonical_id: Uuid,
    /// The creator in whose tree the member is.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub creator_id: Option<Uuid>,
}

/// A page of the campaign's members who have signed up, and the last of it, if there may be more.
pub(super) async fn joined(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    after: Uuid,
    limit: i64,
) -> Result<(Vec<Member>, Option<Uuid>)> {
    let page: Vec<Member> = sql("select m.id as member_id, p.canonical_id, m.creator_id
         from members m join people p on p.brand_id = m.brand_id and p.id = m.person_id
         where m.brand_id = $1 and m.campaign_id = $2 and m.signed_up_at is not null and m.id > $3
         order by m.id limit $4")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(question.campaign_id)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let is_full = i64::try_from(page.len()).is_ok_and(|count| count >= limit);
    let last = page.last().map(|member| member.member_id).filter(|_| is_full);
    Ok((page, last))
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

pub(super) async fn conversion_count(conn: &mut Conn, scope: &Scope, question: &Question) -> Result<usize> {
    let row: CountRow = sql("select count(*) as count from conversions
         where brand_id = $1 and campaign_id = $2 and occurred_at >= $3 and occurred_at < $4")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(question.campaign_id)
    .bind::<Timestamptz, _>(question.from)
    .bind::<Timestamptz, _>(question.to)
    .get_result(conn)
    .await?;
    usize::try_from(row.count).map_err(|error| Error::fault("counting conversions", error))
}

/// The conversions of the time that the campaign judges, behind a place, in order.
pub(super) async fn conversion_ids(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    after: (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Vec<Uuid>> {
    let rows: Vec<IdRow> = sql("select id from conversions
         where brand_id = $1 and campaign_id = $2 and occurred_at >= $3 and occurred_at < $4 and (occurred_at, id) > ($5, $6)
         order by occurred_at, id limit $7")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(question.campaign_id)
    .bind::<Timestamptz, _>(question.from)
    .bind::<Timestamptz, _>(question.to)
    .bind::<Timestamptz, _>(after.0)
    .bind::<SqlUuid, _>(after.1)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct PartRow {
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
}

/// What the touches of these conversions are credited with now.
pub(super) async fn parts(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<Part>> {
    let rows: Vec<PartRow> = sql("select conversion_id, creator_id, referrer_id, amount_minor from attribution_records
         where brand_id = $1 and conversion_id = any ($2) and superseded_at is null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    let part = |row: PartRow| Part {
        conversion_id: row.conversion_id,
        creator_id: row.creator_id,
        referrer_id: row.referrer_id,
        amount_minor: row.amount_minor,
    };
    Ok(rows.into_iter().map(part).collect())
}

#[derive(QueryableByName)]
struct ActualRow {
    #[diesel(sql_type = Nullable<Text>)]
    currency: Option<String>,
    #[diesel(sql_type = BigInt)]
    reward_count: i64,
    #[diesel(sql_type = BigInt)]
    beneficiary_count: i64,
    #[diesel(sql_type = Nullable<Text>)]
    cost_minor: Option<String>,
}

/// What was granted for activations and conversions of the time, less what was taken back. The row without a currency counts all.
pub(super) async fn actual(conn: &mut Conn, scope: &Scope, question: &Question) -> Result<Sums> {
    let rows: Vec<ActualRow> = sql("select currency, count(*) as reward_count,
                count(distinct coalesce(beneficiary_creator_id, beneficiary_member_id)) as beneficiary_count,
                (sum(amount_minor - reversed_minor) filter (where kind in ('CREDIT', 'COMMISSION')))::text as cost_minor
         from rewards
         where brand_id = $1 and campaign_id = $2 and triggered_at >= $3 and triggered_at < $4
               and state not in ('REJECTED', 'REVERSED') and (referee_id is not null or conversion_id is not null)
         group by grouping sets ((), (currency))")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(question.campaign_id)
    .bind::<Timestamptz, _>(question.from)
    .bind::<Timestamptz, _>(question.to)
    .load(conn)
    .await?;
    let mut sums = Sums::default();
    for row in rows {
        match (row.currency, row.cost_minor) {
            (None, _) => {
                sums.reward_count = row.reward_count.unsigned_abs();
                sums.beneficiary_count = row.beneficiary_count.unsigned_abs();
            }
            (Some(currency), Some(cost)) => {
                let currency = currency.parse().map_err(|error| Error::fault("reading a reward's currency", error))?;
                let cost = cost.parse().map_err(|error| Error::fault("reading a sum of rewards", error))?;
                sums.cost_minor.insert(currency, cost);
            }
            (Some(_), None) => {}
        }
    }
    Ok(sums)
}
