//! The inbound log, and `ingestEvents`.

use grapevine::access::Role;
use serde_json::json;

use super::world::{pluck, setting};

const INGEST: &str = "mutation($events: [EventInput!]!) { ingestEvents(input: {events: $events}) {
    results { eventId status code reason } userErrors { code path } } }";
const EVENTS: &str = "query($filter: EventFilter) { events(filter: $filter) { totalCount nodes { id eventType state code reason source { name } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_in_order_and_shown_with_their_fate() {
    let app = setting().await;
    let click = json!({ "eventType": "click", "linkToken": "link-1", "anonymousId": "phone", "eventId": "e1", "userAgent": "Mozilla/5.0" });
    let sale = json!({ "eventType": "conversion", "userId": "ann", "conversionValue": "19.99", "currency": "USD", "orderId": "o1",
        "timestamp": "2026-08-15T11:00:00.25Z", "platform": "SHOPIFY", "properties": { "a": [1, null] }, "consent": { "attribution": true } });
    let wrong = json!({ "eventType": "wave" });
    let data = app.data(INGEST, json!({ "events": [click, sale, wrong, click] })).await;
    let results = &data["ingestEvents"]["results"];
    assert_eq!(pluck(results, "/status"), ["QUEUED", "QUEUED", "QUARANTINED", "DUPLICATE"], "{data:#}");
    assert_eq!(results[0]["eventId"], results[3]["eventId"]);
    let again = app.data(INGEST, json!({ "events": [sale] })).await;
    assert_eq!(
        again["ingestEvents"]["results"][0]["status"], "DUPLICATE",
        "the body is the key where the sender has none"
    );

    let state = |state: &str| json!({ "filter": { "state": [state] } });
    assert_eq!(app.data(EVENTS, state("QUEUED")).await["events"]["totalCount"], 2);
    app.drain().await;
    assert_eq!(app.data(EVENTS, state("QUEUED")).await["events"]["totalCount"], 0);
    let processed = app.data(EVENTS, state("PROCESSED")).await;
    assert_eq!(pluck(&processed["events"]["nodes"], "/state"), ["PROCESSED"; 2]);
    let kept = app.data(EVENTS, state("QUARANTINED")).await;
    assert_eq!(kept["events"]["nodes"][0]["code"], results[2]["code"]);
    assert_eq!(app.data(EVENTS, json!({ "filter": { "eventType": "click" } })).await["events"]["totalCount"], 1);
    assert_eq!(
        app.data(EVENTS, json!({ "filter": { "state": ["DEAD", "QUARANTINED"] } })).await["events"]["totalCount"],
        1
    );
    assert_eq!(app.sql_count("select amount_minor as count from conversions").await, 1_999);
    let node =
        app.data("query($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": results[0]["eventId"] })).await;
    assert_eq!(node["node"]["__typename"], "Event");
    let typo = app.gql(EVENTS, json!({ "filter": { "eventType": "clicks" } })).await;
    assert_eq!(typo["errors"][0]["extensions"]["argument"], "filter.eventType");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_events_and_the_role_are_checked() {
    let app = setting().await;
    let none = app.data(INGEST, json!({ "events": [] })).await;
    assert_eq!(none["ingestEvents"]["userErrors"][0]["code"], "LIMIT_REACHED");
    let event = json!({ "events": [{ "eventType": "click", "anonymousId": "a" }] });
    let refused = app.gql_as(&app.key_of(Role::Viewer).await, INGEST, event.clone()).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let taken = app.gql_as(&app.key_of(Role::Ingest).await, INGEST, event).await;
    assert_eq!(taken["data"]["ingestEvents"]["userErrors"], json!([]), "{taken:#}");
}
