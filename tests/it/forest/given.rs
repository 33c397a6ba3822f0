//! Rewards and moves: what was given stays, what comes later follows the new place.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::from_id;
use crate::support::TestApp;

const CAMPAIGN: &str = "mutation($reward: RewardPolicyInput) {
    createCampaign(input: {slug: \"launch\", name: \"Launch\", objective: CONVERSION, attribution: {model: LINEAR}, reward: $reward}) {
        campaign { id } userErrors { message path } } }";

const REWARDS: &str = "{ rewards(first: 100) { nodes { id kind degree state amount { amount } reversed { amount }
    beneficiary { ... on Member { externalId } } referee { externalId } } } }";

async fn tell(app: &TestApp, mut events: Value) {
    for event in events.as_array_mut().unwrap().iter_mut().filter(|event| event["timestamp"].is_null()) {
        event["timestamp"] = json!(app.now());
    }
    let query = "mutation($e: [EventInput!]!) { ingestEvents(input: {events: $e}) { results { code reason } } }";
    let taken = app.data(query, json!({ "e": events })).await["ingestEvents"]["results"].take();
    assert!(taken.as_array().unwrap().iter().all(|one| one["code"].is_null()), "{taken}");
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
        let end = if one["state"] == "REJECTED" { "denied".to_owned() } else { format!("{} back", sums.1) };
        format!("{} for {}: {} {} at {}, {end}", names.0, names.1, text(&one["kind"]), sums.0, one["degree"])
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

/// Two degrees earn 5.00 and 1.00 for an activation, a tenth and a twentieth of a sale.
fn two_tiers() -> Value {
    let tier = |degree: i32, amount: &str, share: f64| json!({ "degree": degree, "amount": { "amount": amount, "currency": "USD" }, "shareOfConversion": share });
    json!({ "kind": "CREDIT", "activationThreshold": 1, "escrowDays": 7, "tiers": [tier(1, "5.00", 0.1), tier(2, "1.00", 0.05)] })
}

/// A brand with one campaign of this reward policy; the campaign's identifier.
async fn brand(reward: Value) -> (TestApp, Value) {
    let app = TestApp::start().await;
    let mut made = app.data(CAMPAIGN, json!({ "reward": reward })).await["createCampaign"].take();
    assert_eq!(made["userErrors"], json!([]));
    (app, made["campaign"]["id"].take())
}

fn join(user: &str, referrer: Option<&str>) -> Value {
    json!({ "eventType": "signup", "userId": user, "referrerUserId": referrer, "campaign": "launch" })
}

fn act(user: &str) -> Value {
    json!({ "eventType": "activation", "userId": user })
}

/// Rae invited Ann, who invited Bob, who is active and has bought for 100; Zoe has a tree of her own.
async fn story() -> (TestApp, Value, Vec<String>) {
    let (app, campaign_id) = brand(two_tiers()).await;
    tell(&app, json!([join("rae", None), join("zoe", None), join("ann", Some("rae")), join("bob", Some("ann"))])).await;
    tell(&app, json!([act("bob")])).await;
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
    (app, campaign_id, given)
}

fn sale(order: &str, value: &str) -> Value {
    json!({ "eventType": "conversion", "userId": "bob", "orderId": order, "conversionValue": value, "campaign": "launch" })
}

fn refund(order: &str, value: &str) -> Value {
    json!({ "eventType": "refund", "userId": "bob", "orderId": order, "conversionValue": value })
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
    let (app, _, given) = story().await;
    shift(&app, "ann", "zoe").await;
    app.drain().await;
    assert_eq!(rewards(&app).await, given);
    tell(&app, json!([sale("o2", "50.00")])).await;
    let sold = rewards(&app).await;
    assert_eq!(
        more(&sold, &given),
        ["ann for bob: COMMISSION 5.00 at 1, 0.00 back", "zoe for bob: COMMISSION 2.50 at 2, 0.00 back"]
    );
    tell(&app, json!([join("dan", Some("ann")), act("dan")])).await;
    assert_eq!(
        more(&rewards(&app).await, &sold),
        ["ann for dan: CREDIT 5.00 at 1, 0.00 back", "zoe for dan: CREDIT 1.00 at 2, 0.00 back"]
    );
}

#[tokio::test]
async fn a_refund_takes_back_from_those_who_were_paid_before_the_move() {
    let (app, ..) = story().await;
    shift(&app, "ann", "zoe").await;
    tell(&app, json!([refund("o1", "50.00")])).await;
    assert_eq!(
        rewards(&app).await,
        [
            "ann for bob: COMMISSION 10.00 at 1, 5.00 back",
            "ann for bob: CREDIT 5.00 at 1, 0.00 back",
            "rae for bob: COMMISSION 5.00 at 2, 2.50 back",
            "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        ]
    );
    tell(&app, json!([refund("o1", "50.00")])).await;
    assert_eq!(
        rewards(&app).await,
        [
            "ann for bob: COMMISSION 10.00 at 1, 10.00 back",
            "ann for bob: CREDIT 5.00 at 1, 0.00 back",
            "rae for bob: COMMISSION 5.00 at 2, 5.00 back",
            "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        ]
    );
}

#[tokio::test]
async fn an_activation_that_was_paid_is_not_paid_again_after_a_move() {
    let (app, _, given) = story().await;
    shift(&app, "bob", "zoe").await;
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
    // Nor where the line grew at its end, and nobody was paid for that degree.
    shift(&app, "zoe", "rae").await;
    tell(&app, json!([act("bob"), act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
}

#[tokio::test]
async fn an_activation_that_was_answered_asks_nobody_else_under_a_later_policy() {
    let (app, campaign_id) = brand(json!({ "escrowDays": 7, "tiers": [two_tiers()["tiers"][0]] })).await;
    tell(&app, json!([join("rae", None), join("ann", Some("rae")), join("bob", Some("ann")), act("bob")])).await;
    let given = rewards(&app).await;
    assert_eq!(given, ["ann for bob: CREDIT 5.00 at 1, 0.00 back"]);
    let query = "mutation($i: UpdateCampaignInput!) { updateCampaign(input: $i) { userErrors { message } } }";
    let changed = app.data(query, json!({ "i": { "campaignId": campaign_id, "reward": two_tiers() } })).await;
    assert_eq!(changed["updateCampaign"]["userErrors"], json!([]));
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
    tell(&app, json!([join("dan", Some("ann")), act("dan")])).await;
    assert_eq!(
        more(&rewards(&app).await, &given),
        ["ann for dan: CREDIT 5.00 at 1, 0.00 back", "rae for dan: CREDIT 1.00 at 2, 0.00 back"]
    );
}

#[tokio::test]
async fn an_activation_that_was_denied_in_part_is_not_asked_again_after_a_move() {
    let mut reward = two_tiers();
    reward["maxPerMemberPerDay"] = json!(1);
    let (app, _) = brand(reward).await;
    tell(&app, json!([join("rae", None), join("zoe", None), join("ann", None), join("cat", Some("ann")), act("cat")]))
        .await;
    shift(&app, "ann", "rae").await;
    tell(&app, json!([join("bob", Some("ann")), act("bob")])).await;
    let given = rewards(&app).await;
    assert_eq!(
        given,
        [
            "ann for bob: CREDIT 5.00 at 1, denied",
            "ann for cat: CREDIT 5.00 at 1, 0.00 back",
            "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        ]
    );
    shift(&app, "bob", "zoe").await;
    app.advance(TimeDelta::days(1));
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
}

#[tokio::test]
async fn the_act_that_reaches_the_threshold_pays_those_who_stand_above_at_that_time() {
    let mut reward = two_tiers();
    reward["activationThreshold"] = json!(2);
    let (app, _) = brand(reward).await;
    tell(&app, json!([join("rae", None), join("zoe", None), join("ann", Some("rae")), join("bob", Some("ann"))])).await;
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, Vec::<String>::new());
    shift(&app, "bob", "zoe").await;
    tell(&app, json!([act("bob")])).await;
    let given = rewards(&app).await;
    assert_eq!(given, ["zoe for bob: CREDIT 5.00 at 1, 0.00 back"]);
    shift(&app, "bob", "ann").await;
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
}

#[tokio::test]
async fn an_activation_that_nobody_stood_above_pays_once_somebody_does() {
    let (app, _) = brand(two_tiers()).await;
    tell(&app, json!([join("rae", None), join("zoe", None), join("bob", None), act("bob")])).await;
    assert_eq!(rewards(&app).await, Vec::<String>::new());
    shift(&app, "bob", "zoe").await;
    tell(&app, json!([act("bob")])).await;
    let given = rewards(&app).await;
    assert_eq!(given, ["zoe for bob: CREDIT 5.00 at 1, 0.00 back"]);
    shift(&app, "bob", "rae").await;
    tell(&app, json!([act("bob")])).await;
    assert_eq!(rewards(&app).await, given);
}

#[tokio::test]
async fn a_referrer_who_arrives_late_earns_from_then_on_and_nothing_of_what_was_settled() {
    let (app, _) = brand(two_tiers()).await;
    tell(&app, json!([join("ann", Some("rae")), join("bob", Some("ann")), act("bob")])).await;
    tell(&app, json!([sale("o1", "100.00")])).await;
    let given = rewards(&app).await;
    assert_eq!(given, ["ann for bob: COMMISSION 10.00 at 1, 0.00 back", "ann for bob: CREDIT 5.00 at 1, 0.00 back"]);
    tell(&app, json!([join("rae", None)])).await;
    tell(&app, json!([refund("o1", "50.00"), act("bob")])).await;
    let settled = rewards(&app).await;
    assert_eq!(settled, ["ann for bob: COMMISSION 10.00 at 1, 5.00 back", "ann for bob: CREDIT 5.00 at 1, 0.00 back"]);
    tell(&app, json!([sale("o2", "50.00")])).await;
    assert_eq!(
        more(&rewards(&app).await, &settled),
        ["ann for bob: COMMISSION 5.00 at 1, 0.00 back", "rae for bob: COMMISSION 2.50 at 2, 0.00 back"]
    );
}

#[tokio::test]
async fn a_touch_that_arrives_after_a_move_shares_with_the_line_of_each_owner_s_own_time() {
    let (app, campaign_id, given) = story().await;
    tell(&app, json!([join("kim", Some("zoe"))])).await;
    let query =
        "mutation($i: GenerateLinkInput!) { generateLink(input: $i) { link { token } userErrors { message } } }";
    let made = app.data(query, json!({ "i": { "campaignId": campaign_id, "memberExternalId": "kim", "destinationUrl": "https://acme.example/" } })).await;
    assert_eq!(made["generateLink"]["userErrors"], json!([]));
    let token = &made["generateLink"]["link"]["token"];
    shift(&app, "ann", "kim").await;
    // Bob came by Kim's link half a minute before he bought: half of the credit is hers.
    let bought_at = app.now() - TimeDelta::minutes(3);
    let click = json!({ "eventType": "click", "userId": "bob", "linkToken": token,
        "timestamp": bought_at - TimeDelta::seconds(30) });
    tell(&app, json!([click])).await;
    let expected = [
        "ann for bob: COMMISSION 10.00 at 1, 5.00 back",
        "ann for bob: CREDIT 5.00 at 1, 0.00 back",
        "kim for bob: COMMISSION 5.00 at 1, 0.00 back",
        "rae for bob: COMMISSION 5.00 at 2, 2.50 back",
        "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        "zoe for bob: COMMISSION 2.50 at 2, 0.00 back",
    ];
    assert_eq!(rewards(&app).await, expected, "{given:#?}");
    shift(&app, "kim", "rae").await;
    tell(&app, json!([refund("o1", "100.00")])).await;
    let expected = [
        "ann for bob: COMMISSION 10.00 at 1, 10.00 back",
        "ann for bob: CREDIT 5.00 at 1, 0.00 back",
        "kim for bob: COMMISSION 5.00 at 1, 5.00 back",
        "rae for bob: COMMISSION 5.00 at 2, 5.00 back",
        "rae for bob: CREDIT 1.00 at 2, 0.00 back",
        "zoe for bob: COMMISSION 2.50 at 2, 2.50 back",
    ];
    assert_eq!(rewards(&app).await, expected);
}
