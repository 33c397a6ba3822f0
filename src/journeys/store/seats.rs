//! Who of the members a conversion's person is, once people turned out to be one, or two.

use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

/// What changed hands.
#[derive(Debug, Default)]
pub struct Reseated {
    /// The conversions that are another member's now, or nobody's, in order.
    pub conversion_ids: Vec<Uuid>,
    /// The members who gained or lost one, in order.
    pub member_ids: Vec<Uuid>,
}

#[derive(QueryableByName)]
struct SeatRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    before_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    after_id: Option<Uuid>,
}

/// Gives the conversions of these canonical people that are nobody's, or those of a member who is somebody else, to the member that the person
/// is and was when it bought. A member of whom no person is known keeps what it has. The caller holds the brand's forest and counts the
/// members' sales anew.
pub async fn reseat(conn: &mut Conn, scope: &Scope, canonical_ids: &[Uuid]) -> Result<Reseated> {
    if canonical_ids.is_empty() {
        return Ok(Reseated::default());
    }
    let rows: Vec<SeatRow> = sql("with wanted as (select distinct unnest($2::uuid[]) as canonical_id),
         seated as (
             select p.canonical_id, m.id, m.number, m.joined_at
             from wanted w
             join people p on p.brand_id = $1 and p.canonical_id = w.canonical_id
             join members m on m.brand_id = $1 and m.person_id = p.id),
         bought as (
             select c.id, c.occurred_at, c.member_id, p.canonical_id
             from wanted w
             join people p on p.brand_id = $1 and p.canonical_id = w.canonical_id
             join conversions c on c.brand_id = $1 and c.person_id = p.id
             left join members m on m.brand_id = $1 and m.id = c.member_id
             left join people o on o.brand_id = $1 and o.id = m.person_id
             where c.member_id is null or o.canonical_id <> p.canonical_id),
         found as (
             select b.id, b.member_id as before_id,
                    (select s.id from seated s where s.canonical_id = b.canonical_id and s.joined_at <= b.occurred_at
                     order by s.number limit 1) as after_id
             from bought b)
         update conversions c set member_id = f.after_id
         from found f
         where c.brand_id = $1 and c.id = f.id and f.after_id is distinct from f.before_id
         returning c.id, f.before_id, f.after_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(canonical_ids)
    .load(conn)
    .await?;
    let mut member_ids: Vec<Uuid> = rows.iter().flat_map(|row| [row.before_id, row.after_id]).flatten().collect();
    member_ids.sort_unstable();
    member_ids.dedup();
    let mut conversion_ids: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
    conversion_ids.sort_unstable();
    Ok(Reseated { conversion_ids, member_ids })
}
