//! What is sent, that the official library takes it, and that nothing holds it up or loses it.

use chrono::TimeDelta;
use grapevine::app::App;
use grapevine::worker::deliver;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{ROTATE, Receiver, advance, ask, brand, issue, log, send};
use crate::graphql::world::{at, tell};

#[tokio::test(flavor = "multi_thread")]
async fn the_official_library_verifies_what_is_sent_and_it_says_what_changed() {
    let app = brand().await;
    issue(&app, "before").await;
    let mut receiver = Receiver::open(&app).await;
    let reward_id = issue(&app, "k1").await;
    let got = send(&app, &mut receiver, 1).await;
    let [first] = &got[..] else { panic!("an endpoint hears of what comes after it was made: {got:?}") };
    assert_eq!((&first["valid"], &first["signatures"]), (&json!(true), &json!(1)), "{first}");
    assert_eq!((&first["method"], &first["url"]), (&json!("POST"), &json!("/hooks?of=acme")));
    let body = &first["body"];
    assert_eq!(body["id"], first["id"]);
    assert!(first["id"].as_str().unwrap().starts_with("msg_"), "{first}");
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("reward.changed"), &json!("2026-08-15T12:00:00Z")));
    let data = &body["data"];
    assert_eq!((&data["id"], &data["state"]), (&json!(reward_id), &json!("ESCROWED")));
    assert_eq!(data["amount"], json!({ "amount": "12.50", "minor": 1250, "currency": "USD" }));
    assert_eq!(data["reversed"], json!({ "amount": "0.00", "minor": 0, "currency": "USD" }));
    assert!(data["beneficiary_id"].as_str().unwrap().starts_with("creator_"), "{data}");
    assert_eq!((&data["kind"], &data["degree"], &data["referee_id"]), (&json!("CREDIT"), &json!(1), &Value::Null));
    assert_eq!(data["releases_at"], "2026-08-18T12:00:00Z");

    // Three days later escrow ends.
    advance(&app, &mut receiver, TimeDelta::days(3)).await;
    app.drain().await;
    let got = send(&app, &mut receiver, 2).await;
    assert!(got.iter().all(|one| one["valid"] == true && one["body"]["data"]["state"] == "AVAILABLE"), "{got:?}");
    let sequences: Vec<i64> =
        std::iter::once(first).chain(&got).map(|one| one["body"]["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted(), "in the order of the outbox: {sequences:?}");
    let (_, deliveries) = log(&app).await;
    assert_eq!(deliveries.len(), 3);
    assert_eq!(
        (
            &deliveries[0]["state"],
            &deliveries[0]["attempts"],
            &deliveries[0]["lastStatus"],
            &deliveries[0]["messageId"]
        ),
        (&json!("DELIVERED"), &json!(1), &json!(200), &first["id"])
    );
    assert_eq!(deliveries[0]["payload"].as_str().unwrap().parse::<Value>().unwrap(), *body);
    assert_eq!(deliver(&app).await.unwrap(), 0, "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_hears_of_the_kinds_that_it_asked_for() {
    let app = brand().await;
    let mut receiver = Receiver::open_for(&app, &["fraud_alert.raised"]).await;
    issue(&app, "k1").await;
    let bot = json!({ "event_type": "click", "link_token": "link-1", "anonymous_id": "bot", "user_agent": "curl/8.5.0", "timestamp": at(&app, -5) });
    tell(&app, vec![bot]).await;
    let got = send(&app, &mut receiver, 1).await;
    assert_eq!((&got[0]["valid"], &got[0]["body"]["type"]), (&json!(true), &json!("fraud_alert.raised")), "{got:?}");
    let data = &got[0]["body"]["data"];
    assert!(data["id"].as_str().unwrap().starts_with("alert_"), "{data}");
    assert_eq!((&data["state"], &data["decision"]), (&json!("OPEN"), &json!("BLOCK")), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_both_secrets_sign_and_after_it_the_new_one_alone() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    let old = receiver.secret.clone();
    let rotation = json!({ "endpointId": receiver.endpoint_id, "overlapSeconds": 3600 });
    let rotated = ask(&app, ROTATE, rotation.clone()).await;
    assert_eq!(rotated["endpoint"]["previousSecretExpiresAt"], "2026-08-15T13:00:00+00:00", "{rotated}");
    let new = rotated["secret"].clone();
    assert_ne!(old, new);
    assert_eq!(ask(&app, ROTATE, rotation).await["userErrors"][0]["code"], "CONFLICT");

    for (key, secret) in [("k1", &old), ("k2", &new)] {
        receiver.tell(json!({ "secret": secret })).await;
        issue(&app, key).await;
        let got = send(&app, &mut receiver, 1).await;
        assert_eq!((&got[0]["valid"], &got[0]["signatures"]), (&json!(true), &json!(2)), "{key}: {got:?}");
    }
    advance(&app, &mut receiver, TimeDelta::hours(1)).await;
    for (key, secret, is_valid) in [("k3", &old, false), ("k4", &new, true)] {
        receiver.tell(json!({ "secret": secret })).await;
        issue(&app, key).await;
        let got = send(&app, &mut receiver, 1).await;
        assert_eq!((&got[0]["valid"], &got[0]["signatures"]), (&json!(is_valid), &json!(1)), "{key}: {got:?}");
    }

    // One that has leaked ends at once.
    let rotated = ask(&app, ROTATE, json!({ "endpointId": receiver.endpoint_id, "overlapSeconds": 0 })).await;
    receiver.tell(json!({ "secret": rotated["secret"] })).await;
    issue(&app, "k5").await;
    let got = send(&app, &mut receiver, 1).await;
    assert_eq!((&got[0]["valid"], &got[0]["signatures"]), (&json!(true), &json!(1)), "{got:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_with_a_process_is_sent_again_under_its_name() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    receiver.tell(json!({ "answers": [0] })).await;
    issue(&app, "k1").await;
    let sender = App::clone(&app);
    let sending = tokio::spawn(async move { deliver(&sender).await });
    let first = receiver.next().await;
    // The endpoint has it, and we do not know.
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());

    receiver.tell(json!({ "answers": [200] })).await;
    assert_eq!(deliver(&app).await.unwrap(), 0, "it may still be on its way");
    advance(&app, &mut receiver, TimeDelta::seconds(60)).await;
    let got = send(&app, &mut receiver, 1).await;
    assert_eq!((&got[0]["id"], &got[0]["body"], &got[0]["valid"]), (&first["id"], &first["body"], &json!(true)));
    assert!(got[0]["sent_at"].as_i64() > first["sent_at"].as_i64(), "each try is signed anew");
    let (_, deliveries) = log(&app).await;
    assert_eq!((&deliveries[0]["state"], &deliveries[0]["attempts"]), (&json!("DELIVERED"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_does_not_hold_up_the_others() {
    let app = brand().await;
    let (mut slow, mut fast) = (Receiver::open(&app).await, Receiver::open(&app).await);
    slow.tell(json!({ "answers": [0] })).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn(grapevine::worker::run(App::clone(&app), stop.clone()));
    let mut ids = Vec::new();
    for key in ["k1", "k2", "k3"] {
        issue(&app, key).await;
        ids.push(fast.next().await["id"].clone());
    }
    assert_eq!(slow.next().await["id"], ids[0], "it has the first and has not answered");
    slow.tell(json!({ "answers": [200], "release": true })).await;
    assert_eq!([slow.next().await["id"].clone(), slow.next().await["id"].clone()], [ids[1].clone(), ids[2].clone()]);
    stop.cancel();
    working.await.unwrap().unwrap();
}
