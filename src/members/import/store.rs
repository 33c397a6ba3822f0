//! What an import asks PostgreSQL before it writes: which names and members are there.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::plan::{Known, Seat};
use crate::access::Scope;
use crate::base::{Kind, Result};
use crate::db::Conn;
use crate::db::schema::{campaigns, creators};
use crate::members::by_external_ids;

/// Creators by handle or identifier.
pub(super) async fn creators(conn: &mut Conn, scope: &Scope, names: &[String]) -> Result<HashMap<String, Uuid>> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| Kind::Creator.parse(name)).collect();
    let rows: Vec<(Uuid, String)> = creators::table
        .filter(creators::brand_id.eq(scope.brand_id))
        .filter(creators::handle.eq_any(names).or(creators::id.eq_any(ids)))
        .select((creators::id, creators::handle))
        .load(conn)
        .await?;
    Ok(by_name_and_id(rows, Kind::Creator))
}

/// Campaigns by slug or identifier.
pub(super) async fn campaigns(conn: &mut Conn, scope: &Scope, names: &[String]) -> Result<HashMap<String, Uuid>> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| Kind::Campaign.parse(name)).collect();
    let rows: Vec<(Uuid, String)> = campaigns::table
        .filter(campaigns::brand_id.eq(scope.brand_id))
        .filter(campaigns::slug.eq_any(names).or(campaigns::id.eq_any(ids)))
        .select((campaigns::id, campaigns::slug))
        .load(conn)
        .await?;
    Ok(by_name_and_id(rows, Kind::Campaign))
}

fn by_name_and_id(rows: Vec<(Uuid, String)>, kind: Kind) -> HashMap<String, Uuid> {
    rows.into_iter().flat_map(|(id, name)| [(kind.id(id), id), (name, id)]).collect()
}

/// Members by external id, with what their referees need to know of them.
pub(super) async fn members(conn: &mut Conn, scope: &Scope, external_ids: &[String]) -> Result<Known> {
    let members = by_external_ids(conn, scope, external_ids).await?;
    let seat = |(external_id, member): (String, crate::members::Member)| {
        let seat = Seat {
            id: member.id,
            referrer_id: member.referrer_id,
            creator_id: member.creator_id,
            campaign_id: member.campaign_id,
            path: member.path,
            depth: member.depth,
        };
        (external_id, seat)
    };
    Ok(members.into_iter().map(seat).collect())
}

/// Lets PostgreSQL look at the table again. Statements that it planned while the table was empty read all of it, each time: an
/// import of 100,000 rows took a minute for want of this.
pub(super) async fn analyze(conn: &mut Conn) -> Result<()> {
    conn.batch_execute("analyze members").await?;
    Ok(())
}
