//! Webhooks: what is authentic is always taken, and what is not learns nothing.

use grapevine::platforms::sign_generic;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::front::Front;
use crate::support::TestSource;

const SIGNATURE: &str = "x-webhook-signature";

pub async fn send(front: &Front, source: &TestSource, body: &[u8]) -> Response {
    let signature = sign_generic(source.secret.as_bytes(), body);
    let request = front.client.post(format!("{}/webhooks/{}", front.url, source.slug)).header(SIGNATURE, signature);
    request.body(body.to_vec()).send().await.unwrap()
}

#[tokio::test]
async fn an_event_is_queued_once_and_told_so_again() {
    let front = Front::open().await;
    let source = front.app.source().await;
    let body = br#"{"event_type":"identify","event_id":"e1","user_id":"u1","anonymous_id":"a1"}"#;
    let first = send(&front, &source, body).await;
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let first: Value = first.json().await.unwrap();
    assert_eq!(first["status"], "queued", "{first}");
    assert!(first["event_id"].as_str().unwrap().starts_with("event_"), "{first}");
    let again = send(&front, &source, body).await;
    assert_eq!(again.status(), StatusCode::OK);
    let expected = json!({ "status": "duplicate", "event_id": first["event_id"] });
    assert_eq!(again.json::<Value>().await.unwrap(), expected);
    front.close().await;
}

#[tokio::test]
async fn what_is_authentic_but_unreadable_is_kept() {
    let front = Front::open().await;
    let source = front.app.source().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(40_000), "}".repeat(40_000));
    for body in [&b"not json"[..], b"", b"\xff\xfe", b"5", br#"{"event_type":"nonsense"}"#, deep.as_bytes()] {
        let response = send(&front, &source, body).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let taken: Value = response.json().await.unwrap();
        assert_eq!(taken["status"], "quarantined", "{taken}");
        assert!(taken["code"].is_string() && taken["reason"].is_string(), "{taken}");
    }
    front.close().await;
}

#[tokio::test]
async fn an_array_is_answered_item_by_item() {
    let front = Front::open().await;
    let source = front.app.source().await;
    let body = br#"[{"event_type":"identify","event_id":"e1","user_id":"u1","anonymous_id":"a1"}, 5]"#;
    let response = send(&front, &source, body).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let taken: Vec<Value> = response.json().await.unwrap();
    let states: Vec<&str> = taken.iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "quarantined"]);
    let again =
        send(&front, &source, br#"[{"event_type":"identify","event_id":"e1","user_id":"u1","anonymous_id":"a1"}]"#)
            .await;
    assert_eq!((again.status(), again.json::<Vec<Value>>().await.unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(send(&front, &source, b"[]").await.text().await.unwrap(), "[]");
    front.close().await;
}

#[tokio::test]
async fn everything_that_is_not_authentic_gets_the_same_answer() {
    let front = Front::open().await;
    let source = front.app.source().await;
    let body = "{}";
    let good = sign_generic(source.secret.as_bytes(), body.as_bytes());
    let url = |slug: &str| format!("{}/webhooks/{slug}", front.url);
    let wrong = sign_generic(b"other", body.as_bytes());
    let requests = [
        front.client.post(url(&source.slug)),
        front.client.post(url(&source.slug)).header(SIGNATURE, &wrong),
        front.client.post(url(&source.slug)).header(SIGNATURE, "short"),
        front.client.post(url(&source.slug)).header(SIGNATURE, b"\xff\xfe".as_slice()),
        front.client.post(url(&source.slug)).header(SIGNATURE, &good).header(SIGNATURE, &good),
        front.client.post(url("unknown")).header(SIGNATURE, &good),
        front.client.post(url("unknown")),
        front.client.post(url("%ff")).header(SIGNATURE, &good),
        front.client.post(url(&"x".repeat(5_000))).header(SIGNATURE, &good),
    ];
    let mut texts = Vec::new();
    for request in requests {
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        texts.push(response.text().await.unwrap());
    }
    assert!(texts.iter().all(|text| *text == texts[0] && text.contains("UNAUTHENTIC")), "{texts:?}");
    front.close().await;
}

#[tokio::test]
async fn too_much_is_413_and_get_is_405() {
    let front = Front::open().await;
    let source = front.app.source().await;
    let response = send(&front, &source, &vec![b' '; 300 * 1024]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for slug in [source.slug.as_str(), "unknown"] {
        let response = front.client.get(format!("{}/webhooks/{slug}", front.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }
    front.close().await;
}
