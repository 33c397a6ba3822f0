//! Moves that were made by hand.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{MOVE_SECONDS_MAX, MOVES_LISTED_MAX};
use crate::db::{Conn, sql};
use crate::members::moving::MemberMove;

/// Lets the statements of this transaction take as long as the move of a big subtree takes.
pub(in crate::members) async fn allow_long_move(conn: &mut Conn) -> Result<()> {
    conn.batch_execute(&format!("set local statement_timeout = '{MOVE_SECONDS_MAX}s'")).await?;
    Ok(())
}

pub(in crate::members) async fn keep_move(conn: &mut Conn, scope: &Scope, made: &MemberMove) -> Result<()> {
    sql("insert into member_moves (brand_id, id, member_id, from_referrer_id, to_referrer_id, moved_member_count, reason, api_key_id, moved_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(made.id)
    .bind::<SqlUuid, _>(made.member_id)
    .bind::<Nullable<SqlUuid>, _>(made.from_referrer_id)
    .bind::<Nullable<SqlUuid>, _>(made.to_referrer_id)
    .bind::<BigInt, _>(made.moved_member_count)
    .bind::<Text, _>(made.reason.as_str())
    .bind::<Nullable<SqlUuid>, _>(scope.key_id)
    .bind::<Timestamptz, _>(made.moved_at)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct MoveRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    from_referrer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    to_referrer_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    moved_member_count: i64,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = Timestamptz)]
    moved_at: DateTime<Utc>,
}

/// The latest moves of each member, the newest first; who was never moved is absent.
pub async fn moves_of(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<MemberMove>>> {
    let rows: Vec<MoveRow> = sql(
        "select v.id, v.member_id, v.from_referrer_id, v.to_referrer_id, v.moved_member_count, v.reason, v.moved_at
         from unnest($2::uuid[]) as n (member_id)
         cross join lateral (
             select * from member_moves where brand_id = $1 and member_id = n.member_id order by moved_at desc, id desc limit $3) v
         order by v.member_id, v.moved_at desc, v.id desc",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<BigInt, _>(MOVES_LISTED_MAX)
    .load(conn)
    .await?;
    let mut moves: HashMap<Uuid, Vec<MemberMove>> = HashMap::new();
    for row in rows {
        moves.entry(row.member_id).or_default().push(MemberMove {
            id: row.id,
            member_id: row.member_id,
            from_referrer_id: row.from_referrer_id,
            to_referrer_id: row.to_referrer_id,
            moved_member_count: row.moved_member_count,
            reason: row.reason,
            moved_at: row.moved_at,
        });
    }
    Ok(moves)
}
