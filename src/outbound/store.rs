//! Leases of channels, what platforms said of accounts, and how calls ended, in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::BreakerState;
use crate::access::Scope;
use crate::base::Result;
use crate::creators::{Platform, PlatformAccount};
use crate::db::{Conn, sql, sql_anew};

/// Keeps a lease of a channel that is connected. False: it is not.
pub(super) async fn grant(
    conn: &mut Conn,
    scope: &Scope,
    source_id: Uuid,
    channel_id: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let count = sql("insert into channel_watches (brand_id, source_id, channel_id, expires_at)
         select $1, $2, external_id, $4 from platform_accounts
         where brand_id = $1 and platform = 'YOUTUBE' and external_id = $3
         on conflict (brand_id, source_id, channel_id) do update set expires_at = excluded.expires_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(source_id)
    .bind::<Text, _>(channel_id)
    .bind::<Timestamptz, _>(expires_at)
    .execute(conn)
    .await?;
    Ok(count > 0)
}

/// Which channels the hub is asked for.
pub(super) struct WatchesDue {
    pub now: DateTime<Utc>,
    /// Leases that end before this are renewed.
    pub ends_before: DateTime<Utc>,
    /// What was asked for after this still waits for its answer.
    pub asked_before: DateTime<Utc>,
    pub limit: i64,
}

/// A channel that the hub is asked for, and the address that it shall tell.
#[derive(QueryableByName)]
pub(super) struct WatchRow {
    #[diesel(sql_type = Text)]
    pub slug: String,
    #[diesel(sql_type = Text)]
    pub channel_id: String,
}

/// Every channel that a creator has connected, for every source that hears of channels, where its lease is missing or about to end; they
/// count as asked for from now on.
pub(super) async fn claim_watches(conn: &mut Conn, scope: &Scope, due: &WatchesDue) -> Result<Vec<WatchRow>> {
    let rows = sql("with due as (
             select s.brand_id, s.id as source_id, s.slug, a.external_id as channel_id
             from webhook_sources s
             join platform_accounts a on a.brand_id = s.brand_id and a.platform = 'YOUTUBE'
             left join channel_watches w on w.brand_id = s.brand_id and w.source_id = s.id and w.channel_id = a.external_id
             where s.brand_id = $1 and s.scheme = 'YOUTUBE' and s.disabled_at is null
                   and (w.expires_at is null or w.expires_at < $3) and (w.asked_at is null or w.asked_at < $4)
             order by s.id, a.external_id
             limit $5
         ), claimed as (
             insert into channel_watches as w (brand_id, source_id, channel_id, asked_at)
             select brand_id, source_id, channel_id, $2 from due
             on conflict (brand_id, source_id, channel_id) do update set asked_at = excluded.asked_at
             where w.asked_at is null or w.asked_at < $4
             returning source_id, channel_id
         )
         select due.slug, due.channel_id from due join claimed using (source_id, channel_id) order by due.source_id, due.channel_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(due.now)
    .bind::<Timestamptz, _>(due.ends_before)
    .bind::<Timestamptz, _>(due.asked_before)
    .bind::<BigInt, _>(due.limit)
    .load(conn)
    .await?;
    Ok(rows)
}

#[derive(QueryableByName)]
struct AccountRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    creator_id: Uuid,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    username: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    verified_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    follower_count: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    checked_at: Option<DateTime<Utc>>,
}

/// Which accounts are asked about.
pub(super) struct AccountsDue {
    pub now: DateTime<Utc>,
    /// What was said before this is old.
    pub checked_before: DateTime<Utc>,
    /// What was asked after this, and not answered, is not asked again yet.
    pub asked_before: DateTime<Utc>,
    pub limit: i64,
}

/// Accounts on these platforms of which nothing new is known, those first that were not asked about for longest; they count as asked about
/// from now on.
pub(super) async fn claim_accounts(
    conn: &mut Conn,
    scope: &Scope,
    platforms: &[&str],
    due: &AccountsDue,
) -> Result<Vec<PlatformAccount>> {
    let rows: Vec<AccountRow> = sql("with due as (
             select brand_id, id from platform_accounts
             where brand_id = $1 and platform = any ($2) and (checked_at is null or checked_at < $3)
                   and (asked_at is null or asked_at < $4)
             order by asked_at nulls first, id limit $6
             for update skip locked
         )
         update platform_accounts a set asked_at = $5 from due where a.brand_id = due.brand_id and a.id = due.id
         returning a.id, a.creator_id, a.platform, a.external_id, a.username, a.verified_at, a.follower_count, a.checked_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(platforms)
    .bind::<Timestamptz, _>(due.checked_before)
    .bind::<Timestamptz, _>(due.asked_before)
    .bind::<Timestamptz, _>(due.now)
    .bind::<BigInt, _>(due.limit)
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PlatformAccount {
                id: row.id,
                creator_id: row.creator_id,
                platform: Platform::from_column(&row.platform)?,
                external_id: row.external_id,
                username: row.username,
                verified_at: row.verified_at,
                follower_count: row.follower_count,
                checked_at: row.checked_at,
            })
        })
        .collect()
}

/// What a platform said of an account.
pub(super) struct Seen<'a> {
    pub account_id: Uuid,
    pub is_there: bool,
    /// Whether it shows the code that proves whose it is.
    pub has_code: bool,
    pub username: Option<&'a str>,
    pub follower_count: Option<i32>,
}

/// Keeps it. Who has proven once that an account is theirs need not go on showing the code; an account that is gone proves nothing.
pub(super) async fn keep_seen(conn: &mut Conn, scope: &Scope, seen: &Seen<'_>, now: DateTime<Utc>) -> Result<()> {
    sql("update platform_accounts
         set checked_at = $3, username = coalesce($6, username), follower_count = coalesce($7, follower_count),
             verified_at = case when not $4 then null when $5 then coalesce(verified_at, $3) else verified_at end
         where brand_id = $1 and id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(seen.account_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Bool, _>(seen.is_there)
    .bind::<Bool, _>(seen.has_code)
    .bind::<Nullable<Text>, _>(seen.username)
    .bind::<Nullable<Integer>, _>(seen.follower_count)
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps how a call ended and what the breaker lets through since. Without a failure it came to an answer.
pub(super) async fn keep_call(
    conn: &mut Conn,
    platform: Platform,
    state: BreakerState,
    failure: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    sql("insert into platform_calls as c (platform, state, last_success_at, last_failure_at, last_failure)
         values ($1, $2, case when $3 is null then $4 end, case when $3 is not null then $4 end, $3)
         on conflict (platform) do update
         set state = excluded.state, last_success_at = coalesce(excluded.last_success_at, c.last_success_at),
             last_failure_at = coalesce(excluded.last_failure_at, c.last_failure_at),
             last_failure = coalesce(excluded.last_failure, c.last_failure)")
    .bind::<Text, _>(platform.as_str())
    .bind::<Text, _>(state.as_str())
    .bind::<Nullable<Text>, _>(failure)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// How calls to a platform went.
#[derive(QueryableByName)]
pub(super) struct CallRow {
    #[diesel(sql_type = Text)]
    pub platform: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_success_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_failure_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub last_failure: Option<String>,
}

/// How calls to all platforms went. They are the installation's, not a brand's.
pub(super) async fn call_states(conn: &mut Conn) -> Result<Vec<CallRow>> {
    let rows = sql("select platform, state, last_success_at, last_failure_at, last_failure from platform_calls");
    Ok(rows.load(conn).await?)
}

/// How a brand's sources of one kind are doing.
#[derive(QueryableByName)]
pub(super) struct SourceRow {
    #[diesel(sql_type = Text)]
    pub scheme: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_event_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub schema_version: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub quarantined_count: i64,
}

/// How a brand's sources are doing, by kind, with what of theirs was quarantined since a moment.
pub(super) async fn source_states(conn: &mut Conn, scope: &Scope, since: DateTime<Utc>) -> Result<Vec<SourceRow>> {
    let rows = sql_anew(
        "with refused as (
             select source_id, count(*) as quarantined_count from events
             where brand_id = $1 and state = 'QUARANTINED' and discarded_at is null and recorded_at >= $2
             group by source_id
         )
         select s.scheme, max(s.last_event_at) as last_event_at,
                (array_agg(s.schema_version order by s.last_event_at desc nulls last))[1] as schema_version,
                coalesce(sum(r.quarantined_count), 0)::bigint as quarantined_count
         from webhook_sources s left join refused r on r.source_id = s.id
         where s.brand_id = $1 and s.disabled_at is null
         group by s.scheme",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(since)
    .load(conn)
    .await?;
    Ok(rows)
}
