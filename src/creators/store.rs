//! Creators and their accounts in PostgreSQL.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Creator, CreatorChange, CreatorStatus, NewPlatformAccount, Platform, PlatformAccount};
use crate::access::Scope;
use crate::base::{Code, Error, Result};
use crate::db::schema::{creators, platform_accounts};
use crate::db::{Conn, constraint_of, sql};

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = creators, check_for_backend(diesel::pg::Pg))]
pub(super) struct CreatorRow {
    id: Uuid,
    handle: String,
    display_name: String,
    status: String,
    tier: Option<String>,
    created_at: DateTime<Utc>,
}

impl CreatorRow {
    pub(super) fn into_creator(self) -> Result<Creator> {
        Ok(Creator {
            id: self.id,
            handle: self.handle,
            display_name: self.display_name,
            status: CreatorStatus::from_column(&self.status)?,
            tier: self.tier,
            created_at: self.created_at,
        })
    }
}

/// Creators by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Creator>> {
    let rows: Vec<CreatorRow> = creators::table
        .filter(creators::brand_id.eq(scope.brand_id))
        .filter(creators::id.eq_any(ids))
        .select(CreatorRow::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_creator()?))).collect()
}

/// The creator of a handle.
pub async fn by_handle(conn: &mut Conn, scope: &Scope, handle: &str) -> Result<Option<Creator>> {
    let row: Option<CreatorRow> = creators::table
        .filter(creators::brand_id.eq(scope.brand_id))
        .filter(creators::handle.eq(handle))
        .select(CreatorRow::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(CreatorRow::into_creator).transpose()
}

pub(super) async fn insert(conn: &mut Conn, scope: &Scope, creator: &Creator) -> Result<()> {
    diesel::insert_into(creators::table)
        .values((
            creators::brand_id.eq(scope.brand_id),
            creators::id.eq(creator.id),
            creators::handle.eq(&creator.handle),
            creators::display_name.eq(&creator.display_name),
            creators::status.eq(creator.status.as_str()),
            creators::tier.eq(&creator.tier),
            creators::created_at.eq(creator.created_at),
        ))
        .execute(conn)
        .await
        .map_err(|error| match constraint_of(&error) {
            Some("creators_handle_key") => {
                Error::refused(Code::Conflict, &["handle"], "This handle is taken: choose another.")
            }
            _ => error.into(),
        })?;
    Ok(())
}

/// False: there is no such creator.
pub(super) async fn update(conn: &mut Conn, scope: &Scope, id: Uuid, change: &CreatorChange) -> Result<bool> {
    let count = sql("update creators
         set display_name = coalesce($3, display_name), status = coalesce($4, status), tier = case when $5 then $6 else tier end
         where brand_id = $1 and id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Nullable<Text>, _>(change.display_name.as_deref())
    .bind::<Nullable<Text>, _>(change.status.map(CreatorStatus::as_str))
    .bind::<Bool, _>(change.tier.is_some())
    .bind::<Nullable<Text>, _>(change.tier.as_ref().and_then(|tier| tier.as_deref()))
    .execute(conn)
    .await?;
    Ok(count == 1)
}

/// Inserts an account, or brings the creator's own up to date; a verification stays as long as the account is the same. Where a platform is
/// asked by user name, another name is another account.
pub(super) async fn upsert_account(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    input: &NewPlatformAccount,
    now: DateTime<Utc>,
) -> Result<()> {
    let written = sql("insert into platform_accounts as a
             (brand_id, id, creator_id, platform, external_id, username, follower_count, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (brand_id, platform, external_id) do update
         set username = coalesce(excluded.username, a.username),
             follower_count = coalesce(excluded.follower_count, a.follower_count),
             verified_at = case
                 when a.platform in ('INSTAGRAM', 'TIKTOK') and excluded.username is not null
                      and lower(ltrim(excluded.username, '@')) is distinct from lower(ltrim(a.username, '@')) then null
                 else a.verified_at end
         where a.creator_id = excluded.creator_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<SqlUuid, _>(input.creator_id)
    .bind::<Text, _>(input.platform.as_str())
    .bind::<Text, _>(&input.external_id)
    .bind::<Nullable<Text>, _>(input.username.as_deref())
    .bind::<Nullable<Integer>, _>(input.follower_count)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
    .map_err(|error| match constraint_of(&error) {
        Some("platform_accounts_creator_id_fkey") => Error::not_found(&["creatorId"], "There is no such creator."),
        _ => error.into(),
    })?;
    if written == 1 {
        return Ok(());
    }
    let message = "This account belongs to another creator already.";
    Err(Error::refused(Code::Conflict, &["externalId"], message))
}

type AccountRow =
    (Uuid, Uuid, String, String, Option<String>, Option<DateTime<Utc>>, Option<i32>, Option<DateTime<Utc>>);

/// The accounts of each creator, the oldest first.
pub async fn accounts_of(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<PlatformAccount>>> {
    let rows: Vec<AccountRow> = platform_accounts::table
        .filter(platform_accounts::brand_id.eq(scope.brand_id))
        .filter(platform_accounts::creator_id.eq_any(ids))
        .order((platform_accounts::created_at, platform_accounts::id))
        .select((
            platform_accounts::id,
            platform_accounts::creator_id,
            platform_accounts::platform,
            platform_accounts::external_id,
            platform_accounts::username,
            platform_accounts::verified_at,
            platform_accounts::follower_count,
            platform_accounts::checked_at,
        ))
        .load(conn)
        .await?;
    let mut accounts: HashMap<Uuid, Vec<PlatformAccount>> = HashMap::new();
    for (id, creator_id, platform, external_id, username, verified_at, follower_count, checked_at) in rows {
        let platform = Platform::from_column(&platform)?;
        let account = PlatformAccount {
            id,
            creator_id,
            platform,
            external_id,
            username,
            verified_at,
            follower_count,
            checked_at,
        };
        accounts.entry(creator_id).or_default().push(account);
    }
    Ok(accounts)
}

/// A creator's account, as its platform names it.
pub async fn account_named(
    conn: &mut Conn,
    scope: &Scope,
    creator_id: Uuid,
    platform: Platform,
    external_id: &str,
) -> Result<Option<PlatformAccount>> {
    let accounts = accounts_of(conn, scope, &[creator_id]).await?.remove(&creator_id).unwrap_or_default();
    Ok(accounts.into_iter().find(|account| account.platform == platform && account.external_id == external_id))
}
