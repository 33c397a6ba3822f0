//! Rulings on merges in PostgreSQL, and people as they part.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{IdentityMerge, MergeRuling};
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::MERGES_LISTED_MAX;
use crate::db::{Conn, sql};
use crate::events::Place;

#[derive(QueryableByName)]
struct MergeRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    from_person_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    into_person_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    event_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    merged_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    undone_at: Option<DateTime<Utc>>,
}

fn to_merge(row: MergeRow) -> IdentityMerge {
    IdentityMerge {
        id: row.id,
        from_person_id: row.from_person_id,
        into_person_id: row.into_person_id,
        event_id: row.event_id,
        merged_at: row.merged_at,
        undone_at: row.undone_at,
    }
}

/// A merge by its identifier.
pub async fn merge_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<IdentityMerge>> {
    let row: Option<MergeRow> =
        sql("select id, from_person_id, into_person_id, event_id, merged_at, undone_at from identity_merges
         where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(to_merge))
}

/// The merges by which a canonical person came to be, undone ones too, the oldest first.
pub async fn merges_of(conn: &mut Conn, scope: &Scope, canonical_id: Uuid) -> Result<Vec<IdentityMerge>> {
    let rows: Vec<MergeRow> =
        sql("select m.id, m.from_person_id, m.into_person_id, m.event_id, m.merged_at, m.undone_at
         from people p join identity_merges m on m.brand_id = p.brand_id and m.into_person_id = p.id
         where p.brand_id = $1 and p.canonical_id = $2
         order by m.merged_at, m.id
         limit $3")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(canonical_id)
        .bind::<BigInt, _>(MERGES_LISTED_MAX)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(to_merge).collect())
}

#[derive(QueryableByName)]
struct PairRow {
    #[diesel(sql_type = SqlUuid)]
    from_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    into_id: Uuid,
}

/// The canonical people of every merge that was undone: no event makes one of them again.
pub(in crate::identity) async fn barred(conn: &mut Conn, scope: &Scope) -> Result<Vec<(Uuid, Uuid)>> {
    let rows: Vec<PairRow> = sql("select f.canonical_id as from_id, i.canonical_id as into_id
         from identity_merges m
         join people f on f.brand_id = m.brand_id and f.id = m.from_person_id
         join people i on i.brand_id = m.brand_id and i.id = m.into_person_id
         where m.brand_id = $1 and m.undone_at is not null
         order by m.merged_at, m.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.from_id, row.into_id)).collect())
}

pub(super) async fn keep(conn: &mut Conn, scope: &Scope, ruling: &MergeRuling, reason: &str) -> Result<()> {
    sql("insert into merge_rulings (brand_id, id, merge_id, reason, api_key_id, ruled_at, recorded_xid, seq)
         values ($1, $2, $3, $4, $5, $6, $7, $8)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(ruling.id)
    .bind::<SqlUuid, _>(ruling.merge_id)
    .bind::<Text, _>(reason)
    .bind::<Nullable<SqlUuid>, _>(scope.key_id)
    .bind::<Timestamptz, _>(ruling.ruled_at)
    .bind::<BigInt, _>(ruling.place.recorded_xid)
    .bind::<BigInt, _>(ruling.place.seq)
    .execute(conn)
    .await?;
    Ok(())
}

/// The ruling is done.
pub(super) async fn finish(conn: &mut Conn, scope: &Scope, ruling: &MergeRuling) -> Result<()> {
    sql("update merge_rulings set done_at = $3 where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(ruling.id)
        .bind::<Timestamptz, _>(ruling.ruled_at)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct CanonicalRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
}

/// Marks the merge as undone and gives everybody who came with it back. Returns the canonical person of those who stay.
pub(super) async fn part(
    conn: &mut Conn,
    scope: &Scope,
    merge: &IdentityMerge,
    undone_at: DateTime<Utc>,
) -> Result<Uuid> {
    let stay: CanonicalRow = sql("select canonical_id from people where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(merge.into_person_id)
        .get_result(conn)
        .await?;
    sql("update identity_merges set undone_at = $3 where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(merge.id)
        .bind::<Timestamptz, _>(undone_at)
        .execute(conn)
        .await?;
    // Who had been merged into the one that goes, by whatever way, goes along.
    sql("with recursive going as (
             select $2::uuid as id
             union
             select m.from_person_id from going join identity_merges m
                 on m.brand_id = $1 and m.into_person_id = going.id and m.undone_at is null)
         update people p set canonical_id = $2 from going where p.brand_id = $1 and p.id = going.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(merge.from_person_id)
    .execute(conn)
    .await?;
    Ok(stay.canonical_id)
}

#[derive(QueryableByName)]
struct RulingRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    merge_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    ruled_at: DateTime<Utc>,
    #[diesel(embed)]
    place: Place,
}

/// The ruling of a shard's brands that comes next in the log and is not done, if it was made by now.
pub async fn next_ruling(conn: &mut Conn, shard: i16, now: DateTime<Utc>) -> Result<Option<MergeRuling>> {
    let row: Option<RulingRow> = sql("select r.brand_id, r.id, r.merge_id, r.ruled_at, r.recorded_xid, r.seq
         from merge_rulings r join brands b on b.id = r.brand_id and b.shard = $1
         where r.done_at is null and r.ruled_at <= $2
         order by r.recorded_xid, r.seq, r.ruled_at, r.id
         limit 1")
    .bind::<SmallInt, _>(shard)
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row.map(|row| MergeRuling {
        brand_id: row.brand_id,
        id: row.id,
        merge_id: row.merge_id,
        ruled_at: row.ruled_at,
        place: row.place,
    }))
}

#[derive(QueryableByName)]
struct ShardRow {
    #[diesel(sql_type = SmallInt)]
    shard: i16,
}

/// The shards whose brands have rulings that are not done.
pub async fn shards_waiting(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<i16>> {
    let rows: Vec<ShardRow> = sql("select distinct b.shard from merge_rulings r join brands b on b.id = r.brand_id
         where r.done_at is null and r.ruled_at <= $1 order by b.shard")
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.shard).collect())
}
