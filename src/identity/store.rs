//! People, their identifiers and their merges in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::{Found, Identifier, IdentifierKind, Register};
use crate::access::Scope;
use crate::base::limits::HISTORIES_PER_PERSON_MAX;
use crate::base::{Error, Result, derived_id};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Binary)]
    value_hash: Vec<u8>,
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = Bool)]
    has_user: bool,
    #[diesel(sql_type = BigInt)]
    history_count: i64,
}

pub(super) async fn find(conn: &mut Conn, scope: &Scope, wanted: &[Identifier]) -> Result<Vec<Found>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let clicks = wanted.iter().filter(|one| one.kind == IdentifierKind::Click);
    let rows: Vec<FoundRow> = sql("select f.kind, f.value_hash, p.canonical_id,
                exists (select from people a join identities u on u.brand_id = a.brand_id and u.person_id = a.id and u.kind = 'user'
                        where a.brand_id = p.brand_id and a.canonical_id = p.canonical_id) as has_user,
                (select count(*) from (
                     select from people a where a.brand_id = p.brand_id and a.canonical_id = p.canonical_id limit $5) counted) as history_count
         from (
             select wanted.kind, wanted.value_hash, i.person_id from unnest($2::text[], $3::bytea[]) as wanted (kind, value_hash)
             cross join lateral (
                 select person_id from identities
                 where brand_id = $1 and kind = wanted.kind and value_hash = wanted.value_hash offset 0) i
             union all
             select 'click', uuid_send(clicked.id), t.person_id from unnest($4::uuid[]) as clicked (id)
             cross join lateral (
                 select person_id from touchpoints where brand_id = $1 and id = clicked.id and kind = 'CLICK' offset 0) t) f
         cross join lateral (select brand_id, canonical_id from people where brand_id = $1 and id = f.person_id offset 0) p")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(wanted.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(wanted.iter().map(|one| one.value.as_slice()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(clicks.map(|one| Uuid::from_bytes(one.value)).collect::<Vec<_>>())
    .bind::<BigInt, _>(HISTORIES_PER_PERSON_MAX)
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let value = <[u8; 16]>::try_from(row.value_hash.as_slice());
            let value = value.map_err(|error| Error::fault("reading an identifier", error))?;
            let identifier = Identifier::new(IdentifierKind::from_column(&row.kind)?, value);
            Ok(Found {
                identifier,
                canonical_id: row.canonical_id,
                has_user: row.has_user,
                history_count: row.history_count,
            })
        })
        .collect()
}

#[derive(QueryableByName)]
struct ActRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    first_at: DateTime<Utc>,
}

pub(super) async fn first_acts(
    conn: &mut Conn,
    scope: &Scope,
    canonical_ids: &[Uuid],
) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    let rows: Vec<ActRow> = sql("select wanted.id, min(f.first_at) as first_at
         from (select distinct unnest($2::uuid[]) as id) wanted
         join people p on p.brand_id = $1 and p.canonical_id = wanted.id
         cross join lateral (
             (select t.occurred_at as first_at from touchpoints t
              where t.brand_id = $1 and t.person_id = p.id order by t.occurred_at limit 1)
             union all
             (select c.occurred_at from conversions c
              where c.brand_id = $1 and c.person_id = p.id order by c.occurred_at limit 1)) f
         group by wanted.id
         order by wanted.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(canonical_ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.first_at)).collect())
}

pub(super) async fn write(conn: &mut Conn, scope: &Scope, register: &Register) -> Result<()> {
    insert_people(conn, scope, register).await?;
    insert_identifiers(conn, scope, register).await?;
    // One by one and in order: a later merge may move what an earlier one moved. There are few in a batch.
    for merge in &register.merges {
        sql("update people set canonical_id = $3 where brand_id = $1 and canonical_id = $2")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<SqlUuid, _>(merge.from_id)
            .bind::<SqlUuid, _>(merge.into_id)
            .execute(conn)
            .await?;
    }
    insert_merges(conn, scope, register).await
}

async fn insert_people(conn: &mut Conn, scope: &Scope, register: &Register) -> Result<()> {
    if register.new_people.is_empty() {
        return Ok(());
    }
    sql("insert into people (brand_id, id, canonical_id, created_at)
         select $1, id, id, created_at from unnest($2::uuid[], $3::timestamptz[]) as p (id, created_at)
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(register.new_people.iter().map(|person| person.id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(register.new_people.iter().map(|person| person.created_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_identifiers(conn: &mut Conn, scope: &Scope, register: &Register) -> Result<()> {
    let rows = &register.new_identifiers;
    if rows.is_empty() {
        return Ok(());
    }
    sql("insert into identities (brand_id, kind, value_hash, person_id, first_seen_at)
         select $1, * from unnest($2::text[], $3::bytea[], $4::uuid[], $5::timestamptz[])
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(rows.iter().map(|(one, _, _)| one.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(rows.iter().map(|(one, _, _)| one.value.as_slice()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|(_, person_id, _)| *person_id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|(_, _, at)| *at).collect::<Vec<DateTime<Utc>>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_merges(conn: &mut Conn, scope: &Scope, register: &Register) -> Result<()> {
    let merges = &register.merges;
    if merges.is_empty() {
        return Ok(());
    }
    let id =
        |from: Uuid, event: Uuid| derived_id(&[b"merge", scope.brand_id.as_bytes(), from.as_bytes(), event.as_bytes()]);
    sql("insert into identity_merges (brand_id, id, from_person_id, into_person_id, event_id, merged_at)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(merges.iter().map(|merge| id(merge.from_id, merge.event_id)).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(merges.iter().map(|merge| merge.from_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(merges.iter().map(|merge| merge.into_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(merges.iter().map(|merge| merge.event_id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(merges.iter().map(|merge| merge.merged_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
