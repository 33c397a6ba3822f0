//! Attribution records in PostgreSQL, as the pipeline writes them.

use std::collections::{HashMap, HashSet};

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
    count_on_links(conn, scope, &credits).await
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

/// A link counts a conversion once, when it is credited for the first time.
async fn count_on_links(conn: &mut Conn, scope: &Scope, rows: &[(&Credit, &Attributed)]) -> Result<()> {
    let first = rows.iter().filter(|(credit, _)| credit.generation == 1);
    let mut counted: Vec<(Uuid, Uuid)> =
        first.filter_map(|(credit, _)| Some((credit.touch.link_id?, credit.conversion_id))).collect();
    counted.sort_unstable();
    counted.dedup();
    if counted.is_empty() {
        return Ok(());
    }
    sql("update links l set conversion_count = l.conversion_count + n.count
         from (select id, count(*) as count from unnest($2::uuid[]) as c (id) group by id) n
         where l.brand_id = $1 and l.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(counted.iter().map(|(link_id, _)| *link_id).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
