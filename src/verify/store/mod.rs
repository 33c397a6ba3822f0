//! The invariants as SQL: each statement takes the brand and counts the rows that break the rule.

mod books;
mod log;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

pub(super) use books::BOOK_INVARIANTS;
pub(super) use log::{KEY_INVARIANTS, LOG_INVARIANTS};

/// The name of each invariant, and the statement that counts its breaches.
pub(super) const INVARIANTS: &[(&str, &str)] = &[
    (
        "every merge ends at a canonical person",
        "select count(*) as value from people p join people c on c.brand_id = p.brand_id and c.id = p.canonical_id
         where p.brand_id = $1 and c.canonical_id <> c.id",
    ),
    (
        "a merge is undone where that was ruled, and nowhere else",
        "select count(*) as value from identity_merges m
         left join merge_rulings r on r.brand_id = m.brand_id and r.merge_id = m.id and r.done_at is not null
         where m.brand_id = $1 and (m.undone_at is null) <> (r.id is null)",
    ),
    (
        "a link for one person is claimed by one",
        "select count(*) as value from links l
         left join (select link_id, count(*) as count from link_claims
                    where brand_id = $1 and method <> 'PROBABILISTIC' group by link_id) c on c.link_id = l.id
         where l.brand_id = $1 and l.is_single_use and coalesce(c.count, 0) <> (l.redeemed_at is not null)::int",
    ),
    (
        "weights sum to one and values to the conversion's",
        "select count(*) as value from (
             select r.conversion_id from attribution_records r
             join conversions c on c.brand_id = r.brand_id and c.id = r.conversion_id
             where r.brand_id = $1
             group by r.conversion_id, r.model, r.generation, c.amount_minor, c.currency
             having sum(r.weight_units) <> 1000000000000 or sum(r.amount_minor) <> c.amount_minor
                    or bool_or(r.currency <> c.currency)) broken",
    ),
    (
        "one generation of records is current, the conversion's own",
        "select count(*) as value from attribution_records r
         join conversions c on c.brand_id = r.brand_id and c.id = r.conversion_id
         where r.brand_id = $1 and (r.superseded_at is null) <> (r.generation = c.generation)",
    ),
    (
        "refunds add up on their conversions",
        "select count(*) as value from conversions c
         left join (select conversion_id, sum(amount_minor) as minor from refunds
                    where brand_id = $1 and conversion_id is not null group by conversion_id) r on r.conversion_id = c.id
         where c.brand_id = $1 and c.refunded_minor <> coalesce(r.minor, 0)",
    ),
    (
        "a member stands one below its referrer, on its path or on that of an anchor",
        "select count(*) as value from members m
         left join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
         where m.brand_id = $1 and case
             when m.referrer_id is null then m.depth <> 0 or nlevel(m.path) <> 1
             else m.depth <> r.depth + 1
                  or subpath(m.path, 0, -1) <> case when r.is_anchor then subpath(r.path, -1) else r.path end end",
    ),
    (
        "a path ends with the member's own number",
        "select count(*) as value from members m
         cross join lateral (select subpath(m.path, -1)::text as label) l
         where m.brand_id = $1 and m.number <> (
             select sum((position(substr(l.label, i, 1) in '0123456789abcdefghijklmnopqrstuvwxyz') - 1) * 36::numeric ^ (length(l.label) - i))
             from generate_series(1, length(l.label)) as i)",
    ),
    (
        "members' own sums equal their sales",
        "select count(*) as value from members m
         left join (
             select c.member_id, sum(c.amount_minor - c.refunded_minor) filter (where c.currency = b.currency) as minor,
                    max(c.occurred_at) as bought_at
             from conversions c join brands b on b.id = c.brand_id
             where c.brand_id = $1 group by c.member_id) s on s.member_id = m.id
         where m.brand_id = $1
           and (m.value_minor <> coalesce(s.minor, 0)
                or m.last_active_at is distinct from greatest(m.signed_up_at, m.activated_at, s.bought_at))",
    ),
    (
        // By induction: the first degree is counted, every next one is the sum of what the referees keep.
        "kept downlines equal the live computation",
        "with counted as (
             select r.number as member_number, 1 as degree, count(*) as member_count, count(m.signed_up_at) as signed_up_count,
                    count(m.activated_at) as activated_count, sum(m.value_minor) as value_minor
             from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
             where m.brand_id = $1 group by r.number
             union all
             select r.number, k.degree + 1, sum(k.member_count), sum(k.signed_up_count), sum(k.activated_count), sum(k.value_minor)
             from member_downlines k
             join members m on m.brand_id = k.brand_id and m.number = k.member_number
             join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
             where k.brand_id = $1 and (m.depth % 63 <> 0 or m.depth = 0)
             group by r.number, k.degree)
         select count(*) as value from counted c
         full join (select * from member_downlines where brand_id = $1) k on k.member_number = c.member_number and k.degree = c.degree
         where (c.member_count, c.signed_up_count, c.activated_count, c.value_minor)
               is distinct from (k.member_count, k.signed_up_count, k.activated_count, k.value_minor)",
    ),
    // `offset 0` keeps it a look-up per member: else each level of the forest may read the whole index.
    (
        "every member hangs on a root: there is no cycle",
        "with recursive reached as (
             select id from members where brand_id = $1 and referrer_id is null
             union all
             select m.id from reached cross join lateral (
                 select id from members where brand_id = $1 and referrer_id = reached.id offset 0) m)
         select (select count(*) from members where brand_id = $1) - (select count(*) from reached) as value",
    ),
    (
        "referee counts are right",
        "select count(*) as value from members m
         left join (select referrer_id, count(*) as count from members where brand_id = $1 group by referrer_id) n on n.referrer_id = m.id
         where m.brand_id = $1 and m.referee_count <> coalesce(n.count, 0)",
    ),
    (
        "member numbers stay below their counter",
        "select count(*) as value from members m join brand_counters c on c.brand_id = m.brand_id and c.name = 'members'
         where m.brand_id = $1 and m.number > c.value",
    ),
];

/// Those that need to know the day: the first one whose activity is asked for.
pub(super) const INVARIANTS_OF_THE_DAY: &[(&str, &str)] = &[(
    "kept activity equals the live computation",
    "with counted as (
         select member_number, active_on, sum(member_count) as member_count
         from (
             select r.number as member_number, (m.last_active_at at time zone 'UTC')::date as active_on, 1 as member_count
             from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
             where m.brand_id = $1
             union all
             select r.number, k.active_on, k.member_count
             from member_activity_days k
             join members m on m.brand_id = k.brand_id and m.number = k.member_number
             join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
             where k.brand_id = $1 and (m.depth % 63 <> 0 or m.depth = 0)) parts
         where active_on >= $2
         group by member_number, active_on)
     select count(*) as value from counted c
     full join (select * from member_activity_days where brand_id = $1 and active_on >= $2) k
         on k.member_number = c.member_number and k.active_on = c.active_on
     where coalesce(c.member_count, 0) <> coalesce(k.member_count, 0)",
)];

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// One snapshot for all counts, and time enough for big tables.
pub(super) async fn begin(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("begin isolation level repeatable read read only; set local statement_timeout = 0").await?)
}

pub(super) async fn end(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("rollback").await?)
}

#[derive(QueryableByName)]
struct EntryRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = SqlUuid)]
    subject_id: Uuid,
}

/// The outbox between two numbers, both included.
pub(super) async fn outbox(conn: &mut Conn, scope: &Scope, first: i64, last: i64) -> Result<Vec<(i64, String, Uuid)>> {
    let rows: Vec<EntryRow> =
        sql("select seq, topic, subject_id from outbox where brand_id = $1 and seq between $2 and $3")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<BigInt, _>(first)
            .bind::<BigInt, _>(last)
            .load(conn)
            .await?;
    Ok(rows.into_iter().map(|row| (row.seq, row.topic, row.subject_id)).collect())
}

pub(super) async fn count_of_the_day(
    conn: &mut Conn,
    scope: &Scope,
    statement: &'static str,
    day: NaiveDate,
) -> Result<i64> {
    let row: CountRow = sql(statement).bind::<SqlUuid, _>(scope.brand_id).bind::<Date, _>(day).get_result(conn).await?;
    Ok(row.value)
}

pub(super) async fn count(conn: &mut Conn, scope: &Scope, statement: &'static str) -> Result<i64> {
    let row: CountRow = sql(statement).bind::<SqlUuid, _>(scope.brand_id).get_result(conn).await?;
    Ok(row.value)
}
