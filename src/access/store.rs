//! Brands and API keys in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{ApiKey, Brand, Role, Scope};
use crate::base::{Code, Error, Result};
use crate::db::schema::{api_keys, brand_counters, brands, idempotency_keys};
use crate::db::{Conn, constraint_of, sql};

const COUNTERS: [&str; 3] = ["members", "outbox", "outbox_published"];

pub(super) async fn insert_brand(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>) -> Result<()> {
    diesel::insert_into(brands::table)
        .values((
            brands::id.eq(brand.id),
            brands::slug.eq(&brand.slug),
            brands::name.eq(&brand.name),
            brands::currency.eq(brand.currency.as_str()),
            brands::shard.eq(brand.shard),
            brands::keeps_properties.eq(brand.keeps_properties),
            brands::created_at.eq(now),
        ))
        .execute(conn)
        .await
        .map_err(|error| match constraint_of(&error) {
            Some("brands_slug_key") => Error::refused(Code::Conflict, &["slug"], "This slug is taken: choose another."),
            Some("brands_slug_check") => Error::invalid(
                &["slug"],
                "Pass 1 to 63 lower-case letters, digits and hyphens, not starting with a hyphen.",
            ),
            _ => error.into(),
        })?;
    let counters: Vec<_> = COUNTERS
        .iter()
        .map(|name| {
            (brand_counters::brand_id.eq(brand.id), brand_counters::name.eq(*name), brand_counters::value.eq(0))
        })
        .collect();
    diesel::insert_into(brand_counters::table).values(counters).execute(conn).await?;
    Ok(())
}

type BrandRow = (Uuid, String, String, String, i16, bool);

fn to_brand((id, slug, name, currency, shard, keeps_properties): BrandRow) -> Result<Brand> {
    let currency = currency.parse().map_err(|error| Error::fault("reading a brand's currency", error))?;
    Ok(Brand { id, slug, name, currency, shard, keeps_properties })
}

macro_rules! select_brand {
    () => {
        brands::table.select((
            brands::id,
            brands::slug,
            brands::name,
            brands::currency,
            brands::shard,
            brands::keeps_properties,
        ))
    };
}

pub(super) async fn brand_by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Brand>> {
    let row: Option<BrandRow> = select_brand!().filter(brands::slug.eq(slug)).first(conn).await.optional()?;
    row.map(to_brand).transpose()
}

pub(super) async fn brand_by_id(conn: &mut Conn, id: Uuid) -> Result<Option<Brand>> {
    let row: Option<BrandRow> = select_brand!().filter(brands::id.eq(id)).first(conn).await.optional()?;
    row.map(to_brand).transpose()
}

pub(super) async fn all_brands(conn: &mut Conn) -> Result<Vec<Brand>> {
    let rows: Vec<BrandRow> = select_brand!().order(brands::id).load(conn).await?;
    rows.into_iter().map(to_brand).collect()
}

pub(super) async fn insert_key(conn: &mut Conn, scope: &Scope, key: &ApiKey, hash: &[u8]) -> Result<()> {
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::brand_id.eq(scope.brand_id),
            api_keys::id.eq(key.id),
            api_keys::name.eq(&key.name),
            api_keys::role.eq(key.role.as_str()),
            api_keys::key_hash.eq(hash),
            api_keys::creator_id.eq(key.creator_id),
            api_keys::created_at.eq(key.created_at),
            api_keys::expires_at.eq(key.expires_at),
        ))
        .execute(conn)
        .await
        .map_err(|error| match constraint_of(&error) {
            Some("api_keys_creator_id_fkey") => Error::not_found(&["creatorId"], "There is no such creator."),
            _ => error.into(),
        })?;
    Ok(())
}

type KeyRow = (Uuid, String, String, Option<Uuid>, DateTime<Utc>, Option<DateTime<Utc>>, Option<DateTime<Utc>>);

pub(super) async fn revoke_key(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<Option<ApiKey>> {
    let key = api_keys::table.filter(api_keys::brand_id.eq(scope.brand_id)).filter(api_keys::id.eq(id));
    diesel::update(key.filter(api_keys::revoked_at.is_null())).set(api_keys::revoked_at.eq(now)).execute(conn).await?;
    key_by_id(conn, scope, id).await
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ScopeRow {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    brand_id: Uuid,
    #[diesel(sql_type = diesel::sql_types::SmallInt)]
    shard: i16,
    #[diesel(sql_type = diesel::sql_types::Text)]
    currency: String,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    key_id: Uuid,
    #[diesel(sql_type = diesel::sql_types::Text)]
    role: String,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Uuid>)]
    creator_id: Option<Uuid>,
}

/// The one look-up that does not start with a brand: the key tells which brand it is.
pub(super) async fn scope_of_key(conn: &mut Conn, hash: &[u8], now: DateTime<Utc>) -> Result<Option<Scope>> {
    let row: Option<ScopeRow> = sql("select k.brand_id, b.shard, b.currency, k.id as key_id, k.role, k.creator_id
         from api_keys k join brands b on b.id = k.brand_id
         where k.key_hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > $2)")
    .bind::<Binary, _>(hash)
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await
    .optional()?;
    row.map(|row| {
        Ok(Scope {
            brand_id: row.brand_id,
            shard: row.shard,
            currency: row.currency.parse().map_err(|error| Error::fault("reading a brand's currency", error))?,
            key_id: Some(row.key_id),
            role: to_role(&row.role)?,
            creator_id: row.creator_id,
        })
    })
    .transpose()
}

fn to_role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| Error::fault("reading a key's role", text.to_owned()))
}

/// Takes a key for an operation; waits where another transaction has just taken it. False: it was taken before.
pub(super) async fn claim_key(
    conn: &mut Conn,
    scope: &Scope,
    operation: &str,
    key: &str,
    request_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool> {
    let count = diesel::insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::brand_id.eq(scope.brand_id),
            idempotency_keys::operation.eq(operation),
            idempotency_keys::key.eq(key),
            idempotency_keys::request_hash.eq(request_hash),
            idempotency_keys::result.eq(serde_json::Value::Null),
            idempotency_keys::recorded_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(count == 1)
}

/// The hash of the first request under a taken key, and its result.
pub(super) async fn kept_result(
    conn: &mut Conn,
    scope: &Scope,
    operation: &str,
    key: &str,
) -> Result<(Vec<u8>, serde_json::Value)> {
    let row = idempotency_keys::table
        .filter(idempotency_keys::brand_id.eq(scope.brand_id))
        .filter(idempotency_keys::operation.eq(operation))
        .filter(idempotency_keys::key.eq(key))
        .select((idempotency_keys::request_hash, idempotency_keys::result))
        .first(conn)
        .await?;
    Ok(row)
}

/// Keeps the result under the key that this transaction has taken.
pub(super) async fn keep_result(
    conn: &mut Conn,
    scope: &Scope,
    operation: &str,
    key: &str,
    result: &serde_json::Value,
) -> Result<()> {
    diesel::update(
        idempotency_keys::table
            .filter(idempotency_keys::brand_id.eq(scope.brand_id))
            .filter(idempotency_keys::operation.eq(operation))
            .filter(idempotency_keys::key.eq(key)),
    )
    .set(idempotency_keys::result.eq(result))
    .execute(conn)
    .await?;
    Ok(())
}

/// A key of the brand, live or not.
pub(super) async fn key_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<ApiKey>> {
    let key = api_keys::table.filter(api_keys::brand_id.eq(scope.brand_id)).filter(api_keys::id.eq(id));
    let row: Option<KeyRow> = key
        .select((
            api_keys::id,
            api_keys::name,
            api_keys::role,
            api_keys::creator_id,
            api_keys::created_at,
            api_keys::expires_at,
            api_keys::revoked_at,
        ))
        .first(conn)
        .await
        .optional()?;
    row.map(to_key).transpose()
}

fn to_key((id, name, role, creator_id, created_at, expires_at, revoked_at): KeyRow) -> Result<ApiKey> {
    Ok(ApiKey { id, name, role: to_role(&role)?, creator_id, created_at, expires_at, revoked_at })
}
