//! A drafted policy tried on the past: it comes to what the policy would have come to, and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{Request, Variables};
use futures_util::StreamExt;
use grapevine::base::Kind;
use grapevine::graphql::{RequestContext, schema};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{at, setting, tell};
use crate::support::TestApp;

const PARTS: &str = "policy { version model } conversions changedConversions value { amount } truncated
    rows { creator { handle } change { before { conversions value { amount } } after { conversions value { amount } }
        difference { conversions value { amount } } } }
    unattributed { before { value { amount } } after { conversions value { amount } } }";

fn input(app: &TestApp, draft: Value) -> Value {
    json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "attribution": draft, "from": at(app, -30_000), "to": at(app, 10) })
}

async fn simulate(app: &TestApp, draft: Value) -> Value {
    let query = format!(
        "query($input: SimulateAttributionPolicyInput!) {{ simulateAttributionPolicy(input: $input) {{ {PARTS} }} }}"
    );
    app.data(&query, json!({ "input": input(app, draft) })).await["simulateAttributionPolicy"].take()
}

/// Five people with clicks of many ages on all links, who buy several times, one of them by name of the campaign; and a stranger.
async fn history(app: &TestApp) {
    let mut events = Vec::new();
    for person in 0..5_i64 {
        let name = format!("p{person}");
        for click in 0..6 {
            let link = (person * 2 + click * click) % 6 + 1;
            let ago = 40 + click * (40 + person * 700) + person;
            events.push(json!({"event_type": "click", "link_token": format!("link-{link}"), "anonymous_id": name, "timestamp": at(app, -ago)}));
        }
        for (order, ago) in [(1, 2_500), (2, 200), (3, 20)] {
            let mut sale = json!({"event_type": "conversion", "anonymous_id": name, "order_id": format!("{name}-{order}"),
                "conversion_value": format!("{}.37", 3 + person * order), "timestamp": at(app, -ago)});
            if person == 1 {
                sale["campaign"] = json!("launch");
            }
            events.push(sale);
        }
    }
    events.push(json!({"event_type": "conversion", "anonymous_id": "stranger", "order_id": "s", "conversion_value": "1.00", "timestamp": at(app, -100)}));
    tell(app, events).await;
}

/// The value of each creator's credit, by handle, as it stands.
async fn standing(app: &TestApp) -> BTreeMap<String, String> {
    let rows = app
        .texts(
            "select concat_ws(' ', c.handle, (sum(r.amount_minor) / 100.0)::numeric(12, 2)) as text from attribution_records r
             join creators c on c.id = r.creator_id where r.superseded_at is null group by c.handle",
        )
        .await;
    rows.iter().map(|row| row.split_once(' ').unwrap()).map(|(name, sum)| (name.to_owned(), sum.to_owned())).collect()
}

/// One side of a simulation, without those who have nothing there.
fn side(found: &Value, name: &str) -> BTreeMap<String, String> {
    let rows = found["rows"].as_array().unwrap().iter().map(|row| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&row["creator"]["handle"]), text(&row["change"][name]["value"]["amount"]))
    });
    rows.filter(|(_, amount)| amount != "0.00").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_comes_to_what_the_policy_would_have_come_to() {
    let app = setting().await;
    history(&app).await;
    let before = app.texts("select r::text as text from attribution_records r order by 1").await;
    let stood = standing(&app).await;
    for draft in [
        json!({ "model": "FIRST_TOUCH" }),
        json!({ "model": "TIME_DECAY", "halfLifeHours": 5 }),
        json!({ "model": "POSITION_BASED", "splitAtPreviousConversion": true }),
        json!({ "lookbackHours": 2 }),
        json!({ "model": "LAST_TOUCH", "lookbackHours": 1_000 }),
    ] {
        let found = simulate(&app, draft.clone()).await;
        let other = setting().await;
        let set = "mutation($id: ID!, $draft: AttributionPolicyInput!) { updateCampaign(input: {campaignId: $id, attribution: $draft}) { userErrors { code } } }";
        let id = Kind::Campaign.id(Uuid::from_u128(0xa1));
        other.data(set, json!({ "id": id, "draft": draft })).await;
        history(&other).await;
        assert_eq!(side(&found, "after"), standing(&other).await, "{draft}");
        assert_eq!(side(&found, "before"), stood);
        assert_eq!(found["policy"]["version"], 2);
        assert_conserved(&found);
    }
    assert_eq!(app.texts("select r::text as text from attribution_records r order by 1").await, before);
    let same = simulate(&app, json!({})).await;
    assert_eq!(same["changedConversions"], 0, "{same:#}");
    assert_eq!(side(&same, "after"), stood);
}

/// Both sides make the whole, and the differences are those of the sides.
fn assert_conserved(found: &Value) {
    let minor = |value: &Value| value["value"]["amount"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let whole = found["value"]["amount"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let rows = found["rows"].as_array().unwrap();
    for name in ["before", "after"] {
        let sum: i64 = rows.iter().map(|row| minor(&row["change"][name])).sum();
        assert_eq!(sum + minor(&found["unattributed"][name]), whole, "{name}: {found:#}");
    }
    for row in rows {
        let change = &row["change"];
        assert_eq!(minor(&change["after"]) - minor(&change["before"]), minor(&change["difference"]), "{change}");
    }
    let lost = rows.iter().any(|row| row["change"]["difference"]["value"]["amount"].as_str().unwrap().starts_with('-'));
    assert!(lost, "the draft changes nothing: {found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_one_is_streamed_with_its_progress() {
    let app = setting().await;
    history(&app).await;
    let draft = json!({ "model": "FIRST_TOUCH" });
    let query = format!(
        "subscription($input: SimulateAttributionPolicyInput!) {{ attributionSimulation(input: $input) {{ done total result {{ {PARTS} }} }} }}"
    );
    let variables = Variables::from_json(json!({ "input": input(&app, draft.clone()) }));
    let request = Request::new(query).variables(variables).data(RequestContext::new(&app, app.scope.clone()));
    let steps = schema(grapevine::app::App::clone(&app)).execute_stream(request).map(|response| {
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        response.data.into_json().unwrap()["attributionSimulation"].take()
    });
    let steps: Vec<Value> = tokio::time::timeout(Duration::from_secs(60), steps.collect()).await.unwrap();
    let (last, earlier) = steps.split_last().unwrap();
    assert!(earlier.iter().all(|step| step["result"].is_null()), "{earlier:#?}");
    assert_eq!((&last["done"], &last["total"]), (&json!(16), &json!(16)));
    assert_eq!(last["result"], simulate(&app, draft).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_cannot_be_is_told_so() {
    let app = setting().await;
    let query =
        "query($input: SimulateAttributionPolicyInput!) { simulateAttributionPolicy(input: $input) { conversions } }";
    let argument = async |change: Value, draft: Value| {
        let mut asked = input(&app, draft);
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        app.gql(query, json!({ "input": asked })).await["errors"][0]["extensions"]["argument"].clone()
    };
    assert_eq!(argument(json!({ "to": at(&app, -40_000) }), json!({})).await, "input.to");
    assert_eq!(argument(json!({}), json!({ "lookbackHours": 0 })).await, "input.attribution.lookbackHours");
    assert_eq!(argument(json!({}), json!({ "lastTouchWeight": 7 })).await, "input.attribution.lastTouchWeight");
    let unknown = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xdead)) });
    assert_eq!(argument(unknown, json!({})).await, "input.campaignId");
}
