//! The settings of brands in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{AndroidApp, BrandSettings, Home, IosApp};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct SettingsRow {
    #[diesel(sql_type = Array<Text>)]
    allowed_hosts: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    ios_app_ids: Vec<String>,
    #[diesel(sql_type = Nullable<Text>)]
    ios_store_url: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    android_package: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    android_fingerprints: Vec<String>,
    #[diesel(sql_type = Bool)]
    is_probabilistic: bool,
    #[diesel(sql_type = BigInt)]
    four_eyes_above_minor: i64,
    #[diesel(sql_type = Bool)]
    keeps_properties: bool,
}

impl SettingsRow {
    fn into_settings(self) -> BrandSettings {
        let fingerprints = self.android_fingerprints;
        BrandSettings {
            allowed_hosts: self.allowed_hosts,
            ios_app: self.ios_store_url.map(|store_url| IosApp { app_ids: self.ios_app_ids, store_url }),
            android_app: self.android_package.map(|package_name| AndroidApp { package_name, fingerprints }),
            is_probabilistic: self.is_probabilistic,
            four_eyes_above_minor: self.four_eyes_above_minor,
            keeps_properties: self.keeps_properties,
        }
    }
}

macro_rules! select_settings {
    ($rest:literal) => {
        concat!(
            "select s.allowed_hosts, s.ios_app_ids, s.ios_store_url, s.android_package, s.android_fingerprints, s.is_probabilistic,
                    s.four_eyes_above_minor,
                    (select b.keeps_properties from brands b where b.id = s.brand_id) as keeps_properties
             from brand_settings s ",
            $rest
        )
    };
}

/// What the brand has set.
pub async fn settings(conn: &mut Conn, scope: &Scope) -> Result<BrandSettings> {
    let row: Option<SettingsRow> = sql(select_settings!("where s.brand_id = $1"))
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(SettingsRow::into_settings).unwrap_or_default())
}

/// What the brand has set whose links stand under a host: the brand that named it first; else, where `is_shared`, the only brand that has
/// an app. It does not start with a brand: the host tells which one it is.
pub async fn settings_under_host(conn: &mut Conn, host: &str, is_shared: bool) -> Result<Option<BrandSettings>> {
    let named: Option<SettingsRow> = sql(select_settings!(
        "where s.brand_id = (select brand_id from brand_hosts where host = $1 order by created_at, brand_id limit 1)"
    ))
    .bind::<Text, _>(host)
    .get_result(conn)
    .await
    .optional()?;
    if let Some(row) = named {
        return Ok(Some(row.into_settings()));
    }
    if !is_shared {
        return Ok(None);
    }
    let statement = select_settings!(
        "where (s.ios_store_url is not null or s.android_package is not null)
         and not exists (select from brand_hosts where host = $1) limit 2"
    );
    let mut rows: Vec<SettingsRow> = sql(statement).bind::<Text, _>(host).load(conn).await?;
    let only = rows.pop().filter(|_| rows.is_empty());
    Ok(only.map(SettingsRow::into_settings))
}

/// What the brand has set, locked until the end of the transaction.
pub(super) async fn lock(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<BrandSettings> {
    sql("insert into brand_settings (brand_id, changed_at) values ($1, $2) on conflict do nothing")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await?;
    let row: SettingsRow = sql(select_settings!("where s.brand_id = $1 for no key update"))
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await?;
    Ok(row.into_settings())
}

/// Writes all of the settings.
pub(super) async fn write(conn: &mut Conn, scope: &Scope, settings: &BrandSettings, now: DateTime<Utc>) -> Result<()> {
    let (ios, android) = (settings.ios_app.as_ref(), settings.android_app.as_ref());
    sql("update brand_settings set allowed_hosts = $2, ios_app_ids = $3, ios_store_url = $4, android_package = $5,
                android_fingerprints = $6, is_probabilistic = $7, changed_at = $8, four_eyes_above_minor = $9
         where brand_id = $1")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(&settings.allowed_hosts)
    .bind::<Array<Text>, _>(ios.map(|app| app.app_ids.clone()).unwrap_or_default())
    .bind::<Nullable<Text>, _>(ios.map(|app| app.store_url.as_str()))
    .bind::<Nullable<Text>, _>(android.map(|app| app.package_name.as_str()))
    .bind::<Array<Text>, _>(android.map(|app| app.fingerprints.clone()).unwrap_or_default())
    .bind::<Bool, _>(settings.is_probabilistic)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(settings.four_eyes_above_minor)
    .execute(conn)
    .await?;
    sql("update brands set keeps_properties = $2 where id = $1 and keeps_properties <> $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Bool, _>(settings.keeps_properties)
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
    // Who named a host first stands in `created_at`, which never changes; which one comes first for the brand, in `place`, which does.
    sql("insert into brand_hosts (brand_id, host, created_at, place)
         select $1, host, $3, place::smallint from unnest($2::text[]) with ordinality as h (host, place)
         on conflict (brand_id, host) do update set place = excluded.place")
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
struct OwnerRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
}

/// The brand whose links stand under a host: the one that named it first. `None`: nobody's.
pub async fn brand_under_host(conn: &mut Conn, host: &str) -> Result<Option<Uuid>> {
    let row: Option<OwnerRow> =
        sql("select brand_id from brand_hosts where host = $1 order by created_at, brand_id limit 1")
            .bind::<Text, _>(host)
            .get_result(conn)
            .await
            .optional()?;
    Ok(row.map(|row| row.brand_id))
}

#[derive(QueryableByName)]
struct HomeRow {
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Array<Text>)]
    link_hosts: Vec<String>,
    #[diesel(sql_type = Bool)]
    has_app: bool,
}

/// Where the brand's links stand.
pub async fn home(conn: &mut Conn, scope: &Scope) -> Result<Home> {
    let row: HomeRow = sql("select b.slug, array(
                 select h.host from brand_hosts h where h.brand_id = b.id order by h.place, h.created_at, h.host) as link_hosts,
             exists (select from brand_settings s where s.brand_id = b.id and (s.ios_store_url is not null or s.android_package is not null))
                 as has_app
         from brands b where b.id = $1")
    .bind::<SqlUuid, _>(scope.brand_id)
    .get_result(conn)
    .await?;
    Ok(Home { brand_slug: row.slug, link_hosts: row.link_hosts, has_app: row.has_app })
}
