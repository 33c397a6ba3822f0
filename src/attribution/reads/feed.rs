//! Attribution records as a stream tells them: behind a place in the brand's outbox, in its order.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::{AttributionRecord, RecordFilter, RecordRow};
use crate::access::Scope;
use crate::base::{Cursor, Result};
use crate::db::Conn;

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
    let rows: Vec<ToldRow> = bind_filter!(
        concat!(
            "select o.seq, ",
            record_columns!(),
            " from outbox o
              join attribution_records a on a.brand_id = o.brand_id and a.conversion_id = o.subject_id and a.recorded_at = o.recorded_at
              where o.brand_id = $1 and o.topic = 'attribution.changed' and o.seq >= $10 and (o.seq, a.id) > ($10, $11) and ",
            fitting!(),
            " order by o.seq, a.id
              limit $12"
        ),
        scope,
        filter
    )
    .bind::<BigInt, _>(after.key)
    .bind::<SqlUuid, _>(after.id)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let place = |row: ToldRow| Ok((Cursor::new(row.seq, row.record.id), row.record.into_record()?));
    rows.into_iter().map(place).collect()
}
