//! Rewards in PostgreSQL.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::lines::{Line, Through};
use super::settle::Change;
use super::{Beneficiary, RewardReason, RewardState, Standing};
use crate::access::Scope;
use crate::base::{Error, Money, Result};
use crate::campaigns::RewardKind;
use crate::db::{Conn, sql};
use crate::marks;

/// A reward as it is inserted.
#[derive(Clone, Debug)]
pub(super) struct RewardRow {
    pub id: Uuid,
    pub idempotency_key: String,
    pub campaign_id: Uuid,
    pub policy_version: i32,
    pub kind: RewardKind,
    pub beneficiary: Beneficiary,
    pub referee_id: Option<Uuid>,
    pub conversion_id: Option<Uuid>,
    pub cause_event_id: Option<Uuid>,
    pub degree: i16,
    pub value: Money,
    pub state: RewardState,
    pub reason: Option<String>,
    pub triggered_at: DateTime<Utc>,
    pub releases_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

pub(super) async fn known_keys(conn: &mut Conn, scope: &Scope, keys: &[String]) -> Result<HashSet<String>> {
    let rows: Vec<TextRow> =
        sql("select idempotency_key as text from rewards where brand_id = $1 and idempotency_key = any ($2)")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<Text>, _>(keys)
            .load(conn)
            .await?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

pub(super) async fn inactive_creators(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<IdRow> = sql("select id from creators where brand_id = $1 and id = any ($2) and status <> 'ACTIVE'")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

pub(super) async fn has_beneficiary(conn: &mut Conn, scope: &Scope, beneficiary: Beneficiary) -> Result<bool> {
    let rows: Vec<IdRow> = sql("select id from creators where brand_id = $1 and id = $2 union all select id from members where brand_id = $1 and id = $3")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
        .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
        .load(conn)
        .await?;
    Ok(!rows.is_empty())
}

/// Whether an alert about this member is open or was confirmed: either keeps what it earns for others.
pub(super) async fn has_standing_alert(conn: &mut Conn, scope: &Scope, member_id: Option<Uuid>) -> Result<bool> {
    let Some(member_id) = member_id else { return Ok(false) };
    let rows: Vec<IdRow> = sql("select id from fraud_alerts where brand_id = $1 and subject_kind = 'member' and subject_id = $2 and state in ('OPEN', 'CONFIRMED')")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(member_id)
        .load(conn)
        .await?;
    Ok(!rows.is_empty())
}

pub(super) async fn insert_rewards(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    rows: &[RewardRow],
) -> Result<()> {
    sql("insert into rewards (brand_id, id, idempotency_key, campaign_id, policy_version, kind, beneficiary_creator_id, beneficiary_member_id,
                             referee_id, conversion_id, cause_event_id, degree, amount_minor, currency, state, reason, triggered_at, releases_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::uuid[], $5::int4[], $6::text[], $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[],
                                  $11::uuid[], $12::int2[], $13::int8[], $14::text[], $15::text[], $16::text[], $17::timestamptz[],
                                  $18::timestamptz[])")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.idempotency_key.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|row| row.policy_version).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.beneficiary.creator_id()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.beneficiary.member_id()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.referee_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.conversion_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.cause_event_id).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(rows.iter().map(|row| row.degree).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.value.minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.value.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.reason.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.triggered_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(rows.iter().map(|row| row.releases_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    let moments: Vec<DateTime<Utc>> = rows.iter().map(|row| row.triggered_at).collect();
    marks::mark(conn, scope, now, &moments).await
}

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_member_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referee_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    conversion_id: Option<Uuid>,
    #[diesel(sql_type = SmallInt)]
    degree: i16,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    reversed_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Bool)]
    is_limited: bool,
    #[diesel(sql_type = Text)]
    due: String,
}

macro_rules! standing {
    ($due:literal, $rest:literal) => {
        concat!(
            "select r.id, r.campaign_id, r.kind, r.beneficiary_creator_id, r.beneficiary_member_id, r.referee_id,
                    r.conversion_id, r.degree, r.amount_minor, r.reversed_minor, r.currency, r.state, r.reason,
                    c.budget_minor is not null as is_limited, ",
            $due,
            " as due from rewards r join campaigns c on c.brand_id = r.brand_id and c.id = r.campaign_id ",
            $rest
        )
    };
}

fn to_standing(row: StandingRow) -> Result<(Standing, Option<String>, String)> {
    let beneficiary = match (row.beneficiary_creator_id, row.beneficiary_member_id) {
        (Some(id), None) => Beneficiary::Creator(id),
        (_, Some(id)) => Beneficiary::Member(id),
        (None, None) => return Err(Error::fault("reading a reward", "it has no beneficiary")),
    };
    let currency = row.currency.parse().map_err(|error| Error::fault("reading a reward's currency", error))?;
    let state = RewardState::from_column(&row.state)?;
    let by_itself = [RewardReason::Refunded, RewardReason::Reattributed].map(RewardReason::as_str);
    let is_taken_back =
        state == RewardState::Reversed && !row.reason.as_deref().is_some_and(|reason| by_itself.contains(&reason));
    let standing = Standing {
        id: row.id,
        campaign_id: row.campaign_id,
        kind: RewardKind::from_column(&row.kind)?,
        beneficiary,
        referee_id: row.referee_id,
        conversion_id: row.conversion_id,
        degree: row.degree,
        value: Money::new(row.amount_minor, currency),
        reversed_minor: row.reversed_minor,
        state,
        is_taken_back,
        is_limited: row.is_limited,
    };
    Ok((standing, row.reason, row.due))
}

/// The rewards of these conversions, oldest first, locked.
pub(super) async fn rewards_of_conversions(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<Standing>> {
    let rows: Vec<StandingRow> = sql(standing!(
        "''",
        "where r.brand_id = $1 and r.conversion_id = any ($2) order by r.idempotency_key for no key update of r"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| Ok(to_standing(row)?.0)).collect()
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = Array<SqlUuid>)]
    ancestor_ids: Vec<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
}

/// The lines that were kept with these conversions.
pub(super) async fn kept_lines(conn: &mut Conn, scope: &Scope, keys: &[Through]) -> Result<HashMap<Through, Line>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<LineRow> = sql("select conversion_id, member_id, ancestor_ids, creator_id from conversion_uplines
         where brand_id = $1 and (conversion_id, member_id) in (select * from unnest($2::uuid[], $3::uuid[]))")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|(conversion_id, _)| *conversion_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|(_, member_id)| *member_id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let entry = |row: LineRow| {
        ((row.conversion_id, row.member_id), Line { ancestor_ids: row.ancestor_ids, creator_id: row.creator_id })
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// Keeps lines that are new. Identifiers travel as text: an array of arrays would have to be a rectangle.
pub(super) async fn keep_lines(conn: &mut Conn, scope: &Scope, lines: &[(Through, Line)]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let joined = |line: &Line| {
        let ids: Vec<String> = line.ancestor_ids.iter().map(Uuid::to_string).collect();
        format!("{{{}}}", ids.join(","))
    };
    sql("insert into conversion_uplines (brand_id, conversion_id, member_id, ancestor_ids, creator_id)
         select $1, conversion_id, member_id, ancestor_ids::uuid[], creator_id
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[]) as n (conversion_id, member_id, ancestor_ids, creator_id)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|((conversion_id, _), _)| *conversion_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|((_, member_id), _)| *member_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(lines.iter().map(|(_, line)| joined(line)).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(lines.iter().map(|(_, line)| line.creator_id).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of these members whose activation was answered: somebody was paid for it, or was told why not.
pub(super) async fn answered_activations(
    conn: &mut Conn,
    scope: &Scope,
    referee_ids: &[Uuid],
) -> Result<HashSet<Uuid>> {
    if referee_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<IdRow> = sql("select distinct referee_id as id from rewards
         where brand_id = $1 and referee_id = any ($2) and conversion_id is null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(referee_ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Rewards by id with their reasons, locked.
pub(super) async fn lock_rewards(
    conn: &mut Conn,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<Vec<(Standing, Option<String>)>> {
    let rows: Vec<StandingRow> =
        sql(standing!("''", "where r.brand_id = $1 and r.id = any ($2) order by r.id for no key update of r"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(ids)
            .load(conn)
            .await?;
    rows.into_iter().map(|row| to_standing(row).map(|(reward, reason, _)| (reward, reason))).collect()
}

/// What is to be done with a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Release,
    Hold,
    Resume,
    Void,
}

/// Rewards in escrow whose time has come, and held ones whose alerts are all reviewed. Rows that another worker holds are skipped.
pub(super) async fn lock_due(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(Standing, Due)>> {
    let escrowed: Vec<StandingRow> = sql(standing!(
        "case when exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                                 and f.subject_id = r.referee_id and f.state = 'OPEN') then 'hold'
              when exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                                 and f.subject_id = r.referee_id and f.state = 'CONFIRMED') then 'void' else 'release' end",
        "where r.brand_id = $1 and r.state = 'ESCROWED' and r.releases_at <= $2
         order by r.releases_at, r.id limit $3 for no key update of r skip locked"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let held: Vec<StandingRow> = sql(standing!(
        "case when exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                                 and f.subject_id = r.referee_id and f.state = 'CONFIRMED') then 'void' else 'resume' end",
        "where r.brand_id = $1 and r.state = 'HELD'
               and not exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                                      and f.subject_id = r.referee_id and f.state = 'OPEN')
         order by r.id limit $2 for no key update of r skip locked"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    escrowed
        .into_iter()
        .chain(held)
        .map(|row| {
            let (reward, _, due) = to_standing(row)?;
            let due = match due.as_str() {
                "release" => Due::Release,
                "hold" => Due::Hold,
                "void" => Due::Void,
                _ => Due::Resume,
            };
            Ok((reward, due))
        })
        .collect()
}

pub(super) async fn change(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, changes: &[Change]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let moved: Vec<TriggeredRow> = sql("update rewards r set state = n.state, reversed_minor = n.reversed, reason = coalesce(n.reason, case when n.state in ('ESCROWED', 'AVAILABLE') and r.state = 'HELD' then null else r.reason end), settled_at = $2
         from unnest($3::uuid[], $4::text[], $5::int8[], $6::text[]) as n (id, state, reversed, reason)
         where r.brand_id = $1 and r.id = n.id
         returning r.triggered_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(changes.iter().map(|change| change.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(changes.iter().map(|change| change.reversed_minor).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(changes.iter().map(|change| change.reason.as_deref()).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let moments: Vec<DateTime<Utc>> = moved.into_iter().map(|row| row.triggered_at).collect();
    marks::mark(conn, scope, now, &moments).await
}

#[derive(QueryableByName)]
struct TriggeredRow {
    #[diesel(sql_type = Timestamptz)]
    triggered_at: DateTime<Utc>,
}
