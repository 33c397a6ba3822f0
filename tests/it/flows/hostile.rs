//! What an attacker, a late event or an unlucky order of events does to money and to the line.

use chrono::TimeDelta;
use grapevine::ingest::ReceiptStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::pipeline::{at, send, world};
use crate::support::TestApp;

/// A link of a member that a purchase and a sign-up can follow.
async fn link_of(app: &TestApp, external_id: &str, token: &str) {
    app.execute(&format!(
        "insert into links (brand_id, id, token, campaign_id, member_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
         select brand_id, gen_random_uuid(), '{token}', '00000000-0000-0000-0000-0000000000a1', id, 'WEB', 'https://acme.example/', 'm', 'm', 'l',
                created_at from members where external_id = '{external_id}'"
    ))
    .await;
}

async fn reward_id(app: &TestApp, kind: &str) -> Uuid {
    #[derive(diesel::QueryableByName)]
    struct IdRow {
        #[diesel(sql_type = diesel::sql_types::Uuid)]
        id: Uuid,
    }
    use diesel_async::RunQueryDsl;
    let mut conn = app.db.conn().await.unwrap();
    let find = grapevine::db::sql("select id from rewards where kind = $1").bind::<diesel::sql_types::Text, _>(kind);
    let row: IdRow = find.get_result(&mut conn).await.unwrap();
    row.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_sign_up_hangs_below_the_owner_of_a_click_of_an_earlier_batch() {
    let app = world().await;
    send(&app, json!([{"event_id": "1", "event_type": "signup", "user_id": "ann", "campaign": "launch", "timestamp": at(&app, -90)}])).await;
    app.drain().await;
    link_of(&app, "ann", "ann-link").await;
    send(&app, json!([{"event_id": "2", "event_type": "click", "link_token": "ann-link", "anonymous_id": "phone", "timestamp": at(&app, -60)}])).await;
    app.drain().await;
    send(&app, json!([{"event_id": "3", "event_type": "signup", "user_id": "bob", "anonymous_id": "phone", "timestamp": at(&app, -50)}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from events where state = 'DEAD'").await, 0);
    assert_eq!(app.sql_count("select count(*) from members where external_id = 'bob' and depth = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_took_back_is_not_granted_again() {
    let app = world().await;
    send(&app, json!([
        {"event_id": "1", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -60)},
        {"event_id": "2", "event_type": "conversion", "anonymous_id": "phone", "order_id": "o1", "conversion_value": "30.00", "timestamp": at(&app, -10)},
    ])).await;
    app.drain().await;
    let id = reward_id(&app, "COMMISSION").await;
    let mut conn = app.db.conn().await.unwrap();
    grapevine::rewards::reverse(&mut conn, &app.scope, &app.env, id, "The creator bought it herself.").await.unwrap();
    drop(conn);
    // A small refund and a late click re-open the conversion.
    send(&app, json!([
        {"event_id": "3", "event_type": "refund", "order_id": "o1", "conversion_value": "0.10"},
        {"event_id": "4", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -50)},
    ])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards").await, 1);
    assert_eq!(
        app.sql_count(
            "select sum(credit_minor - debit_minor)::int8 as count from ledger_accounts where bucket = 'escrow'"
        )
        .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn touches_after_a_purchase_do_not_push_out_those_that_led_to_it() {
    let app = world().await;
    send(&app, json!([
        {"event_id": "1", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -60)},
        {"event_id": "2", "event_type": "conversion", "anonymous_id": "phone", "order_id": "o1", "conversion_value": "30.00", "timestamp": at(&app, -50)},
    ])).await;
    app.drain().await;
    for part in 0..2 {
        let views: Vec<Value> = (0..501)
            .map(|index| json!({"event_id": format!("v{part}-{index}"), "event_type": "view", "anonymous_id": "phone", "timestamp": at(&app, -5)}))
            .collect();
        send(&app, Value::Array(views)).await;
    }
    app.drain().await;
    send(&app, json!([{"event_id": "3", "event_type": "refund", "order_id": "o1", "conversion_value": "3.00"}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from attribution_records where superseded_at is null").await, 1);
    assert_eq!(app.sql_count("select reversed_minor as count from rewards where kind = 'COMMISSION'").await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_text_column_takes_costs_only_itself() {
    let app = world().await;
    let outcomes = send(&app, json!([
        {"event_id": "1", "event_type": "click", "anonymous_id": "a", "creator_id": "z\u{0}e"},
        {"event_id": "2", "event_type": "click", "anonymous_id": "a", "url": "https://acme.example/?utm_campaign=a%00b"},
        {"event_id": "3", "event_type": "click", "anonymous_id": "a", "link_token": "t\u{0}"},
        {"event_id": "4", "event_type": "click", "anonymous_id": "a", "campaign": "c\u{0}"},
    ])).await;
    let statuses: Vec<ReceiptStatus> = outcomes.into_iter().map(|(status, _)| status).collect();
    use ReceiptStatus::{Quarantined, Queued};
    assert_eq!(statuses, [Quarantined, Queued, Quarantined, Quarantined]);
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abyss_of_brackets_is_only_another_body() {
    let app = world().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"event_type": "click", "anonymous_id": "a", "new_field": {deep}}}"#);
    let items = grapevine::platforms::parse(grapevine::platforms::Scheme::Generic, body.as_bytes()).items;
    let origin = grapevine::ingest::Origin::first_party(app.scope.clone());
    let receipts = app.door.accept(&origin, items).await.unwrap();
    assert_eq!(receipts.len(), 1);
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fraud_that_is_confirmed_during_the_escrow_is_not_paid_at_its_end() {
    let app = world().await;
    // Eve is heard of, buys through the creator's link, and signs up later in a way that is fraud.
    send(&app, json!([
        {"event_id": "1", "event_type": "activation", "user_id": "eve", "timestamp": at(&app, -70)},
        {"event_id": "2", "event_type": "click", "link_token": "zoe-link", "user_id": "eve", "timestamp": at(&app, -60)},
        {"event_id": "3", "event_type": "conversion", "user_id": "eve", "order_id": "o1", "conversion_value": "30.00", "timestamp": at(&app, -50)},
    ])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards where state = 'ESCROWED'").await, 1);
    send(&app, json!([{"event_id": "4", "event_type": "signup", "user_id": "eve", "referrer_user_id": "eve", "campaign": "launch"}])).await;
    app.drain().await;
    app.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at").await;
    app.advance(TimeDelta::days(4));
    app.drain().await;
    assert_eq!(
        app.sql_count("select count(*) from rewards where state = 'REVERSED' and reason = 'FRAUD_CONFIRMED'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_of_any_size_do_not_stop_a_suspicious_sign_up() {
    let app = world().await;
    app.execute(
        "update campaign_policies set reward = jsonb_set(reward, '{tiers}', '[{\"degree\": 1, \"amount_minor\": 9223372036854775807, \"share_ppm\": null},
                                                                          {\"degree\": 2, \"amount_minor\": 9223372036854775807, \"share_ppm\": null}]')",
    )
    .await;
    send(&app, json!([{"event_id": "1", "event_type": "signup", "user_id": "eve", "referrer_user_id": "eve", "campaign": "launch"}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select at_risk_minor as count from fraud_alerts").await, i64::MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_who_appears_late_gets_the_edge_and_the_reward() {
    let app = world().await;
    send(
        &app,
        json!([
            {"event_id": "1", "event_type": "signup", "user_id": "bob", "referrer_user_id": "ann"},
            {"event_id": "2", "event_type": "activation", "user_id": "bob"},
            {"event_id": "3", "event_type": "activation", "user_id": "bob"},
        ]),
    )
    .await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards").await, 0);
    // Ann is made by a door that is not the pipeline, as `generateLink` does, and is heard of afterwards.
    app.execute(
        "with n as (update brand_counters set value = value + 1 where name = 'members' returning brand_id, value)
         insert into members (brand_id, id, number, external_id, status, path, depth, joined_at, created_at)
         select brand_id, gen_random_uuid(), value, 'ann', 'INVITED', '2', 0, now(), now() from n",
    )
    .await;
    send(&app, json!([{"event_id": "4", "event_type": "signup", "user_id": "ann", "campaign": "launch"}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from members where external_id = 'bob' and depth = 1").await, 1);
    assert_eq!(
        app.sql_count("select count(*) from rewards where (degree, amount_minor) in ((0, 100), (1, 500))").await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_creator_of_a_tree_earns_above_its_root_too() {
    let app = world().await;
    app.execute(
        "update campaign_policies set reward = jsonb_set(reward, '{tiers}', '[{\"degree\": 1, \"amount_minor\": null, \"share_ppm\": 100000},
                                                                          {\"degree\": 2, \"amount_minor\": null, \"share_ppm\": 50000}]')",
    )
    .await;
    send(&app, json!([
        {"event_id": "1", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -80)},
        {"event_id": "2", "event_type": "signup", "user_id": "ann", "anonymous_id": "phone", "timestamp": at(&app, -70)},
    ])).await;
    app.drain().await;
    link_of(&app, "ann", "ann-link").await;
    send(&app, json!([
        {"event_id": "3", "event_type": "click", "link_token": "ann-link", "anonymous_id": "guest", "timestamp": at(&app, -60)},
        {"event_id": "4", "event_type": "conversion", "anonymous_id": "guest", "order_id": "o1", "conversion_value": "30.00", "timestamp": at(&app, -50)},
    ])).await;
    app.drain().await;
    assert_eq!(
        app.sql_count(
            "select amount_minor as count from rewards where degree = 1 and beneficiary_member_id is not null"
        )
        .await,
        300
    );
    assert_eq!(
        app.sql_count(
            "select amount_minor as count from rewards where degree = 2 and beneficiary_creator_id is not null"
        )
        .await,
        150
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_behind_a_late_referrer_is_judged_as_one_that_came_in_order() {
    let app = world().await;
    let crowd: Vec<Value> = (0..20)
        .map(|index| json!({"event_id": format!("s{index}"), "event_type": "signup", "user_id": format!("u{index}"), "referrer_user_id": "ann", "campaign": "launch"}))
        .collect();
    send(&app, Value::Array(crowd)).await;
    app.drain().await;
    send(&app, json!([{"event_id": "a", "event_type": "signup", "user_id": "ann"}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from members where depth = 1").await, 20);
    assert_eq!(
        app.sql_count("select count(*) from fraud_alerts where signals::text like '%REFERRAL_VELOCITY%'").await,
        20
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_fails_is_buried_when_workers_compete() {
    let app = world().await;
    app.execute("alter table touchpoints add constraint poison check (sub_id is distinct from 'poison')").await;
    let events: Vec<Value> = (0..24)
        .map(|index| json!({"event_id": format!("e{index}"), "event_type": "click", "anonymous_id": "a", "sub_id": if index % 3 == 0 { "poison" } else { "good" }}))
        .collect();
    send(&app, Value::Array(events)).await;
    tokio::join!(app.drain(), app.drain(), app.drain());
    assert_eq!(app.sql_count("select count(*) from events where state = 'DEAD'").await, 8);
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 16);
}
