//! What fraud rules count, and what they decided, in PostgreSQL. Windows are counted over event time in the order of the log, so that
//! a replay decides the same.

mod surroundings;

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Assessment, velocity_window};
use crate::access::Scope;
use crate::base::{Error, Result};
use crate::creators::Platform;
use crate::db::{Conn, sql};
use crate::journeys::{Decision, Touch};

pub(super) use surroundings::surroundings;

/// An owner and an address.
type Pair = (Uuid, [u8; 16]);

fn pair(touch: &Touch) -> Option<Pair> {
    Some((touch.creator_id.or(touch.referrer_id)?, touch.ip_hash?.0))
}

/// The touches of each pair in the hour before the batch, and those of the batch as they are counted.
pub(super) struct Rates(HashMap<Pair, VecDeque<DateTime<Utc>>>);

impl Rates {
    /// How many touches of the same pair stand in the hour up to this one, this one included.
    pub fn count(&mut self, touch: &Touch) -> i64 {
        let Some(pair) = pair(touch) else { return 0 };
        let times = self.0.entry(pair).or_default();
        times.push_back(touch.occurred_at);
        let since = touch.occurred_at - velocity_window();
        let inside = times.iter().filter(|time| **time > since && **time <= touch.occurred_at);
        i64::try_from(inside.count()).unwrap_or(i64::MAX)
    }
}

#[derive(QueryableByName)]
struct RateRow {
    #[diesel(sql_type = SqlUuid)]
    owner_id: Uuid,
    #[diesel(sql_type = Binary)]
    ip_hash: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
}

/// Touches per pair that are looked at: more are not needed to know that a limit was passed.
const RATE_ROWS_MAX: i64 = 2_000;

pub(super) async fn recent_touches(conn: &mut Conn, scope: &Scope, touches: &[Touch]) -> Result<Rates> {
    let mut spans: HashMap<Pair, (DateTime<Utc>, DateTime<Utc>)> = HashMap::new();
    for touch in touches {
        let Some(pair) = pair(touch) else { continue };
        let span = spans.entry(pair).or_insert((touch.occurred_at, touch.occurred_at));
        *span = (span.0.min(touch.occurred_at), span.1.max(touch.occurred_at));
    }
    let mut rates = Rates(HashMap::new());
    if spans.is_empty() {
        return Ok(rates);
    }
    let rows: Vec<RateRow> = sql("select w.owner_id, w.ip_hash, t.occurred_at
         from unnest($2::uuid[], $3::bytea[], $4::timestamptz[], $5::timestamptz[]) as w (owner_id, ip_hash, earliest, latest)
         cross join lateral (
             select t.occurred_at from touchpoints t
             where t.brand_id = $1 and t.ip_hash = w.ip_hash and t.occurred_at > w.earliest and t.occurred_at <= w.latest
                   and coalesce(t.creator_id, t.referrer_id) = w.owner_id
             order by t.occurred_at desc limit $6) t")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(spans.keys().map(|pair| pair.0).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(spans.keys().map(|pair| pair.1.to_vec()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(spans.values().map(|span| span.0 - velocity_window()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(spans.values().map(|span| span.1).collect::<Vec<_>>())
    .bind::<BigInt, _>(RATE_ROWS_MAX)
    .load(conn)
    .await?;
    for row in rows {
        let hash = <[u8; 16]>::try_from(row.ip_hash.as_slice())
            .map_err(|error| Error::fault("reading an address hash", error))?;
        rates.0.entry((row.owner_id, hash)).or_default().push_back(row.occurred_at);
    }
    Ok(rates)
}

#[derive(QueryableByName)]
struct VerifiedRow {
    #[diesel(sql_type = SqlUuid)]
    creator_id: Uuid,
    #[diesel(sql_type = Text)]
    platform: String,
}

/// Which creators have a verified account where.
pub(super) async fn verified_platforms(
    conn: &mut Conn,
    scope: &Scope,
    touches: &[Touch],
) -> Result<HashSet<(Uuid, Platform)>> {
    let mut ids: Vec<Uuid> = touches.iter().filter_map(|touch| touch.creator_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<VerifiedRow> = sql("select creator_id, platform from platform_accounts
         where brand_id = $1 and creator_id = any ($2) and verified_at is not null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.creator_id, Platform::from_column(&row.platform)?))).collect()
}

#[derive(QueryableByName)]
struct DecisionRow {
    #[diesel(sql_type = SqlUuid)]
    subject_id: Uuid,
    #[diesel(sql_type = Text)]
    decision: String,
}

/// The decision on each member that was judged, as people corrected it: a dismissed alert allows.
pub(super) async fn decisions_on(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Decision>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<DecisionRow> = sql("select a.subject_id,
                case when exists (select from fraud_alerts f where f.brand_id = a.brand_id and f.assessment_id = a.id and f.state = 'DISMISSED')
                     then 'ALLOW' else a.decision end as decision
         from fraud_assessments a
         where a.brand_id = $1 and a.subject_kind = 'member' and a.subject_id = any ($2)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    let mut decisions: HashMap<Uuid, Decision> = HashMap::new();
    for row in rows {
        let found = Decision::from_column(&row.decision)?;
        let decision = decisions.entry(row.subject_id).or_insert(found);
        *decision = decision.stricter(found);
    }
    Ok(decisions)
}

fn signals(one: &Assessment) -> Result<serde_json::Value> {
    serde_json::to_value(one.stored_signals()).map_err(|error| Error::fault("writing signals", error))
}

pub(super) async fn insert_assessments(conn: &mut Conn, scope: &Scope, rows: &[Assessment]) -> Result<()> {
    sql("insert into fraud_assessments (brand_id, id, subject_kind, subject_id, campaign_id, creator_id, member_id, policy_version, decision,
                                       score_ppm, signals, assessed_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::int4[], $9::text[], $10::int4[],
                                  $11::jsonb[], $12::timestamptz[])
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.subject_kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.subject_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.creator_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.member_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|row| row.policy_version).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.decision.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|row| row.score_ppm).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(rows.iter().map(signals).collect::<Result<Vec<_>>>()?)
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.assessed_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct CauseRow {
    #[diesel(sql_type = Text)]
    cause_key: String,
}

/// Counts occurrences on the alerts that are there, and returns their cause keys.
pub(super) async fn count_on_alerts(conn: &mut Conn, scope: &Scope, bursts: &[(&str, i64)]) -> Result<HashSet<String>> {
    let rows: Vec<CauseRow> = sql("update fraud_alerts a set occurrence_count = a.occurrence_count + n.count
         from unnest($2::text[], $3::int8[]) as n (cause_key, count)
         where a.brand_id = $1 and a.cause_key = n.cause_key
         returning a.cause_key")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(bursts.iter().map(|(key, _)| *key).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(bursts.iter().map(|(_, count)| *count).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.cause_key).collect())
}

pub(super) async fn insert_alerts(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    rows: &[(i64, Uuid, &Assessment, i64)],
) -> Result<()> {
    let ones = || rows.iter().map(|(_, _, one, _)| *one);
    sql("insert into fraud_alerts (brand_id, id, seq, cause_key, assessment_id, subject_kind, subject_id, campaign_id, creator_id, member_id,
                                  decision, score_ppm, signals, occurrence_count, state, at_risk_minor, currency, raised_at)
         select $1, id, seq, cause_key, assessment_id, subject_kind, subject_id, campaign_id, creator_id, member_id, decision, score_ppm,
                signals, count, 'OPEN', at_risk, currency, $2
         from unnest($3::uuid[], $4::int8[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], $10::uuid[], $11::uuid[], $12::text[],
                     $13::int4[], $14::jsonb[], $15::int8[], $16::int8[], $17::text[])
              as a (id, seq, cause_key, assessment_id, subject_kind, subject_id, campaign_id, creator_id, member_id, decision, score_ppm, signals,
                    count, at_risk, currency)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ones().map(|one| one.cause_key.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(ones().map(|one| one.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ones().map(|one| one.subject_kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(ones().map(|one| one.subject_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(ones().map(|one| one.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(ones().map(|one| one.creator_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(ones().map(|one| one.member_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ones().map(|one| one.decision.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(ones().map(|one| one.score_ppm).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(ones().map(signals).collect::<Result<Vec<_>>>()?)
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.3).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(ones().map(|one| one.at_risk_minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ones().map(|one| one.currency.to_string()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
