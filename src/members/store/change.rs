//! What events change of members that were there before: who they are, how far they have come. Not their place.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::lock_forest;
use super::tally::carry;
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};
use crate::members::MemberStatus;
use crate::members::tally::{Gain, Sums};

/// A member as it is after the change.
#[derive(Clone, Debug)]
pub struct MemberChange {
    pub id: Uuid,
    pub person_id: Option<Uuid>,
    pub status: MemberStatus,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub joined_at: DateTime<Utc>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
    pub activation_count: i32,
    pub pending_referrer: Option<String>,
}

#[derive(QueryableByName)]
struct ChangedRow {
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Integer)]
    signed_up_count: i32,
    #[diesel(sql_type = Integer)]
    activated_count: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    active_before: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    active_at: Option<DateTime<Utc>>,
}

/// Changes members, and the sums of the downlines that they are part of. The caller holds the brand's forest.
pub async fn change_members(
    conn: &mut Conn,
    scope: &Scope,
    changes: &[MemberChange],
    now: DateTime<Utc>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(changes: &'a [MemberChange], field: impl Fn(&'a MemberChange) -> T) -> Vec<T> {
        changes.iter().map(field).collect()
    }
    let rows: Vec<ChangedRow> = sql("with new as (
             select n.*, m.signed_up_at as signed_up_before, m.activated_at as activated_before, m.last_active_at as active_before
             from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[],
                         $9::timestamptz[], $10::int4[], $11::text[])
                  as n (id, person_id, status, creator_id, campaign_id, joined_at, signed_up_at, activated_at, activation_count,
                        pending_referrer)
             join members m on m.brand_id = $1 and m.id = n.id)
         update members m
         set person_id = n.person_id, status = n.status, creator_id = n.creator_id, campaign_id = n.campaign_id, joined_at = n.joined_at,
             signed_up_at = n.signed_up_at, activated_at = n.activated_at, activation_count = n.activation_count,
             pending_referrer_external_id = n.pending_referrer,
             last_active_at = greatest(m.last_active_at, n.signed_up_at, n.activated_at)
         from new n
         where m.brand_id = $1 and m.id = n.id
         returning m.path::text as path, (m.signed_up_at is not null)::int4 - (n.signed_up_before is not null)::int4 as signed_up_count,
                   (m.activated_at is not null)::int4 - (n.activated_before is not null)::int4 as activated_count,
                   n.active_before, m.last_active_at as active_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(all(changes, |one| one.id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(changes, |one| one.person_id))
    .bind::<Array<Text>, _>(all(changes, |one| one.status.as_str()))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(changes, |one| one.creator_id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(changes, |one| one.campaign_id))
    .bind::<Array<Timestamptz>, _>(all(changes, |one| one.joined_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(all(changes, |one| one.signed_up_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(all(changes, |one| one.activated_at))
    .bind::<Array<Integer>, _>(all(changes, |one| one.activation_count))
    .bind::<Array<Nullable<Text>>, _>(all(changes, |one| one.pending_referrer.as_deref()))
    .load(conn)
    .await?;
    let gains: Vec<Gain> = rows
        .into_iter()
        .map(|row| Gain {
            path: row.path,
            sums: Sums {
                signed_up_count: row.signed_up_count,
                activated_count: row.activated_count,
                ..Sums::default()
            },
            active_before: row.active_before,
            active_at: row.active_at,
        })
        .collect();
    carry(conn, scope, &gains, now).await
}

/// Takes away who a member is and leaves where it stands: its referees, its place on the way to others, the sums and the money stay.
/// False where there is no such member. What other tables know of the person is not touched.
pub async fn forget_identity(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<bool> {
    lock_forest(conn, scope).await?;
    let count = sql("update members
         set external_id = null, person_id = null, pending_referrer_external_id = null, status = 'ERASED', erased_at = coalesce(erased_at, $3)
         where brand_id = $1 and id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(count > 0)
}
