//! Share links that lead nowhere.

use reqwest::StatusCode;

use super::front::Front;

#[tokio::test]
async fn an_unknown_link_is_a_plain_page_and_never_a_redirect() {
    let front = Front::open().await;
    for path in [
        "/r/unknown",
        "/invite/unknown",
        "/r/https:%2F%2Fevil.example",
        "/r/%ff",
        "/r/%00",
        &format!("/r/{}", "x".repeat(9_000)),
    ] {
        let response = front.client.get(format!("{}{path}", front.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.headers().get("location").is_none());
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let text = response.text().await.unwrap();
        assert!(text.contains("<!doctype html>") && !text.contains("evil"), "{path}: {text}");
    }
    front.close().await;
}
