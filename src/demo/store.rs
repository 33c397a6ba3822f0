//! What the demo asks PostgreSQL beside the modules' own verbs.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::DemoSummary;
use crate::access::Scope;
use crate::base::Result;
use crate::db::schema::platform_accounts;
use crate::db::{Conn, sql};

/// Marks the creators' accounts as verified, as a platform's adapter would.
pub(super) async fn verify_accounts(
    conn: &mut Conn,
    scope: &Scope,
    creators: &[Uuid],
    at: DateTime<Utc>,
) -> Result<()> {
    let accounts = platform_accounts::table
        .filter(platform_accounts::brand_id.eq(scope.brand_id))
        .filter(platform_accounts::creator_id.eq_any(creators));
    diesel::update(accounts).set(platform_accounts::verified_at.eq(at)).execute(conn).await?;
    Ok(())
}

/// Lets PostgreSQL look at the tables once they are filled: statements that it planned while they were empty read all of them.
pub(super) async fn analyze(conn: &mut Conn) -> Result<()> {
    conn.batch_execute("analyze").await?;
    Ok(())
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    creators: i64,
    #[diesel(sql_type = BigInt)]
    campaigns: i64,
    #[diesel(sql_type = BigInt)]
    links: i64,
    #[diesel(sql_type = BigInt)]
    members: i64,
    #[diesel(sql_type = BigInt)]
    events: i64,
    #[diesel(sql_type = BigInt)]
    touchpoints: i64,
    #[diesel(sql_type = BigInt)]
    conversions: i64,
    #[diesel(sql_type = BigInt)]
    rewards: i64,
    #[diesel(sql_type = BigInt)]
    alerts: i64,
}

/// What the brand holds.
pub(super) async fn summary(conn: &mut Conn, scope: &Scope, brand: &str, key: Option<String>) -> Result<DemoSummary> {
    let row: CountRow = sql("select (select count(*) from creators where brand_id = $1) as creators,
                (select count(*) from campaigns where brand_id = $1) as campaigns,
                (select count(*) from links where brand_id = $1) as links,
                (select count(*) from members where brand_id = $1) as members,
                (select count(*) from events where brand_id = $1) as events,
                (select count(*) from touchpoints where brand_id = $1) as touchpoints,
                (select count(*) from conversions where brand_id = $1) as conversions,
                (select count(*) from rewards where brand_id = $1) as rewards,
                (select count(*) from fraud_alerts where brand_id = $1) as alerts")
    .bind::<SqlUuid, _>(scope.brand_id)
    .get_result(conn)
    .await?;
    Ok(DemoSummary {
        brand: brand.to_owned(),
        key,
        creators: row.creators,
        campaigns: row.campaigns,
        links: row.links,
        members: row.members,
        events: row.events,
        touchpoints: row.touchpoints,
        conversions: row.conversions,
        rewards: row.rewards,
        alerts: row.alerts,
    })
}
