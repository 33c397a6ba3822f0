//! Rewards, what they post on the ledger, and what people do with them.

use async_graphql::{Request, Variables};
use futures_util::StreamExt;
use grapevine::access::Role;
use grapevine::app::App;
use grapevine::base::{Cursor, Kind};
use grapevine::graphql::{RequestContext, schema};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{pluck, setting, story};
use crate::support::TestApp;

const REWARDS: &str =
    "query($filter: RewardFilter) { rewards(filter: $filter) { totalCount nodes { id state degree kind reason
    amount { amount currency } beneficiary { __typename ... on Creator { handle } ... on Member { externalId } }
    referee { externalId } campaign { slug } policyVersion ledger { account amount { amount } } } } }";

async fn rewards(app: &TestApp, filter: Value) -> Value {
    app.data(REWARDS, json!({ "filter": filter })).await["rewards"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn rewards_show_who_earned_what_and_their_entries_sum_to_zero() {
    let app = setting().await;
    story(&app).await;
    let found = rewards(&app, json!({ "kind": ["CREDIT"], "state": ["ESCROWED"] })).await;
    let referrer = found["nodes"].as_array().unwrap().iter().find(|reward| reward["degree"] == 1).unwrap();
    assert_eq!(referrer["beneficiary"]["externalId"], "ann");
    assert_eq!(referrer["referee"]["externalId"], "bob");
    assert_eq!(referrer["amount"]["amount"], "5.00");
    let amounts: Vec<&str> =
        pluck(&referrer["ledger"], "/amount/amount").into_iter().filter_map(Value::as_str).collect();
    assert_eq!(amounts.len(), 2);
    assert!(amounts.contains(&"5.00") && amounts.contains(&"-5.00"), "{amounts:?}");
    let account = pluck(&referrer["ledger"], "/account").into_iter().filter_map(Value::as_str).max().unwrap();
    assert!(account.starts_with("escrow:member:member_"), "{account}");
    let none = rewards(&app, json!({ "state": ["PAID"] })).await;
    assert_eq!(none["totalCount"], 0);
    let of_creator = rewards(&app, json!({ "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)) })).await;
    assert!(pluck(&of_creator["nodes"], "/beneficiary/handle").iter().all(|handle| **handle == json!("creator1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_as_many_statements_for_many_as_for_few() {
    let app = setting().await;
    story(&app).await;
    let query = "query($first: Int) { rewards(first: $first) { nodes { beneficiary { ... on Creator { handle } ... on Member { externalId } }
        campaign { slug } referee { externalId } ledger { account } } } }";
    let mut counts = Vec::new();
    for first in [20, 4, 20] {
        let before = app.statement_count();
        app.data(query, json!({ "first": first })).await;
        counts.push(app.statement_count() - before);
    }
    // The page, creators, members (as beneficiaries and as referees), campaigns and entries, each with the pool's look at its connection.
    assert!(counts.iter().all(|count| *count <= 12), "{counts:?}");
}

const ISSUE: &str = "mutation($input: IssueRewardInput!) { issueReward(input: $input) {
    reward { id state amount { amount } reason } userErrors { code path } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_by_hand_is_issued_once_released_and_taken_back() {
    let app = setting().await;
    let mut input = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
        "kind": "CREDIT", "amount": { "amount": "12.50", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": "k1" });
    let first = app.data(ISSUE, json!({ "input": input })).await;
    let reward = &first["issueReward"]["reward"];
    assert_eq!(
        (reward["state"].as_str(), reward["amount"]["amount"].as_str()),
        (Some("ESCROWED"), Some("12.50")),
        "{first:#}"
    );
    assert_eq!(app.data(ISSUE, json!({ "input": input })).await, first, "a replay returns the first result");
    input["amount"]["amount"] = json!("13.00");
    let reused = app.data(ISSUE, json!({ "input": input })).await;
    assert_eq!(reused["issueReward"]["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    input["amount"]["amount"] = json!("99999999.00");
    input["idempotencyKey"] = json!("k2");
    let large = app.data(ISSUE, json!({ "input": input })).await;
    assert_eq!(large["issueReward"]["userErrors"][0]["code"], "INSUFFICIENT_BUDGET");

    let release =
        "mutation($id: ID!) { releaseReward(input: {rewardId: $id}) { reward { state } userErrors { code } } }";
    let released = app.data(release, json!({ "id": reward["id"] })).await;
    assert_eq!(released["releaseReward"]["reward"]["state"], "AVAILABLE");
    let again = app.data(release, json!({ "id": reward["id"] })).await;
    assert_eq!(again["releaseReward"]["userErrors"][0]["code"], "CONFLICT");
    let balances = "query($id: ID!) { creator(id: $id) { balances { amount } } }";
    let creator = json!({ "id": Kind::Creator.id(Uuid::from_u128(0xc1)) });
    assert_eq!(app.data(balances, creator.clone()).await["creator"]["balances"][0]["amount"], "12.50");
    let reverse = "mutation($id: ID!) { reverseReward(input: {rewardId: $id, reason: \"A mistake.\"}) { reward { state reversed { amount } reason } userErrors { code } } }";
    let reversed = app.data(reverse, json!({ "id": reward["id"] })).await;
    assert_eq!(
        reversed["reverseReward"]["reward"],
        json!({ "state": "REVERSED", "reversed": { "amount": "12.50" }, "reason": "A mistake." })
    );
    assert_eq!(app.data(balances, creator).await["creator"]["balances"][0]["amount"], "0.00");
    let refused = app.gql_as(&app.key_of(Role::Viewer).await, ISSUE, json!({ "input": input })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_tiers_still_pays_the_referee() {
    let app = setting().await;
    let change =
        "mutation($id: ID!) { updateCampaign(input: {campaignId: $id, reward: {tiers: []}}) { userErrors { code } } }";
    app.data(change, json!({ "id": Kind::Campaign.id(Uuid::from_u128(0xa1)) })).await;
    story(&app).await;
    let found = rewards(&app, Value::Null).await;
    assert_eq!(found["totalCount"], 1, "{found:#}");
    let reward = &found["nodes"][0];
    assert_eq!((&reward["degree"], &reward["amount"]["amount"]), (&json!(0), &json!("1.00")));
    assert_eq!(reward["beneficiary"]["externalId"], "bob");
}

/// The next changes of rewards behind a cursor.
async fn told(app: &TestApp, after: &str, filter: Value, count: usize) -> Vec<Value> {
    let query = "subscription($after: String, $filter: RewardFilter) { rewards(after: $after, filter: $filter) { cursor node { id state } } }";
    let variables = Variables::from_json(json!({ "after": after, "filter": filter }));
    let context = RequestContext::new(app, app.scope.clone());
    let schema = schema(App::clone(app));
    let stream = schema.execute_stream(Request::new(query).variables(variables).data(context));
    let read = |response: async_graphql::Response| serde_json::to_value(response).unwrap()["data"]["rewards"].take();
    stream.take(count).map(read).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_rewards_goes_on_from_its_cursor_and_tells_each_change() {
    let app = setting().await;
    let input = |key: &str| {
        json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
            "kind": "CREDIT", "amount": { "amount": "12.50", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": key })
    };
    let mut ids = Vec::new();
    for key in ["k1", "k2"] {
        let made = app.data(ISSUE, json!({ "input": input(key) })).await;
        ids.push(made["issueReward"]["reward"]["id"].clone());
    }
    let start = Cursor::new(0, Uuid::nil()).encode();
    let granted = told(&app, &start, json!({}), 2).await;
    assert_eq!(pluck(&json!(granted), "/node/id"), [&ids[0], &ids[1]]);
    assert_eq!(pluck(&json!(granted), "/node/state"), ["ESCROWED", "ESCROWED"]);

    let release = "mutation($id: ID!) { releaseReward(input: {rewardId: $id}) { userErrors { code } } }";
    app.data(release, json!({ "id": ids[1] })).await;
    let last = granted[1]["cursor"].as_str().unwrap();
    let changed = told(&app, last, json!({}), 1).await;
    assert_eq!((&changed[0]["node"]["id"], &changed[0]["node"]["state"]), (&ids[1], &json!("AVAILABLE")));
    let waiting = told(&app, &start, json!({ "state": ["ESCROWED"] }), 1).await;
    assert_eq!(waiting[0]["node"]["id"], ids[0]);
}
