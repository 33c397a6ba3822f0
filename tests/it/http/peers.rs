//! The protocols, judged by other people's clients.

use serde_json::json;

use super::front::{Front, SUBSCRIPTION};
use crate::support::peers::run;

#[tokio::test]
async fn every_audit_of_graphql_http_passes() {
    let front = Front::open().await;
    let said = run("audit.mjs", &[&front.graphql_url(), &front.key]).await;
    assert!(said.is_success, "{}", said.error);
    assert_eq!(said.lines[0]["failures"], json!([]));
    assert_eq!((said.lines[0]["total"].as_u64(), said.lines[0]["passed"].as_u64()), (Some(61), Some(61)));
    front.close().await;
}

#[tokio::test]
async fn graphql_ws_runs_queries_and_hears_why_it_is_refused() {
    let front = Front::open().await;
    let url = front.graphql_url();
    let said = run("subscribe.mjs", &[&url, &front.key, "{ __typename }", "{}", "5"]).await;
    assert_eq!(said.lines, [json!({ "data": { "__typename": "Query" } })], "{}", said.error);
    let said = run("subscribe.mjs", &[&url, "gv_wrong", "{ __typename }", "{}", "1"]).await;
    assert!(said.error.contains("4403"), "{}", said.error);
    let said = run("subscribe.mjs", &[&url, &front.key, "subscription { nothing }", "{}", "1"]).await;
    assert_eq!(said.lines[0]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{}", said.error);
    front.close().await;
}

#[tokio::test]
async fn graphql_sse_streams_in_distinct_connections_mode() {
    let front = Front::open().await;
    let url = front.graphql_url();
    let said = run("stream.mjs", &[&url, &front.key, "{ __typename }", "{}", "5"]).await;
    assert_eq!(said.lines, [json!({ "data": { "__typename": "Query" } })], "{}", said.error);
    assert!(said.is_success, "{}", said.error);
    let said = run("stream.mjs", &[&url, "gv_wrong", SUBSCRIPTION, "{}", "1"]).await;
    assert!(said.error.contains("401"), "{}", said.error);
    front.close().await;
}

#[tokio::test]
async fn the_usual_introspection_is_within_the_limits() {
    let front = Front::open().await;
    let said = run("introspect.mjs", &[&front.graphql_url(), &front.key]).await;
    assert!(said.lines[0]["types"].as_u64() > Some(10), "{:?} {}", said.lines, said.error);
    front.close().await;
}
