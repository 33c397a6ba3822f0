//! The cohorts' one statement against the same definitions worked out row by row in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use diesel_async::RunQueryDsl;
use grapevine::cohorts::{CohortInterval, CohortSegment, KFactorWindow, Question, k_factor_cohorts};
use grapevine::db::sql;
use grapevine::events::open_day;
use grapevine::members::import::import_members;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::support::TestApp;

/// A small generator with a seed: the same rows on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[derive(Deserialize)]
struct Member {
    id: Uuid,
    referrer_id: Option<Uuid>,
    campaign_id: Option<Uuid>,
    person: Uuid,
    depth: i32,
    joined_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    signed_up_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Touch {
    owner: Uuid,
    person: Uuid,
    counts: bool,
    at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct World {
    members: Vec<Member>,
    touches: Vec<Touch>,
}

#[derive(diesel::QueryableByName)]
struct TextRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

const READ: &str = "select json_build_object(
    'members', (select json_agg(json_build_object('id', m.id, 'referrer_id', m.referrer_id, 'campaign_id', m.campaign_id,
        'person', coalesce(p.canonical_id, m.id), 'depth', m.depth, 'joined_at', m.joined_at, 'created_at', m.created_at,
        'signed_up_at', m.signed_up_at)) from members m left join people p on p.id = m.person_id),
    'touches', (select json_agg(json_build_object('owner', l.member_id, 'person', p.canonical_id, 'at', t.occurred_at,
        'counts', t.decision <> 'BLOCK' and t.agent_class <> 'PREVIEW' and t.kind in ('CLICK', 'VIEW', 'OPEN', 'INSTALL')))
        from touchpoints t join links l on l.id = t.link_id join people p on p.id = t.person_id where l.member_id is not null)
    )::text as text";

/// People, some of them merged; a link of every member; touches of all kinds before, within and after the windows.
const TOUCHES: &str = "
    insert into people (brand_id, id, canonical_id, created_at)
    select b.id, md5('person' || n)::uuid, md5('person' || n)::uuid, b.created_at from brands b, generate_series(1, 150) n;
    update people set canonical_id = md5('person' || 7)::uuid where id in (md5('person8')::uuid, md5('person9')::uuid);
    update members m set person_id = md5('person' || m.number)::uuid
    where m.number % 5 <> 0 and m.number <= 60 and m.number not in (8, 9);
    insert into links (brand_id, id, token, campaign_id, member_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
    select brand_id, md5('link' || number)::uuid, 'link-' || number, '00000000-0000-0000-0000-0000000000a1', id, 'WEB', 'https://acme.example/',
           's', 'm', 'c', joined_at
    from members;
    insert into touchpoints (brand_id, id, person_id, kind, occurred_at, recorded_at, referrer_id, link_id, campaign_id, platform, agent_class,
                             has_consent, decision)
    select m.brand_id, md5('touch' || n)::uuid, md5('person' || (1 + (n * 7919) % 150))::uuid,
           (array['CLICK', 'VIEW', 'OPEN', 'INSTALL', 'SIGNUP', 'ACTIVATION', 'CLICK'])[1 + n % 7],
           m.joined_at + make_interval(hours => ((n * 37) % 1400) - 300), m.joined_at, m.id, md5('link' || m.number)::uuid,
           '00000000-0000-0000-0000-0000000000a1', 'WEB', case when n % 11 = 0 then 'PREVIEW' else 'BROWSER' end, true,
           case when n % 13 = 0 then 'BLOCK' when n % 5 = 0 then 'REVIEW' else 'ALLOW' end
    from generate_series(1, 900) n join members m on m.number = 1 + (n * 104729) % 80;
    insert into events (brand_id, id, source_id, shard, event_type, state, occurred_at, recorded_at, payload)
    select t.brand_id, t.id, '00000000-0000-0000-0000-000000000000', b.shard, lower(t.kind), 'ACCEPTED', t.occurred_at, RECORDED_AT, '{}'
    from touchpoints t join brands b on b.id = t.brand_id;
    insert into positions (consumer, shard, recorded_xid, seq, moved_at, since)
    select 'pipeline', shard, recorded_xid, seq, recorded_at, recorded_at from events order by recorded_xid desc, seq desc limit 1
    on conflict (consumer, shard) do update set recorded_xid = excluded.recorded_xid, seq = excluded.seq;
";

async fn world(app: &TestApp) -> World {
    app.execute(
        "insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, created_at)
         select id, '00000000-0000-0000-0000-0000000000a1', 'launch', 'Launch', 'CONVERSION', 'ACTIVE', 'USD', 1, created_at from brands;
         insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
         select id, '00000000-0000-0000-0000-0000000000a1', 1,
                '{\"model\": \"LINEAR\", \"lookback_hours\": 168, \"last_touch_weight_ppm\": 600000, \"half_life_hours\": 168, \"is_cross_device\": true}',
                '{\"kind\": \"CREDIT\", \"activation_threshold\": 1, \"tiers\": [], \"escrow_days\": 3}',
                '{\"velocity_per_hour\": 1000, \"referrals_per_window\": 10, \"window_hours\": 24, \"ip_correlation_limit\": 5,
                  \"block_score_ppm\": 500000, \"review_score_ppm\": 300000, \"signals\": []}', created_at
         from brands",
    )
    .await;
    let mut dice = Dice(7);
    let start: DateTime<Utc> = "2026-05-20T00:00:00Z".parse().unwrap();
    let mut rows = "external_id,referrer_external_id,joined_at,creator,campaign,status\n".to_owned();
    for index in 0..80_u64 {
        let joined_at = start + TimeDelta::minutes(i64::try_from(dice.below(70 * 1_440)).unwrap());
        let referrer = if index < 6 { String::new() } else { format!("u{}", dice.below(index)) };
        let campaign = if dice.below(3) == 0 { "launch" } else { "" };
        let status = if index > 6 && dice.below(6) == 0 { "INVITED" } else { "" };
        rows += &format!("u{index},{referrer},{},,{campaign},{status}\n", joined_at.to_rfc3339());
    }
    let mut rejected = Vec::new();
    let summary = import_members(&app.db, &app.scope, &app.env, rows.as_bytes(), &mut rejected, &|_| ()).await.unwrap();
    assert_eq!(summary.imported, 80, "{}", String::from_utf8_lossy(&rejected));
    // So long ago that their keys are forgotten.
    let recorded_at = app.now() - TimeDelta::days(100);
    open_day(&app.db, recorded_at.date_naive()).await.unwrap();
    app.execute(&TOUCHES.replace("RECORDED_AT", &format!("'{recorded_at}'"))).await;
    // Some members were invited some days before they signed up; the others were heard of at their sign-up.
    app.execute(
        "update members set created_at = signed_up_at - make_interval(hours => case when number % 4 = 0 then number::int * 3 else 0 end)
         where signed_up_at is not null",
    )
    .await;
    let mut conn = app.db.conn().await.unwrap();
    let row: TextRow = sql(READ).get_result(&mut conn).await.unwrap();
    serde_json::from_str(&row.text).unwrap()
}

fn start_of(interval: CohortInterval, day: NaiveDate) -> NaiveDate {
    match interval {
        CohortInterval::Day => day,
        CohortInterval::Week => day - Days::new(u64::from(day.weekday().num_days_from_monday())),
        CohortInterval::Month => day.with_day(1).unwrap(),
    }
}

/// What one member did within its window: the people it reached, its converted referees, and their hours.
fn deeds(world: &World, member: &Member, days: i32) -> (BTreeSet<Uuid>, i64, Vec<f64>) {
    let began = member.signed_up_at.unwrap();
    let ended = began + TimeDelta::days(i64::from(days));
    let is_within = |at: DateTime<Utc>| at >= began && at < ended;
    let mut reached = BTreeSet::new();
    let (mut converted, mut hours) = (0, Vec::new());
    let touches: Vec<&Touch> = world
        .touches
        .iter()
        .filter(|touch| touch.owner == member.id && touch.counts && touch.person != member.person)
        .collect();
    reached.extend(touches.iter().filter(|touch| is_within(touch.at)).map(|touch| touch.person));
    for referee in world.members.iter().filter(|other| other.referrer_id == Some(member.id)) {
        let invited_at = match referee.signed_up_at {
            None => Some(referee.joined_at),
            Some(signed_up_at) => (referee.created_at < signed_up_at).then_some(referee.created_at),
        };
        if invited_at.is_some_and(is_within) {
            reached.insert(referee.person);
        }
        let Some(signed_up_at) = referee.signed_up_at.filter(|at| is_within(*at)) else { continue };
        reached.insert(referee.person);
        converted += 1;
        let first = touches.iter().filter(|touch| touch.person == referee.person).map(|touch| touch.at).min();
        let opened = first.filter(|first| *first <= signed_up_at).or(invited_at);
        hours.extend(opened.map(|at| f64::from(i32::try_from((signed_up_at - at).num_seconds()).unwrap()) / 3_600.0));
    }
    (reached, converted, hours)
}

fn median(mut hours: Vec<f64>) -> Option<f64> {
    hours.sort_by(f64::total_cmp);
    let middle = hours.len() / 2;
    match hours.len() {
        0 => None,
        count if count % 2 == 1 => Some(hours[middle]),
        _ => Some(f64::midpoint(hours[middle - 1], hours[middle])),
    }
}

fn check_window(cohort: &[&Member], world: &World, window: &KFactorWindow) {
    let all: Vec<_> = cohort.iter().map(|member| deeds(world, member, window.days)).collect();
    let count = |number: usize| i64::try_from(number).unwrap();
    assert_eq!(window.inviters, count(all.iter().filter(|deeds| !deeds.0.is_empty()).count()));
    assert_eq!(window.invites, all.iter().map(|deeds| count(deeds.0.len())).sum::<i64>());
    assert_eq!(window.converted_invites, all.iter().map(|deeds| deeds.1).sum::<i64>());
    let hours = median(all.into_iter().flat_map(|deeds| deeds.2).collect());
    match (window.cycle_time_hours, hours) {
        (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-3, "{found} {expected}"),
        (found, expected) => assert_eq!(found, expected),
    }
    assert!(window.k_factor_low <= window.k_factor && window.k_factor <= window.k_factor_high);
    assert!((window.invites_per_member * window.conversion_rate - window.k_factor).abs() < 1e-9);
}

async fn check(
    app: &TestApp,
    world: &World,
    interval: CohortInterval,
    segment_by: CohortSegment,
    campaign: Option<Uuid>,
) {
    let (from, to) = ("2026-05-28".parse().unwrap(), "2026-07-16".parse().unwrap());
    let question = Question { campaign_id: campaign, interval, from, to, windows_days: vec![14, 1, 45], segment_by };
    let mut conn = app.db.conn().await.unwrap();
    let before = app.statement_count();
    let found = k_factor_cohorts(&mut conn, &app.scope, app.now(), &question).await.unwrap();
    assert_eq!(app.statement_count() - before, 1, "one statement, however many cohorts");

    let mut expected: BTreeMap<(NaiveDate, Option<String>), Vec<&Member>> = BTreeMap::new();
    for member in world.members.iter().filter(|member| campaign.is_none() || member.campaign_id == campaign) {
        let Some(signed_up_at) = member.signed_up_at else { continue };
        let start = start_of(interval, signed_up_at.date_naive());
        if start >= start_of(interval, from) && start <= start_of(interval, to - Days::new(1)) {
            let segment = (segment_by == CohortSegment::Degree).then(|| member.depth.to_string());
            expected.entry((start, segment)).or_default().push(member);
        }
    }
    assert!(expected.len() > 1, "there is something to compare");
    let keys: Vec<_> = found.iter().map(|cohort| (cohort.start, cohort.segment.clone())).collect();
    assert_eq!(keys, expected.keys().cloned().collect::<Vec<_>>());
    for (cohort, members) in found.iter().zip(expected.values()) {
        assert_eq!(usize::try_from(cohort.size).unwrap(), members.len());
        assert_eq!(cohort.windows.iter().map(|window| window.days).collect::<Vec<_>>(), [14, 1, 45]);
        cohort.windows.iter().for_each(|window| check_window(members, world, window));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_counts_what_the_definitions_say() {
    let app = TestApp::start().await;
    let world = world(&app).await;
    let invites: i64 = world.members.iter().filter(|member| member.signed_up_at.is_none()).map(|_| 1).sum();
    assert!(invites > 3 && world.touches.len() > 500, "the rows hold every case");
    let campaign = Some(Uuid::from_u128(0xa1));
    for interval in [CohortInterval::Day, CohortInterval::Week, CohortInterval::Month] {
        check(&app, &world, interval, CohortSegment::None, None).await;
        check(&app, &world, interval, CohortSegment::None, campaign).await;
        check(&app, &world, interval, CohortSegment::Degree, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_asks_the_same_question() {
    let app = TestApp::start().await;
    world(&app).await;
    let query = "query($to: Date!) { kFactorCohorts(from: \"2026-06-01\", to: $to) { start segment size windows { days mature kFactor } } }";
    let data = app.data(query, json!({ "to": "2026-06-15" })).await;
    let cohorts = data["kFactorCohorts"].as_array().unwrap();
    assert_eq!(cohorts[0]["start"], "2026-06-01");
    let days: Vec<i64> =
        cohorts[0]["windows"].as_array().unwrap().iter().map(|one| one["days"].as_i64().unwrap()).collect();
    assert_eq!(days, [7, 14, 30]);
    let refused = app.gql(query, json!({ "to": "2026-06-01" })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "INVALID");
    assert_eq!(refused["errors"][0]["extensions"]["argument"], "to");
}
