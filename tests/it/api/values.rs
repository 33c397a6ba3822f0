//! Values that PostgreSQL cannot hold: each is refused as the caller's, and none is a failure of ours.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::TestApp;

/// The codes of what was refused.
fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().into_iter().flatten().map(|error| &error["extensions"]["code"]);
    let refused = answer["data"].as_object().into_iter().flat_map(|data| data.values());
    let refused = refused.flat_map(|payload| payload["userErrors"].as_array().into_iter().flatten());
    errors.chain(refused.map(|error| &error["code"])).filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_text_with_nul_is_refused_wherever_it_stands() {
    let app = TestApp::start().await;
    for query in [
        "query($t: String!) { creator(handle: $t) { id } }",
        "query($t: String!) { campaign(slug: $t) { id } }",
        "query($t: String!) { member(externalId: $t) { id } }",
        "query($t: String!) { link(token: $t) { id } }",
        "query($t: String!) { creators(filter: {search: $t}) { totalCount } }",
        "query($t: String!) { creators(filter: {tier: $t}) { totalCount } }",
        "query($t: String!) { fraudAlerts(filter: {signal: $t}) { totalCount } }",
        "query($t: String!) { events(filter: {code: $t}) { totalCount } }",
        "mutation($t: String!) { createCreator(input: {handle: \"a\", idempotencyKey: $t}) { userErrors { code } } }",
        "mutation($t: String!) { createApiKey(input: {name: $t, role: VIEWER}) { userErrors { code } } }",
        "mutation($t: String!) { createWebhookSource(input: {name: $t}) { userErrors { code } } }",
        "mutation($t: String!) { reverseReward(input: {rewardId: \"reward_00000000000000000000000000\", reason: $t}) { userErrors { code } } }",
        "mutation($t: String!) { reviewFraudAlert(input: {alertId: \"alert_00000000000000000000000000\", verdict: DISMISS, note: $t}) { userErrors { code } } }",
    ] {
        let answer = app.gql(query, json!({ "t": "a\u{0}b" })).await;
        assert_eq!(codes(&answer), ["INVALID"], "{query}: {answer}");
    }
}

#[tokio::test]
async fn a_name_with_nul_is_quarantined_and_its_neighbours_are_taken() {
    let app = TestApp::start().await;
    let query = "mutation($e: [EventInput!]!) { ingestEvents(input: {events: $e}) { results { status code } } }";
    let mut events = vec![json!({ "eventType": "click", "anonymousId": "a" })];
    for field in ["linkToken", "creatorId", "campaign", "userId"] {
        events.push(json!({ "eventType": "click", "anonymousId": "a", field: "\u{0}" }));
    }
    events.push(json!({ "eventType": "click", "anonymousId": "b", "url": "https://a.example/?utm_campaign=%00" }));
    let data = app.data(query, json!({ "e": events })).await;
    let bad = json!({ "status": "QUARANTINED", "code": "BAD_FIELD" });
    let good = json!({ "status": "QUEUED", "code": null });
    assert_eq!(data["ingestEvents"]["results"], json!([good, bad, bad, bad, bad, good]));
}

#[tokio::test]
async fn moments_beyond_the_calendar_are_refused() {
    let app = TestApp::start().await;
    let mut forged = Vec::from(i64::to_be_bytes(-210_866_803_200_000_001));
    forged.extend([0; 16]);
    let cursor = URL_SAFE_NO_PAD.encode(forged);
    for list in ["creators", "campaigns", "members", "attributionRecords", "rewards", "payouts", "events"] {
        let query = format!("query($c: String) {{ {list}(before: $c) {{ nodes {{ id }} }} }}");
        assert_eq!(codes(&app.gql(&query, json!({ "c": cursor })).await), ["INVALID"], "{list}");
    }
    for query in [
        "query($t: DateTime!) { members(filter: {joinedFrom: $t}) { totalCount } }",
        "query($t: DateTime!) { topReferrers(since: $t) { rank } }",
        "mutation($t: DateTime!) { createCampaign(input: {slug: \"a\", name: \"A\", objective: CONVERSION, startsAt: $t}) { userErrors { code } } }",
    ] {
        let answer = app.gql(query, json!({ "t": "-4800-01-01T00:00:00Z" })).await;
        assert_eq!(codes(&answer), ["INVALID"], "{query}: {answer}");
    }
    let far = "mutation { createCampaign(input: {slug: \"a\", name: \"A\", objective: CONVERSION, endsAt: \"+10000-01-01T00:00:00Z\"}) { userErrors { code } } }";
    assert_eq!(codes(&app.gql(far, json!({})).await), ["INVALID"]);
}

#[tokio::test]
async fn an_amount_near_the_end_of_the_numbers_is_refused() {
    let app = TestApp::start().await;
    let query = "mutation($a: Decimal!) { createCampaign(input: {slug: \"a\", name: \"A\", objective: CONVERSION,
        budget: {amount: $a, currency: \"USD\"}}) { userErrors { code path } } }";
    for amount in ["92233720368547758.07", "10000000000000.01", "1e28", "-1", "NaN"] {
        assert_eq!(codes(&app.gql(query, json!({ "a": amount })).await), ["INVALID"], "{amount}");
    }
    assert_eq!(codes(&app.gql(query, json!({ "a": "10000000000000" })).await), [""; 0]);
}
