//! What a policy says of journeys, through the real door and the real worker: where they begin, whether the sale itself is a touch, and
//! that what comes late changes what it should.

use grapevine::base::Kind;
use grapevine::ingest::ReceiptStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::pipeline::{at, send, world};
use crate::support::TestApp;

async fn set_policy(app: &TestApp, part: &str) {
    app.execute(&format!("update campaign_policies set attribution = attribution || '{part}'")).await;
}

fn click(app: &TestApp, person: &str, minutes: i64) -> Value {
    json!({"event_type": "click", "link_token": "zoe-link", "anonymous_id": person, "timestamp": at(app, minutes)})
}

fn sale(app: &TestApp, person: &str, order: &str, minutes: i64) -> Value {
    json!({"event_type": "conversion", "anonymous_id": person, "order_id": order, "conversion_value": "9.00",
        "timestamp": at(app, minutes)})
}

async fn tell(app: &TestApp, events: Value) {
    let receipts = send(app, events).await;
    assert!(receipts.iter().all(|receipt| *receipt == (ReceiptStatus::Queued, None)), "{receipts:?}");
    app.drain().await;
}

/// Each order with the number of touches that are credited for it now.
async fn credited(app: &TestApp) -> Vec<String> {
    app.texts(
        "select concat_ws(' ', c.order_id, count(r.id)) as text from conversions c
         left join attribution_records r on r.brand_id = c.brand_id and r.conversion_id = c.id and r.superseded_at is null
         group by c.order_id order by 1",
    )
    .await
}

/// The codes of an order's explanation, the oldest touch first.
async fn codes(app: &TestApp, order: &str) -> Vec<String> {
    let query = format!("select id::text as text from conversions where order_id = '{order}'");
    let id: Uuid = app.texts(query.leak()).await[0].parse().unwrap();
    let query = "query($id: ID!) { explainConversion(conversionId: $id) { considered { code reason } } }";
    let data = app.data(query, json!({ "id": Kind::Conversion.id(id) })).await;
    let considered = data["explainConversion"]["considered"].as_array().unwrap().clone();
    considered.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn journeys_end_at_a_conversion_where_the_policy_splits_them_there() {
    let app = world().await;
    let story = |person: &str| {
        let order = |number: u8| format!("{person}{number}");
        json!([
            click(&app, person, -90),
            click(&app, person, -80),
            sale(&app, person, &order(1), -70),
            click(&app, person, -60),
            sale(&app, person, &order(2), -50)
        ])
    };
    tell(&app, story("whole")).await;
    assert_eq!(credited(&app).await, ["whole1 2", "whole2 3"]);
    set_policy(&app, r#"{"is_split_at_previous_conversion": true}"#).await;
    tell(&app, story("split")).await;
    assert_eq!(credited(&app).await, ["split1 2", "split2 1", "whole1 2", "whole2 3"]);
    assert_eq!(codes(&app, "split2").await, ["EARLIER_JOURNEY", "EARLIER_JOURNEY", "CREDITED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_on_another_device_counts_unless_the_policy_keeps_devices_apart() {
    let app = world().await;
    let story = |person: &str| {
        let on = |mut event: serde_json::Value, device: &str| {
            event["device_id"] = json!(format!("{person} {device}"));
            event
        };
        let order = format!("{person}1");
        json!([
            on(click(&app, person, -90), "phone"),
            on(click(&app, person, -80), "laptop"),
            click(&app, person, -75),
            on(sale(&app, person, &order, -70), "laptop")
        ])
    };
    tell(&app, story("across")).await;
    assert_eq!(codes(&app, "across1").await, ["CREDITED"; 3]);
    set_policy(&app, r#"{"is_cross_device": false}"#).await;
    tell(&app, story("apart")).await;
    assert_eq!(credited(&app).await, ["across1 3", "apart1 2"]);
    assert_eq!(codes(&app, "apart1").await, ["OTHER_DEVICE", "CREDITED", "CREDITED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_arrives_late_ends_the_journey_of_the_one_after_it() {
    let app = world().await;
    set_policy(&app, r#"{"is_split_at_previous_conversion": true}"#).await;
    tell(&app, json!([click(&app, "tab", -90), click(&app, "tab", -60), sale(&app, "tab", "second", -50)])).await;
    assert_eq!(credited(&app).await, ["second 2"]);
    tell(&app, json!([sale(&app, "tab", "first", -70)])).await;
    assert_eq!(credited(&app).await, ["first 1", "second 1"]);
    let superseded = "select count(*) from attribution_records where superseded_at is not null";
    assert_eq!(app.sql_count(superseded).await, 2, "the history stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sale_itself_is_a_touch_where_the_policy_says_so() {
    let app = world().await;
    let named = |order: &str, minutes: i64| {
        let mut sale = sale(&app, "tab", order, minutes);
        sale["creator_id"] = json!("zoe");
        sale["campaign"] = json!("launch");
        sale
    };
    tell(&app, json!([named("not", -90)])).await;
    assert_eq!(credited(&app).await, ["not 0"]);
    assert_eq!(codes(&app, "not").await, ["CONVERTING_EVENT"]);
    set_policy(&app, r#"{"has_converting_event": true}"#).await;
    tell(&app, json!([named("does", -60), sale(&app, "tab", "unnamed", -50)])).await;
    assert_eq!(credited(&app).await, ["does 1", "not 0", "unnamed 0"]);
    // The sale before is no touch of this one, whatever the policy.
    assert_eq!(codes(&app, "does").await, ["KIND_DOES_NOT_COUNT", "CREDITED"]);
    let owed =
        "select amount_minor as count from rewards where kind = 'COMMISSION' and beneficiary_creator_id is not null";
    assert_eq!(app.sql_count(owed).await, 90);
    // An order that was there already is not kept, and is no touch either.
    tell(&app, json!([named("does", -40)])).await;
    assert_eq!(app.sql_count("select count(*) from touchpoints where kind = 'CONVERSION'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_changes_the_credit_of_sales_of_any_age() {
    let app = world().await;
    let month = 30 * 24 * 60;
    let mut first = sale(&app, "laptop", "old", -month);
    first["campaign"] = json!("launch");
    tell(&app, json!([click(&app, "phone", -month - 60), first])).await;
    assert_eq!(credited(&app).await, ["old 0"]);
    // The same batch holds a touch of today, which has nothing to do with it.
    tell(
        &app,
        json!([click(&app, "other", -5),
            {"event_type": "identify", "user_id": "ann", "anonymous_id": "phone"},
            {"event_type": "identify", "user_id": "ann", "anonymous_id": "laptop"}]),
    )
    .await;
    assert_eq!(credited(&app).await, ["old 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_as_a_referrer_is_not_credited_for_coming() {
    let app = world().await;
    let signup = |user: &str, referrer: &str| json!([{"event_type": "signup", "user_id": user, "referrer_user_id": referrer, "campaign": "launch", "timestamp": at(&app, -60)}]);
    tell(&app, json!([{"event_type": "signup", "user_id": "zed", "timestamp": at(&app, -90)}])).await;
    for early in ["bob", "cat", "dan"] {
        tell(&app, signup(early, "ann")).await;
    }
    // The three join Ann with the event by which she joins Zed.
    tell(&app, signup("ann", "zed")).await;
    tell(&app, json!([{"event_type": "conversion", "user_id": "ann", "order_id": "o", "conversion_value": "1.00", "timestamp": at(&app, -10)}])).await;
    let credited = app
        .texts("select m.external_id as text from attribution_records r join members m on m.brand_id = r.brand_id and m.id = r.referrer_id where r.superseded_at is null")
        .await;
    assert_eq!(credited, ["zed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_who_comes_late_owns_the_sign_up_that_named_it() {
    let app = world().await;
    let early = json!({"event_type": "signup", "user_id": "bob", "referrer_user_id": "ann", "campaign": "launch", "timestamp": at(&app, -60)});
    let buy = |order: &str, minutes: i64| json!({"event_type": "conversion", "user_id": "bob", "order_id": order, "conversion_value": "5.00", "timestamp": at(&app, minutes)});
    tell(&app, json!([buy("before", -70), early, buy("after", -10)])).await;
    assert_eq!(credited(&app).await, ["after 0", "before 0"]);
    tell(&app, json!([{"event_type": "signup", "user_id": "ann", "timestamp": at(&app, -5)}])).await;
    assert_eq!(credited(&app).await, ["after 1", "before 0"]);
    let owed =
        "select amount_minor as count from rewards where kind = 'COMMISSION' and beneficiary_member_id is not null";
    assert_eq!(app.sql_count(owed).await, 50, "what is owed follows");
    // The same story in one batch comes to the same.
    let app = world().await;
    let buy = |order: &str, minutes: i64| json!({"event_type": "conversion", "user_id": "bob", "order_id": order, "conversion_value": "5.00", "timestamp": at(&app, minutes)});
    let story = json!([
        {"event_type": "signup", "user_id": "bob", "referrer_user_id": "ann", "campaign": "launch", "timestamp": at(&app, -60)},
        buy("after", -10),
        {"event_type": "signup", "user_id": "ann", "timestamp": at(&app, -5)}
    ]);
    tell(&app, story).await;
    assert_eq!(credited(&app).await, ["after 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_a_sale_pushes_nothing_out_of_its_explanation() {
    let app = world().await;
    tell(&app, json!([click(&app, "tab", -90), sale(&app, "tab", "o", -80)])).await;
    let view = |number: u32| json!({"event_id": format!("v{number}"), "event_type": "view", "anonymous_id": "tab", "timestamp": at(&app, -70)});
    for half in [0..600, 600..1_200] {
        tell(&app, half.map(view).collect()).await;
    }
    assert_eq!(credited(&app).await, ["o 1"]);
    let codes = codes(&app, "o").await;
    assert_eq!(codes.first().map(String::as_str), Some("CREDITED"));
    assert_eq!(codes.iter().filter(|code| *code == "AFTER_CONVERSION").count(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_counts_the_conversions_of_which_it_has_a_share_now() {
    let app = world().await;
    set_policy(&app, r#"{"model": "LAST_TOUCH"}"#).await;
    app.execute(
        "insert into links (brand_id, id, token, campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
         select brand_id, gen_random_uuid(), 'other-link', campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign,
                created_at from links",
    )
    .await;
    let counts = async || app.texts("select conversion_count::text as text from links order by token").await;
    tell(&app, json!([click(&app, "tab", -90), sale(&app, "tab", "o", -50)])).await;
    assert_eq!(counts().await, ["0", "1"]);
    let mut late = click(&app, "tab", -60);
    late["link_token"] = json!("other-link");
    tell(&app, json!([late])).await;
    assert_eq!(counts().await, ["1", "0"], "the last touch came late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_comes_late_changes_more_sales_than_are_judged_at_a_time() {
    let app = world().await;
    let order = |number: i64| sale(&app, "guest", &format!("o{number}"), -50);
    tell(&app, (0..250).map(order).collect()).await;
    let standing = "select count(*) from attribution_records where superseded_at is null";
    assert_eq!(app.sql_count(standing).await, 0);
    tell(&app, json!([click(&app, "guest", -60)])).await;
    assert_eq!(app.sql_count(standing).await, 250);
    let told = "select count(distinct subject_id) from outbox where topic = 'attribution.changed'";
    assert_eq!(app.sql_count(told).await, 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_campaign_of_the_latest_touch_judges_whenever_that_comes() {
    for is_late in [false, true] {
        let app = world().await;
        // The second campaign pays a fifth, and credits the last touch.
        app.execute(
            r#"insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, created_at)
               select brand_id, '00000000-0000-0000-0000-0000000000a2', 'spring', 'Spring', objective, status, currency, policy_version, created_at
               from campaigns;
               insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
               select brand_id, '00000000-0000-0000-0000-0000000000a2', version, attribution || '{"model": "LAST_TOUCH"}',
                      jsonb_set(reward, '{tiers,0,share_ppm}', '200000'), fraud, created_at from campaign_policies;
               insert into links (brand_id, id, token, campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign,
                                  created_at)
               select brand_id, gen_random_uuid(), 'spring-link', '00000000-0000-0000-0000-0000000000a2', creator_id, platform, destination_url,
                      utm_source, utm_medium, utm_campaign, created_at from links"#,
        )
        .await;
        let mut last = click(&app, "tab", -60);
        last["link_token"] = json!("spring-link");
        let mut named = sale(&app, "tab", "named", -40);
        named["campaign"] = json!("launch");
        let first = click(&app, "tab", -90);
        let story = json!([first, sale(&app, "tab", "free", -50), named]);
        if is_late {
            tell(&app, story).await;
            tell(&app, json!([last])).await;
        } else {
            tell(&app, json!([last, story[0], story[1], story[2]])).await;
        }
        assert_eq!(credited(&app).await, ["free 1", "named 2"], "{is_late}");
        let owed = app
            .texts(
                "select concat_ws(' ', c.order_id, k.slug, sum(r.amount_minor - r.reversed_minor)) as text
                 from rewards r join campaigns k on k.id = r.campaign_id join conversions c on c.id = r.conversion_id and c.campaign_id = k.id
                 group by c.order_id, k.slug order by 1",
            )
            .await;
        assert_eq!(owed, ["free spring 180", "named launch 90"], "{is_late}");
        let elsewhere = "select coalesce(sum(r.amount_minor - r.reversed_minor), 0)::int8 as count
            from rewards r join conversions c on c.id = r.conversion_id and c.campaign_id <> r.campaign_id";
        assert_eq!(app.sql_count(elsewhere).await, 0, "{is_late}");
    }
}
