//! The counts behind the cohorts, in one statement.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::Span;
use super::{CohortSegment, Question, Tally};
use crate::access::Scope;
use crate::base::limits::COHORT_SEGMENTS_MAX;
use crate::base::{Error, Kind, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = Timestamptz)]
    start: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    segment: String,
    #[diesel(sql_type = Integer)]
    days: i32,
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    inviters: i64,
    #[diesel(sql_type = BigInt)]
    invites: i64,
    #[diesel(sql_type = BigInt)]
    converted: i64,
    #[diesel(sql_type = BigInt)]
    converted_squared: i64,
    #[diesel(sql_type = Nullable<Double>)]
    cycle_time_hours: Option<f64>,
}

/// Binds: 1 brand, 2 start, 3 end, 4 interval, 5 windows in days, 6 segment, 7 rows at most, 8 campaign (in that variant only).
///
/// A member's `joined_at` is its sign-up once it has signed up, which is what the indexes are on. A person is counted once per inviter,
/// at the first of its touches since the inviter's sign-up, its invitation and its own sign-up.
macro_rules! tally_sql {
    ($of_campaign:literal) => {
        concat!(
            "with cohort as materialized (
                 select m.id, m.signed_up_at as began_at, coalesce(p.canonical_id, m.id) as person_id,
                        date_trunc($4, m.signed_up_at, 'UTC') as start,
                        coalesce(case $6
                            when 'CREATOR' then m.creator_id::text
                            when 'DEGREE' then m.depth::text
                            when 'PLATFORM' then (
                                select t.platform from people a
                                join touchpoints t on t.brand_id = a.brand_id and t.person_id = a.id and t.kind = 'SIGNUP'
                                where a.brand_id = $1 and a.canonical_id = p.canonical_id
                                order by t.occurred_at, t.id limit 1)
                        end, '') as segment
                 from members m
                 left join people p on p.brand_id = m.brand_id and p.id = m.person_id
                 where m.brand_id = $1 and m.joined_at >= $2 and m.joined_at < $3 and m.signed_up_at is not null ",
            $of_campaign,
            "),
             win as (
                 select days, place, make_interval(hours => days * 24) as span from unnest($5::int4[]) with ordinality as w (days, place)),
             referee as materialized (
                 select c.id as inviter_id, c.began_at, c.start, c.segment, coalesce(p.canonical_id, r.id) as person_id, r.signed_up_at,
                        case when r.signed_up_at is null then r.joined_at
                             when r.created_at < r.signed_up_at then r.created_at end as invited_at
                 from cohort c
                 join members r on r.brand_id = $1 and r.referrer_id = c.id
                 left join people p on p.brand_id = $1 and p.id = r.person_id),
             touch as materialized (
                 select c.id as inviter_id, p.canonical_id as person_id, min(t.occurred_at) as first_at,
                        min(t.occurred_at) filter (where t.occurred_at >= c.began_at) as since_at
                 from cohort c
                 join touchpoints t on t.brand_id = $1 and t.referrer_id = c.id
                      and t.occurred_at < c.began_at + (select max(span) from win)
                 join links l on l.brand_id = $1 and l.id = t.link_id and l.member_id = c.id
                 join people p on p.brand_id = $1 and p.id = t.person_id
                 where t.kind in ('CLICK', 'VIEW', 'OPEN', 'INSTALL') and t.decision <> 'BLOCK' and t.agent_class <> 'PREVIEW'
                   and p.canonical_id <> c.person_id
                 group by c.id, p.canonical_id),
             invite as (
                 select inviter_id, min(reached_at) as reached_at
                 from (select inviter_id, person_id, since_at as reached_at from touch where since_at is not null
                       union all
                       select inviter_id, person_id, signed_up_at from referee where signed_up_at >= began_at
                       union all
                       select inviter_id, person_id, invited_at from referee where invited_at >= began_at) reach
                 group by inviter_id, person_id),
             deed as (
                 select inviter_id, reached_at as done_at, 1 as invited, 0 as converted from invite
                 union all
                 select inviter_id, signed_up_at, 0, 1 from referee where signed_up_at is not null),
             per_member as (
                 select c.start, c.segment, w.days, sum(d.invited) as invited, sum(d.converted) as converted
                 from deed d
                 join cohort c on c.id = d.inviter_id
                 join win w on d.done_at >= c.began_at and d.done_at < c.began_at + w.span
                 group by c.id, c.start, c.segment, w.days),
             tally as (
                 select start, segment, days, count(*) filter (where invited > 0) as inviters, sum(invited) as invites,
                        sum(converted) as converted, sum(converted * converted) as converted_squared
                 from per_member group by start, segment, days),
             cycle as (
                 select r.start, r.segment, w.days,
                        percentile_cont(0.5) within group (order by extract(epoch from r.signed_up_at - o.opened_at)::float8 / 3600)
                            as hours
                 from referee r
                 left join touch t on t.inviter_id = r.inviter_id and t.person_id = r.person_id
                 cross join lateral (
                     select case when t.first_at <= r.signed_up_at then t.first_at else r.invited_at end as opened_at) o
                 join win w on r.signed_up_at >= r.began_at and r.signed_up_at < r.began_at + w.span
                 where o.opened_at is not null
                 group by r.start, r.segment, w.days),
             sized as (
                 select start, segment, count(*) as size from cohort group by start, segment)
             select s.start, s.segment, w.days, s.size, coalesce(t.inviters, 0) as inviters, coalesce(t.invites, 0)::int8 as invites,
                    coalesce(t.converted, 0)::int8 as converted, coalesce(t.converted_squared, 0)::int8 as converted_squared,
                    y.hours as cycle_time_hours
             from sized s
             cross join win w
             left join tally t on t.start = s.start and t.segment = s.segment and t.days = w.days
             left join cycle y on y.start = s.start and y.segment = s.segment and y.days = w.days
             order by s.start, s.segment, w.place
             limit $7"
        )
    };
}

pub(super) async fn tallies(conn: &mut Conn, scope: &Scope, question: &Question, span: Span) -> Result<Vec<Tally>> {
    let text = match question.campaign_id {
        Some(_) => tally_sql!("and m.campaign_id = $8"),
        None => tally_sql!(""),
    };
    let rows_max = (COHORT_SEGMENTS_MAX + 1) * question.windows_days.len();
    let query = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(span.start)
        .bind::<Timestamptz, _>(span.end)
        .bind::<Text, _>(question.interval.as_str())
        .bind::<Array<Integer>, _>(&question.windows_days)
        .bind::<Text, _>(question.segment_by.as_str())
        .bind::<BigInt, _>(i64::try_from(rows_max).unwrap_or(i64::MAX));
    let rows: Vec<TallyRow> = match question.campaign_id {
        Some(campaign_id) => query.bind::<SqlUuid, _>(campaign_id).load(conn).await?,
        None => query.load(conn).await?,
    };
    rows.into_iter().map(|row| to_tally(question.segment_by, row)).collect()
}

fn to_tally(segment_by: CohortSegment, row: TallyRow) -> Result<Tally> {
    let segment = match segment_by {
        _ if row.segment.is_empty() => None,
        CohortSegment::Creator => {
            let id: Uuid = row.segment.parse().map_err(|error| Error::fault("reading a cohort's creator", error))?;
            Some(Kind::Creator.id(id))
        }
        _ => Some(row.segment),
    };
    Ok(Tally {
        start: row.start.date_naive(),
        segment,
        days: row.days,
        size: row.size,
        inviters: row.inviters,
        invites: row.invites,
        converted: row.converted,
        converted_squared: row.converted_squared,
        cycle_time_hours: row.cycle_time_hours,
    })
}
