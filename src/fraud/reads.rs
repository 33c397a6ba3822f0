//! Fraud as it is read: alerts by page and as a gapless tail, the last assessment of members, and sums per creator or campaign. It never
//! judges and never decides on an alert.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{StoredSignal, SubjectKind};
use crate::access::Scope;
use crate::base::{Currency, Cursor, Error, Money, Page, Result, Slice};
use crate::db::schema::{brand_counters, fraud_alerts as alerts};
use crate::db::{Conn, sql};
use crate::journeys::Decision;
use crate::text_enum;

text_enum! {
    /// What people made of an alert.
    AlertState { Open = "OPEN", Confirmed = "CONFIRMED", Dismissed = "DISMISSED" }
}

/// A burst of suspicious acts that a person should look at.
#[derive(Clone, Debug, PartialEq)]
pub struct FraudAlert {
    pub id: Uuid,
    /// The alert's place in the brand's outbox, by which it is streamed.
    pub seq: i64,
    pub subject_kind: SubjectKind,
    /// What was judged first in the burst.
    pub subject_id: Uuid,
    pub campaign_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub member_id: Option<Uuid>,
    pub decision: Decision,
    pub score_ppm: i32,
    pub signals: Vec<StoredSignal>,
    /// How many acts the burst has.
    pub occurrence_count: i64,
    pub state: AlertState,
    pub value_at_risk: Money,
    pub raised_at: DateTime<Utc>,
    pub reviewed_at: Option<DateTime<Utc>>,
    pub review_note: Option<String>,
}

impl FraudAlert {
    /// The alert's place in lists and in the stream.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::new(self.seq, self.id)
    }
}

/// Which alerts are wanted; what is `None` or empty is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlertFilter {
    pub decisions: Vec<Decision>,
    pub states: Vec<AlertState>,
    pub campaign_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub member_id: Option<Uuid>,
    /// The name of a signal that spoke.
    pub signal: Option<String>,
    /// At least this much at risk, in this currency.
    pub value_at_risk_min: Option<Money>,
    /// Raised from this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Raised before this moment.
    pub to: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alerts, check_for_backend(Pg))]
struct AlertRow {
    id: Uuid,
    seq: i64,
    subject_kind: String,
    subject_id: Uuid,
    campaign_id: Option<Uuid>,
    creator_id: Option<Uuid>,
    member_id: Option<Uuid>,
    decision: String,
    score_ppm: i32,
    signals: serde_json::Value,
    occurrence_count: i64,
    state: String,
    at_risk_minor: i64,
    currency: String,
    raised_at: DateTime<Utc>,
    reviewed_at: Option<DateTime<Utc>>,
    review_note: Option<String>,
}

fn to_signals(stored: serde_json::Value) -> Result<Vec<StoredSignal>> {
    serde_json::from_value(stored).map_err(|error| Error::fault("reading fraud signals", error))
}

fn to_currency(text: &str) -> Result<Currency> {
    text.parse().map_err(|error| Error::fault("reading an alert's currency", error))
}

impl AlertRow {
    fn into_alert(self) -> Result<FraudAlert> {
        Ok(FraudAlert {
            id: self.id,
            seq: self.seq,
            subject_kind: SubjectKind::from_column(&self.subject_kind)?,
            subject_id: self.subject_id,
            campaign_id: self.campaign_id,
            creator_id: self.creator_id,
            member_id: self.member_id,
            decision: Decision::from_column(&self.decision)?,
            score_ppm: self.score_ppm,
            signals: to_signals(self.signals)?,
            occurrence_count: self.occurrence_count,
            state: AlertState::from_column(&self.state)?,
            value_at_risk: Money::new(self.at_risk_minor, to_currency(&self.currency)?),
            raised_at: self.raised_at,
            reviewed_at: self.reviewed_at,
            review_note: self.review_note,
        })
    }
}

fn filtered<'a>(scope: &Scope, filter: &AlertFilter) -> alerts::BoxedQuery<'a, Pg> {
    let mut query = alerts::table.filter(alerts::brand_id.eq(scope.brand_id)).into_boxed();
    if !filter.decisions.is_empty() {
        let names: Vec<&str> = filter.decisions.iter().map(|decision| decision.as_str()).collect();
        query = query.filter(alerts::decision.eq_any(names));
    }
    if !filter.states.is_empty() {
        let names: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        query = query.filter(alerts::state.eq_any(names));
    }
    if let Some(id) = filter.campaign_id {
        query = query.filter(alerts::campaign_id.eq(id));
    }
    if let Some(id) = filter.creator_id {
        query = query.filter(alerts::creator_id.eq(id));
    }
    if let Some(id) = filter.member_id {
        query = query.filter(alerts::member_id.eq(id));
    }
    if let Some(name) = &filter.signal {
        query = query.filter(alerts::signals.contains(serde_json::json!([{ "name": name }])));
    }
    if let Some(least) = filter.value_at_risk_min {
        let currency = least.currency.to_string();
        query = query.filter(alerts::currency.eq(currency)).filter(alerts::at_risk_minor.ge(least.minor));
    }
    if let Some(from) = filter.from {
        query = query.filter(alerts::raised_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(alerts::raised_at.lt(to));
    }
    query
}

async fn load(conn: &mut Conn, query: alerts::BoxedQuery<'_, Pg>, limit: i64) -> Result<Vec<FraudAlert>> {
    let rows: Vec<AlertRow> = query.select(AlertRow::as_select()).limit(limit).load(conn).await?;
    rows.into_iter().map(AlertRow::into_alert).collect()
}

/// A page of alerts, the last raised first.
pub async fn alert_page(
    conn: &mut Conn,
    scope: &Scope,
    filter: &AlertFilter,
    page: &Page,
) -> Result<Slice<FraudAlert>> {
    let mut query = filtered(scope, filter);
    if let Some(after) = page.after {
        query = query.filter(alerts::seq.lt(after.key));
    }
    if let Some(before) = page.before {
        query = query.filter(alerts::seq.gt(before.key));
    }
    query = if page.is_backward { query.order(alerts::seq.asc()) } else { query.order(alerts::seq.desc()) };
    Ok(page.slice(load(conn, query, page.fetch_limit()).await?))
}

/// How many alerts there are.
pub async fn alert_count(conn: &mut Conn, scope: &Scope, filter: &AlertFilter) -> Result<i64> {
    Ok(filtered(scope, filter).count().get_result(conn).await?)
}

/// What the stream reads: alerts above a place, the first raised first. Places commit in their order, so nothing appears behind
/// what was read.
pub async fn alerts_after(
    conn: &mut Conn,
    scope: &Scope,
    filter: &AlertFilter,
    seq: i64,
    limit: i64,
) -> Result<Vec<FraudAlert>> {
    load(conn, filtered(scope, filter).filter(alerts::seq.gt(seq)).order(alerts::seq.asc()), limit).await
}

/// The end of the brand's outbox: every alert up to this place can be read already, and later ones stand above it.
pub async fn feed_end(conn: &mut Conn, scope: &Scope) -> Result<i64> {
    let end: Option<i64> = brand_counters::table
        .filter(brand_counters::brand_id.eq(scope.brand_id))
        .filter(brand_counters::name.eq("outbox"))
        .select(brand_counters::value)
        .get_result(conn)
        .await
        .optional()?;
    Ok(end.unwrap_or(0))
}

/// Alerts by identifier.
pub async fn alerts_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, FraudAlert>> {
    let rows: Vec<AlertRow> = alerts::table
        .filter(alerts::brand_id.eq(scope.brand_id))
        .filter(alerts::id.eq_any(ids))
        .select(AlertRow::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_alert()?))).collect()
}

/// A judgement as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub decision: Decision,
    pub score_ppm: i32,
    pub signals: Vec<StoredSignal>,
    pub assessed_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct JudgementRow {
    #[diesel(sql_type = SqlUuid)]
    subject_id: Uuid,
    #[diesel(sql_type = Text)]
    decision: String,
    #[diesel(sql_type = Integer)]
    score_ppm: i32,
    #[diesel(sql_type = Jsonb)]
    signals: serde_json::Value,
    #[diesel(sql_type = Timestamptz)]
    assessed_at: DateTime<Utc>,
}

/// The last judgement on each member; a member in whom no signal ever spoke has none.
pub async fn judgements_of_members(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Judgement>> {
    let rows: Vec<JudgementRow> = sql("select a.subject_id, a.decision, a.score_ppm, a.signals, a.assessed_at
         from unnest($2::uuid[]) as member (id)
         cross join lateral (
             select f.subject_id, f.decision, f.score_ppm, f.signals, f.assessed_at from fraud_assessments f
             where f.brand_id = $1 and f.subject_kind = 'member' and f.subject_id = member.id
             order by f.assessed_at desc, f.id desc limit 1) a")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    let judgement = |row: JudgementRow| {
        let judgement = Judgement {
            decision: Decision::from_column(&row.decision)?,
            score_ppm: row.score_ppm,
            signals: to_signals(row.signals)?,
            assessed_at: row.assessed_at,
        };
        Ok((row.subject_id, judgement))
    };
    rows.into_iter().map(judgement).collect()
}

/// Whose acts are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricsParent {
    Creator,
    Campaign,
    /// A member whom the touches would have profited.
    Member,
}

/// What was judged of a creator's, a campaign's or a member's touches, and what its open alerts weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub touches: i64,
    pub in_review: i64,
    pub blocked: i64,
    pub open_alerts: i64,
    pub value_at_risk: Money,
}

#[derive(QueryableByName)]
struct MetricsRow {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(sql_type = BigInt)]
    touches: i64,
    #[diesel(sql_type = BigInt)]
    in_review: i64,
    #[diesel(sql_type = BigInt)]
    blocked: i64,
    #[diesel(sql_type = BigInt)]
    open_alerts: i64,
    #[diesel(sql_type = BigInt)]
    at_risk_minor: i64,
}

/// Binds: 1 brand, 2 parents, 3 their currencies, 4 from, 5 to.
macro_rules! metrics_sql {
    ($touch_column:literal, $alert_column:literal) => {
        concat!(
            "select parent.id as parent_id, t.touches, t.in_review, t.blocked, a.open_alerts, a.at_risk_minor
             from unnest($2::uuid[], $3::text[]) as parent (id, currency)
             cross join lateral (
                 select count(*) as touches, count(*) filter (where t.decision = 'REVIEW') as in_review,
                        count(*) filter (where t.decision = 'BLOCK') as blocked
                 from touchpoints t
                 where t.brand_id = $1 and t.",
            $touch_column,
            " = parent.id and t.occurred_at >= coalesce($4, '-infinity') and t.occurred_at < coalesce($5, 'infinity')) t
             cross join lateral (
                 select count(*) as open_alerts,
                        coalesce(sum(f.at_risk_minor) filter (where f.currency = parent.currency), 0)::int8 as at_risk_minor
                 from fraud_alerts f
                 where f.brand_id = $1 and f.",
            $alert_column,
            " = parent.id and f.state = 'OPEN'
                   and f.raised_at >= coalesce($4, '-infinity') and f.raised_at < coalesce($5, 'infinity')) a"
        )
    };
}

/// The sums of each parent over `[from, to)`, in one statement; what is at risk is summed in the parent's currency only.
pub async fn metrics(
    conn: &mut Conn,
    scope: &Scope,
    parent: MetricsParent,
    parents: &[(Uuid, Currency)],
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<HashMap<Uuid, Metrics>> {
    let text = match parent {
        MetricsParent::Creator => metrics_sql!("creator_id", "creator_id"),
        MetricsParent::Campaign => metrics_sql!("campaign_id", "campaign_id"),
        MetricsParent::Member => metrics_sql!("referrer_id", "member_id"),
    };
    let rows: Vec<MetricsRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(parents.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(parents.iter().map(|(_, currency)| currency.to_string()).collect::<Vec<_>>())
        .bind::<Nullable<Timestamptz>, _>(from)
        .bind::<Nullable<Timestamptz>, _>(to)
        .load(conn)
        .await?;
    let currencies: HashMap<Uuid, Currency> = parents.iter().copied().collect();
    let metrics = |row: MetricsRow| {
        let currency = currencies.get(&row.parent_id).copied().unwrap_or(scope.currency);
        let metrics = Metrics {
            touches: row.touches,
            in_review: row.in_review,
            blocked: row.blocked,
            open_alerts: row.open_alerts,
            value_at_risk: Money::new(row.at_risk_minor, currency),
        };
        (row.parent_id, metrics)
    };
    Ok(rows.into_iter().map(metrics).collect())
}

#[derive(QueryableByName)]
struct BurstRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many confirmed alerts are about touches that these conversions are credited to. A burst is one alert, whose subject is the first touch
/// alone: the others are found by the cause, which is written here as `assess_touches` writes it.
pub async fn confirmed_on_credits(conn: &mut Conn, scope: &Scope, conversion_ids: &[Uuid]) -> Result<i64> {
    if conversion_ids.is_empty() {
        return Ok(0);
    }
    let row: BurstRow = sql("select count(distinct f.id) as count
         from attribution_records a
         join touchpoints t on t.brand_id = a.brand_id and t.id = a.touchpoint_id and t.decision = 'REVIEW'
         cross join (values ('BOT_USER_AGENT'), ('VELOCITY'), ('UNVERIFIED_PLATFORM')) signal (name)
         join fraud_alerts f on f.brand_id = t.brand_id and f.state = 'CONFIRMED' and f.cause_key = concat_ws(' ', 'touch',
             coalesce(t.creator_id, t.referrer_id, '00000000-0000-0000-0000-000000000000'),
             coalesce(encode(t.ip_hash, 'hex'), encode(t.device_hash, 'hex'), 'unknown'), signal.name,
             coalesce(t.campaign_id, '00000000-0000-0000-0000-000000000000'), floor(extract(epoch from t.occurred_at) / 3600)::int8)
         where a.brand_id = $1 and a.conversion_id = any ($2) and a.superseded_at is null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(conversion_ids)
    .get_result(conn)
    .await?;
    Ok(row.count)
}
