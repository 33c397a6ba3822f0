//! Events in any order through the real door and the real worker: what must follow, follows once.

use grapevine::ingest::{Origin, ReceiptStatus};
use grapevine::platforms::{Scheme, parse};
use serde_json::{Value, json};

use crate::support::TestApp;

/// A brand with one creator, one member, a campaign that pays, and a link of each.
const WORLD: &str = "
    insert into creators (brand_id, id, handle, display_name, status, created_at)
    select id, '00000000-0000-0000-0000-0000000000c1', 'zoe', 'Zoe', 'ACTIVE', created_at from brands;
    insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, budget_minor, created_at)
    select id, '00000000-0000-0000-0000-0000000000a1', 'launch', 'Launch', 'CONVERSION', 'ACTIVE', 'USD', 1, 1000, created_at from brands;
    insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
    select id, '00000000-0000-0000-0000-0000000000a1', 1,
           '{\"model\": \"LINEAR\", \"lookback_hours\": 168, \"last_touch_weight_ppm\": 600000, \"half_life_hours\": 168, \"is_cross_device\": true}',
           '{\"kind\": \"CREDIT\", \"activation_threshold\": 2, \"referee_minor\": 100, \"per_member_per_day_max\": null, \"escrow_days\": 3,
             \"tiers\": [{\"degree\": 1, \"amount_minor\": 500, \"share_ppm\": 100000}, {\"degree\": 2, \"amount_minor\": 50, \"share_ppm\": null}]}',
           '{\"velocity_per_hour\": 20, \"referrals_per_window\": 10, \"window_hours\": 24, \"ip_correlation_limit\": 5,
             \"block_score_ppm\": 500000, \"review_score_ppm\": 300000, \"signals\": [], \"model\": null}', created_at from brands;
    insert into links (brand_id, id, token, campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
    select id, '00000000-0000-0000-0000-0000000000b1', 'zoe-link', '00000000-0000-0000-0000-0000000000a1',
           '00000000-0000-0000-0000-0000000000c1', 'WEB', 'https://acme.example/', 'zoe', 'creator', 'launch', created_at from brands;
";

pub(super) async fn world() -> TestApp {
    let app = TestApp::start().await;
    furnish(&app).await;
    app
}

/// Makes that world in an empty app.
pub async fn furnish(app: &TestApp) {
    app.execute(WORLD).await;
    // The budget is funded as a campaign with a budget is.
    let mut conn = app.db.conn().await.unwrap();
    let amount = grapevine::base::Money::new(1000, "USD".parse().unwrap());
    let campaign = uuid::Uuid::from_u128(0xa1);
    grapevine::ledger::fund_campaign(&mut conn, &app.scope, &app.env, campaign, amount, campaign).await.unwrap();
}

/// Sends events through the door and returns what became of each.
pub async fn send(app: &TestApp, events: Value) -> Vec<(ReceiptStatus, Option<&'static str>)> {
    let items = parse(Scheme::Generic, events.to_string().as_bytes()).items;
    let receipts = app.door.accept(&Origin::first_party(app.scope.clone()), items).await.unwrap();
    receipts.into_iter().map(|receipt| (receipt.status, receipt.code)).collect()
}

pub fn at(app: &TestApp, minutes: i64) -> String {
    (app.now() + chrono::TimeDelta::minutes(minutes)).to_rfc3339()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_is_credited_paid_and_refunded_exactly() {
    let app = world().await;
    // Ann joins through the creator's link, Bob through Ann.
    let story = json!([
        {"event_id": "1", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "phone", "timestamp": at(&app, -60)},
        {"event_id": "2", "event_type": "signup", "user_id": "ann", "anonymous_id": "phone", "timestamp": at(&app, -50)},
        {"event_id": "3", "event_type": "signup", "user_id": "bob", "referrer_user_id": "ann", "timestamp": at(&app, -40)},
        {"event_id": "4", "event_type": "activation", "user_id": "bob", "timestamp": at(&app, -30)},
        {"event_id": "5", "event_type": "activation", "user_id": "bob", "timestamp": at(&app, -20)},
        {"event_id": "6", "event_type": "conversion", "user_id": "ann", "order_id": "o1", "conversion_value": "33.33", "timestamp": at(&app, -10)},
        {"event_id": "7", "event_type": "conversion", "user_id": "bob", "order_id": "o2", "conversion_value": "1.00", "timestamp": at(&app, -10)},
    ]);
    let queued = vec![(ReceiptStatus::Queued, None); 7];
    assert_eq!(send(&app, story.clone()).await, queued);
    assert_eq!(app.drain().await, 7);
    assert_eq!(send(&app, story).await, vec![(ReceiptStatus::Duplicate, None); 7]);
    assert_eq!(app.drain().await, 0);

    // Bob hangs below Ann, and Ann's tree grew from the creator's link although her sign-up did not name it.
    assert_eq!(
        app.sql_count(
            "select count(*) from members where external_id = 'ann' and creator_id is not null and referee_count = 1"
        )
        .await,
        1
    );
    assert_eq!(app.sql_count("select count(*) from members where external_id = 'bob' and depth = 1").await, 1);
    // Bob's second activation pays Ann 5.00 and Bob 1.00; the creator, two hops away, 0.50.
    let paid = "select count(*) from rewards where (degree, amount_minor) in ((0, 100), (1, 500), (2, 50)) and state = 'ESCROWED'
                and kind = 'CREDIT'";
    assert_eq!(app.sql_count(paid).await, 3);
    // Ann's purchase credits the creator's click whole, and owes the creator a tenth, rounded down.
    assert_eq!(
        app.sql_count(
            "select count(*) from attribution_records where amount_minor = 3333 and weight_units = 1000000000000"
        )
        .await,
        1
    );
    let commission =
        "select amount_minor as count from rewards where kind = 'COMMISSION' and beneficiary_creator_id is not null";
    assert_eq!(app.sql_count(commission).await, 333);
    // Bob's purchase follows from the sign-up that named Ann: a tenth of it is hers.
    let anns =
        "select amount_minor as count from rewards where kind = 'COMMISSION' and beneficiary_member_id is not null";
    assert_eq!(app.sql_count(anns).await, 10);

    app.advance(chrono::TimeDelta::days(4));
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards where state = 'AVAILABLE'").await, 5);

    // A third of the order is returned: a third of the commission comes back, at the original rate.
    send(&app, json!([{"event_type": "refund", "order_id": "o1", "conversion_value": "11.11"}])).await;
    app.drain().await;
    assert_eq!(
        app.sql_count("select sum(reversed_minor)::int8 as count from rewards where kind = 'COMMISSION'").await,
        111
    );
    assert_eq!(
        app.sql_count("select count(*) from ledger_transfers where kind = 'CLAWBACK' and amount_minor = 111").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn order_of_arrival_does_not_matter() {
    let app = world().await;
    send(&app, json!([{"event_id": "r", "event_type": "refund", "order_id": "o1", "conversion_value": 4}])).await;
    app.drain().await;
    send(&app, json!([{"event_id": "a", "event_type": "activation", "user_id": "bob"}, {"event_id": "b", "event_type": "activation", "user_id": "bob"}])).await;
    app.drain().await;
    send(&app, json!([{"event_id": "c", "event_type": "conversion", "user_id": "bob", "order_id": "o1", "conversion_value": 10, "timestamp": at(&app, -30)}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from attribution_records").await, 0);
    assert_eq!(app.sql_count("select refunded_minor as count from conversions").await, 400);
    // The sign-up names a referrer who is not there yet, and a click comes last of all.
    send(&app, json!([{"event_id": "s", "event_type": "signup", "user_id": "bob", "anonymous_id": "tab", "referrer_user_id": "ann", "campaign": "launch"}])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from members where referrer_id is not null").await, 0);
    send(&app, json!([{"event_id": "p", "event_type": "click", "link_token": "zoe-link", "anonymous_id": "tab", "timestamp": at(&app, -90)}])).await;
    send(&app, json!([{"event_id": "t", "event_type": "signup", "user_id": "ann"}])).await;
    app.drain().await;
    assert_eq!(
        app.sql_count("select count(*) from members where external_id = 'bob' and depth = 1 and path ~ '*{2}'").await,
        1
    );
    assert_eq!(
        app.sql_count("select count(*) from attribution_records where amount_minor = 1000 and superseded_at is null")
            .await,
        1
    );
    // Net of the refund, the creator's share is a tenth of 6.00.
    assert_eq!(
        app.sql_count("select sum(amount_minor)::int8 as count from rewards where kind = 'COMMISSION'").await,
        60
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_kept_with_its_reason() {
    let app = world().await;
    let outcomes = send(
        &app,
        json!([
            {"event_id": "1", "event_type": "click", "creator_id": "nobody"},
            {"event_id": "2", "event_type": "click", "campaign": "nothing"},
            {"event_id": "3", "event_type": "dance"},
            {"event_id": "4", "event_type": "conversion", "user_id": "ann", "conversion_value": "1.001"},
            {"event_id": "5", "event_type": "click", "user_id": "a\u{0}b"},
            {"event_id": "6", "event_type": "click", "timestamp": "yesterday"},
            {"event_id": "7", "event_type": "signup"},
            {"event_id": "7", "event_type": "signup", "user_id": "late"},
            {"event_id": 8},
            {"event_id": "9", "event_type": "click", "link_token": "forged"},
            {"event_id": "10", "event_type": "click", "ip": "300.1.1.1"},
        ]),
    )
    .await;
    let codes: Vec<&str> = outcomes
        .iter()
        .map(|(status, code)| {
            assert_eq!(*status, ReceiptStatus::Quarantined);
            code.unwrap()
        })
        .collect();
    let expected = [
        "UNKNOWN_CREATOR",
        "UNKNOWN_CAMPAIGN",
        "UNKNOWN_EVENT_TYPE",
        "BAD_VALUE",
        "BAD_FIELD",
        "BAD_TIMESTAMP",
        "MISSING_FIELD",
        "EVENT_ID_REUSED",
        "BAD_FIELD",
        "UNKNOWN_LINK",
        "BAD_FIELD",
    ];
    assert_eq!(codes, expected);
    assert_eq!(app.drain().await, 0);
    assert_eq!(
        app.sql_count("select count(*) from events where state = 'QUARANTINED' and raw_sealed is not null").await,
        11
    );
    // Nothing personal is readable at rest.
    assert_eq!(
        app.sql_count("select count(*) from events where encode(raw_sealed, 'escape') like '%300.1.1.1%'").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_bots_is_one_alert_and_a_self_referral_pays_nobody() {
    let app = world().await;
    let bots: Vec<Value> = (0..50)
        .map(|index| {
            json!({
                "event_id": format!("b{index}"), "event_type": "click", "link_token": "zoe-link", "ip": "203.0.113.7",
                "user_agent": "python-requests/2.31.0", "timestamp": at(&app, -5),
            })
        })
        .collect();
    send(&app, Value::Array(bots)).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints where decision = 'BLOCK'").await, 50);
    assert_eq!(app.sql_count("select occurrence_count as count from fraud_alerts").await, 50);

    send(&app, json!([
        {"event_id": "1", "event_type": "signup", "user_id": "eve", "anonymous_id": "laptop", "campaign": "launch"},
        {"event_id": "2", "event_type": "signup", "user_id": "eve2", "referrer_user_id": "eve2", "campaign": "launch"},
        {"event_id": "3", "event_type": "activation", "user_id": "eve2"},
        {"event_id": "4", "event_type": "activation", "user_id": "eve2"},
    ])).await;
    app.drain().await;
    assert_eq!(
        app.sql_count("select count(*) from fraud_alerts where subject_kind = 'member' and decision = 'BLOCK'").await,
        1
    );
    assert_eq!(app.sql_count("select count(*) from rewards").await, 0);
    assert_eq!(app.sql_count("select max(seq) as count from fraud_alerts").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_account_in_the_same_browser_is_held_for_review() {
    let app = world().await;
    send(&app, json!([
        {"event_id": "1", "event_type": "signup", "user_id": "eve", "anonymous_id": "laptop", "campaign": "launch"},
        {"event_id": "2", "event_type": "signup", "user_id": "eve2", "anonymous_id": "laptop", "referrer_user_id": "eve"},
        {"event_id": "3", "event_type": "activation", "user_id": "eve2"},
        {"event_id": "4", "event_type": "activation", "user_id": "eve2"},
    ]))
    .await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from members where referrer_id is not null").await, 1);
    assert_eq!(
        app.sql_count("select count(*) from fraud_alerts where decision = 'REVIEW' and subject_kind = 'member'").await,
        1
    );
    assert_eq!(app.sql_count("select count(*) from rewards where state = 'HELD'").await, 2);
    // What is confirmed as fraud goes back to the budget.
    app.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at, review_note = 'one person'")
        .await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards where state = 'REVERSED'").await, 2);
    assert_eq!(
        app.sql_count("select credit_minor - debit_minor as count from ledger_accounts where bucket = 'budget'").await,
        1000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_gives_exactly_what_it_holds() {
    let app = world().await;
    // 10.00 of budget; each pair of referrals costs 6.00 (5.00 and 1.00): the second finds 4.00 left, of which 1.00 fits.
    send(&app, json!([
        {"event_id": "1", "event_type": "signup", "user_id": "ann", "campaign": "launch"},
        {"event_id": "2", "event_type": "signup", "user_id": "bob", "referrer_user_id": "ann"},
        {"event_id": "3", "event_type": "signup", "user_id": "cat", "referrer_user_id": "ann"},
        {"event_id": "4", "event_type": "activation", "user_id": "bob"}, {"event_id": "5", "event_type": "activation", "user_id": "bob"},
        {"event_id": "6", "event_type": "activation", "user_id": "cat"}, {"event_id": "7", "event_type": "activation", "user_id": "cat"},
    ])).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from rewards where state = 'REJECTED' and reason = 'BUDGET_EXHAUSTED' and amount_minor = 500").await, 1);
    assert_eq!(
        app.sql_count("select credit_minor - debit_minor as count from ledger_accounts where bucket = 'budget'").await,
        300
    );
}
