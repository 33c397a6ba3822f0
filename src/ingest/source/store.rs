//! Webhook sources in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Page, Result};
use crate::db::schema::webhook_sources as sources;
use crate::db::{Conn, sql};

/// What the door needs of a source.
#[derive(QueryableByName)]
pub(super) struct DoorRow {
    #[diesel(sql_type = SqlUuid)]
    pub brand_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub slug: String,
    #[diesel(sql_type = Text)]
    pub scheme: String,
    #[diesel(sql_type = Binary)]
    pub secret_sealed: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub previous_secret_sealed: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub previous_expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_event_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub schema_version: Option<String>,
}

/// The one look-up of a source that does not start with a brand: the slug tells which brand it is.
pub(super) async fn source_by_slug(conn: &mut Conn, slug: &str) -> Result<Option<DoorRow>> {
    let row = sql(
        "select brand_id, id, slug, scheme, secret_sealed, previous_secret_sealed, previous_expires_at, last_event_at,
                schema_version
         from webhook_sources where slug = $1 and disabled_at is null",
    )
    .bind::<Text, _>(slug)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row)
}

/// A row that is to be made.
pub(super) struct NewSourceRow<'a> {
    pub id: Uuid,
    pub slug: String,
    pub name: &'a str,
    pub scheme: &'a str,
    pub secret_sealed: &'a [u8],
    pub created_at: DateTime<Utc>,
}

/// Adds a source. False: the brand has as many as it may.
pub(super) async fn insert_source(
    conn: &mut Conn,
    scope: &Scope,
    row: &NewSourceRow<'_>,
    count_max: i64,
) -> Result<bool> {
    let count = sql("insert into webhook_sources (brand_id, id, slug, name, scheme, secret_sealed, created_at)
         select $1, $2, $3, $4, $5, $6, $7 where (select count(*) from webhook_sources where brand_id = $1) < $8")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(row.id)
    .bind::<Text, _>(&row.slug)
    .bind::<Text, _>(row.name)
    .bind::<Text, _>(row.scheme)
    .bind::<Binary, _>(row.secret_sealed)
    .bind::<Timestamptz, _>(row.created_at)
    .bind::<BigInt, _>(count_max)
    .execute(conn)
    .await?;
    Ok(count == 1)
}

/// What a rotation needs to know, held until the end of the transaction.
#[derive(QueryableByName)]
pub(super) struct HeldRow {
    #[diesel(sql_type = Text)]
    pub scheme: String,
    #[diesel(sql_type = Binary)]
    pub secret_sealed: Vec<u8>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub previous_expires_at: Option<DateTime<Utc>>,
}

pub(super) async fn lock_source(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<HeldRow>> {
    let row = sql("select scheme, secret_sealed, previous_expires_at from webhook_sources
         where brand_id = $1 and id = $2 and disabled_at is null for update")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row)
}

pub(super) async fn replace_secret(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    sealed: &[u8],
    previous: Option<(&[u8], DateTime<Utc>)>,
) -> Result<()> {
    let (previous_sealed, previous_until) = previous.unzip();
    diesel::update(sources::table.filter(sources::brand_id.eq(scope.brand_id)).filter(sources::id.eq(id)))
        .set((
            sources::secret_sealed.eq(sealed),
            sources::previous_secret_sealed.eq(previous_sealed),
            sources::previous_expires_at.eq(previous_until),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Has the hub asked for all channels of a source again.
pub(super) async fn end_leases(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<()> {
    sql("update channel_watches set asked_at = null, expires_at = null where brand_id = $1 and source_id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves the moment of the last event forward, never back. Without a version the last one stays.
pub(super) async fn note_event(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    at: DateTime<Utc>,
    version: Option<&str>,
) -> Result<()> {
    sql("update webhook_sources set last_event_at = greatest(last_event_at, $3), schema_version = coalesce($4, schema_version)
         where brand_id = $1 and id = $2
               and (last_event_at is null or last_event_at < $3 or schema_version is distinct from coalesce($4, schema_version))")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(at)
    .bind::<Nullable<Text>, _>(version)
    .execute(conn)
    .await?;
    Ok(())
}

/// The columns that are shown.
pub(super) type ViewRow =
    (Uuid, String, String, String, DateTime<Utc>, Option<DateTime<Utc>>, Option<DateTime<Utc>>, Option<String>);

macro_rules! select_views {
    ($scope:expr) => {
        sources::table.filter(sources::brand_id.eq($scope.brand_id)).filter(sources::disabled_at.is_null()).select((
            sources::id,
            sources::slug,
            sources::name,
            sources::scheme,
            sources::created_at,
            sources::last_event_at,
            sources::previous_expires_at,
            sources::schema_version,
        ))
    };
}

/// Rows of a page, as [`Page::slice`] wants them.
pub(super) async fn source_page(conn: &mut Conn, scope: &Scope, page: &Page) -> Result<Vec<ViewRow>> {
    let mut query = select_views!(scope).into_boxed();
    // The place of a row, (moment, id), against a cursor.
    if let Some(after) = page.after {
        let same = sources::created_at.eq(after.time()).and(sources::id.gt(after.id));
        query = query.filter(sources::created_at.gt(after.time()).or(same));
    }
    if let Some(before) = page.before {
        let same = sources::created_at.eq(before.time()).and(sources::id.lt(before.id));
        query = query.filter(sources::created_at.lt(before.time()).or(same));
    }
    query = if page.is_backward {
        query.order((sources::created_at.desc(), sources::id.desc()))
    } else {
        query.order((sources::created_at.asc(), sources::id.asc()))
    };
    Ok(query.limit(page.fetch_limit()).load(conn).await?)
}

pub(super) async fn source_count(conn: &mut Conn, scope: &Scope) -> Result<i64> {
    let own = sources::table.filter(sources::brand_id.eq(scope.brand_id)).filter(sources::disabled_at.is_null());
    Ok(own.count().get_result(conn).await?)
}

pub(super) async fn source_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<ViewRow>> {
    Ok(select_views!(scope).filter(sources::id.eq(id)).first(conn).await.optional()?)
}
