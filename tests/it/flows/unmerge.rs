//! Two people who were taken for one are two again: credit and money follow, events do not join them again, and a replay comes to the same.

use chrono::TimeDelta;
use grapevine::base::{Kind, SeededChance};
use serde_json::{Value, json};
use uuid::Uuid;

use super::models::event;
use super::pipeline::{at, send, world};
use super::rebuild::{Dice, differences, first_member, ledger_hash, look, rebuild, tables};
use crate::support::TestApp;

const UNMERGE: &str = "mutation($input: UnmergeIdentitiesInput!) { unmergeIdentities(input: $input) {
    merge { id mergedAt undoneAt } userErrors { code path } } }";

async fn unmerge(app: &TestApp, merge: &Value, key: &str) -> Value {
    let input = json!({ "mergeId": merge, "reason": "A phone that was lent", "idempotencyKey": key });
    app.data(UNMERGE, json!({ "input": input })).await["unmergeIdentities"].take()
}

async fn tell(app: &TestApp, events: Value) {
    send(app, events).await;
    app.drain().await;
}

const STANDING: &str = "select count(*) from attribution_records where superseded_at is null";

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_undone_with_all_that_followed_from_it() {
    let app = world().await;
    let click =
        json!({"event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -60)});
    let sale = |order: &str, minutes: i64| json!({"event_type": "conversion", "user_id": "ann", "order_id": order, "conversion_value": "20.00", "timestamp": at(&app, minutes)});
    tell(&app, json!([click, sale("o1", -50)])).await;
    assert_eq!(app.sql_count(STANDING).await, 0);
    let joining = json!({"event_type": "identify", "user_id": "ann", "anonymous_id": "phone"});
    tell(&app, json!([joining])).await;
    assert_eq!(app.sql_count(STANDING).await, 1);
    let owed =
        "select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as count from rewards where kind = 'COMMISSION'";
    assert_eq!(app.sql_count(owed).await, 200);

    let id: Uuid = app.texts("select id::text as text from conversions").await[0].parse().unwrap();
    let query =
        "query($id: ID!) { explainConversion(conversionId: $id) { merges { id undoneAt } considered { code } } }";
    let explain = async || app.data(query, json!({ "id": Kind::Conversion.id(id) })).await["explainConversion"].take();
    let explained = explain().await;
    assert_eq!(explained["considered"], json!([{ "code": "CREDITED" }]));
    assert_eq!(explained["merges"].as_array().unwrap().len(), 1, "{explained:#}");
    let merge = explained["merges"][0]["id"].clone();

    app.advance(TimeDelta::minutes(1));
    let undone = unmerge(&app, &merge, "k").await;
    assert_eq!(undone["userErrors"], json!([]), "{undone:#}");
    assert!(undone["merge"]["undoneAt"].is_string());
    assert_eq!(unmerge(&app, &merge, "k").await, undone, "the same key is the same request");
    assert_eq!(
        unmerge(&app, &merge, "another").await["userErrors"],
        json!([{ "code": "CONFLICT", "path": ["mergeId"] }])
    );
    assert_eq!(app.sql_count(STANDING).await, 0);
    assert_eq!(app.sql_count("select count(*) from attribution_records").await, 1, "the history stays");
    assert_eq!(app.sql_count(owed).await, 0);
    assert_eq!(
        app.sql_count("select count(*) from ledger_transfers where kind = 'VOID' and amount_minor = 200").await,
        1
    );
    assert_eq!(explain().await["considered"], json!([]));

    // The same event again, and another: they say what was ruled to be wrong.
    tell(&app, json!([joining, {"event_type": "view", "user_id": "ann", "anonymous_id": "phone"}, sale("o2", 0)]))
        .await;
    assert_eq!(app.sql_count(STANDING).await, 0);
    assert_eq!(app.sql_count("select count(*) from identity_merges").await, 1);
    assert_eq!(app.sql_count("select count(*) from merge_rulings where done_at is not null").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_along_goes_along() {
    let app = world().await;
    let click = |device: &str| json!({"event_type": "click", "link_token": "zoe-link", "anonymous_id": device, "timestamp": at(&app, -60)});
    let sale = json!({"event_type": "conversion", "user_id": "ann", "order_id": "o", "conversion_value": "20.00", "timestamp": at(&app, -10)});
    tell(&app, json!([click("one")])).await;
    let followed: Uuid = app.texts("select id::text as text from touchpoints").await[0].parse().unwrap();
    tell(&app, json!([click("two"), click("three"), sale])).await;
    // The first device comes to the second by the click that both followed, with it to Ann, and a third one to Ann by itself.
    for joining in [
        json!({"event_type": "open", "anonymous_id": "two", "click_id": Kind::Event.id(followed)}),
        json!({"event_type": "identify", "user_id": "ann", "anonymous_id": "one"}),
        json!({"event_type": "identify", "user_id": "ann", "anonymous_id": "three"}),
    ] {
        app.advance(TimeDelta::minutes(1));
        tell(&app, json!([joining])).await;
    }
    assert_eq!(app.sql_count(STANDING).await, 3);
    let merges = app.texts("select id::text as text from identity_merges order by merged_at").await;
    assert_eq!(merges.len(), 3);
    let merge = json!(Kind::Merge.id(merges[1].parse().unwrap()));
    assert_eq!(unmerge(&app, &merge, "k").await["userErrors"], json!([]));
    assert_eq!(app.sql_count(STANDING).await, 1, "the third device's alone");
    assert_eq!(app.sql_count("select count(distinct canonical_id) from people").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_undoes_a_merge_at_the_same_place() {
    let app = world().await;
    let dice = Dice(SeededChance::from_seed(5));
    let mut cuts = first_member(&app).await;
    let mut undone_count = 0;
    let superseded = "select count(*) from attribution_records where superseded_at is not null";
    let mut moved_count = 0;
    for group in 0..7 {
        let events = (0..25).map(|place| event(&app, &dice, group * 25 + place));
        send(&app, events.collect()).await;
        app.advance(TimeDelta::minutes(7));
        look(&app, &mut cuts).await;
        app.advance(TimeDelta::minutes(1));
        // The last one with no event behind it.
        for id in app
            .texts(
                "select id::text as text from identity_merges where undone_at is null order by merged_at, id limit 1",
            )
            .await
        {
            let before = app.sql_count(superseded).await;
            let merge = json!(Kind::Merge.id(id.parse().unwrap()));
            let outcome = unmerge(&app, &merge, &id).await;
            assert_eq!(outcome["userErrors"], json!([]), "{outcome:#}");
            undone_count += 1;
            moved_count += app.sql_count(superseded).await - before;
        }
    }
    app.advance(TimeDelta::minutes(1));
    look(&app, &mut cuts).await;
    assert!(
        undone_count > 3 && moved_count > 0,
        "the history is too tame: {undone_count} undone, {moved_count} superseded"
    );
    let (live, ledger) = (tables(&app).await, ledger_hash(&app).await);
    let (again, ledger_again) = rebuild(&app, &cuts).await;
    assert_eq!(differences(&live, &again), Vec::<String>::new());
    assert_eq!(ledger, ledger_again);
    let whole = cuts.last().copied().into_iter().collect();
    let (first, first_ledger) = rebuild(&app, &whole).await;
    let (second, second_ledger) = rebuild(&app, &whole).await;
    assert_eq!(differences(&first, &second), Vec::<String>::new());
    assert_eq!(first_ledger, second_ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_purchase_earns_nothing_once_it_turns_out_to_be_one() {
    for is_imported in [false, true] {
        let app = world().await;
        first_member(&app).await;
        if is_imported {
            // An import brings names, and nobody behind them.
            app.execute("update members set person_id = null; delete from identities").await;
        }
        let click = json!({"event_type": "click", "link_token": "member-link", "anonymous_id": "phone", "timestamp": at(&app, -60)});
        let sale = json!({"event_type": "conversion", "anonymous_id": "phone", "order_id": "own", "conversion_value": "9.00", "timestamp": at(&app, -50)});
        tell(&app, json!([click, sale])).await;
        let owed = "select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as count from rewards where kind = 'COMMISSION'";
        let bought = "select value_minor as count from members where external_id = 'u0'";
        assert_eq!((app.sql_count(owed).await, app.sql_count(bought).await), (90, 0));
        // Whose phone it was comes out later.
        tell(&app, json!([{"event_type": "identify", "user_id": "u0", "anonymous_id": "phone"}])).await;
        assert_eq!((app.sql_count(owed).await, app.sql_count(bought).await), (0, 900), "{is_imported}");
        if is_imported {
            continue;
        }
        let id = app.texts("select id::text as text from identity_merges").await;
        let merge = json!(Kind::Merge.id(id[0].parse().unwrap()));
        app.advance(TimeDelta::minutes(1));
        assert_eq!(unmerge(&app, &merge, "k").await["userErrors"], json!([]));
        assert_eq!((app.sql_count(owed).await, app.sql_count(bought).await), (90, 0));
    }
}
