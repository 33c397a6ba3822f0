//! Attribution records as a file tells them: with the names that people know, in keyset pages of one snapshot.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::{AttributionRecord, RecordFilter, RecordRow};
use crate::access::Scope;
use crate::base::{Cursor, Result};
use crate::db::Conn;

/// A record with the names of what it points at.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRecord {
    pub record: AttributionRecord,
    pub order_id: Option<String>,
    pub creator_handle: Option<String>,
    /// The brand's own id of the member who is credited.
    pub member_external_id: Option<String>,
    pub campaign_slug: String,
}

#[derive(QueryableByName)]
struct NamedRow {
    #[diesel(embed)]
    record: RecordRow,
    #[diesel(sql_type = Nullable<Text>)]
    order_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    creator_handle: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    member_external_id: Option<String>,
    #[diesel(sql_type = Text)]
    campaign_slug: String,
}

/// Every statement from here to [`end_export`] sees the same rows, however long the file takes and however slowly it is read.
pub async fn begin_export(conn: &mut Conn) -> Result<()> {
    let begin = "begin isolation level repeatable read read only; set local statement_timeout = 0; \
                 set local idle_in_transaction_session_timeout = 0";
    Ok(conn.batch_execute(begin).await?)
}

/// Lets the snapshot go.
pub async fn end_export(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("rollback").await?)
}

/// The records behind a place, the latest conversion first: at most `count_max`.
pub async fn export_page(
    conn: &mut Conn,
    scope: &Scope,
    filter: &RecordFilter,
    after: Option<Cursor>,
    count_max: i64,
) -> Result<Vec<NamedRecord>> {
    let rows: Vec<NamedRow> = bind_filter!(
        concat!(
            "select ",
            record_columns!(),
            ", c.order_id, h.handle as creator_handle, m.external_id as member_external_id, k.slug as campaign_slug
              from (select * from attribution_records a where ",
            fitting!(),
            " and ($10::timestamptz is null or (a.occurred_at, a.id) < ($10, $11))
                    order by a.occurred_at desc, a.id desc
                    limit $12) a
              join conversions c on c.brand_id = $1 and c.id = a.conversion_id
              join campaigns k on k.brand_id = $1 and k.id = a.campaign_id
              left join creators h on h.brand_id = $1 and h.id = a.creator_id
              left join members m on m.brand_id = $1 and m.id = a.referrer_id
              order by a.occurred_at desc, a.id desc"
        ),
        scope,
        filter
    )
    .bind::<Nullable<Timestamptz>, _>(after.map(|cursor| cursor.time()))
    .bind::<Nullable<SqlUuid>, _>(after.map(|cursor| cursor.id))
    .bind::<BigInt, _>(count_max)
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(NamedRecord {
                record: row.record.into_record()?,
                order_id: row.order_id,
                creator_handle: row.creator_handle,
                member_external_id: row.member_external_id,
                campaign_slug: row.campaign_slug,
            })
        })
        .collect()
}
