//! What was refused or failed comes in again after the fix, and takes effect once however often it is asked for.

use chrono::TimeDelta;
use grapevine::base::Kind;
use grapevine::ingest::{Origin, ReceiptStatus, Ruled, Ruling, RulingVerb, Selection, rule};
use grapevine::platforms::{Scheme, parse};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};

use super::pipeline::{at, send, world};
use crate::support::{TestApp, binary};

const REPLAY: &str = "mutation($input: ReplayEventsInput!) { replayEvents(input: $input) {
    replay { queued quarantined unchanged hasMore endCursor failures { eventId code reason } } userErrors { code path } } }";
const DISCARD: &str = "mutation($input: DiscardEventsInput!) { discardEvents(input: $input) {
    discard { discarded unchanged } userErrors { code path } } }";
const EVENTS: &str =
    "query($filter: EventFilter) { events(filter: $filter) { nodes { id state code replays discardedAt } } }";

const NEW_CREATOR: &str = "insert into creators (brand_id, id, handle, display_name, status, created_at)
    select id, '00000000-0000-0000-0000-0000000000c2', 'late', 'Late', 'ACTIVE', created_at from brands";

/// A click on a page of a creator whom nobody knows yet.
fn late_click(number: usize) -> Value {
    json!({"event_id": format!("late-{number}"), "event_type": "click", "creator_id": "late", "anonymous_id": "phone", "campaign": "launch"})
}

async fn replay(app: &TestApp, input: Value) -> Value {
    let mut input = input;
    input["reason"] = json!("It was fixed.");
    let mut answer = app.data(REPLAY, json!({ "input": input })).await;
    assert_eq!(answer["replayEvents"]["userErrors"], json!([]), "{answer:#}");
    answer["replayEvents"]["replay"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_event_takes_effect_once_its_creator_exists() {
    let app = world().await;
    let refused = vec![(ReceiptStatus::Quarantined, Some("UNKNOWN_CREATOR"))];
    assert_eq!(send(&app, json!([late_click(1)])).await, refused);
    app.drain().await;
    let failed = replay(&app, json!({})).await;
    assert_eq!((&failed["queued"], &failed["quarantined"]), (&json!(0), &json!(1)));
    assert_eq!(failed["failures"][0]["code"], "UNKNOWN_CREATOR");

    app.execute(NEW_CREATOR).await;
    // It is as old as when it came, however late it is taken in.
    app.advance(TimeDelta::days(100));
    let before = app.data(EVENTS, json!({})).await["events"]["nodes"][0].take();
    assert_eq!(replay(&app, json!({})).await["queued"], 1);
    assert_eq!(app.drain().await, 1);
    let after = app.data(EVENTS, json!({})).await["events"]["nodes"][0].take();
    assert_eq!(
        after,
        json!({"id": before["id"], "state": "PROCESSED", "code": null, "replays": 2, "discardedAt": null})
    );
    assert_eq!(app.sql_count("select count(*) from touchpoints where creator_id is not null").await, 1);
    assert_eq!(app.sql_count("select count(*) from events where raw_sealed is not null").await, 0);

    let again = replay(&app, json!({"eventIds": [before["id"]]})).await;
    assert_eq!((&again["queued"], &again["unchanged"]), (&json!(0), &json!(1)));
    assert_eq!(send(&app, json!([late_click(1)])).await, vec![(ReceiptStatus::Duplicate, None)]);
    assert_eq!(app.drain().await, 0);
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_events_live_after_the_fix_and_eight_replays_at_once_are_one() {
    let app = world().await;
    app.execute("alter table touchpoints add constraint poison check (sub_id is distinct from 'poison')").await;
    let click = |index: usize| {
        json!({"event_id": format!("e{index}"), "event_type": "click", "anonymous_id": "a", "link_token": "zoe-link",
        "sub_id": if index < 3 { "poison" } else { "good" }})
    };
    send(&app, Value::Array((0..6).map(click).collect())).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from events where state = 'DEAD'").await, 3);
    app.execute("alter table touchpoints drop constraint poison").await;
    let ruling = Ruling {
        verb: RulingVerb::Replay,
        selection: Selection::Filter { filter: Default::default(), after: None, limit: 100 },
        reason: "The check is gone.".to_owned(),
    };
    let once = || {
        app.db.transaction(|conn| {
            let (app, ruling) = (&app, &ruling);
            async move { rule(conn, &app.scope, &app.env, &app.keyring, ruling).await }.scope_boxed()
        })
    };
    let all: Vec<Ruled> =
        futures_util::future::join_all((0..8).map(|_| once())).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().map(|ruled| ruled.changed_count).sum::<usize>(), 3);
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 6);
    assert_eq!(app.sql_count("select click_count as count from links").await, 6);
    assert_eq!(app.sql_count("select count(*) from events where state = 'ACCEPTED' and replay_count = 1").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_body_under_one_event_id_never_comes_in() {
    let app = world().await;
    send(&app, json!([{"event_id": "1", "event_type": "click", "anonymous_id": "a"}])).await;
    send(&app, json!([{"event_id": "1", "event_type": "click", "anonymous_id": "b"}])).await;
    let outcome = replay(&app, json!({})).await;
    assert_eq!((&outcome["queued"], &outcome["failures"][0]["code"]), (&json!(0), &json!("EVENT_ID_REUSED")));
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_go_by_their_delivery_are_two_where_it_came_twice_and_one_where_it_was_changed() {
    let app = world().await;
    let deliver = async |delivery: &str, device: &str| {
        let event = json!([{"event_type": "click", "creator_id": "late", "anonymous_id": device}]);
        let origin = Origin { delivery_id: Some(delivery.to_owned()), ..Origin::first_party(app.scope.clone()) };
        let items = parse(Scheme::Generic, event.to_string().as_bytes()).items;
        app.door.accept(&origin, items).await.unwrap()[0].code
    };
    let codes = [deliver("m1", "a").await, deliver("m2", "a").await, deliver("m1", "b").await];
    assert_eq!(codes, [Some("UNKNOWN_CREATOR"), Some("UNKNOWN_CREATOR"), Some("EVENT_ID_REUSED")]);
    app.execute(NEW_CREATOR).await;
    let outcome = replay(&app, json!({})).await;
    assert_eq!((&outcome["queued"], &outcome["failures"][0]["code"]), (&json!(2), &json!("EVENT_ID_REUSED")));
    assert_eq!(app.drain().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_cannot_be_used_says_why_today() {
    let app = world().await;
    let mut click = late_click(1);
    click["link_token"] = json!("nowhere");
    send(&app, json!([click])).await;
    app.execute(NEW_CREATOR).await;
    assert_eq!(app.sql_count("select count(*) from events where code = 'UNKNOWN_LINK'").await, 1);
    app.execute("insert into links (brand_id, id, token, campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at, expires_at)
        select brand_id, gen_random_uuid(), 'nowhere', campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at,
               created_at from links where token = 'zoe-link'").await;
    assert_eq!(replay(&app, json!({})).await["quarantined"], 1);
    assert_eq!(app.sql_count("select count(*) from events where code = 'LINK_ENDED' and replay_count = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_was_imported_is_not_too_old_and_what_was_too_old_stays_so() {
    let app = world().await;
    let old = |id: &str| json!([{"event_id": id, "event_type": "click", "creator_id": "late", "anonymous_id": "a", "timestamp": at(&app, -60 * 24 * 200)}]);
    send(&app, old("live")).await;
    let items = parse(Scheme::Generic, old("import").to_string().as_bytes()).items;
    app.door.accept(&Origin::import(app.scope.clone()), items).await.unwrap();
    app.execute(NEW_CREATOR).await;
    let outcome = replay(&app, json!({})).await;
    assert_eq!((&outcome["queued"], &outcome["failures"][0]["code"]), (&json!(1), &json!("TIMESTAMP_TOO_OLD")));
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_is_asked_for_page_by_page_kept_with_its_reason_and_given_once_per_key() {
    let app = world().await;
    send(&app, Value::Array((0..5).map(late_click).collect())).await;
    let first = replay(&app, json!({"limit": 3, "idempotencyKey": "k"})).await;
    assert_eq!((&first["quarantined"], &first["hasMore"]), (&json!(3), &json!(true)));
    assert_eq!(replay(&app, json!({"limit": 3, "idempotencyKey": "k"})).await, first);
    let rest = replay(&app, json!({"limit": 3, "after": first["endCursor"]})).await;
    assert_eq!((&rest["quarantined"], &rest["hasMore"]), (&json!(2), &json!(false)));
    let kept = "select count(*) from event_rulings where reason = 'It was fixed.' and api_key_id is not null and verb = 'REPLAY' and refused_count in (2, 3)";
    assert_eq!(app.sql_count(kept).await, 2);

    let refused =
        async |input: Value| app.data(REPLAY, json!({ "input": input })).await["replayEvents"]["userErrors"][0].take();
    let processed = json!({"filter": {"state": ["PROCESSED"]}, "reason": "x"});
    assert_eq!(refused(processed).await, json!({"code": "INVALID", "path": ["filter", "state"]}));
    let nobody = Kind::Event.id(uuid::Uuid::nil());
    assert_eq!(refused(json!({"eventIds": [nobody], "reason": "x"})).await["code"], "NOT_FOUND");
    assert_eq!(refused(json!({"reason": " "})).await["path"], json!(["reason"]));
    assert_eq!(refused(json!({"eventIds": [], "filter": {}, "reason": "x"})).await["code"], "INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_found_by_no_range_until_somebody_names_it() {
    let app = world().await;
    send(&app, Value::Array((0..3).map(late_click).collect())).await;
    let events = app.data(EVENTS, json!({})).await;
    let id = &events["events"]["nodes"][1]["id"];
    let given_up = app.data(DISCARD, json!({"input": {"eventIds": [id], "reason": "A test of theirs."}})).await;
    assert_eq!(given_up["discardEvents"]["discard"], json!({"discarded": 1, "unchanged": 0}));
    app.execute(NEW_CREATOR).await;
    assert_eq!(replay(&app, json!({})).await["queued"], 2);
    let left = app.data(EVENTS, json!({"filter": {"discarded": true}})).await;
    assert_eq!(&left["events"]["nodes"][0]["id"], id);
    assert_eq!(replay(&app, json!({"eventIds": [id]})).await["queued"], 1);
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_replays_as_the_api_does() {
    let app = world().await;
    send(&app, Value::Array((0..3).map(late_click).collect())).await;
    app.execute(NEW_CREATOR).await;
    let mut command = binary(&app);
    command.args(["replay", "--brand", "acme", "--state", "quarantined", "--code", "UNKNOWN_CREATOR", "--limit", "2"]);
    let output = command.args(["--reason", "She is here now.", "--json"]).output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected =
        json!({"queued": 2, "quarantined": 0, "unchanged": 0, "has_more": true, "failures": [], "log_begins_at": null});
    assert_eq!(report, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(app.drain().await, 2);
}
