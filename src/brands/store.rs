//! The settings of brands in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::{BrandSettings, Home};
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

pub(super) async fn set_allowed_hosts(
    conn: &mut Conn,
    scope: &Scope,
    hosts: &[String],
    now: DateTime<Utc>,
) -> Result<()> {
    sql("insert into brand_settings as s (brand_id, allowed_hosts, changed_at) values ($1, $2, $3)
         on conflict (brand_id) do update set allowed_hosts = $2, changed_at = $3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(hosts)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct HostRow {
    #[diesel(sql_type = Text)]
    host: String,
}

/// Names the brand's hosts; returns one that is another brand's, and then the transaction must not be committed.
pub(super) async fn set_link_hosts(
    conn: &mut Conn,
    scope: &Scope,
    hosts: &[String],
    now: DateTime<Utc>,
) -> Result<Option<String>> {
    sql("delete from brand_hosts where brand_id = $1 and host <> all ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Text>, _>(hosts)
        .execute(conn)
        .await?;
    // A microsecond apart, so that their order is kept.
    sql("insert into brand_hosts (brand_id, host, created_at)
         select $1, host, $3::timestamptz + place * interval '1 microsecond' from unnest($2::text[]) with ordinality as h (host, place)
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(hosts)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    let taken: Option<HostRow> =
        sql("select host from brand_hosts where host = any ($2) and brand_id <> $1 order by host limit 1")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<Text>, _>(hosts)
            .get_result(conn)
            .await
            .optional()?;
    Ok(taken.map(|row| row.host))
}

#[derive(QueryableByName)]
struct HomeRow {
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Array<Text>)]
    link_hosts: Vec<String>,
}

/// Where the brand's links stand.
pub async fn home(conn: &mut Conn, scope: &Scope) -> Result<Home> {
    let row: HomeRow = sql("select b.slug, array(
                 select h.host from brand_hosts h where h.brand_id = b.id order by h.created_at, h.host) as link_hosts
         from brands b where b.id = $1")
    .bind::<SqlUuid, _>(scope.brand_id)
    .get_result(conn)
    .await?;
    Ok(Home { brand_slug: row.slug, link_hosts: row.link_hosts })
}
