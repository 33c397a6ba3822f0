//! Events that stop whatever works on them: each costs itself five tries, and its neighbours nothing.

use std::time::Duration;

use grapevine::access::{NewBrand, Scope, create_brand};
use grapevine::base::Env;
use grapevine::ingest::Origin;
use grapevine::platforms::{Scheme, parse};
use serde_json::{Value, json};

use super::pipeline::{send, world};
use super::rebuild::all_below_the_horizon;
use crate::support::{TestApp, spawn};

/// Clicks on the creator's link, the one at `poison` marked by its `sub_id`.
async fn clicks(app: &TestApp, count: usize, poison: usize) {
    let click = |index: usize| {
        let mark = if index == poison { "poison" } else { "good" };
        json!({"event_id": format!("e{index}"), "event_type": "click", "link_token": "zoe-link", "ip": format!("192.0.2.{index}"),
            "anonymous_id": format!("p{index}"), "sub_id": mark})
    };
    send(app, Value::Array((0..count).map(click).collect())).await;
}

/// Makes the database do this whenever the poison becomes a touchpoint.
async fn when_poisoned(app: &TestApp, statement: &str) {
    app.execute(&format!(
        "create function poison() returns trigger language plpgsql as $$ begin
             if new.sub_id = 'poison' then {statement}; end if;
             return new;
         end $$;
         create trigger poison before insert on touchpoints for each row execute function poison()"
    ))
    .await;
}

/// The poison is buried after five tries with this word in its reason, and the others have had their effect.
async fn only_the_poison_is_dead(app: &TestApp, count: i64, word: &str) {
    let dead = app.texts("select reason as text from events where state = 'DEAD' and attempt_count = 5").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].contains(word), "{dead:?}");
    assert_eq!(app.sql_count("select count(*) from events where state <> 'ACCEPTED'").await, 1);
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, count - 1);
    assert_eq!(
        app.sql_count("select count(*) from attempts where attempt_count > 0 or until_xid is not null").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_event_and_not_the_process() {
    let app = world().await;
    clicks(&app, 30, 17).await;
    // An hour before the first moment that can be written down cannot be told.
    app.execute("update events set payload = jsonb_set(payload, '{occurred_at}', '\"-262143-01-01T00:00:00Z\"') where payload ->> 'sub_id' = 'poison'")
        .await;
    assert_eq!(app.drain().await, 29);
    only_the_poison_is_dead(&app, 30, "panicked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_costs_only_itself() {
    let app = world().await;
    clicks(&app, 30, 0).await;
    app.execute("update events set payload = '5' where payload ->> 'sub_id' = 'poison'").await;
    assert_eq!(app.drain().await, 29);
    only_the_poison_is_dead(&app, 30, "reading an event").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_its_connection_costs_only_itself() {
    let app = world().await;
    clicks(&app, 30, 29).await;
    when_poisoned(&app, "perform pg_terminate_backend(pg_backend_pid())").await;
    while app.sql_count("select count(*) from events where state = 'DEAD'").await == 0 {
        // A lost connection is a fault of the moment as far as one can see: the worker rests, and comes back.
        if let Err(error) = grapevine::worker::drain(&app).await {
            assert!(error.is_transient(), "{error}");
        }
    }
    app.drain().await;
    only_the_poison_is_dead(&app, 30, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kills_the_worker_is_buried_and_its_neighbours_go_on() {
    let app = world().await;
    // The worker of its own process goes by the real time, and would find the keys of this test old enough to be pruned.
    app.advance(Env::system().now() - app.now());
    clicks(&app, 24, 12).await;
    when_poisoned(&app, "perform pg_sleep(5)").await;
    let sleeping =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    for _ in 0..5 {
        let mut worker = spawn(&app, "work");
        while app.sql_count(sleeping).await == 0 {
            assert!(worker.try_wait().unwrap().is_none(), "the worker ended by itself");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        worker.kill().await.unwrap();
        // The database would sleep on, and hold the shard: as where a machine is lost with its worker, the connection ends too.
        while app.sql_count(sleeping).await > 0 {
            app.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'")
                .await;
        }
    }
    app.drain().await;
    only_the_poison_is_dead(&app, 24, "ended while it worked on this event").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_cannot_go_on_holds_up_no_other() {
    let app = world().await;
    let brand = NewBrand { slug: "other".into(), name: "Other".into(), currency: "USD".parse().unwrap() };
    let other = create_brand(&mut app.db.conn().await.unwrap(), &app.env, brand).await.unwrap();
    // The first shard has a ruling that cannot be followed, the last one an event.
    app.execute(
        "update brands set shard = 0 where slug = 'acme'; update brands set shard = 15 where slug = 'other';
         insert into merge_rulings (brand_id, id, merge_id, reason, ruled_at, recorded_xid, seq)
         select id, gen_random_uuid(), gen_random_uuid(), 'A phone that was lent', created_at, 0, 0 from brands where slug = 'acme';
         create function refuse() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
         create trigger refuse before update on merge_rulings for each row execute function refuse()",
    )
    .await;
    let scope = Scope { shard: 15, ..other.scope() };
    let sale = json!([{"event_type": "conversion", "user_id": "ann", "order_id": "o", "conversion_value": "1.00"}]);
    let items = parse(Scheme::Generic, sale.to_string().as_bytes()).items;
    app.door.accept(&Origin::first_party(scope), items).await.unwrap();
    all_below_the_horizon(&app).await;
    assert!(grapevine::worker::drain(&app).await.is_err(), "what holds the first one up is told");
    assert_eq!(app.sql_count("select count(*) from conversions").await, 1);
    app.execute("drop trigger refuse on merge_rulings").await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from merge_rulings where done_at is null").await, 0);
}
