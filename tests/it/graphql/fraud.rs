//! Alerts as a list and as a stream, and what people decide on them.

use std::time::Duration;

use async_graphql::{Request, Variables};
use futures_util::{Stream, StreamExt};
use grapevine::access::Role;
use grapevine::graphql::{RequestContext, schema};
use serde_json::{Value, json};

use super::world::{at, pluck, setting, tell};
use crate::support::TestApp;

/// A bot's click on a creator's link: each creator and hour is a burst of its own.
fn bot(app: &TestApp, creator: i64, hour: i64) -> Value {
    json!({ "event_type": "click", "link_token": format!("link-{creator}"), "anonymous_id": format!("bot{creator}"), "ip": "192.0.2.7",
        "user_agent": "curl/8.5.0", "timestamp": at(app, -60 * hour - 5) })
}

const ALERTS: &str = "query($filter: FraudAlertFilter) { fraudAlerts(filter: $filter) { totalCount edges { cursor node { id state decision score
    occurrences subjectId signals { name weight observed } subject { __typename ... on Touchpoint { decision } } creator { handle }
    campaign { slug } valueAtRisk { amount currency } reviewNote } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_one_alert_that_a_person_decides_on_once() {
    let app = setting().await;
    tell(&app, vec![bot(&app, 1, 0), bot(&app, 2, 0)]).await;
    let data = app.data(ALERTS, json!({})).await;
    let edges = &data["fraudAlerts"]["edges"];
    assert_eq!(data["fraudAlerts"]["totalCount"], 2, "{data:#}");
    let alert = &edges[0]["node"];
    assert_eq!(alert["decision"], "BLOCK");
    assert!(pluck(&alert["signals"], "/name").contains(&&json!("BOT_USER_AGENT")), "{alert:#}");
    assert_eq!(alert["subject"], json!({ "__typename": "Touchpoint", "decision": "BLOCK" }));
    assert_eq!(alert["campaign"]["slug"], "launch");
    let of_signal =
        |name: &str| json!({ "filter": { "signal": name, "state": ["OPEN"], "decision": ["BLOCK", "REVIEW"] } });
    assert_eq!(app.data(ALERTS, of_signal("BOT_USER_AGENT")).await["fraudAlerts"]["totalCount"], 2);
    assert_eq!(app.data(ALERTS, of_signal("RING")).await["fraudAlerts"]["totalCount"], 0);
    let at_risk = json!({ "filter": { "minValueAtRisk": { "amount": "0.01", "currency": "USD" } } });
    assert_eq!(app.data(ALERTS, at_risk).await["fraudAlerts"]["totalCount"], 0);

    let review =
        "mutation($id: ID!, $note: String!) { reviewFraudAlert(input: {alertId: $id, verdict: DISMISS, note: $note}) {
        fraudAlert { state reviewNote reviewedAt } userErrors { code path } } }";
    let variables = |note: &str| json!({ "id": alert["id"], "note": note });
    let blank = app.data(review, variables("  ")).await;
    assert_eq!(blank["reviewFraudAlert"]["userErrors"][0], json!({ "code": "INVALID", "path": ["note"] }));
    let viewer = app.gql_as(&app.key_of(Role::Viewer).await, review, variables("No.")).await;
    assert_eq!(viewer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let analyst = app.key_of(Role::FraudAnalyst).await;
    let reviewed = app.gql_as(&analyst, review, variables("A test of ours.")).await;
    assert_eq!(reviewed["data"]["reviewFraudAlert"]["fraudAlert"]["state"], "DISMISSED", "{reviewed:#}");
    let again = app.data(review, variables("Again.")).await;
    assert_eq!(again["reviewFraudAlert"]["userErrors"][0]["code"], "CONFLICT");
    assert_eq!(app.sql_count("select count(*) from outbox where topic = 'fraud_alert.reviewed'").await, 1);
    let metrics = app
        .data("{ campaign(slug: \"launch\") { fraudMetrics { events blocked blockRate openAlerts valueAtRisk { currency } } } }", json!({}))
        .await;
    let expected =
        json!({ "events": 2, "blocked": 2, "blockRate": 1.0, "openAlerts": 1, "valueAtRisk": { "currency": "USD" } });
    assert_eq!(metrics["campaign"]["fraudMetrics"], expected);
}

type Alerts = std::pin::Pin<Box<dyn Stream<Item = Value> + Send>>;

/// Subscribes in the process, as the socket does.
fn subscribe(app: &TestApp, after: Option<&str>, filter: Value) -> Alerts {
    let query =
        "subscription($after: String, $filter: FraudAlertFilter) { fraudAlerts(after: $after, filter: $filter) {
        cursor node { id creator { handle } } } }";
    let variables = Variables::from_json(json!({ "after": after, "filter": filter }));
    let request = Request::new(query).variables(variables).data(RequestContext::new(app, app.scope.clone()));
    Box::pin(async_stream(schema(grapevine::app::App::clone(app)), request))
}

fn async_stream(schema: grapevine::graphql::Schema, request: Request) -> impl Stream<Item = Value> + Send {
    schema.execute_stream(request).map(|response| {
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        response.data.into_json().unwrap()["fraudAlerts"].take()
    })
}

async fn next(alerts: &mut Alerts) -> Value {
    tokio::time::timeout(Duration::from_secs(20), alerts.next()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_resumed_misses_none_and_repeats_none() {
    let app = setting().await;
    tell(&app, vec![bot(&app, 1, 0)]).await;
    let mut live = subscribe(&app, None, Value::Null);
    // The stream starts now: the alert that is there already is not given. It is polled once so that it has started.
    assert!(tokio::time::timeout(Duration::from_millis(300), live.next()).await.is_err());
    let mut seen = Vec::new();
    for hour in 1..=3 {
        tell(&app, vec![bot(&app, 1, hour), bot(&app, 2, hour)]).await;
        seen.push(next(&mut live).await);
        seen.push(next(&mut live).await);
    }
    drop(live);
    tell(&app, (4..=6).flat_map(|hour| [bot(&app, 1, hour), bot(&app, 3, hour)]).collect()).await;
    let cursor = seen[5]["cursor"].as_str().unwrap().to_owned();
    let mut resumed = subscribe(&app, Some(&cursor), Value::Null);
    for _ in 0..6 {
        seen.push(next(&mut resumed).await);
    }
    tell(&app, vec![bot(&app, 4, 0)]).await;
    seen.push(next(&mut resumed).await);
    let mut ids: Vec<String> = seen.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 13);
    assert_eq!(app.sql_count("select count(*) from fraud_alerts").await, 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_gives_only_what_fits_and_a_bot_may_listen() {
    let app = setting().await;
    let creator = grapevine::base::Kind::Creator.id(uuid::Uuid::from_u128(0xc2));
    let mut alerts = subscribe(
        &app,
        Some(&grapevine::base::Cursor::new(0, uuid::Uuid::nil()).encode()),
        json!({ "creatorId": creator }),
    );
    tell(&app, vec![bot(&app, 1, 0), bot(&app, 3, 0), bot(&app, 2, 0)]).await;
    assert_eq!(next(&mut alerts).await["node"]["creator"]["handle"], "creator2");
    let bot_key = app.key_of(Role::Bot).await;
    let listed = app.gql_as(&bot_key, "{ fraudAlerts { nodes { subjectId signals { name } } } }", json!({})).await;
    assert_eq!(listed["data"]["fraudAlerts"]["nodes"].as_array().map(Vec::len), Some(3), "{listed:#}");
}
