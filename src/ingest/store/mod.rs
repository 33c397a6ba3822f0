//! The log, its keys and the names that events use, in PostgreSQL: a few statements per group, whatever is in it.

pub(super) mod replays;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::{Directory, LinkEntry, channel_of_link};
use crate::base::{Error, Kind, Result};
use crate::creators::Platform;
use crate::db::{Conn, sql};
use crate::events::StoredState;

/// One row of the log as it is written.
#[derive(Clone, Debug)]
pub(super) struct LogRow {
    pub brand_id: Uuid,
    pub id: Uuid,
    pub source_id: Uuid,
    pub shard: i16,
    pub is_import: bool,
    pub event_type: Option<&'static str>,
    pub state: StoredState,
    pub code: Option<&'static str>,
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub payload: Option<serde_json::Value>,
    pub raw_sealed: Option<Vec<u8>>,
}

/// One claim of a key.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    pub brand_id: Uuid,
    pub source_id: Uuid,
    pub key_hash: [u8; 16],
    pub body_hash: [u8; 32],
    pub event_id: Uuid,
}

/// The names to look up, with the brand that uses them.
#[derive(Default)]
pub(super) struct Names {
    pub creators: HashSet<(Uuid, String)>,
    pub campaigns: HashSet<(Uuid, String)>,
    pub tokens: HashSet<(Uuid, String)>,
    pub accounts: HashSet<(Uuid, Platform, String)>,
    /// Brands whose events say more than our vocabulary has.
    pub keepers: HashSet<Uuid>,
}

#[derive(QueryableByName)]
struct EventIdRow {
    #[diesel(sql_type = SqlUuid)]
    event_id: Uuid,
}

/// Claims keys and returns the events that got theirs. The rows must be sorted by key.
pub(super) async fn claim_keys(conn: &mut Conn, rows: &[KeyRow], now: DateTime<Utc>) -> Result<HashSet<Uuid>> {
    let claimed: Vec<EventIdRow> =
        sql("insert into event_keys (brand_id, source_id, key_hash, body_hash, event_id, recorded_at)
         select *, $6 from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::uuid[])
         on conflict do nothing
         returning event_id")
        .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.brand_id).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.source_id).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(rows.iter().map(|row| row.key_hash.as_slice()).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(rows.iter().map(|row| row.body_hash.as_slice()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.event_id).collect::<Vec<_>>())
        .bind::<Timestamptz, _>(now)
        .load(conn)
        .await?;
    Ok(claimed.into_iter().map(|row| row.event_id).collect())
}

#[derive(QueryableByName)]
struct OwnerRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    source_id: Uuid,
    #[diesel(sql_type = Binary)]
    key_hash: Vec<u8>,
    #[diesel(sql_type = Binary)]
    body_hash: Vec<u8>,
    #[diesel(sql_type = SqlUuid)]
    event_id: Uuid,
}

type Owners = HashMap<(Uuid, Uuid, [u8; 16]), (Uuid, [u8; 32])>;

/// Who owns keys that were taken before.
pub(super) async fn key_owners(conn: &mut Conn, rows: &[KeyRow]) -> Result<Owners> {
    let owners: Vec<OwnerRow> = sql("select k.brand_id, k.source_id, k.key_hash, k.body_hash, k.event_id
         from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as wanted (brand_id, source_id, key_hash)
         join event_keys k using (brand_id, source_id, key_hash)")
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.brand_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.source_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(rows.iter().map(|row| row.key_hash.as_slice()).collect::<Vec<_>>())
    .load(conn)
    .await?;
    owners
        .into_iter()
        .map(|row| {
            let key_hash = sized(&row.key_hash)?;
            Ok(((row.brand_id, row.source_id, key_hash), (row.event_id, sized(&row.body_hash)?)))
        })
        .collect()
}

/// Forgets some of the keys that were claimed before a moment, and returns how many.
pub(super) async fn prune_keys(conn: &mut Conn, before: DateTime<Utc>, limit: i64) -> Result<usize> {
    let count = sql(
        "delete from event_keys where ctid = any (array(
             select ctid from event_keys where recorded_at < $1 order by recorded_at limit $2 for update skip locked))",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await?;
    Ok(count)
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|error: std::array::TryFromSliceError| Error::fault("reading a hash", error))
}

/// Appends rows to the log.
pub(super) async fn insert_events(conn: &mut Conn, rows: &[LogRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sql("insert into events (brand_id, id, source_id, shard, event_type, state, code, reason, occurred_at, recorded_at, payload, raw_sealed,
                             is_import)
         select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int2[], $5::text[], $6::text[], $7::text[], $8::text[],
                              $9::timestamptz[], $10::timestamptz[], $11::jsonb[], $12::bytea[], $13::bool[])")
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.brand_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.source_id).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(rows.iter().map(|row| row.shard).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.event_type).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.code).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.reason.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.occurred_at).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.recorded_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Jsonb>>, _>(rows.iter().map(|row| row.payload.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(rows.iter().map(|row| row.raw_sealed.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(rows.iter().map(|row| row.is_import).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = Text)]
    token: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    member_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Nullable<Text>)]
    sub_id: Option<String>,
    #[diesel(sql_type = Text)]
    utm_source: String,
    #[diesel(sql_type = Text)]
    utm_medium: String,
    #[diesel(sql_type = Text)]
    utm_campaign: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<DateTime<Utc>>,
}

/// What the names stand for. A kind of name that no event uses costs no statement.
pub(super) async fn directory(conn: &mut Conn, names: &Names) -> Result<Directory> {
    let creators = "select wanted.brand_id, wanted.name, c.id
         from unnest($1::uuid[], $2::text[], $3::uuid[]) as wanted (brand_id, name, id)
         join creators c on c.brand_id = wanted.brand_id and (c.handle = wanted.name or c.id = wanted.id)";
    let campaigns = "select wanted.brand_id, wanted.name, c.id
         from unnest($1::uuid[], $2::text[], $3::uuid[]) as wanted (brand_id, name, id)
         join campaigns c on c.brand_id = wanted.brand_id and (c.slug = wanted.name or c.id = wanted.id)";
    Ok(Directory {
        creators: named(conn, creators, &names.creators, Kind::Creator).await?,
        campaigns: named(conn, campaigns, &names.campaigns, Kind::Campaign).await?,
        links: links(conn, &names.tokens).await?,
        accounts: accounts(conn, &names.accounts).await?,
        keepers: keepers(conn, &names.keepers).await?,
    })
}

#[derive(QueryableByName)]
struct BrandRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

async fn keepers(conn: &mut Conn, brand_ids: &HashSet<Uuid>) -> Result<HashSet<Uuid>> {
    if brand_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<BrandRow> = sql("select id from brands where id = any ($1) and keeps_properties")
        .bind::<Array<SqlUuid>, _>(brand_ids.iter().copied().collect::<Vec<_>>())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn named(
    conn: &mut Conn,
    text: &'static str,
    names: &HashSet<(Uuid, String)>,
    kind: Kind,
) -> Result<HashMap<(Uuid, String), Uuid>> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<NameRow> = sql(text)
        .bind::<Array<SqlUuid>, _>(names.iter().map(|(brand_id, _)| *brand_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(names.iter().map(|(_, name)| kind.parse(name)).collect::<Vec<_>>())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.brand_id, row.name), row.id)).collect())
}

#[derive(QueryableByName)]
struct AccountRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = SqlUuid)]
    creator_id: Uuid,
}

async fn accounts(
    conn: &mut Conn,
    wanted: &HashSet<(Uuid, Platform, String)>,
) -> Result<HashMap<(Uuid, Platform, String), Uuid>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<AccountRow> = sql("select a.brand_id, a.platform, a.external_id, a.creator_id
         from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (brand_id, platform, external_id)
         join platform_accounts a using (brand_id, platform, external_id)")
    .bind::<Array<SqlUuid>, _>(wanted.iter().map(|(brand_id, ..)| *brand_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(wanted.iter().map(|(_, platform, _)| platform.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(wanted.iter().map(|(.., id)| id.as_str()).collect::<Vec<_>>())
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok(((row.brand_id, Platform::from_column(&row.platform)?, row.external_id), row.creator_id)))
        .collect()
}

async fn links(conn: &mut Conn, tokens: &HashSet<(Uuid, String)>) -> Result<HashMap<(Uuid, String), LinkEntry>> {
    if tokens.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<LinkRow> =
        sql("select l.brand_id, l.token, l.id, l.campaign_id, l.creator_id, l.member_id, l.platform, l.sub_id,
                l.utm_source, l.utm_medium, l.utm_campaign, l.expires_at, l.revoked_at
         from unnest($1::uuid[], $2::text[]) as wanted (brand_id, token)
         join links l using (brand_id, token)")
        .bind::<Array<SqlUuid>, _>(tokens.iter().map(|(brand_id, _)| *brand_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(tokens.iter().map(|(_, token)| token.as_str()).collect::<Vec<_>>())
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let platform = Platform::from_column(&row.platform)?;
            let entry = LinkEntry {
                id: row.id,
                campaign_id: row.campaign_id,
                creator_id: row.creator_id,
                member_id: row.member_id,
                platform,
                sub_id: row.sub_id,
                channel: channel_of_link(platform, &row.utm_source, &row.utm_medium, &row.utm_campaign),
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
            };
            Ok(((row.brand_id, row.token), entry))
        })
        .collect()
}
