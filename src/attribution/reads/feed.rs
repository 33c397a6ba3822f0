//! Attribution records as a stream tells them: behind a place in the brand's outbox, in its order.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::{AttributionRecord, RecordFilter, RecordRow};
use crate::access::Scope;
use crate::base::{Cursor, Result};
use crate::campaigns::AttributionModel;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct ToldRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(embed)]
    record: RecordRow,
}

/// What a stream reads: the records that a change of a conversion's credit made, by the change's number in the outbox and then by
/// identifier, each with its place. A change and its records are of one moment.
pub async fn records_after(
    conn: &mut Conn,
    scope: &Scope,
    filter: &RecordFilter,
    after: Cursor,
    limit: i64,
) -> Result<Vec<(Cursor, AttributionRecord)>> {
    let rows: Vec<ToldRow> = sql(concat!(
        "select o.seq, ",
        record_columns!(),
        " from outbox o
          join attribution_records a on a.brand_id = o.brand_id and a.conversion_id = o.subject_id and a.recorded_at = o.recorded_at
          where o.brand_id = $1 and o.topic = 'attribution.changed' and o.seq >= $2 and (o.seq, a.id) > ($2, $3)
            and a.occurred_at >= coalesce($5, '-infinity') and a.occurred_at < coalesce($6, 'infinity')
            and ($7 or a.superseded_at is null)
            and ($8::uuid is null or a.creator_id = $8) and ($9::uuid is null or a.campaign_id = $9)
            and ($10::uuid is null or a.referrer_id = $10) and ($11::uuid is null or a.conversion_id = $11)
            and ($12::text is null or a.model = $12)
          order by o.seq, a.id
          limit $4"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(after.key)
    .bind::<SqlUuid, _>(after.id)
    .bind::<BigInt, _>(limit)
    .bind::<Nullable<Timestamptz>, _>(filter.from)
    .bind::<Nullable<Timestamptz>, _>(filter.to)
    .bind::<Bool, _>(filter.has_superseded)
    .bind::<Nullable<SqlUuid>, _>(filter.creator_id)
    .bind::<Nullable<SqlUuid>, _>(filter.campaign_id)
    .bind::<Nullable<SqlUuid>, _>(filter.member_id)
    .bind::<Nullable<SqlUuid>, _>(filter.conversion_id)
    .bind::<Nullable<Text>, _>(filter.model.map(AttributionModel::as_str))
    .load(conn)
    .await?;
    let place = |row: ToldRow| Ok((Cursor::new(row.seq, row.record.id), row.record.into_record()?));
    rows.into_iter().map(place).collect()
}
