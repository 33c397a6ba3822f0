//! Attribution records in PostgreSQL, as the pipeline writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Attributed, Credit};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    touchpoint_id: Uuid,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
}

/// The shape of each conversion's current records: which touch has how much.
pub(super) async fn standing(
    conn: &mut Conn,
    scope: &Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, HashSet<(Uuid, i64)>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<StandingRow> = sql("select conversion_id, touchpoint_id, amount_minor from attribution_records
         where brand_id = $1 and conversion_id = any ($2) and superseded_at is null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    let mut standing: HashMap<Uuid, HashSet<(Uuid, i64)>> = HashMap::new();
    for row in rows {
        standing.entry(row.conversion_id).or_default().insert((row.touchpoint_id, row.amount_minor));
    }
    Ok(standing)
}

/// Ends the current records of these conversions, writes the new ones, and moves the conversions to their new generation.
pub(super) async fn supersede(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, fresh: &[&Attributed]) -> Result<()> {
    if fresh.is_empty() {
        return Ok(());
    }
    let conversions = || fresh.iter().map(|one| &one.conversion);
    let before = standing_links(conn, scope, fresh).await?;
    sql("with ended as (
             update attribution_records set superseded_at = $2
             where brand_id = $1 and conversion_id = any ($3) and superseded_at is null)
         update conversions c set generation = n.generation, campaign_id = n.campaign_id, policy_version = n.policy_version,
                                  model_version = n.model_version
         from unnest($3::uuid[], $4::int4[], $5::uuid[], $6::int4[], $7::int4[])
              as n (id, generation, campaign_id, policy_version, model_version)
         where c.brand_id = $1 and c.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(conversions().map(|one| one.id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(conversions().map(|one| one.generation).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(conversions().map(|one| one.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(conversions().map(|one| one.policy_version).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(conversions().map(|one| one.model_version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    let credits: Vec<(&Credit, &Attributed)> =
        fresh.iter().flat_map(|one| one.credits.iter().map(move |credit| (credit, *one))).collect();
    insert(conn, scope, now, &credits).await?;
    count_on_links(conn, scope, &before, &credits).await
}

async fn insert(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, rows: &[(&Credit, &Attributed)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let credits = || rows.iter().map(|(credit, _)| *credit);
    sql("insert into attribution_records (brand_id, id, conversion_id, touchpoint_id, creator_id, referrer_id, campaign_id, model, policy_version,
                                         generation, degree, weight_units, amount_minor, currency, occurred_at, recorded_at, model_version)
         select $1, id, conversion_id, touchpoint_id, creator_id, referrer_id, campaign_id, model, policy_version,
                generation, degree, weight_units, amount_minor, currency, occurred_at, $2, model_version
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::int4[], $11::int4[], $12::int2[],
                     $13::int8[], $14::int8[], $15::text[], $16::timestamptz[], $17::int4[])
              as r (id, conversion_id, touchpoint_id, creator_id, referrer_id, campaign_id, model, policy_version, generation, degree,
                    weight_units, amount_minor, currency, occurred_at, model_version)
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(credits().map(|credit| credit.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(credits().map(|credit| credit.conversion_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(credits().map(|credit| credit.touch.id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(credits().map(|credit| credit.touch.creator_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(credits().map(|credit| credit.touch.referrer_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(credits().map(|credit| credit.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(credits().map(|credit| credit.model.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(credits().map(|credit| credit.policy_version).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(credits().map(|credit| credit.generation).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(credits().map(|_| 0_i16).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(credits().map(|credit| credit.weight_units.cast_signed()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(credits().map(|credit| credit.amount_minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|(_, one)| one.conversion.value.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|(_, one)| one.conversion.occurred_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(credits().map(|credit| credit.model_version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A link, and a conversion of which it has a share.
type Shared = BTreeSet<(Uuid, Uuid)>;

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = SqlUuid)]
    link_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
}

/// The links that have a share of these conversions as they stand. Those of the first generation had no records before.
async fn standing_links(conn: &mut Conn, scope: &Scope, fresh: &[&Attributed]) -> Result<Shared> {
    let known = fresh.iter().map(|one| &one.conversion).filter(|one| one.generation > 1);
    let ids: Vec<Uuid> = known.map(|one| one.id).collect();
    if ids.is_empty() {
        return Ok(Shared::new());
    }
    let rows: Vec<LinkRow> = sql("select distinct t.link_id, r.conversion_id from attribution_records r
         join touchpoints t on t.brand_id = r.brand_id and t.id = r.touchpoint_id
         where r.brand_id = $1 and r.conversion_id = any ($2) and r.superseded_at is null and t.link_id is not null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.link_id, row.conversion_id)).collect())
}

/// A link counts each conversion of which it has a share, once, and no longer when it has none.
async fn count_on_links(
    conn: &mut Conn,
    scope: &Scope,
    before: &Shared,
    rows: &[(&Credit, &Attributed)],
) -> Result<()> {
    let shares = rows.iter().filter_map(|(credit, _)| Some((credit.touch.link_id?, credit.conversion_id)));
    let after: Shared = shares.collect();
    let gained = after.difference(before).map(|(link_id, _)| (*link_id, 1_i64));
    let lost = before.difference(&after).map(|(link_id, _)| (*link_id, -1));
    let mut counts: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (link_id, change) in gained.chain(lost) {
        *counts.entry(link_id).or_default() += change;
    }
    counts.retain(|_, change| *change != 0);
    if counts.is_empty() {
        return Ok(());
    }
    sql("update links l set conversion_count = l.conversion_count + n.change
         from unnest($2::uuid[], $3::int8[]) as n (id, change)
         where l.brand_id = $1 and l.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(counts.keys().copied().collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(counts.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
