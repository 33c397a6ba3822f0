//! What stands around each sign-up of a batch. A crowd is read once, however many of its sign-ups are judged, and no further back than
//! it takes to know that a limit was passed: else the sign-ups of one busy referrer would cost the square of their number.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::campaigns::PolicyBook;
use crate::db::{Conn, sql};
use crate::events::Event;
use crate::identity::{Logged, Person};
use crate::referrals::{Enrolment, Joined};

/// Sign-ups of a crowd that are looked at, the newest.
const CROWD_ROWS_MAX: i64 = 2_000;
const DEFAULT_WINDOW_HOURS: i32 = 24;

/// What stands around a sign-up.
#[derive(Clone, Copy, Debug)]
pub(in crate::fraud) struct Surroundings {
    pub referrer_signup_count: i64,
    pub address_people_count: i64,
    pub shares_device: bool,
}

/// A sign-up that is judged, and the window that is looked at.
struct Case<'a> {
    joined: &'a Joined,
    /// `None`: it is judged late, without what its event said.
    event: Option<&'a Event>,
    person_id: Uuid,
    since: DateTime<Utc>,
    at: DateTime<Utc>,
}

impl Case<'_> {
    fn address(&self) -> Option<Vec<u8>> {
        self.event.and_then(|event| event.ip_hash).map(|hash| hash.0.to_vec())
    }

    fn counts(&self, at: DateTime<Utc>) -> bool {
        at > self.since && at <= self.at
    }
}

/// Counts around each sign-up, the batch's own rows included: they are written before.
pub(in crate::fraud) async fn surroundings(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    joined: &[&Joined],
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
) -> Result<HashMap<Uuid, Surroundings>> {
    let mut cases = Vec::with_capacity(joined.len());
    for joined in joined {
        let policies = joined.campaign_id.and_then(|id| book.current(id));
        let window_hours = policies.map_or(DEFAULT_WINDOW_HOURS, |policies| policies.fraud.window_hours);
        let at = enrolment.signed_up_at(joined.member_id).unwrap_or_default();
        cases.push(Case {
            joined,
            event: batch.get(joined.index).filter(|_| !joined.is_late).map(|logged| &logged.event),
            person_id: people.get(joined.index).map_or(Uuid::nil(), |person| person.canonical_id),
            since: at - TimeDelta::hours(i64::from(window_hours)),
            at,
        });
    }
    let referred = signups_by_referrer(conn, scope, &cases).await?;
    let neighbours = signups_by_address(conn, scope, &cases).await?;
    let sharing = sharing_a_device(conn, scope, &cases).await?;
    let around = |case: &Case<'_>| {
        let signups = case.joined.referrer_id.and_then(|id| referred.get(&id)).map_or(&[][..], Vec::as_slice);
        let people = case.address().and_then(|hash| neighbours.get(&hash)).map_or(&[][..], Vec::as_slice);
        let people: HashSet<Uuid> = people.iter().filter(|one| case.counts(one.1)).map(|one| one.0).collect();
        let surroundings = Surroundings {
            referrer_signup_count: signups.iter().filter(|at| case.counts(**at)).count().try_into().unwrap_or(i64::MAX),
            address_people_count: people.len().try_into().unwrap_or(i64::MAX),
            shares_device: sharing.contains(&case.joined.member_id),
        };
        (case.joined.member_id, surroundings)
    };
    Ok(cases.iter().map(around).collect())
}

/// Of each crowd that a case belongs to: the window that holds the windows of all its cases.
struct Spans<Key> {
    keys: Vec<Key>,
    since: Vec<DateTime<Utc>>,
    until: Vec<DateTime<Utc>>,
}

fn spans<'a, Key: Eq + Hash>(cases: &[Case<'a>], key: impl Fn(&Case<'a>) -> Option<Key>) -> Spans<Key> {
    let mut found: HashMap<Key, (DateTime<Utc>, DateTime<Utc>)> = HashMap::new();
    for case in cases {
        let Some(key) = key(case) else { continue };
        let span = found.entry(key).or_insert((case.since, case.at));
        *span = (span.0.min(case.since), span.1.max(case.at));
    }
    let mut spans = Spans { keys: Vec::new(), since: Vec::new(), until: Vec::new() };
    for (key, (since, until)) in found {
        spans.keys.push(key);
        spans.since.push(since);
        spans.until.push(until);
    }
    spans
}

#[derive(QueryableByName)]
struct ReferredRow {
    #[diesel(sql_type = SqlUuid)]
    referrer_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    joined_at: DateTime<Utc>,
}

async fn signups_by_referrer(
    conn: &mut Conn,
    scope: &Scope,
    cases: &[Case<'_>],
) -> Result<HashMap<Uuid, Vec<DateTime<Utc>>>> {
    let spans = spans(cases, |case| case.joined.referrer_id);
    let rows: Vec<ReferredRow> = sql("select w.referrer_id, m.joined_at
         from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) as w (referrer_id, since, until)
         cross join lateral (
             select m.joined_at from members m
             where m.brand_id = $1 and m.referrer_id = w.referrer_id and m.joined_at > w.since and m.joined_at <= w.until
                   and m.signed_up_at is not null
             order by m.joined_at desc limit $5) m")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(spans.keys)
    .bind::<Array<Timestamptz>, _>(spans.since)
    .bind::<Array<Timestamptz>, _>(spans.until)
    .bind::<BigInt, _>(CROWD_ROWS_MAX)
    .load(conn)
    .await?;
    let mut crowds: HashMap<Uuid, Vec<DateTime<Utc>>> = HashMap::new();
    for row in rows {
        crowds.entry(row.referrer_id).or_default().push(row.joined_at);
    }
    Ok(crowds)
}

#[derive(QueryableByName)]
struct NeighbourRow {
    #[diesel(sql_type = Binary)]
    ip_hash: Vec<u8>,
    #[diesel(sql_type = SqlUuid)]
    person_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
}

async fn signups_by_address(
    conn: &mut Conn,
    scope: &Scope,
    cases: &[Case<'_>],
) -> Result<HashMap<Vec<u8>, Vec<(Uuid, DateTime<Utc>)>>> {
    let spans = spans(cases, Case::address);
    if spans.keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<NeighbourRow> = sql("select w.ip_hash, t.person_id, t.occurred_at
         from unnest($2::bytea[], $3::timestamptz[], $4::timestamptz[]) as w (ip_hash, since, until)
         cross join lateral (
             select t.person_id, t.occurred_at from touchpoints t
             where t.brand_id = $1 and t.ip_hash = w.ip_hash and t.occurred_at > w.since and t.occurred_at <= w.until
                   and t.kind = 'SIGNUP'
             order by t.occurred_at desc limit $5) t")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Binary>, _>(spans.keys)
    .bind::<Array<Timestamptz>, _>(spans.since)
    .bind::<Array<Timestamptz>, _>(spans.until)
    .bind::<BigInt, _>(CROWD_ROWS_MAX)
    .load(conn)
    .await?;
    let mut crowds: HashMap<Vec<u8>, Vec<(Uuid, DateTime<Utc>)>> = HashMap::new();
    for row in rows {
        crowds.entry(row.ip_hash).or_default().push((row.person_id, row.occurred_at));
    }
    Ok(crowds)
}

#[derive(QueryableByName)]
struct SharingRow {
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
}

/// Whose device or anonymous id was the referrer's before.
async fn sharing_a_device(conn: &mut Conn, scope: &Scope, cases: &[Case<'_>]) -> Result<HashSet<Uuid>> {
    let is_known = |case: &&Case<'_>| {
        case.joined.referrer_id.is_some()
            && case.event.is_some_and(|event| event.device_hash.is_some() || event.anonymous_hash.is_some())
    };
    let cases: Vec<&Case<'_>> = cases.iter().filter(is_known).collect();
    if cases.is_empty() {
        return Ok(HashSet::new());
    }
    let device = |case: &&Case<'_>| case.event.and_then(|event| event.device_hash).map(|hash| hash.0.to_vec());
    let anonymous = |case: &&Case<'_>| case.event.and_then(|event| event.anonymous_hash).map(|hash| hash.0.to_vec());
    let rows: Vec<SharingRow> = sql("select w.member_id
         from unnest($2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[], $6::uuid[])
              as w (member_id, referrer_id, device_hash, anonymous_hash, person_id)
         where exists (
             select from members r
             join people rp on rp.brand_id = r.brand_id and rp.id = r.person_id
             join people alias on alias.brand_id = r.brand_id and alias.canonical_id = rp.canonical_id
             join touchpoints t on t.brand_id = alias.brand_id and t.person_id = alias.id and t.device_hash = w.device_hash
             where r.brand_id = $1 and r.id = w.referrer_id and rp.canonical_id <> w.person_id)
         or exists (
             select from members r
             join people rp on rp.brand_id = r.brand_id and rp.id = r.person_id
             join people alias on alias.brand_id = r.brand_id and alias.canonical_id = rp.canonical_id
             join identities i on i.brand_id = alias.brand_id and i.person_id = alias.id and i.kind = 'anonymous'
                                  and i.value_hash = w.anonymous_hash
             where r.brand_id = $1 and r.id = w.referrer_id and rp.canonical_id <> w.person_id)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(cases.iter().map(|case| case.joined.member_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(cases.iter().map(|case| case.joined.referrer_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(cases.iter().map(device).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(cases.iter().map(anonymous).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(cases.iter().map(|case| case.person_id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.member_id).collect())
}
