//! The log by days: made ahead and where they are missing, dropped once they are read and old enough, and never a cost of those that
//! read and write today.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::SimpleAsyncConnection;
use grapevine::access::Scope;
use grapevine::base::Page;
use grapevine::db::{Conn, sql};
use grapevine::events::reads::{EventFilter, EventState, event_count, event_page, events_by_ids};
use grapevine::events::{keep, log_begins_at};
use grapevine::ingest::{Door, Origin, ReceiptStatus, forget_keys};
use grapevine::platforms::{Scheme, parse};
use grapevine::worker::{self, PIPELINE};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::pipeline::{send, world};
use crate::support::{TestApp, connect};

const TABLES: &str = "select count(*) from pg_inherits where inhparent = 'events'::regclass";
const REPLAY: &str = "mutation($input: ReplayEventsInput!) { replayEvents(input: $input) {
    replay { queued logBeginsAt } userErrors { code path message } } }";

fn click(name: &str) -> Value {
    json!([{"event_id": name, "event_type": "click", "anonymous_id": "a", "link_token": "zoe-link"}])
}

fn queued() -> Vec<(ReceiptStatus, Option<&'static str>)> {
    vec![(ReceiptStatus::Queued, None)]
}

async fn keep_days(app: &TestApp, days: u64) {
    keep(&app.db, app.env.now(), Some(days)).await.unwrap();
}

async fn replay(app: &TestApp, input: Value) -> Value {
    let mut input = input;
    input["reason"] = json!("To see what is there.");
    app.data(REPLAY, json!({ "input": input })).await["replayEvents"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_at_once_make_each_day_ahead_once() {
    let app = world().await;
    let all = (0..8).map(|_| keep(&app.db, app.env.now(), None));
    for outcome in futures_util::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(app.sql_count(TABLES).await, 4);
    app.advance(TimeDelta::days(1));
    keep(&app.db, app.env.now(), None).await.unwrap();
    assert_eq!(app.sql_count(TABLES).await, 5);
    let last = "select count(*) from pg_inherits where inhrelid = 'events_20260819'::regclass";
    assert_eq!(app.sql_count(last).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_makes_the_day_that_nobody_made() {
    let app = world().await;
    assert_eq!(app.sql_count(TABLES).await, 0);
    assert_eq!(send(&app, click("e1")).await, queued());
    app.advance(TimeDelta::days(40));
    assert_eq!(send(&app, click("e2")).await, queued());
    assert_eq!(app.sql_count(TABLES).await, 2);
    assert_eq!(app.drain().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_doors_at_once_make_the_day_that_they_need_once() {
    let app = world().await;
    let doors = (0..8).map(|number| {
        let door = Door::open(app.db.clone(), app.env.clone(), app.keyring.clone());
        let origin = Origin::first_party(app.scope.clone());
        let items = parse(Scheme::Generic, click(&format!("e{number}")).to_string().as_bytes()).items;
        async move { door.accept(&origin, items).await.unwrap()[0].status }
    });
    assert_eq!(futures_util::future::join_all(doors).await, [ReceiptStatus::Queued; 8]);
    assert_eq!(app.sql_count(TABLES).await, 1);
    assert_eq!(app.drain().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_read_and_old_enough_is_dropped_whole_and_what_needs_it_says_so() {
    let app = world().await;
    send(&app, click("old")).await;
    let unknown = json!([{"event_id": "never", "event_type": "click", "creator_id": "late", "anonymous_id": "a"}]);
    send(&app, unknown).await;
    app.drain().await;
    let ids = app.texts("select id::text as text from events order by id").await;
    let old_id = grapevine::base::Kind::Event.id(ids[0].parse().unwrap());
    app.advance(TimeDelta::days(30));
    send(&app, click("new")).await;
    app.drain().await;
    keep_days(&app, 30).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 3, "30 days old is not over 30 days old");
    assert_eq!(replay(&app, json!({})).await["replay"]["logBeginsAt"], Value::Null);

    app.advance(TimeDelta::days(1));
    keep_days(&app, 30).await;
    keep_days(&app, 30).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 1);
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 2, "what followed stays");
    let begins_at: DateTime<Utc> = "2026-08-16T00:00:00Z".parse().unwrap();
    assert_eq!(log_begins_at(&mut app.db.conn().await.unwrap()).await.unwrap(), Some(begins_at));
    assert_eq!(replay(&app, json!({})).await["replay"]["logBeginsAt"], "2026-08-16T00:00:00+00:00");
    let from = |from: &str| json!({"filter": {"from": from}});
    let refused = replay(&app, from("2026-08-15T23:59:59Z")).await["userErrors"][0].take();
    assert_eq!((&refused["code"], &refused["path"]), (&json!("INVALID"), &json!(["filter", "from"])));
    assert!(refused["message"].as_str().unwrap().contains("begins at 2026-08-16T00:00:00Z"), "{refused}");
    assert_eq!(replay(&app, from("2026-08-16T00:00:00Z")).await["userErrors"], json!([]));
    let refused = replay(&app, json!({"eventIds": [old_id]})).await["userErrors"][0].take();
    assert!(refused["message"].as_str().unwrap().contains("no longer kept"), "{refused}");
    // A sender that tries again after a month is still known.
    assert_eq!(send(&app, click("old")).await, vec![(ReceiptStatus::Duplicate, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_which_an_event_waits_stays_and_so_do_those_after_it() {
    let app = world().await;
    send(&app, click("e1")).await;
    app.advance(TimeDelta::days(1));
    send(&app, json!([{"event_id": "never", "event_type": "click", "creator_id": "late", "anonymous_id": "a"}])).await;
    app.advance(TimeDelta::days(9));
    keep_days(&app, 1).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 2, "no worker has ever read it");
    app.drain().await;
    app.execute("update positions set recorded_xid = 0, seq = 0, since = '1970-01-01 00:00:00Z'").await;
    keep_days(&app, 1).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 2, "the worker has gone back");
    app.drain().await;
    keep_days(&app, 1).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 0);
    assert_eq!(app.sql_count("select count(*) from dropped_days").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_gives_way_to_those_who_use_the_log() {
    let app = world().await;
    send(&app, click("e1")).await;
    app.drain().await;
    app.advance(TimeDelta::days(9));
    let mut reader = connect(app.database_url()).await;
    reader.batch_execute("begin; select count(*) from events").await.unwrap();
    keep_days(&app, 1).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 1);
    reader.batch_execute("commit").await.unwrap();
    keep_days(&app, 1).await;
    assert_eq!(app.sql_count("select count(*) from events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stop_a_repetition_for_ninety_days_however_short_the_log_is_kept() {
    let app = world().await;
    send(&app, click("e1")).await;
    app.drain().await;
    app.advance(TimeDelta::days(90));
    keep_days(&app, 1).await;
    forget_keys(&app.db, app.now()).await.unwrap();
    assert_eq!(app.sql_count("select count(*) from events").await, 0);
    assert_eq!(send(&app, click("e1")).await, vec![(ReceiptStatus::Duplicate, None)]);
    app.advance(TimeDelta::seconds(1));
    forget_keys(&app.db, app.now()).await.unwrap();
    assert_eq!(app.sql_count("select count(*) from event_keys").await, 0);
    assert_eq!(send(&app, click("e1")).await, queued());
    app.drain().await;
}

/// Runs a worker until it has left all days before `since` behind.
async fn work_until(app: &TestApp, since: DateTime<Utc>) {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker::run((**app).clone(), stop.clone()));
    while !PIPELINE.shards_behind(&mut app.db.conn().await.unwrap(), since).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_days_behind_records_is_read() {
    let app = world().await;
    send(&app, click("e1")).await;
    app.drain().await;
    work_until(&app, app.now() - TimeDelta::days(2)).await;
    app.advance(TimeDelta::days(-10));
    assert_eq!(send(&app, click("e2")).await, queued());
    assert_eq!(app.drain().await, 1, "who opens a day makes the readers look into it");

    app.advance(TimeDelta::days(10));
    app.execute("update positions set since = '2026-08-14 00:00:00Z'").await;
    app.advance(TimeDelta::days(-10));
    assert_eq!(send(&app, click("e3")).await, queued());
    app.advance(TimeDelta::days(10));
    assert_eq!(app.drain().await, 0, "the day was open, and left behind meanwhile");
    keep(&app.db, app.now(), None).await.unwrap();
    assert_eq!(app.drain().await, 1, "the hourly round finds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_above_the_horizon_is_not_left_behind() {
    let app = world().await;
    send(&app, click("e1")).await;
    app.drain().await;
    // A transaction that runs for days: what comes meanwhile may not be read yet.
    let mut dump = connect(app.database_url()).await;
    dump.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    send(&app, click("e2")).await;
    app.advance(TimeDelta::days(5));
    send(&app, click("e3")).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker::run((*app).clone(), stop.clone()));
    // Shards without events move on; the brand's own stays.
    let behind =
        async || PIPELINE.shards_behind(&mut app.db.conn().await.unwrap(), app.now() - TimeDelta::days(2)).await;
    while behind().await.unwrap() != [app.scope.shard] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dump.batch_execute("commit").await.unwrap();
    while app.sql_count("select count(*) from touchpoints").await < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
}

/// How many days' tables a transaction has in hand.
async fn days_in_hand(conn: &mut Conn) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let locks = sql("select count(distinct c.oid) as count from pg_locks l join pg_class c on c.oid = l.relation
         where l.pid = pg_backend_pid() and c.relispartition and c.relkind = 'r'");
    let found: Count = diesel_async::RunQueryDsl::get_result(locks, conn).await.unwrap();
    found.count
}

/// The days that a worker's round, a page of the newest events, what waits, and an event by identifier have in hand.
async fn days_touched(app: &TestApp) -> Vec<i64> {
    let newest: Vec<uuid::Uuid> = app
        .texts("select id::text as text from events order by seq desc limit 1")
        .await
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    let mut conn = connect(app.database_url()).await;
    let conn = &mut conn;
    let (scope, page) = (&app.scope, &Page::from_args(Some(1), None, None, None).unwrap());
    let waiting = &EventFilter { states: vec![EventState::Queued], ..EventFilter::default() };
    let mut touched = Vec::new();
    for step in 0..5 {
        conn.batch_execute("begin").await.unwrap();
        match step {
            0 => assert!(PIPELINE.shards_with_work(conn).await.unwrap().is_empty()),
            1 => {
                let position = PIPELINE.take(conn, scope.shard).await.unwrap().unwrap();
                assert!(PIPELINE.read(conn, scope.shard, position, None, 1_000).await.unwrap().is_empty());
                assert!(PIPELINE.head(conn, scope.shard, position).await.unwrap().is_none());
            }
            2 => assert_eq!(event_page(conn, scope, &EventFilter::default(), page).await.unwrap().items.len(), 1),
            3 => assert_eq!(event_count(conn, scope, waiting).await.unwrap(), 0),
            _ => assert_eq!(events_by_ids(conn, scope, &newest).await.unwrap().len(), 1),
        }
        touched.push(days_in_hand(conn).await);
        conn.batch_execute("rollback").await.unwrap();
    }
    touched
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_reads_today_grows_with_the_days_of_the_log() {
    let app = world().await;
    let live = async |days: i64| {
        for day in 0..days {
            app.advance(TimeDelta::days(1));
            send(&app, click(&format!("{day} of {days}"))).await;
        }
        app.drain().await;
        work_until(&app, app.now() - TimeDelta::days(2)).await;
    };
    live(8).await;
    let few = days_touched(&app).await;
    live(24).await;
    assert_eq!(app.sql_count(TABLES).await, 32 + 3);
    assert_eq!(days_touched(&app).await, few);
    // Yesterday, today and the three ahead; a page needs no more than the stretch that fills it.
    assert!(few.iter().all(|count| (1..=5).contains(count)), "{few:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_counts_are_whole_across_days_either_way() {
    let app = world().await;
    for days in [0, 1, 1, 3, 20, 200, 1] {
        app.advance(TimeDelta::days(days));
        let names = [format!("{}a", app.now()), format!("{}b", app.now())];
        send(&app, Value::Array(names.iter().map(|name| click(name)[0].take()).collect())).await;
    }
    let all = app.texts("select id::text as text from events order by recorded_at desc, id desc").await;
    let conn = &mut *app.db.conn().await.unwrap();
    let scope: &Scope = &app.scope;
    let filter = &EventFilter::default();
    assert_eq!(event_count(conn, scope, filter).await.unwrap(), 14);
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let mut page = Page::from_args(Some(3), None, None, None).unwrap();
    loop {
        let slice = event_page(conn, scope, filter, &page).await.unwrap();
        down.extend(slice.items.iter().map(|event| event.id.to_string()));
        page.after = slice.items.last().map(|event| event.place());
        if !slice.has_next {
            break;
        }
    }
    assert_eq!(down, all);
    let mut page = Page::from_args(None, None, Some(3), None).unwrap();
    loop {
        let slice = event_page(conn, scope, filter, &page).await.unwrap();
        up.extend(slice.items.iter().rev().map(|event| event.id.to_string()));
        page.before = slice.items.first().map(|event| event.place());
        if !slice.has_previous {
            break;
        }
    }
    assert_eq!(up, all.iter().rev().cloned().collect::<Vec<_>>());
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_split_and_put_together_again_with_every_row() {
    let app = world().await;
    for day in 0..3 {
        app.advance(TimeDelta::days(1));
        send(&app, click(&format!("e{day}"))).await;
    }
    send(&app, json!([{"event_id": "never", "event_type": "click", "creator_id": "late", "anonymous_id": "a"}])).await;
    app.drain().await;
    let rows = "select e::text as text from events e order by recorded_at, id";
    let before = app.texts(rows).await;
    let migration = |way: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/2026-11-21-001802_split_events_by_day");
        std::fs::read_to_string(format!("{folder}/{way}.sql")).unwrap()
    };
    app.execute(&migration("down")).await;
    assert_eq!(app.texts(rows).await, before);
    assert_eq!(app.sql_count("select count(*) from pg_class where relispartition").await, 0);
    app.execute(&migration("up")).await;
    assert_eq!(app.texts(rows).await, before);
    assert_eq!(app.sql_count(TABLES).await, 3);

    app.advance(TimeDelta::hours(1));
    assert_eq!(send(&app, click("after")).await, queued());
    assert_eq!(app.drain().await, 1);
    assert_eq!(app.sql_count("select count(distinct seq) from events").await, 5);
}
