//! Refunds in PostgreSQL: those that wait for their orders, and those that are tied to them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Error, Money, Result};
use crate::db::{Conn, sql};
use crate::journeys::Refund;

pub(in crate::journeys) async fn insert_refunds(conn: &mut Conn, scope: &Scope, refunds: &[Refund]) -> Result<()> {
    if refunds.is_empty() {
        return Ok(());
    }
    sql("insert into refunds (brand_id, id, order_id, amount_minor, currency, occurred_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::int8[], $5::text[], $6::timestamptz[])
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(refunds.iter().map(|refund| refund.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(refunds.iter().map(|refund| refund.order_id.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(refunds.iter().map(|refund| refund.value.minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(refunds.iter().map(|refund| refund.value.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(refunds.iter().map(|refund| refund.occurred_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct RefundRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
}

pub(in crate::journeys) async fn waiting_refunds(
    conn: &mut Conn,
    scope: &Scope,
    orders: &[String],
) -> Result<Vec<Refund>> {
    let rows: Vec<RefundRow> = sql("select id, order_id, amount_minor, currency, occurred_at from refunds
         where brand_id = $1 and order_id = any ($2) and conversion_id is null order by occurred_at, id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(orders)
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = row.currency.parse().map_err(|error| Error::fault("reading a refund's currency", error))?;
            let value = Money::new(row.amount_minor, currency);
            Ok(Refund { id: row.id, order_id: row.order_id, conversion_id: None, value, occurred_at: row.occurred_at })
        })
        .collect()
}

/// Ties refunds to their conversions and adds them up there: `(refund, conversion, minor units)`, which may be less than it says.
pub(in crate::journeys) async fn apply_refunds(
    conn: &mut Conn,
    scope: &Scope,
    applied: &[(Uuid, Uuid, i64)],
) -> Result<()> {
    if applied.is_empty() {
        return Ok(());
    }
    sql("with applied as (
             select * from unnest($2::uuid[], $3::uuid[], $4::int8[]) as a (refund_id, conversion_id, minor)),
         tied as (
             update refunds r set conversion_id = applied.conversion_id, amount_minor = applied.minor from applied where r.brand_id = $1 and r.id = applied.refund_id)
         update conversions c set refunded_minor = c.refunded_minor + sums.minor
         from (select conversion_id, sum(minor)::int8 as minor from applied group by conversion_id) sums
         where c.brand_id = $1 and c.id = sums.conversion_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(applied.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(applied.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(applied.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

pub(in crate::journeys) async fn drop_refunds(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sql("delete from refunds where brand_id = $1 and id = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)
        .await?;
    Ok(())
}
