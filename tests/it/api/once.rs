//! Idempotency keys: sent twice, done once.

use serde_json::{Value, json};

use crate::support::TestApp;

const CREATE: &str =
    "mutation($i: CreateCreatorInput!) { createCreator(input: $i) { creator { id } userErrors { code path } } }";

async fn create(app: &TestApp, handle: &str, key: &str) -> Value {
    app.data(CREATE, json!({ "i": { "handle": handle, "idempotencyKey": key } })).await["createCreator"].take()
}

#[tokio::test]
async fn a_replay_returns_the_first_result() {
    let app = TestApp::start().await;
    let first = create(&app, "a", "k").await;
    assert!(first["creator"]["id"].is_string(), "{first}");
    assert_eq!(create(&app, "a", "k").await, first);
    assert_eq!(
        create(&app, "b", "k").await["userErrors"],
        json!([{ "code": "IDEMPOTENCY_KEY_REUSED", "path": ["idempotencyKey"] }])
    );
    assert_eq!(create(&app, "b", "").await["userErrors"][0]["code"], "INVALID");
    assert_eq!(create(&app, "b", &"k".repeat(256)).await["userErrors"][0]["code"], "INVALID");
    assert_eq!(app.sql_count("select count(*) from creators").await, 1);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let app = TestApp::start().await;
    assert_eq!(create(&app, "NOT A HANDLE", "k").await["userErrors"][0]["path"], json!(["handle"]));
    assert!(create(&app, "a", "k").await["creator"]["id"].is_string());
}

#[tokio::test]
async fn ten_at_once_make_one() {
    let app = TestApp::start().await;
    let all = futures_util::future::join_all((0..10).map(|_| create(&app, "a", "k"))).await;
    assert!(all.iter().all(|answer| *answer == all[0] && answer["creator"]["id"].is_string()), "{all:#?}");
    assert_eq!(app.sql_count("select count(*) from creators").await, 1);
}
