//! Rewards as they are read: by page, and per member for many members in one statement. It never changes a reward.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Beneficiary, RewardState};
use crate::access::Scope;
use crate::base::{Cursor, Error, Money, Page, Result, Slice};
use crate::campaigns::RewardKind;
use crate::db::schema::rewards;
use crate::db::{Conn, sql};

/// What is owed for one cause to one beneficiary.
#[derive(Clone, Debug, PartialEq)]
pub struct Reward {
    pub id: Uuid,
    pub idempotency_key: String,
    pub campaign_id: Uuid,
    pub policy_version: i32,
    pub kind: RewardKind,
    pub beneficiary: Beneficiary,
    pub referee_id: Option<Uuid>,
    pub conversion_id: Option<Uuid>,
    pub degree: i16,
    pub amount: Money,
    /// What was taken back since.
    pub reversed: Money,
    pub state: RewardState,
    pub reason: Option<String>,
    pub triggered_at: DateTime<Utc>,
    pub releases_at: Option<DateTime<Utc>>,
}

impl Reward {
    /// The reward's place in lists, which are newest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.triggered_at, self.id)
    }

    /// The creator who earns it, if a creator does.
    #[must_use]
    pub fn creator_id(&self) -> Option<Uuid> {
        match self.beneficiary {
            Beneficiary::Creator(id) => Some(id),
            Beneficiary::Member(_) => None,
        }
    }
}

/// Which rewards are wanted; what is `None` or empty is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RewardFilter {
    pub states: Vec<RewardState>,
    pub kinds: Vec<RewardKind>,
    pub campaign_id: Option<Uuid>,
    /// The creator who earns it.
    pub creator_id: Option<Uuid>,
    /// The member who earns it.
    pub member_id: Option<Uuid>,
    /// Triggered from this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Triggered before this moment.
    pub to: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = rewards, check_for_backend(diesel::pg::Pg))]
struct RewardRow {
    id: Uuid,
    idempotency_key: String,
    campaign_id: Uuid,
    policy_version: i32,
    kind: String,
    beneficiary_creator_id: Option<Uuid>,
    beneficiary_member_id: Option<Uuid>,
    referee_id: Option<Uuid>,
    conversion_id: Option<Uuid>,
    degree: i16,
    amount_minor: i64,
    reversed_minor: i64,
    currency: String,
    state: String,
    reason: Option<String>,
    triggered_at: DateTime<Utc>,
    releases_at: Option<DateTime<Utc>>,
}

impl RewardRow {
    fn into_reward(self) -> Result<Reward> {
        let currency = self.currency.parse().map_err(|error| Error::fault("reading a reward's currency", error))?;
        let beneficiary = match (self.beneficiary_creator_id, self.beneficiary_member_id) {
            (Some(id), _) => Beneficiary::Creator(id),
            (None, Some(id)) => Beneficiary::Member(id),
            (None, None) => return Err(Error::fault("reading a reward", "it has no beneficiary")),
        };
        Ok(Reward {
            id: self.id,
            idempotency_key: self.idempotency_key,
            campaign_id: self.campaign_id,
            policy_version: self.policy_version,
            kind: RewardKind::from_column(&self.kind)?,
            beneficiary,
            referee_id: self.referee_id,
            conversion_id: self.conversion_id,
            degree: self.degree,
            amount: Money::new(self.amount_minor, currency),
            reversed: Money::new(self.reversed_minor, currency),
            state: RewardState::from_column(&self.state)?,
            reason: self.reason,
            triggered_at: self.triggered_at,
            releases_at: self.releases_at,
        })
    }
}

fn filtered<'a>(scope: &Scope, filter: &RewardFilter) -> rewards::BoxedQuery<'a, diesel::pg::Pg> {
    let mut query = rewards::table.filter(rewards::brand_id.eq(scope.brand_id)).into_boxed();
    if !filter.states.is_empty() {
        query = query.filter(rewards::state.eq_any(texts(&filter.states, RewardState::as_str)));
    }
    if !filter.kinds.is_empty() {
        query = query.filter(rewards::kind.eq_any(texts(&filter.kinds, RewardKind::as_str)));
    }
    if let Some(id) = filter.campaign_id {
        query = query.filter(rewards::campaign_id.eq(id));
    }
    if let Some(id) = filter.creator_id {
        query = query.filter(rewards::beneficiary_creator_id.eq(id));
    }
    if let Some(id) = filter.member_id {
        query = query.filter(rewards::beneficiary_member_id.eq(id));
    }
    if let Some(from) = filter.from {
        query = query.filter(rewards::triggered_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(rewards::triggered_at.lt(to));
    }
    query
}

fn texts<T: Copy>(values: &[T], text: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    values.iter().map(|value| text(*value)).collect()
}

/// A page of rewards, newest first.
pub async fn reward_page(conn: &mut Conn, scope: &Scope, filter: &RewardFilter, page: &Page) -> Result<Slice<Reward>> {
    let mut query = filtered(scope, filter);
    // The place of a row, (time, id), against a cursor: the first half is the range of the index, the second mends equal times.
    if let Some(after) = page.after {
        let earlier = rewards::triggered_at.lt(after.time()).or(rewards::id.lt(after.id));
        query = query.filter(rewards::triggered_at.le(after.time())).filter(earlier);
    }
    if let Some(before) = page.before {
        let later = rewards::triggered_at.gt(before.time()).or(rewards::id.gt(before.id));
        query = query.filter(rewards::triggered_at.ge(before.time())).filter(later);
    }
    query = if page.is_backward {
        query.order((rewards::triggered_at.asc(), rewards::id.asc()))
    } else {
        query.order((rewards::triggered_at.desc(), rewards::id.desc()))
    };
    let rows: Vec<RewardRow> = query.select(RewardRow::as_select()).limit(page.fetch_limit()).load(conn).await?;
    Ok(page.slice(rows.into_iter().map(RewardRow::into_reward).collect::<Result<_>>()?))
}

/// How many rewards there are.
pub async fn reward_count(conn: &mut Conn, scope: &Scope, filter: &RewardFilter) -> Result<i64> {
    Ok(filtered(scope, filter).count().get_result(conn).await?)
}

/// How many rewards each of these members earned; who has none is missing.
pub async fn reward_counts(conn: &mut Conn, scope: &Scope, member_ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let rows: Vec<(Option<Uuid>, i64)> = rewards::table
        .filter(rewards::brand_id.eq(scope.brand_id))
        .filter(rewards::beneficiary_member_id.eq_any(member_ids))
        .group_by(rewards::beneficiary_member_id)
        .select((rewards::beneficiary_member_id, diesel::dsl::count_star()))
        .load(conn)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, count)| Some((id?, count))).collect())
}

/// Rewards by identifier.
pub async fn rewards_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Reward>> {
    let rows: Vec<RewardRow> = rewards::table
        .filter(rewards::brand_id.eq(scope.brand_id))
        .filter(rewards::id.eq_any(ids))
        .select(RewardRow::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_reward()?))).collect()
}

/// The first rewards after a cursor of each member, newest first: one statement for all. `page` is read forwards.
pub async fn rewards_of_members(
    conn: &mut Conn,
    scope: &Scope,
    member_ids: &[Uuid],
    page: &Page,
) -> Result<HashMap<Uuid, Slice<Reward>>> {
    let rows: Vec<RewardRow> = sql("select r.* from unnest($2::uuid[]) as member (id)
         cross join lateral (
             select w.id, w.idempotency_key, w.campaign_id, w.policy_version, w.kind, w.beneficiary_creator_id, w.beneficiary_member_id,
                    w.referee_id, w.conversion_id, w.degree, w.amount_minor, w.reversed_minor, w.currency, w.state, w.reason,
                    w.triggered_at, w.releases_at
             from rewards w
             where w.brand_id = $1 and w.beneficiary_member_id = member.id
               and ($4::timestamptz is null or (w.triggered_at, w.id) < ($4, $5))
             order by w.triggered_at desc, w.id desc
             limit $3) r")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids)
    .bind::<BigInt, _>(page.fetch_limit())
    .bind::<Nullable<Timestamptz>, _>(page.after.map(|cursor| cursor.time()))
    .bind::<Nullable<SqlUuid>, _>(page.after.map(|cursor| cursor.id))
    .load(conn)
    .await?;
    let mut of_member: HashMap<Uuid, Vec<Reward>> = member_ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in rows {
        let member_id = row.beneficiary_member_id.unwrap_or_default();
        of_member.entry(member_id).or_default().push(row.into_reward()?);
    }
    Ok(of_member.into_iter().map(|(id, rows)| (id, page.slice(rows))).collect())
}

#[derive(QueryableByName)]
struct ToldRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(embed)]
    reward: RewardRow,
}

/// What a stream reads: rewards by the number of each change in the outbox, above a number, each with its place, as it stands now.
pub async fn rewards_after(
    conn: &mut Conn,
    scope: &Scope,
    filter: &RewardFilter,
    seq: i64,
    limit: i64,
) -> Result<Vec<(Cursor, Reward)>> {
    let rows: Vec<ToldRow> = sql("select o.seq, w.id, w.idempotency_key, w.campaign_id, w.policy_version, w.kind, w.beneficiary_creator_id,
                w.beneficiary_member_id, w.referee_id, w.conversion_id, w.degree, w.amount_minor, w.reversed_minor, w.currency,
                w.state, w.reason, w.triggered_at, w.releases_at
         from outbox o join rewards w on w.brand_id = o.brand_id and w.id = o.subject_id
         where o.brand_id = $1 and o.topic = 'reward.changed' and o.seq > $2
           and (cardinality($4::text[]) = 0 or w.state = any ($4)) and (cardinality($5::text[]) = 0 or w.kind = any ($5))
           and ($6::uuid is null or w.campaign_id = $6) and ($7::uuid is null or w.beneficiary_creator_id = $7)
           and ($8::uuid is null or w.beneficiary_member_id = $8)
           and w.triggered_at >= coalesce($9, '-infinity') and w.triggered_at < coalesce($10, 'infinity')
         order by o.seq
         limit $3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(seq)
    .bind::<BigInt, _>(limit)
    .bind::<Array<Text>, _>(texts(&filter.states, RewardState::as_str))
    .bind::<Array<Text>, _>(texts(&filter.kinds, RewardKind::as_str))
    .bind::<Nullable<SqlUuid>, _>(filter.campaign_id)
    .bind::<Nullable<SqlUuid>, _>(filter.creator_id)
    .bind::<Nullable<SqlUuid>, _>(filter.member_id)
    .bind::<Nullable<Timestamptz>, _>(filter.from)
    .bind::<Nullable<Timestamptz>, _>(filter.to)
    .load(conn)
    .await?;
    let placed = |row: ToldRow| Ok((Cursor::new(row.seq, row.reward.id), row.reward.into_reward()?));
    rows.into_iter().map(placed).collect()
}
