//! What an import asks PostgreSQL before it writes: which names and members are there.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::roster::Known;
use crate::access::Scope;
use crate::base::{Error, Kind, Result};
use crate::db::schema::{campaigns, creators};
use crate::db::{Conn, sql};

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

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct KnownRow {
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = Timestamptz)]
    joined_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Integer)]
    depth: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pending_referrer: Option<String>,
}

/// Which of these names are members, and what a row of theirs is compared with.
pub(super) async fn known(conn: &mut Conn, scope: &Scope, names: &[&str]) -> Result<Vec<(String, Known)>> {
    let rows: Vec<KnownRow> = sql("select external_id, id, referrer_id, joined_at, number, depth,
                pending_referrer_external_id as pending_referrer
         from members where brand_id = $1 and external_id = any ($2)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(names)
    .load(conn)
    .await?;
    let known = |row: KnownRow| {
        let KnownRow { external_id, id, referrer_id, joined_at, number, depth, pending_referrer } = row;
        (external_id, Known { id, referrer_id, joined_at, number, depth, pending_referrer })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// A member's place, as far as its referees need it.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(super) struct Seat {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub campaign_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    pub path: String,
    #[diesel(sql_type = Integer)]
    pub depth: i32,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct SeatRow {
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(embed)]
    seat: Seat,
}

/// The places of those of these names who are members.
pub(super) async fn seats(conn: &mut Conn, scope: &Scope, names: &[&str]) -> Result<HashMap<String, Seat>> {
    let rows: Vec<SeatRow> = sql("select external_id, id, creator_id, campaign_id, path::text as path, depth
         from members where brand_id = $1 and external_id = any ($2)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(names)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.external_id, row.seat)).collect())
}

/// A root that waits for its referrer.
#[derive(Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(super) struct Waiting {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub pending_referrer: String,
    /// Whom it waits for, where that one has come.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub referrer_id: Option<Uuid>,
}

/// A page of the roots that wait, in the order of whom they wait for; the next page starts after the last of this one.
pub(super) async fn waiting(
    conn: &mut Conn,
    scope: &Scope,
    after: (&str, Uuid),
    row_count: usize,
) -> Result<Vec<Waiting>> {
    let limit = i64::try_from(row_count).map_err(|error| Error::fault("paging through those who wait", error))?;
    let rows = sql("select m.id, m.pending_referrer_external_id as pending_referrer, r.id as referrer_id
         from members m
         left join members r on r.brand_id = m.brand_id and r.external_id = m.pending_referrer_external_id
         where m.brand_id = $1 and m.pending_referrer_external_id is not null and m.referrer_id is null
           and (m.pending_referrer_external_id, m.id) > ($2, $3)
         order by m.pending_referrer_external_id, m.id
         limit $4")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Text, _>(after.0)
    .bind::<SqlUuid, _>(after.1)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    Ok(rows)
}

/// Lets PostgreSQL look at the tables again. Statements that it planned while they were empty read all of them, each time: an
/// import of 100,000 rows took a minute for want of this.
pub(super) async fn analyze(conn: &mut Conn) -> Result<()> {
    conn.batch_execute("analyze members, member_downlines, member_activity_days").await?;
    Ok(())
}
