//! What a draft reward policy would have cost, against what was granted in truth and against sums worked out by hand.

use std::time::Duration;

use async_graphql::{Request, Variables};
use futures_util::StreamExt;
use grapevine::base::Kind;
use grapevine::graphql::{RequestContext, schema};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{at, setting, story, tell};
use crate::support::TestApp;

const FIELDS: &str = "activations conversions
    granted { rewards beneficiaries cost { amount currency } } held { rewards cost { amount } }
    denied { reason denied { rewards beneficiaries cost { amount } } }
    byDegree { degree granted { rewards cost { amount } } } actual { rewards beneficiaries cost { amount currency } }";

fn input(app: &TestApp, reward: Value) -> Value {
    let campaign = Kind::Campaign.id(Uuid::from_u128(0xa1));
    json!({ "campaignId": campaign, "reward": reward, "from": at(app, -20_000), "to": at(app, 0) })
}

async fn simulate(app: &TestApp, input: Value) -> Value {
    let query =
        format!("query($input: SimulateRewardPolicyInput!) {{ simulateRewardPolicy(input: $input) {{ {FIELDS} }} }}");
    app.data(&query, json!({ "input": input })).await["simulateRewardPolicy"].take()
}

/// Rewards, beneficiaries and dollars.
fn sums(of: &Value) -> String {
    let cost = of["cost"].as_array().unwrap().iter().map(|money| money["amount"].as_str().unwrap());
    format!("{} for {}: {}", of["rewards"], of["beneficiaries"], cost.collect::<Vec<_>>().join(" "))
}

/// Reason, rewards and dollars of each denial.
fn denials(found: &Value) -> Vec<String> {
    let line = |one: &Value| format!("{} {}", one["reason"].as_str().unwrap(), sums(&one["denied"]));
    found["denied"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_in_force_would_have_granted_what_was_granted() {
    let app = setting().await;
    story(&app).await;
    // A sale is taken back in part; somebody is active before she signs up, and somebody buys without being known.
    tell(
        &app,
        vec![
            json!({"event_type": "refund", "order_id": "o3", "conversion_value": "5.00", "timestamp": at(&app, -20)}),
            json!({"event_type": "activation", "user_id": "dan", "timestamp": at(&app, -19)}),
            json!({"event_type": "signup", "user_id": "dan", "referrer_user_id": "bob", "timestamp": at(&app, -18)}),
            json!({"event_type": "conversion", "anonymous_id": "x", "order_id": "x", "conversion_value": "3.00", "campaign": "launch",
                   "timestamp": at(&app, -17)}),
        ],
    )
    .await;
    let before = app.texts("select r::text as text from rewards r order by 1").await;
    let found = simulate(&app, input(&app, Value::Null)).await;
    assert_eq!(sums(&found["granted"]), sums(&found["actual"]), "{found:#}");
    // Ann for Bob and Bob for Dan, the two themselves, and sixteen cents of each of ten sales to six creators, half of that for one sale.
    assert_eq!(sums(&found["granted"]), "64 for 9: 21.12", "{found:#}");
    assert_eq!((&found["activations"], &found["conversions"], &found["denied"]), (&json!(2), &json!(11), &json!([])));
    assert_eq!(
        found["byDegree"],
        json!([
            { "degree": 0, "granted": { "rewards": 2, "cost": [{ "amount": "2.00" }] } },
            { "degree": 1, "granted": { "rewards": 62, "cost": [{ "amount": "19.12" }] } },
        ])
    );
    assert_eq!(app.texts("select r::text as text from rewards r order by 1").await, before, "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_changes_what_it_names_and_keeps_the_rest() {
    let app = setting().await;
    story(&app).await;
    let doubled = simulate(&app, input(&app, json!({ "tiers": [{ "degree": 1, "shareOfConversion": 0.2 }] }))).await;
    // A fifth of 1.67 and of 1.66 is 33 cents; Bob's own dollar stays.
    assert_eq!(sums(&doubled["granted"]), "61 for 7: 20.80", "{doubled:#}");
    let second = simulate(&app, input(&app, json!({ "activationThreshold": 2 }))).await;
    assert_eq!((&second["activations"], sums(&second["granted"])), (&json!(0), "60 for 6: 9.60".to_owned()));
    tell(&app, vec![json!({"event_type": "activation", "user_id": "bob", "timestamp": at(&app, -10)})]).await;
    let second = simulate(&app, input(&app, json!({ "activationThreshold": 2 }))).await;
    assert_eq!((&second["activations"], sums(&second["granted"])), (&json!(1), "62 for 8: 15.60".to_owned()));
    // The second activation was ten minutes ago.
    let mut earlier = input(&app, json!({ "activationThreshold": 2 }));
    earlier["to"] = json!(at(&app, -15));
    assert_eq!(simulate(&app, earlier).await["activations"], 0);
    let kept = simulate(&app, input(&app, json!({ "kind": "FEATURE_UNLOCK" }))).await;
    assert_eq!(sums(&kept["granted"]), "62 for 8: 9.60", "what is not money costs none");
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_the_budget_and_fraud_deny_in_the_order_of_history() {
    let app = setting().await;
    story(&app).await;
    tell(
        &app,
        vec![
            json!({"event_type": "signup", "user_id": "cat", "referrer_user_id": "ann", "timestamp": at(&app, -9)}),
            json!({"event_type": "activation", "user_id": "cat", "timestamp": at(&app, -8)}),
        ],
    )
    .await;
    let capped = simulate(&app, input(&app, json!({ "maxPerMemberPerDay": 1 }))).await;
    assert_eq!(denials(&capped), ["DAILY_CAP 1 for 1: 5.00"], "Ann's second reward of the day: {capped:#}");
    let capped = simulate(&app, input(&app, json!({ "maxPerMember": 1, "maxPerMemberPerDay": 1 }))).await;
    assert_eq!(denials(&capped), ["CAMPAIGN_CAP 1 for 1: 5.00"], "of two caps the one that lasts longer: {capped:#}");
    let mut poor = input(&app, Value::Null);
    poor["budget"] = json!({ "amount": "6.16", "currency": "USD" });
    let poor = simulate(&app, poor).await;
    // Bob was first and took six dollars with Ann; one share of the first sale was left, and Cat came last.
    assert_eq!(sums(&poor["granted"]), "3 for 3: 6.16", "{poor:#}");
    assert_eq!(denials(&poor), ["BUDGET_EXHAUSTED 61 for 8: 15.44"]);
    for (decision, expected) in [("REVIEW", "[] 2"), ("BLOCK", "[\"FRAUD_BLOCKED 2 for 2: 6.00\"] 0")] {
        app.execute("delete from fraud_assessments where subject_kind = 'member'").await;
        app.execute(&format!(
            "insert into fraud_assessments (brand_id, id, subject_kind, subject_id, campaign_id, member_id, policy_version, decision, score_ppm,
                                            signals, assessed_at)
             select brand_id, gen_random_uuid(), 'member', id, campaign_id, id, 1, '{decision}', 400000, '[]', now()
             from members where external_id = 'bob'"
        ))
        .await;
        let found = simulate(&app, input(&app, Value::Null)).await;
        assert_eq!(format!("{:?} {}", denials(&found), found["held"]["rewards"]), expected, "{found:#}");
    }
    app.execute("update creators set status = 'BANNED' where handle = 'creator2'").await;
    let banned = simulate(&app, input(&app, Value::Null)).await;
    assert_eq!(denials(&banned)[0], "CREATOR_NOT_ACTIVE 10 for 1: 1.60");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_is_refused_with_what_to_change() {
    let app = setting().await;
    let query = "query($input: SimulateRewardPolicyInput!) { simulateRewardPolicy(input: $input) { activations } }";
    let refused = async |change: Value| {
        let mut asked = input(&app, Value::Null);
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = app.gql(query, json!({ "input": asked })).await;
        let error = &answer["errors"][0]["extensions"];
        format!("{} {}", error["code"].as_str().unwrap(), error["argument"].as_str().unwrap_or_default())
    };
    let none = Kind::Campaign.id(Uuid::nil());
    assert_eq!(refused(json!({ "campaignId": none })).await, "NOT_FOUND input.campaignId");
    assert_eq!(refused(json!({ "to": at(&app, -20_000) })).await, "INVALID input.to");
    let euros = json!({ "budget": { "amount": "1.00", "currency": "EUR" } });
    assert_eq!(refused(euros).await, "INVALID input.budget.currency");
    let nothing = json!({ "budget": { "amount": "0.00", "currency": "USD" } });
    assert_eq!(refused(nothing).await, "INVALID input.budget.amount");
    let early = json!({ "reward": { "activationThreshold": 0 } });
    assert_eq!(refused(early).await, "INVALID input.reward.activationThreshold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_is_told_how_far_it_is_and_then_the_result() {
    let app = setting().await;
    story(&app).await;
    let query = format!(
        "subscription($input: SimulateRewardPolicyInput!) {{ rewardSimulation(input: $input) {{ done total result {{ {FIELDS} }} }} }}"
    );
    let variables = Variables::from_json(json!({ "input": input(&app, Value::Null) }));
    let request = Request::new(query).variables(variables).data(RequestContext::new(&app, app.scope.clone()));
    let told = schema(grapevine::app::App::clone(&app)).execute_stream(request).map(|response| {
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        response.data.into_json().unwrap()["rewardSimulation"].take()
    });
    let told: Vec<Value> = tokio::time::timeout(Duration::from_secs(20), told.collect()).await.unwrap();
    let (last, before) = told.split_last().unwrap();
    assert_eq!((&last["done"], &last["total"]), (&json!(11), &json!(11)), "{last:#}");
    assert_eq!(last["result"], simulate(&app, input(&app, Value::Null)).await);
    assert!(before.iter().all(|message| message["result"].is_null()));
}
