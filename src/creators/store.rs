//! Creators and their accounts in PostgreSQL.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Creator, CreatorStatus};
use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;
use crate::db::schema::creators;

type CreatorRow = (Uuid, String, String, String, Option<String>, DateTime<Utc>);

fn to_creator((id, handle, display_name, status, tier, created_at): CreatorRow) -> Result<Creator> {
    Ok(Creator { id, handle, display_name, status: CreatorStatus::from_column(&status)?, tier, created_at })
}

macro_rules! select_creator {
    ($scope:expr) => {
        creators::table.filter(creators::brand_id.eq($scope.brand_id)).select((
            creators::id,
            creators::handle,
            creators::display_name,
            creators::status,
            creators::tier,
            creators::created_at,
        ))
    };
}

/// Creators by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Creator>> {
    let rows: Vec<CreatorRow> = select_creator!(scope).filter(creators::id.eq_any(ids)).load(conn).await?;
    rows.into_iter().map(|row| Ok((row.0, to_creator(row)?))).collect()
}

/// The creator of a handle.
pub async fn by_handle(conn: &mut Conn, scope: &Scope, handle: &str) -> Result<Option<Creator>> {
    let row: Option<CreatorRow> =
        select_creator!(scope).filter(creators::handle.eq(handle)).first(conn).await.optional()?;
    row.map(to_creator).transpose()
}
