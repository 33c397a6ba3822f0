//! Touchpoints and conversions in PostgreSQL: a statement per kind and batch.

mod refunds;
mod seats;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conversion, Decision, LinkCounts, Touch};
use crate::access::Scope;
use crate::base::limits::TOUCHPOINTS_PER_PERSON_MAX;
use crate::base::{Error, Money, Result};
use crate::creators::Platform;
use crate::db::{Conn, sql};
use crate::events::{AgentClass, Hash16, TouchKind};
use crate::urls::{AdClicks, Channel};

pub(super) use refunds::{apply_refunds, drop_refunds, insert_refunds, waiting_refunds};
pub use seats::{Reseated, reseat};

pub(super) async fn insert_touches(conn: &mut Conn, scope: &Scope, touches: &[Touch]) -> Result<()> {
    sql("insert into touchpoints (brand_id, id, person_id, kind, occurred_at, recorded_at, creator_id, referrer_id, link_id, campaign_id,
                                  platform, sub_id, channel, ad_clicks, ip_hash, device_hash, anonymous_hash, agent_class,
                                  has_consent, decision)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::uuid[],
                                  $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::bytea[],
                                  $16::bytea[], $17::bytea[], $18::text[], $19::bool[], $20::text[])
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(touches.iter().map(|touch| touch.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(touches.iter().map(|touch| touch.person_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(touches.iter().map(|touch| touch.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(touches.iter().map(|touch| touch.occurred_at).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(touches.iter().map(|touch| touch.recorded_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(touches.iter().map(|touch| touch.creator_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(touches.iter().map(|touch| touch.referrer_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(touches.iter().map(|touch| touch.link_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(touches.iter().map(|touch| touch.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(touches.iter().map(|touch| touch.platform.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(touches.iter().map(|touch| touch.sub_id.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(touches.iter().map(|touch| touch.channel.map(Channel::as_str)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Jsonb>>, _>(touches.iter().map(|touch| ad_clicks_column(&touch.ad_clicks)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(touches.iter().map(|touch| touch.ip_hash.map(|hash| hash.0.to_vec())).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(touches.iter().map(|touch| touch.device_hash.map(|hash| hash.0.to_vec())).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(touches.iter().map(|touch| touch.anonymous_hash.map(|hash| hash.0.to_vec())).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(touches.iter().map(|touch| touch.agent_class.as_str()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(touches.iter().map(|touch| touch.has_consent).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(touches.iter().map(|touch| touch.decision.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn insert_properties(
    conn: &mut Conn,
    scope: &Scope,
    said: &[(Uuid, serde_json::Value)],
) -> Result<()> {
    sql("insert into event_properties (brand_id, id, properties)
         select $1, id, properties from unnest($2::uuid[], $3::jsonb[]) as n (id, properties) order by id
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(said.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(said.iter().map(|(_, properties)| properties.clone()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn count_on_links(conn: &mut Conn, scope: &Scope, counts: &BTreeMap<Uuid, LinkCounts>) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    sql("update links l set click_count = l.click_count + n.clicks, view_count = l.view_count + n.views,
                            signup_count = l.signup_count + n.signups
         from unnest($2::uuid[], $3::int8[], $4::int8[], $5::int8[]) as n (id, clicks, views, signups)
         where l.brand_id = $1 and l.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(counts.keys().copied().collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(counts.values().map(|count| count.clicks).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(counts.values().map(|count| count.views).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(counts.values().map(|count| count.signups).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns when the touches were that got their owner.
pub(super) async fn name_referrers(
    conn: &mut Conn,
    scope: &Scope,
    named: &[(Uuid, Uuid, Option<Uuid>)],
) -> Result<Vec<DateTime<Utc>>> {
    let rows: Vec<MomentRow> = sql(
        "update touchpoints t set referrer_id = n.referrer_id, campaign_id = coalesce(t.campaign_id, n.campaign_id)
         from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as n (id, referrer_id, campaign_id)
         where t.brand_id = $1 and t.id = n.id and t.creator_id is null and t.referrer_id is null
         returning t.occurred_at",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(named.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(named.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(named.iter().map(|row| row.2).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.occurred_at).collect())
}

#[derive(QueryableByName)]
struct MomentRow {
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
}

/// The columns of a [`TouchRow`] from the alias `t`, but for the canonical person, as a literal for `concat!`.
macro_rules! touch_columns {
    () => {
        "t.id, t.person_id, t.kind, t.occurred_at, t.recorded_at, t.creator_id, t.referrer_id, t.link_id, t.campaign_id,
         t.platform, t.sub_id, t.channel, t.ad_clicks, t.ip_hash, t.device_hash, t.anonymous_hash, t.agent_class, t.has_consent, t.decision"
    };
}

#[derive(QueryableByName)]
struct TouchRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    person_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    link_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Nullable<Text>)]
    sub_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    channel: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    ad_clicks: Option<serde_json::Value>,
    #[diesel(sql_type = Nullable<Binary>)]
    ip_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    device_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    anonymous_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Text)]
    agent_class: String,
    #[diesel(sql_type = Bool)]
    has_consent: bool,
    #[diesel(sql_type = Text)]
    decision: String,
}

/// The touches of a canonical person around a moment, oldest first: the latest `TOUCHPOINTS_PER_PERSON_MAX` up to it, as a conversion at that
/// moment considers them, and as many of those that came next.
pub async fn touches_around(
    conn: &mut Conn,
    scope: &Scope,
    canonical_id: Uuid,
    at: DateTime<Utc>,
) -> Result<Vec<Touch>> {
    let rows: Vec<TouchRow> = sql(concat!(
        "select t.* from (
             (select p.canonical_id, ",
        touch_columns!(),
        " from people p
              join touchpoints t on t.brand_id = p.brand_id and t.person_id = p.id and t.occurred_at <= $3
              where p.brand_id = $1 and p.canonical_id = $2
              order by t.occurred_at desc, t.id desc
              limit $4)
             union all
             (select p.canonical_id, ",
        touch_columns!(),
        " from people p
              join touchpoints t on t.brand_id = p.brand_id and t.person_id = p.id and t.occurred_at > $3
              where p.brand_id = $1 and p.canonical_id = $2
              order by t.occurred_at, t.id
              limit $4)) t
         order by t.occurred_at, t.id"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(canonical_id)
    .bind::<Timestamptz, _>(at)
    .bind::<BigInt, _>(TOUCHPOINTS_PER_PERSON_MAX)
    .load(conn)
    .await?;
    rows.into_iter().map(to_touch).collect()
}

/// The touches that each canonical person had up to each moment and at most `window` before it: the latest `TOUCHPOINTS_PER_PERSON_MAX`
/// of each moment, so that what came after cannot push out what came before. By person, oldest first, each once.
pub async fn touches_up_to(
    conn: &mut Conn,
    scope: &Scope,
    moments: &[(Uuid, DateTime<Utc>)],
    window: TimeDelta,
) -> Result<Vec<(Uuid, Touch)>> {
    if moments.is_empty() {
        return Ok(Vec::new());
    }
    let stretches = stretches(moments, window);
    let rows: Vec<TouchRow> = sql(concat!(
        "select wanted.id as canonical_id, t.*
         from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) as wanted (id, since, at)
         cross join lateral (
             select ",
        touch_columns!(),
        " from people p
             join touchpoints t on t.brand_id = p.brand_id and t.person_id = p.id and t.occurred_at >= wanted.since
                                   and t.occurred_at <= wanted.at
             where p.brand_id = $1 and p.canonical_id = wanted.id
             order by t.occurred_at desc, t.id desc
             limit $5) t"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(stretches.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(_, since, _)| *since).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(_, _, at)| *at).collect::<Vec<_>>())
    .bind::<BigInt, _>(TOUCHPOINTS_PER_PERSON_MAX)
    .load(conn)
    .await?;
    let touches = rows.into_iter().map(|row| Ok((row.canonical_id, to_touch(row)?)));
    let mut touches = touches.collect::<Result<Vec<(Uuid, Touch)>>>()?;
    touches.sort_unstable_by_key(|(person, touch)| (*person, touch.occurred_at, touch.id));
    Ok(touches)
}

/// The time before each moment as stretches that do not overlap, in order: `(person, since, until)`, both included. A moment is looked back
/// from to the person's moment before it, where that is within the window. The latest touches before a moment are among the latest of its
/// stretch and of those before, so that nothing is read twice, and no row is compared with all others to find out whether it was.
fn stretches(moments: &[(Uuid, DateTime<Utc>)], window: TimeDelta) -> Vec<(Uuid, DateTime<Utc>, DateTime<Utc>)> {
    let mut moments = moments.to_vec();
    moments.sort_unstable();
    moments.dedup();
    let before = |index: usize| index.checked_sub(1).and_then(|index| moments.get(index));
    let stretch = |(index, (person, at)): (usize, &(Uuid, DateTime<Utc>))| {
        let earliest = *at - window;
        let same = before(index).filter(|(other, _)| other == person);
        (*person, same.map_or(earliest, |(_, before)| earliest.max(*before + TimeDelta::microseconds(1))), *at)
    };
    moments.iter().enumerate().map(stretch).collect()
}

fn to_touch(row: TouchRow) -> Result<Touch> {
    Ok(Touch {
        id: row.id,
        person_id: row.person_id,
        kind: TouchKind::from_column(&row.kind)?,
        occurred_at: row.occurred_at,
        recorded_at: row.recorded_at,
        creator_id: row.creator_id,
        referrer_id: row.referrer_id,
        link_id: row.link_id,
        campaign_id: row.campaign_id,
        platform: Platform::from_column(&row.platform)?,
        sub_id: row.sub_id,
        channel: row.channel.as_deref().map(Channel::from_column).transpose()?,
        ad_clicks: ad_clicks_of_column(row.ad_clicks)?,
        ip_hash: to_hash(row.ip_hash)?,
        device_hash: to_hash(row.device_hash)?,
        anonymous_hash: to_hash(row.anonymous_hash)?,
        agent_class: AgentClass::from_column(&row.agent_class)?,
        has_consent: row.has_consent,
        decision: Decision::from_column(&row.decision)?,
    })
}

/// None are null: most touches have none.
fn ad_clicks_column(ad_clicks: &AdClicks) -> Option<serde_json::Value> {
    (!ad_clicks.is_empty()).then(|| serde_json::json!(ad_clicks))
}

/// The ad clicks that a touchpoint's column holds.
pub fn ad_clicks_of_column(column: Option<serde_json::Value>) -> Result<AdClicks> {
    let read = |value| serde_json::from_value(value).map_err(|error| Error::fault("reading ad clicks", error));
    column.map_or_else(|| Ok(AdClicks::new()), read)
}

fn to_hash(bytes: Option<Vec<u8>>) -> Result<Option<Hash16>> {
    let hash = bytes.map(|bytes| <[u8; 16]>::try_from(bytes.as_slice())).transpose();
    Ok(hash.map_err(|error| Error::fault("reading a hash", error))?.map(Hash16))
}

pub(super) async fn insert_conversions(conn: &mut Conn, scope: &Scope, rows: &[Conversion]) -> Result<Vec<Uuid>> {
    let inserted: Vec<IdRow> = sql("insert into conversions (brand_id, id, person_id, member_id, campaign_id, policy_version, generation, order_id,
                                     amount_minor, currency, occurred_at, recorded_at, device_hash, anonymous_hash, is_campaign_named)
         select $1, id, person_id, member_id, campaign_id, policy_version, 0, order_id, amount, currency, occurred_at, recorded_at,
                device_hash, anonymous_hash, is_campaign_named
         from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int4[], $7::text[], $8::int8[], $9::text[], $10::timestamptz[],
                     $11::timestamptz[], $12::bytea[], $13::bytea[], $14::bool[])
              as c (id, person_id, member_id, campaign_id, policy_version, order_id, amount, currency, occurred_at, recorded_at,
                    device_hash, anonymous_hash, is_campaign_named)
         on conflict do nothing
         returning id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.person_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.member_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(rows.iter().map(|row| row.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(rows.iter().map(|row| row.policy_version).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.order_id.as_deref()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.value.minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.value.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.occurred_at).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.recorded_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(rows.iter().map(|row| row.device_hash.map(|hash| hash.0.to_vec())).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(rows.iter().map(|row| row.anonymous_hash.map(|hash| hash.0.to_vec())).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(rows.iter().map(|row| row.is_campaign_named).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(inserted.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct ConversionRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    person_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    member_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    is_campaign_named: bool,
    #[diesel(sql_type = Nullable<Integer>)]
    policy_version: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    model_version: Option<i32>,
    #[diesel(sql_type = Integer)]
    generation: i32,
    #[diesel(sql_type = Nullable<Text>)]
    order_id: Option<String>,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    refunded_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Nullable<Binary>)]
    device_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    anonymous_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
}

macro_rules! conversions {
    ($rest:literal) => {
        concat!(
            "select p.canonical_id, c.id, c.person_id, c.member_id, c.campaign_id, c.is_campaign_named, c.policy_version, c.model_version, c.generation, c.order_id,
                    c.amount_minor, c.refunded_minor, c.currency, c.device_hash, c.anonymous_hash, c.occurred_at, c.recorded_at
             from conversions c join people p on p.brand_id = c.brand_id and p.id = c.person_id ",
            $rest
        )
    };
}

fn to_conversion(row: ConversionRow) -> Result<(Uuid, Conversion)> {
    let currency = row.currency.parse().map_err(|error| Error::fault("reading a conversion's currency", error))?;
    let conversion = Conversion {
        id: row.id,
        person_id: row.person_id,
        member_id: row.member_id,
        campaign_id: row.campaign_id,
        is_campaign_named: row.is_campaign_named,
        policy_version: row.policy_version,
        model_version: row.model_version,
        generation: row.generation,
        order_id: row.order_id,
        value: Money::new(row.amount_minor, currency),
        refunded_minor: row.refunded_minor,
        device_hash: to_hash(row.device_hash)?,
        anonymous_hash: to_hash(row.anonymous_hash)?,
        occurred_at: row.occurred_at,
        recorded_at: row.recorded_at,
    };
    Ok((row.canonical_id, conversion))
}

/// The conversions of these ids with their canonical people.
pub(super) async fn conversions_by_id(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<(Uuid, Conversion)>> {
    let rows: Vec<ConversionRow> =
        sql(conversions!("where c.brand_id = $1 and c.id = any ($2) order by c.occurred_at, c.id"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(ids)
            .load(conn)
            .await?;
    rows.into_iter().map(to_conversion).collect()
}

pub(super) async fn conversions_of_orders(
    conn: &mut Conn,
    scope: &Scope,
    orders: &[String],
) -> Result<Vec<Conversion>> {
    let rows: Vec<ConversionRow> =
        sql(conversions!("where c.brand_id = $1 and c.order_id = any ($2) order by c.id for update of c"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<Text>, _>(orders)
            .load(conn)
            .await?;
    rows.into_iter().map(|row| Ok(to_conversion(row)?.1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_each_window_once() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let behind = |hours: i64| at(hours) + TimeDelta::microseconds(1);
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let moments = [(bob, at(100)), (ann, at(103)), (ann, at(100)), (ann, at(200)), (ann, at(103))];
        let expected =
            [(ann, at(90), at(100)), (ann, behind(100), at(103)), (ann, at(190), at(200)), (bob, at(90), at(100))];
        assert_eq!(stretches(&moments, TimeDelta::hours(10)), expected);
    }
}
