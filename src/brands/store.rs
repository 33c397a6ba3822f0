//! The settings of brands in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::BrandSettings;
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct SettingsRow {
    #[diesel(sql_type = Array<Text>)]
    allowed_hosts: Vec<String>,
}

/// What the brand has set.
pub async fn settings(conn: &mut Conn, scope: &Scope) -> Result<BrandSettings> {
    let row: Option<SettingsRow> = sql("select allowed_hosts from brand_settings where brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(|row| BrandSettings { allowed_hosts: row.allowed_hosts }).unwrap_or_default())
}

pub(super) async fn update(
    conn: &mut Conn,
    scope: &Scope,
    allowed_hosts: Option<&[String]>,
    now: DateTime<Utc>,
) -> Result<()> {
    sql("insert into brand_settings as s (brand_id, allowed_hosts, changed_at) values ($1, coalesce($2, '{}'), $3)
         on conflict (brand_id) do update set allowed_hosts = coalesce($2, s.allowed_hosts), changed_at = $3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<Array<Text>>, _>(allowed_hosts)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}
