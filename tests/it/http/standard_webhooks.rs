//! Standard Webhooks: the published vectors, everything that must be refused alike, and what counts as the same request.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use futures_util::future::join_all;
use grapevine::ingest::NewSource;
use grapevine::platforms::Scheme;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::front::Front;
use crate::support::peers::run;
use crate::support::{TestSource, make_source};

type Headers = Vec<(&'static str, Vec<u8>)>;

const EVENT: &str = r#"{"event_type":"click","anonymous_id":"a1"}"#;

/// The signature of a request, by an implementation of the test's own.
fn signature(secret: &str, id: &str, sent_at: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{sent_at}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn headers(id: &str, sent_at: &str, signature: &str) -> Headers {
    vec![
        ("webhook-id", id.as_bytes().to_vec()),
        ("webhook-timestamp", sent_at.as_bytes().to_vec()),
        ("webhook-signature", signature.as_bytes().to_vec()),
    ]
}

/// The headers of a request that is signed well, whatever else may be wrong with it.
fn signed(source: &TestSource, id: &str, sent_at: &str, body: &[u8]) -> Headers {
    headers(id, sent_at, &signature(&source.secret, id, sent_at, body))
}

/// This many seconds from now, as the app sees it.
fn seconds(front: &Front, ahead: i64) -> String {
    (front.app.now().timestamp() + ahead).to_string()
}

async fn post(front: &Front, slug: &str, headers: Headers, body: &[u8]) -> Response {
    let mut request = front.client.post(format!("{}/webhooks/{slug}", front.url)).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(name, HeaderValue::from_bytes(&value).unwrap());
    }
    request.send().await.unwrap()
}

/// Posts what is signed well and returns the status and the answer.
async fn send(front: &Front, source: &TestSource, id: &str, ahead: i64, body: &str) -> (u16, Value) {
    let headers = signed(source, id, &seconds(front, ahead), body.as_bytes());
    let response = post(front, &source.slug, headers, body.as_bytes()).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    now: i64,
    headers: BTreeMap<String, String>,
    payload: String,
    valid: bool,
}

#[tokio::test]
async fn the_published_vectors_are_taken_and_refused_as_the_official_library_does() {
    let front = Front::open().await;
    let mut vectors: Vec<Vector> = serde_json::from_str(include_str!("../../fixtures/webhooks/standard.json")).unwrap();
    assert_eq!(vectors.len(), 27);
    vectors.push(Vector {
        name: "the other vector of the specification".to_owned(),
        secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(),
        now: 1_649_367_553,
        headers: [
            ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            ("webhook-timestamp", "1649367553"),
            ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        payload: r#"{"email":"test@example.com","username":"test_user"}"#.to_owned(),
        valid: true,
    });
    let mut sources: BTreeMap<String, TestSource> = BTreeMap::new();
    for vector in vectors {
        if !sources.contains_key(&vector.secret) {
            let source = front.app.source_of(Scheme::StandardWebhooks, Some(&vector.secret)).await;
            sources.insert(vector.secret.clone(), source);
        }
        front.app.advance(TimeDelta::seconds(vector.now - front.app.now().timestamp()));
        let mut request = front.client.post(format!("{}/webhooks/{}", front.url, sources[&vector.secret].slug));
        for (name, value) in &vector.headers {
            request = request.header(name, value);
        }
        let status = request.body(vector.payload).send().await.unwrap().status();
        // The library signs ids with a full stop; the specification forbids them, since `a.1` and `a` + `1.` would sign alike.
        let is_valid = vector.valid && vector.name != "id with dots";
        let expected: &[u16] = if is_valid { &[200, 202] } else { &[401] };
        assert!(expected.contains(&status.as_u16()), "{}: {status}", vector.name);
    }
    front.close().await;
}

/// What the mistakes of a sender, a thief and a forger look like, over one body.
fn refused(front: &Front, source: &TestSource, body: &[u8]) -> Vec<(String, Headers)> {
    let now = seconds(front, 0);
    let good = signature(&source.secret, "msg_1", &now, body);
    let mut found = Vec::new();
    for index in 0..3 {
        let plain = headers("msg_1", &now, &good);
        let name = plain[index].0;
        let change = |value: &[u8]| {
            let mut changed = plain.clone();
            changed[index].1 = value.to_vec();
            changed
        };
        let mut missing = plain.clone();
        missing.remove(index);
        let mut twice = plain.clone();
        twice.push(plain[index].clone());
        found.push((format!("{name} is missing"), missing));
        found.push((format!("{name} stands twice"), twice));
        found.push((format!("{name} is empty"), change(b"")));
        found.push((format!("{name} is not ASCII"), change("mütter".as_bytes())));
        found.push((format!("{name} is not even UTF-8"), change(b"\xff\xfe")));
    }
    let digest = STANDARD.decode(&good[3..]).unwrap();
    let wrong = signature(&source.secret, "msg_2", &now, body);
    let long = format!("v1,{}", STANDARD.encode([digest.clone(), vec![0]].concat()));
    let hex = format!("v1,{}", hex::encode(&digest));
    let many = format!("{}{good}", "v2,x ".repeat(5));
    let unknown = good.replace("v1,", "v3,");
    for (name, signature) in [
        ("the signature of another request", wrong.as_str()),
        ("a signature cut short", &good[..20]),
        ("a signature that goes on", long.as_str()),
        ("a signature of nothing", "v1,"),
        ("a signature in hexadecimal", hex.as_str()),
        ("a version that does not exist", unknown.as_str()),
        ("no version", &good[3..]),
        ("six signatures", many.as_str()),
    ] {
        found.push((name.to_owned(), headers("msg_1", &now, signature)));
    }
    for sent_at in [
        "hello",
        &format!(" {now}"),
        &format!("+{now}"),
        &format!("0{now}"),
        &format!("{now}.0"),
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        &seconds(front, 301),
        &seconds(front, -301),
    ] {
        found.push((format!("sent at {sent_at:?}"), signed(source, "msg_1", sent_at, body)));
    }
    found.push(("an id with a full stop".to_owned(), signed(source, "msg.1", &now, body)));
    found.push(("an id without end".to_owned(), signed(source, &"x".repeat(1_000), &now, body)));
    let generic = grapevine::platforms::sign_generic(source.secret.as_bytes(), body);
    found.push(("the other scheme".to_owned(), vec![("x-webhook-signature", generic.into_bytes())]));
    found
}

#[tokio::test]
async fn everything_that_is_not_authentic_gets_one_answer() {
    let front = Front::open().await;
    let source = front.app.source_of(Scheme::StandardWebhooks, None).await;
    let body = EVENT.as_bytes();
    let mut answers = Vec::new();
    for (name, headers) in refused(&front, &source, body) {
        answers.push((name, post(&front, &source.slug, headers, body).await));
    }
    let good = signed(&source, "msg_1", &seconds(&front, 0), body);
    let spaced = EVENT.replace(':', ": ");
    for (name, body) in [
        ("a byte more", [body, b" "].concat()),
        ("a byte less", body[1..].to_vec()),
        ("written anew", spaced.into_bytes()),
    ] {
        answers.push((name.to_owned(), post(&front, &source.slug, good.clone(), &body).await));
    }
    let other = front.app.source_of(Scheme::StandardWebhooks, None).await;
    let foreign = signed(&other, "msg_1", &seconds(&front, 0), body);
    answers.push(("another source's secret".to_owned(), post(&front, &source.slug, foreign, body).await));
    for slug in ["unknown".to_owned(), "0".repeat(32), "x".repeat(5_000)] {
        answers.push(("an unknown source".to_owned(), post(&front, &slug, good.clone(), body).await));
    }
    let brand = grapevine::access::NewBrand { slug: "b".into(), name: "B".into(), currency: "USD".parse().unwrap() };
    let brand = grapevine::access::create_brand(&mut front.app.db.conn().await.unwrap(), &front.app.env, brand).await;
    let input = NewSource { name: "b".into(), scheme: Scheme::StandardWebhooks, secret: None };
    let theirs = make_source(&front.app, &brand.unwrap().scope(), &input).await;
    let foreign = signed(&theirs, "msg_1", &seconds(&front, 0), body);
    answers.push(("another brand's secret".to_owned(), post(&front, &source.slug, foreign, body).await));

    let mut texts = Vec::new();
    for (name, response) in answers {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{name}");
        texts.push((name, response.text().await.unwrap()));
    }
    let different: Vec<_> = texts.iter().filter(|(_, text)| *text != texts[0].1).collect();
    assert!(different.is_empty() && texts[0].1.contains("UNAUTHENTIC"), "{different:?}");
    assert_eq!(front.app.sql_count("select count(*) from events").await, 0);
    assert_eq!(
        post(&front, &source.slug, good, body).await.status(),
        StatusCode::ACCEPTED,
        "the good one still counts"
    );
    front.close().await;
}

#[tokio::test]
async fn what_is_authentic_is_taken_whatever_it_says() {
    let front = Front::open().await;
    let source = front.app.source_of(Scheme::StandardWebhooks, None).await;
    for (id, ahead) in [("msg_1", 299), ("msg_2", -299), ("msg_3", 300), ("msg_4", -300)] {
        let (status, answer) = send(&front, &source, id, ahead, EVENT).await;
        assert_eq!((status, &answer["status"]), (202, &json!("queued")), "{ahead}: {answer}");
    }
    let now = seconds(&front, 0);
    let good = signature(&source.secret, "msg_5", &now, EVENT.as_bytes());
    let both = headers("msg_5", &now, &format!("{} v1a,x {good}", signature(&source.secret, "x", &now, b"")));
    assert_eq!(post(&front, &source.slug, both, EVENT.as_bytes()).await.status(), StatusCode::ACCEPTED);
    for (id, body) in [("msg_6", &b"\xff\xfe"[..]), ("msg_7", b"{1"), ("msg_8", b"")] {
        let response = post(&front, &source.slug, signed(&source, id, &now, body), body).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["status"], &answer["code"]), (&json!("quarantined"), &json!("BAD_JSON")), "{answer}");
    }
    front.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_tried_again_is_one_event() {
    let front = Front::open().await;
    let source = front.app.source_of(Scheme::StandardWebhooks, None).await;
    let (status, first) = send(&front, &source, "msg_1", 0, EVENT).await;
    assert_eq!(status, 202, "{first}");
    let expected = json!({ "status": "duplicate", "event_id": first["event_id"] });
    assert_eq!(send(&front, &source, "msg_1", 0, EVENT).await, (200, expected.clone()), "sent again as it is");
    assert_eq!(send(&front, &source, "msg_1", 200, EVENT).await, (200, expected), "tried again with a fresh moment");
    let (status, second) = send(&front, &source, "msg_2", 0, EVENT).await;
    assert_eq!(status, 202, "the same content in another request is another event: {second}");
    let (status, reused) = send(&front, &source, "msg_1", 0, &EVENT.replace("a1", "a2")).await;
    assert_eq!((status, &reused["code"]), (202, &json!("EVENT_ID_REUSED")), "{reused}");

    let body = EVENT.replace("a1", "a8");
    let sent = join_all((0..8).map(|ahead| send(&front, &source, "msg_8", ahead, &body))).await;
    let ids: Vec<&Value> = sent.iter().map(|(_, answer)| &answer["event_id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{sent:?}");
    assert_eq!(sent.iter().filter(|(status, _)| *status == 202).count(), 1, "{sent:?}");
    assert_eq!(front.app.sql_count("select count(*) from events").await, 4);
    front.close().await;
}

#[tokio::test]
async fn the_events_of_an_array_are_told_apart_by_their_places() {
    let front = Front::open().await;
    let source = front.app.source_of(Scheme::StandardWebhooks, None).await;
    let named = r#"{"event_type":"click","anonymous_id":"a1","event_id":"e1"}"#;
    let body = format!("[{EVENT},{EVENT},{named},5]");
    let (status, first) = send(&front, &source, "msg_1", 0, &body).await;
    let states = |answer: &Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (status, states(&first)),
        (202, ["queued", "queued", "queued", "quarantined"].map(str::to_owned).into())
    );
    let (status, again) = send(&front, &source, "msg_1", 60, &body).await;
    assert_eq!((status, states(&again)), (200, vec!["duplicate".to_owned(); 4]));
    let (status, other) = send(&front, &source, "msg_2", 0, named).await;
    assert_eq!(
        (status, &other["event_id"]),
        (200, &first[2]["event_id"]),
        "an event's own id comes before the request's"
    );
    assert_eq!(front.app.sql_count("select count(*) from events").await, 4);
    front.close().await;
}

#[tokio::test]
async fn the_official_library_signs_for_us_and_verifies_what_we_sign() {
    let front = Front::open().await;
    let create = "mutation { createWebhookSource(input: {name: \"shop\", scheme: STANDARD_WEBHOOKS}) {
        source { url scheme } secret userErrors { message } } }";
    let made: Value = front.query(create).await.json().await.unwrap();
    let made = &made["data"]["createWebhookSource"];
    assert_eq!(made["source"]["scheme"], "STANDARD_WEBHOOKS", "{made}");
    let (secret, path) = (made["secret"].as_str().unwrap(), made["source"]["url"].as_str().unwrap());
    let url = format!("{}/webhooks/{}", front.url, path.rsplit('/').next().unwrap());
    let now = seconds(&front, 0);
    let body = r#"{"event_type":"click","anonymous_id":"zoë 🚀"}"#;
    let said = run("webhook.mjs", &[&url, secret, "msg_1", &now, body]).await;
    assert_eq!((&said.lines[0]["status"], &said.lines[0]["answer"]["status"]), (&json!(202), &json!("queued")));
    let said = run("webhook.mjs", &[&url, secret, "msg_1", &seconds(&front, 100), body]).await;
    assert_eq!((&said.lines[0]["status"], &said.lines[0]["answer"]["status"]), (&json!(200), &json!("duplicate")));
    let said = run("webhook.mjs", &[&url, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_2", &now, body]).await;
    assert_eq!(said.lines[0]["status"], 401);

    let key = grapevine::platforms::key_of(Scheme::StandardWebhooks, secret).unwrap();
    let ours = grapevine::platforms::sign(Scheme::StandardWebhooks, &key, "msg_3", front.app.now(), body.as_bytes());
    let ours: BTreeMap<_, _> = ours.into_iter().collect();
    let headers = serde_json::to_string(&ours).unwrap();
    let said = run("verify.mjs", &[secret, &now, &headers, body]).await;
    assert_eq!(said.lines, [json!({ "valid": true })]);
    let said = run("verify.mjs", &[secret, &now, &headers, "{}"]).await;
    assert_eq!(said.lines[0]["valid"], false);
    front.close().await;
}
