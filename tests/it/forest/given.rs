//! Rewards and moves: what was given stays, what comes later follows the new place.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::from_id;
use crate::support::TestApp;

const CAMPAIGN: &str = "mutation { createCampaign(input: {slug: \"launch\", name: \"Launch\", objective: CONVERSION,
    reward: {kind: CREDIT, activationThreshold: 1, escrowDays: 7,
        tiers: [{degree: 1, amount: {amount: \"5.00\", currency: \"USD\"}, shareOfConversion: 0.1},
                {degree: 2, amount: {amount: \"1.00\", currency: \"USD\"}, shareOfConversion: 0.05}]}}) {
    campaign { id } userErrors { message path } } }";

const REWARDS: &str = "{ rewards(first: 100) { nodes { id kind degree state amount { amount } reversed { amount }
    beneficiary { ... on Member { externalId } } referee { externalId } } } }";

async fn tell(app: &TestApp, mut events: Value) {
    for event in events.as_array_mut().unwrap() {
        event["timestamp"] = json!(app.now());
    }
    let query = "mutation($e: [EventInput!]!) { ingestEvents(input: {events: $e}) { results { status } } }";
    app.data(query, json!({ "e": events })).await;
    app.drain().await;
    app.advance(TimeDelta::minutes(1));
}

/// What every reward says, in a readable order.
async fn rewards(app: &TestApp) -> Vec<String> {
    let found = app.data(REWARDS, json!({})).await;
    let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
    let line = |one: &Value| {
        let names = (text(&one["beneficiary"]["externalId"]), text(&one["referee"]["externalId"]));
        let sums = (text(&one["amount"]["amount"]), text(&one["reversed"]["amount"]));
        format!("{} for {}: {} {} at {}, {} back", names.0, names.1, text(&one["kind"]), sums.0, one["degree"], sums.1)
    };
    let mut lines: Vec<String> = found["rewards"]["nodes"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

async fn shift(app: &TestApp, name: &str, below: &str) {
    let ends = "query($a: String, $b: String) { a: member(externalId: $a) { id } b: member(externalId: $b) { id } }";
    let ends = app.data(ends, json!({ "a": name, "b": below })).await;
    let query = "mutation($i: MoveMemberInput!) { moveMember(input: $i) { userErrors { code } } }";
    let input = json!({ "memberId": ends["a"]["id"], "newReferrerId": ends["b"]["id"], "reason": "A test.",
        "idempotencyKey": format!("{name} {} {}", from_id(&ends["b"]["id"]), app.now()) });
    assert_eq!(app.data(query, json!({ "i": input })).await["moveMember"]["userErrors"], json!([]));
    app.advance(TimeDelta::minutes(1));
}

/// Rae invited Ann, who invited Bob, who is active and has bought for 100; Zoe has a tree of her own.
async fn story() -> (TestApp, Vec<String>) {
    let app = TestApp::start().await;
    assert_eq!(app.data(CAMPAIGN, json!({})).await["createCampaign"]["userErrors"], json!([]));
    let join = |user: &str, referrer: Option<&str>| json!({ "eventType": "signup", "userId": user, "referrerUserId": referrer, "campaign": "launch" });
    tell(&app, json!([join("rae", None), join("zoe", None), join("ann", Some("rae")), join("bob", Some("ann"))])).await;
    tell(&app, json!([{ "eventType": "activation", "userId": "bob" }])).await;
    tell(&app, json!([sale("o1", "100.00")])).await;
    let given = rewards(&app).await;
    assert_eq!(
        given,
        [
            "ann for bob: COMMISSION 10.00 at 1, 0.00 back",
            "ann for bob: CREDIT 5.00 at 1, 0.00 back",
            "rae for bob: COMMISSION 5.00 at 2, 0.00 back",
            "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        ]
    );
    (app, given)
}

fn sale(order: &str, value: &str) -> Value {
    json!({ "eventType": "conversion", "userId": "bob", "orderId": order, "conversionValue": value, "campaign": "launch" })
}

/// The lines that are in the one list and not in the other.
fn more(after: &[String], before: &[String]) -> Vec<String> {
    let mut rest = after.to_vec();
    for line in before {
        let place = rest.iter().position(|one| one == line);
        rest.remove(place.unwrap_or_else(|| panic!("{line} is gone: {after:#?}")));
    }
    rest
}

#[tokio::test]
async fn rewards_that_were_given_stay_and_new_ones_follow_the_new_up_line() {
    let (app, given) = story().await;
    shift(&app, "ann", "zoe").await;
    app.drain().await;
    assert_eq!(rewards(&app).await, given);
    tell(&app, json!([sale("o2", "50.00")])).await;
    let sold = rewards(&app).await;
    assert_eq!(
        more(&sold, &given),
        ["ann for bob: COMMISSION 5.00 at 1, 0.00 back", "zoe for bob: COMMISSION 2.50 at 2, 0.00 back"]
    );
    tell(
        &app,
        json!([{ "eventType": "signup", "userId": "dan", "referrerUserId": "ann", "campaign": "launch" },
                      { "eventType": "activation", "userId": "dan" }]),
    )
    .await;
    assert_eq!(
        more(&rewards(&app).await, &sold),
        ["ann for dan: CREDIT 5.00 at 1, 0.00 back", "zoe for dan: CREDIT 1.00 at 2, 0.00 back"]
    );
}

#[tokio::test]
async fn a_refund_takes_back_from_those_who_were_paid_before_the_move() {
    let (app, _) = story().await;
    shift(&app, "ann", "zoe").await;
    tell(&app, json!([{ "eventType": "refund", "userId": "bob", "orderId": "o1", "conversionValue": "50.00" }])).await;
    assert_eq!(
        rewards(&app).await,
        [
            "ann for bob: COMMISSION 10.00 at 1, 5.00 back",
            "ann for bob: CREDIT 5.00 at 1, 0.00 back",
            "rae for bob: COMMISSION 5.00 at 2, 2.50 back",
            "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        ]
    );
}

#[tokio::test]
async fn an_activation_that_was_paid_is_not_paid_again_after_a_move() {
    let (app, given) = story().await;
    shift(&app, "bob", "zoe").await;
    tell(&app, json!([{ "eventType": "activation", "userId": "bob" }])).await;
    assert_eq!(more(&rewards(&app).await, &given), Vec::<String>::new());
}
