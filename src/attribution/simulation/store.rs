//! What a simulation reads besides conversions and their touches: one statement each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::Part;
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

pub(super) async fn conversion_count(
    conn: &mut Conn,
    scope: &Scope,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<u64> {
    let row: CountRow =
        sql("select count(*) as count from conversions where brand_id = $1 and occurred_at >= $2 and occurred_at < $3")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Timestamptz, _>(from)
            .bind::<Timestamptz, _>(to)
            .get_result(conn)
            .await?;
    Ok(row.count.unsigned_abs())
}

#[derive(QueryableByName)]
struct PartRow {
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    weight_units: i64,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
}

/// What stands of each conversion, by creator.
pub(super) async fn standing_parts(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Part>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<PartRow> = sql("select conversion_id, creator_id, sum(weight_units)::int8 as weight_units,
                sum(amount_minor)::int8 as amount_minor
         from attribution_records where brand_id = $1 and conversion_id = any ($2) and superseded_at is null
         group by conversion_id, creator_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    let mut parts: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for row in rows {
        parts.entry(row.conversion_id).or_default().push(Part {
            creator_id: row.creator_id,
            weight_units: row.weight_units.unsigned_abs(),
            amount_minor: row.amount_minor.unsigned_abs(),
        });
    }
    Ok(parts)
}
