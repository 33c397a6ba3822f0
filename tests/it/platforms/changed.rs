//! A platform that changes its format loses nothing: what it posts is kept, counted and told of, and works once the adapter is mended.

use grapevine::ingest::ReceiptStatus;
use grapevine::platforms::{Scheme, Submission, sign};
use serde_json::{Value, json};

use crate::flows::pipeline::furnish;
use crate::support::{TestApp, TestSource};

const REPLAY: &str = "mutation { replayEvents(input: {reason: \"The adapter is mended.\"}) {
    replay { queued quarantined failures { code } } userErrors { message } } }";

fn charge(id: &str, version: &str) -> Value {
    json!({"id": id, "object": "event", "api_version": version, "created": 1_786_795_200, "type": "charge.succeeded", "pending_webhooks": 1,
        "data": {"object": {"id": format!("ch_{id}"), "object": "charge", "amount": 4999, "currency": "usd", "customer": "cus_1"}}})
}

async fn post(app: &TestApp, source: &TestSource, body: &Value) -> (u16, Value) {
    let (url, raw) = (format!("{}/webhooks/{}", app.serve().await, source.slug), body.to_string());
    let headers = sign(Scheme::Stripe, source.secret.as_bytes(), "", app.now(), raw.as_bytes());
    let request = headers.into_iter().fold(app.client.post(url), |request, (name, value)| request.header(name, value));
    let response = request.body(raw).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn metrics(app: &TestApp) -> String {
    let url = format!("{}/metrics", app.serve().await);
    app.client.get(url).bearer_auth(&app.key).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_changes_its_format_loses_nothing() {
    let app = TestApp::start().await;
    furnish(&app).await;
    let source = app.source_of(Scheme::Stripe, None).await;
    // The rule of the manual speaks of a series that is there before anything happens: from nothing there is no increase.
    let manual = std::fs::read_to_string("docs/webhooks.md").unwrap();
    let watched = manual.split_once("`increase(").unwrap().1.split_once('[').unwrap().0;
    let series = format!(r#"{watched}{{platform="STRIPE",code="UNKNOWN_VERSION"}}"#);
    assert!(metrics(&app).await.lines().any(|line| line == format!("{series} 0")), "{series}");
    assert_eq!(post(&app, &source, &charge("evt_0", "2026-10-28.endive")).await.1["status"], "queued");

    // One day it writes in a version that nobody here has read.
    for number in 1..=3 {
        let (status, answer) = post(&app, &source, &charge(&format!("evt_{number}"), "2027-03-31.foxglove")).await;
        assert_eq!((status, &answer["code"]), (200, &json!("UNKNOWN_VERSION")), "acknowledged, and kept: {answer}");
    }
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from conversions").await, 1);
    let text = metrics(&app).await;
    assert!(text.lines().any(|line| line == format!("{series} 3")), "{text}");
    let seen = app.data("{ webhookSources { nodes { schemaVersion } } }", json!({})).await;
    assert_eq!(seen["webhookSources"]["nodes"][0]["schemaVersion"], "2027-03-31.foxglove");
    let health =
        app.data("{ platformHealth { platform schemaVersion quarantined lastEventAt state } }", json!({})).await;
    let stripe =
        health["platformHealth"].as_array().unwrap().iter().find(|one| one["platform"] == "STRIPE").unwrap().clone();
    let expected = json!({"platform": "STRIPE", "schemaVersion": "2027-03-31.foxglove", "quarantined": 3,
        "lastEventAt": app.now().to_rfc3339(), "state": null});
    assert_eq!(stripe, expected);
    // Taking them in again does not help as long as the adapter is what it was.
    let answer = app.data(REPLAY, json!({})).await["replayEvents"]["replay"].take();
    assert_eq!((&answer["queued"], &answer["quarantined"]), (&json!(0), &json!(3)));
    assert_eq!(answer["failures"][0]["code"], "UNKNOWN_VERSION");
}

/// What an adapter leaves behind that did not know a kind yet, and today's does: the log of an installation that was brought up to date.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_adapter_could_not_read_todays_works() {
    let app = TestApp::start().await;
    furnish(&app).await;
    let made = app.source_of(Scheme::Stripe, None).await;
    let mut conn = app.db.conn().await.unwrap();
    let source = grapevine::ingest::source_by_slug(&mut conn, &app.keyring, &made.slug).await.unwrap().unwrap();
    drop(conn);
    let left = |id: &str, code: &'static str, raw: Vec<u8>| {
        let reason = "An older adapter did not know it.".to_owned();
        let (app, source, id) = (&app, &source, id.to_owned());
        async move {
            let items = vec![Submission::Unreadable { raw, code, reason }];
            app.door.accept(&source.origin(Some(id)), items).await.unwrap()[0].clone()
        }
    };
    for (number, code) in [(1, "UNKNOWN_KIND"), (2, "UNKNOWN_VERSION"), (3, "BAD_FIELD")] {
        let id = format!("evt_{number}");
        let raw = charge(&id, "2026-10-28.endive").to_string().into_bytes();
        assert_eq!(left(&id, code, raw).await.status, ReceiptStatus::Quarantined);
    }
    let mut idle = charge("evt_4", "2026-10-28.endive");
    idle["type"] = json!("charge.updated");
    left("evt_4", "UNKNOWN_KIND", idle.to_string().into_bytes()).await;

    let answer = app.data(REPLAY, json!({})).await["replayEvents"]["replay"].take();
    assert_eq!((&answer["queued"], &answer["quarantined"]), (&json!(3), &json!(1)), "{answer}");
    assert_eq!(answer["failures"][0]["code"], "NO_EVENT", "a kind that turned out to tell of nothing");
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from conversions where amount_minor = 4999").await, 3);
    assert_eq!(app.sql_count("select count(*) from events where state = 'QUARANTINED'").await, 1);
    // What the platform still tries to deliver was there before, and what it tries under its name is that.
    let (status, answer) = post(&app, &made, &charge("evt_1", "2026-10-28.endive")).await;
    assert_eq!((status, &answer["status"]), (200, &json!("duplicate")), "{answer}");
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from conversions").await, 3);
}

/// A batch that could not even be told apart: each of its events takes effect by itself, once, however often it is taken in.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_nobody_could_tell_apart_loses_none_of_its_events() {
    let app = TestApp::start().await;
    furnish(&app).await;
    let made = app.source_of(Scheme::Meta, None).await;
    let mut conn = app.db.conn().await.unwrap();
    let source = grapevine::ingest::source_by_slug(&mut conn, &app.keyring, &made.slug).await.unwrap().unwrap();
    drop(conn);
    let opened = |person: usize, token: &str| {
        json!({"id": "17841", "messaging": [{"sender": {"id": format!("p{person}")},
        "recipient": {"id": "17841"}, "timestamp": 1_786_795_200_000_u64, "referral": {"ref": token, "source": "IGME"}}]})
    };
    let entries = [opened(1, "zoe-link"), opened(2, "zoe-link"), opened(3, "nobodys"), opened(4, "zoe-link")];
    let raw = json!({"object": "instagram", "entry": entries}).to_string().into_bytes();
    let items =
        vec![Submission::Unreadable { raw, code: "BAD_FIELD", reason: "An older adapter did not know it.".to_owned() }];
    assert_eq!(app.door.accept(&source.origin(None), items).await.unwrap()[0].status, ReceiptStatus::Quarantined);

    let answer = app.data(REPLAY, json!({})).await["replayEvents"]["replay"].take();
    assert_eq!((&answer["queued"], &answer["quarantined"]), (&json!(3), &json!(1)), "{answer}");
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints where link_id is not null").await, 3);
    assert_eq!(
        app.sql_count("select count(*) from events where code = 'UNKNOWN_LINK'").await,
        1,
        "each has its own fate"
    );
    // One that was alone in its post goes by what it is, too: Meta sends it again.
    let mut entry = opened(5, "zoe-link");
    entry["time"] = json!(1_786_795_200_200_u64);
    let lonely = json!({"object": "instagram", "entry": [entry]}).to_string();
    let raw = lonely.clone().into_bytes();
    let items =
        vec![Submission::Unreadable { raw, code: "BAD_FIELD", reason: "An older adapter did not know it.".to_owned() }];
    app.door.accept(&source.origin(None), items).await.unwrap();
    app.data(REPLAY, json!({})).await;
    let url = format!("{}/webhooks/{}", app.serve().await, made.slug);
    let headers = sign(Scheme::Meta, made.secret.as_bytes(), "", app.now(), lonely.as_bytes());
    let request = headers.into_iter().fold(app.client.post(url), |request, (name, value)| request.header(name, value));
    let answer: Value = request.body(lonely).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "duplicate", "{answer}");
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 4);
    // It sends the batch again, in parts or as a whole: all of it is there.
    let again = json!({"object": "instagram", "entry": [opened(2, "zoe-link")]});
    let (url, raw) = (format!("{}/webhooks/{}", app.serve().await, made.slug), again.to_string());
    let headers = sign(Scheme::Meta, made.secret.as_bytes(), "", app.now(), raw.as_bytes());
    let request = headers.into_iter().fold(app.client.post(url), |request, (name, value)| request.header(name, value));
    assert_eq!(request.body(raw).send().await.unwrap().status().as_u16(), 200);
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 4);
}
