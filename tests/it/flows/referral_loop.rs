//! The whole story through the public doors only: GraphQL, links, signed webhooks, and a real graphql-ws client.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::peers::run;
use crate::support::{TestApp, TestSource};

const CAMPAIGN: &str = r#"mutation {
    createCampaign(input: {
        slug: "launch", name: "Launch", objective: CONVERSION, destinationUrl: "https://shop.example/welcome?from=home",
        budget: {amount: "500.00", currency: "USD"}, attribution: {model: LINEAR},
        reward: {kind: CREDIT, activationThreshold: 1, escrowDays: 7, refereeReward: {amount: "2.50", currency: "USD"},
                 tiers: [{degree: 1, amount: {amount: "5.00", currency: "USD"}, shareOfConversion: 0.1},
                         {degree: 2, amount: {amount: "1.00", currency: "USD"}}]}
    }) { campaign { id } userErrors { code message path } }
}"#;

const LINK: &str = "mutation($input: GenerateLinkInput!) {
    generateLink(input: $input) { link { token url shortUrl owner { __typename } } userErrors { code message path } }
}";

const RECORDS: &str = "{ attributionRecords { nodes {
    weight value { amount } touchpoint { kind } referrer { externalId } creator { handle } conversion { value { amount } }
} } }";

const ALERTS: &str =
    "subscription($after: String) { fraudAlerts(after: $after) { cursor node { decision signals { name } } } }";

/// What a browser sends.
const BROWSER: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                       Version/17.5 Mobile/15E148 Safari/604.1";

async fn link(app: &TestApp, input: Value) -> Value {
    let mut made = app.data(LINK, json!({ "input": input })).await;
    assert_eq!(made["generateLink"]["userErrors"], json!([]));
    made["generateLink"]["link"].take()
}

/// Follows an invitation as a browser does and returns the identifiers that the destination was given.
async fn follow(app: &TestApp, token: &str) -> (String, String) {
    let url = format!("{}/invite/{token}", app.serve().await);
    let answer = app.client.get(url).header("user-agent", BROWSER).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let target: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert_eq!(target.host_str(), Some("shop.example"));
    let parameter = |name: &str| target.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter("from").as_deref(), Some("home"));
    (parameter("gv_click").unwrap(), parameter("gv_token").unwrap())
}

async fn post(app: &TestApp, source: &TestSource, events: Value) {
    let (status, answer) = app.post_signed(source, &events).await;
    assert_eq!(status, 202, "{answer}");
    app.drain().await;
}

/// Clicks of one program within one hour: one alert.
async fn burst(app: &TestApp, source: &TestSource, token: &str, hours_ago: i64) {
    let timestamp = (app.now() - TimeDelta::hours(hours_ago)).to_rfc3339();
    let click = |index: i32| {
        json!({"event_id": format!("bot-{hours_ago}-{index}"), "event_type": "click", "link_token": token, "timestamp": timestamp,
               "ip": "198.51.100.9", "user_agent": "curl/8.5.0"})
    };
    post(app, source, (0..40).map(click).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_link_to_the_ledger_and_to_the_alert() {
    let app = TestApp::start().await;
    let campaign = app.data(CAMPAIGN, json!({})).await;
    let campaign_id = campaign["createCampaign"]["campaign"]["id"].clone();
    let creator = app.data(r#"mutation { createCreator(input: {handle: "zoe"}) { creator { id } } }"#, json!({})).await;
    let creator_id = &creator["createCreator"]["creator"]["id"];
    let source = app.source().await;

    // Ann follows the creator's link and joins; she invites Bob, who joins, becomes active and buys.
    let zoe = link(&app, json!({"campaignId": campaign_id, "creatorId": creator_id, "ttlSeconds": 30 * 86_400})).await;
    let (click, token) = follow(&app, zoe["token"].as_str().unwrap()).await;
    post(
        &app,
        &source,
        json!({"event_id": "1", "event_type": "signup", "user_id": "ann", "click_id": click, "link_token": token}),
    )
    .await;
    let ann = link(&app, json!({"campaignId": campaign_id, "memberExternalId": "ann"})).await;
    assert_eq!(ann["owner"]["__typename"], "Member");
    let (click, token) = follow(&app, ann["token"].as_str().unwrap()).await;
    post(&app, &source, json!([
        {"event_id": "2", "event_type": "signup", "user_id": "bob", "click_id": click, "link_token": token},
        {"event_id": "3", "event_type": "activation", "user_id": "bob"},
        {"event_id": "4", "event_type": "conversion", "user_id": "bob", "order_id": "o-1", "conversion_value": "99.99", "currency": "USD"},
        {"event_id": "5", "event_type": "conversion", "user_id": "ann", "order_id": "o-2", "conversion_value": "20.00", "currency": "USD"},
    ])).await;

    credit_sums_exactly(&app).await;
    rewards_stand_on_the_ledger(&app).await;
    the_tree_shows_who_invited_whom(&app).await;
    alerts_reach_a_client_that_comes_back(&app, &source, zoe["token"].as_str().unwrap()).await;
}

async fn credit_sums_exactly(app: &TestApp) {
    let records = app.data(RECORDS, json!({})).await;
    let records = records["attributionRecords"]["nodes"].as_array().unwrap();
    // Bob's click and his sign-up on Ann's link share the credit.
    let records: Vec<&Value> = records.iter().filter(|record| record["referrer"]["externalId"] == "ann").collect();
    assert_eq!(records.len(), 2, "{records:#?}");
    let cents = |record: &Value| record["value"]["amount"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    assert_eq!(records.iter().copied().map(cents).sum::<i64>(), 9999);
    let weights: Vec<&str> = records.iter().map(|record| record["weight"].as_str().unwrap()).collect();
    assert_eq!(weights, ["0.5", "0.5"]);
}

async fn rewards_stand_on_the_ledger(app: &TestApp) {
    let rewards = "{ rewards { nodes { degree kind state amount { amount } ledger { account amount { amount } } } }
                     campaign(slug: \"launch\") { budget { amount } spent { amount } } }";
    let answer = app.data(rewards, json!({})).await;
    let mut owed: Vec<(i64, &str, &str)> = answer["rewards"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reward| {
            let sums = reward["ledger"].as_array().unwrap();
            assert_eq!(sums.len(), 2, "a debit and a credit: {reward:#}");
            (
                reward["degree"].as_i64().unwrap(),
                reward["kind"].as_str().unwrap(),
                reward["amount"]["amount"].as_str().unwrap(),
            )
        })
        .collect();
    owed.sort_unstable();
    // Bob's own side, Ann's referral and her tenth of his sale, Zoe's two hops away, and her tenth of Ann's.
    assert_eq!(
        owed,
        [
            (0, "CREDIT", "2.50"),
            (1, "COMMISSION", "2.00"),
            (1, "COMMISSION", "9.99"),
            (1, "CREDIT", "5.00"),
            (2, "CREDIT", "1.00")
        ]
    );
    assert_eq!(answer["campaign"]["spent"]["amount"], "20.49");
    app.advance(TimeDelta::days(8));
    app.drain().await;
    let balances = app
        .data(
            "{ member(externalId: \"ann\") { balances { amount } } creator(handle: \"zoe\") { balances { amount } } }",
            json!({}),
        )
        .await;
    assert_eq!(
        balances,
        json!({"member": {"balances": [{"amount": "14.99"}]}, "creator": {"balances": [{"amount": "3.00"}]}})
    );
}

async fn the_tree_shows_who_invited_whom(app: &TestApp) {
    let root = app.data("{ member(externalId: \"ann\") { id creator { handle } } }", json!({})).await;
    assert_eq!(root["member"]["creator"]["handle"], "zoe");
    let tree = "query($root: ID!) { referralTree(rootId: $root) { truncated nodes { depth member { externalId } value { amount } } }
                kFactorCohorts(interval: MONTH, from: \"2026-08-01\", to: \"2026-09-01\", windowsDays: [7]) {
                    size windows { inviters invites convertedInvites kFactor } } }";
    let answer = app.data(tree, json!({ "root": root["member"]["id"] })).await;
    let nodes = answer["referralTree"]["nodes"].as_array().unwrap();
    let names: Vec<&str> = nodes.iter().map(|node| node["member"]["externalId"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert_eq!(nodes[1]["value"]["amount"], "99.99");
    // Ann invited one person, who joined; Bob invited nobody: k is one half.
    let window = &answer["kFactorCohorts"][0]["windows"][0];
    assert_eq!(window, &json!({"inviters": 1, "invites": 1, "convertedInvites": 1, "kFactor": 0.5}));
}

async fn alerts_reach_a_client_that_comes_back(app: &TestApp, source: &TestSource, token: &str) {
    let url = format!("{}/graphql", app.serve().await);
    let start = grapevine::base::Cursor::new(0, uuid::Uuid::nil()).encode();
    burst(app, source, token, 2).await;
    let listen = |after: String, count: &'static str| {
        let url = url.clone();
        async move { run("subscribe.mjs", &[&url, &app.key, ALERTS, &json!({ "after": after }).to_string(), count]).await }
    };
    let first = listen(start, "1").await;
    assert_eq!(first.lines[0]["data"]["fraudAlerts"]["node"]["decision"], "BLOCK", "{}", first.error);
    let cursor = first.lines[0]["data"]["fraudAlerts"]["cursor"].as_str().unwrap().to_owned();
    // One alert while nobody listens, one while they listen again: both come, each once, and the first does not come again.
    burst(app, source, token, 3).await;
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        burst(app, source, token, 4).await;
    };
    let (resumed, ()) = tokio::join!(listen(cursor.clone(), "2"), late);
    let cursors: Vec<&str> =
        resumed.lines.iter().map(|line| line["data"]["fraudAlerts"]["cursor"].as_str().unwrap()).collect();
    assert_eq!(cursors.len(), 2, "{}", resumed.error);
    assert!(cursors[0] != cursors[1] && !cursors.contains(&cursor.as_str()));
}
