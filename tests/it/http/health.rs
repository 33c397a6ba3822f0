//! Liveness, readiness and metrics.

use reqwest::StatusCode;
use serde_json::Value;

use super::front::Front;

#[tokio::test]
async fn redis_away_only_degrades() {
    let front = Front::open().await;
    let get = |path: &str| front.client.get(format!("{}{path}", front.url)).send();
    assert_eq!(get("/healthz").await.unwrap().status(), StatusCode::OK);
    let ready = get("/readyz").await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let body: Value = ready.json().await.unwrap();
    assert_eq!((&body["postgres"], &body["migrations"]), (&true.into(), &true.into()));
    let expected = if body["redis"] == true { "ready" } else { "degraded" };
    assert_eq!(body["status"], expected);
    front.close().await;
}

#[tokio::test]
async fn metrics_have_few_labels_and_no_secret() {
    let front = Front::open().await;
    front.query("{ __typename }").await;
    for n in 0..50 {
        front.client.get(format!("{}/r/secret{n}", front.url)).send().await.unwrap();
        front.client.get(format!("{}/unknown{n}", front.url)).send().await.unwrap();
    }
    let text = front.client.get(format!("{}/metrics", front.url)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"grapevine_http_requests_total{route="/graphql",status="2xx"} 1"#), "{text}");
    assert!(text.contains(r#"{route="/r/{token}",status="4xx"} 50"#), "{text}");
    assert!(!text.contains("secret") && !text.contains("unknown") && !text.contains("gv_"), "{text}");
    assert!(text.contains("grapevine_database_statements_total"), "{text}");
    let proxied = front.client.get(format!("{}/metrics", front.url)).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    front.close().await;
}
