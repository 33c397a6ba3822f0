//! What administrators see of endpoints and do with them.

use chrono::TimeDelta;
use grapevine::worker::deliver;
use serde_json::{Value, json};

use super::{CREATE, LOG, REPLAY, Receiver, UPDATE, ask, brand, issue, log, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_a_replay_of_the_key_shows_the_same() {
    let app = brand().await;
    let input = json!({ "url": "https://shop.example/hooks", "kinds": ["reward.*", "reward.*", "fraud_alert.raised"], "idempotencyKey": "k" });
    let first = ask(&app, CREATE, input.clone()).await;
    assert_eq!(first["endpoint"]["kinds"], json!(["fraud_alert.raised", "reward.*"]), "{first}");
    assert_eq!(ask(&app, CREATE, input).await, first);
    let secret = first["secret"].as_str().unwrap();
    let listed = app.data(LOG, json!({})).await;
    assert_eq!(listed["webhookEndpoints"]["totalCount"], 1);
    assert!(!listed.to_string().contains(secret));
    let kept = app.texts("select encode(secret_sealed, 'escape') as text from webhook_endpoints").await;
    assert!(!kept[0].contains(secret) && !kept[0].contains("whsec_"));

    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let chosen =
        ask(&app, CREATE, json!({ "url": "https://shop.example/", "kinds": ["reward.*"], "secret": own })).await;
    assert_eq!(chosen["secret"], own);
    for (field, wrong) in [
        ("secret", json!({ "url": "https://shop.example/", "kinds": ["reward.*"], "secret": "hunter2" })),
        ("kinds", json!({ "url": "https://shop.example/", "kinds": [] })),
        ("kinds", json!({ "url": "https://shop.example/", "kinds": ["attribution.changed"] })),
        ("url", json!({ "url": "http://shop.example/", "kinds": ["reward.*"] })),
    ] {
        let refused = ask(&app, CREATE, wrong).await;
        assert_eq!(
            (&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]),
            (&json!("INVALID"), &json!([field]))
        );
    }
    for number in 2..16 {
        let url = format!("https://shop.example/{number}");
        assert_eq!(ask(&app, CREATE, json!({ "url": url, "kinds": ["reward.*"] })).await["userErrors"], json!([]));
    }
    let over = ask(&app, CREATE, json!({ "url": "https://shop.example/over", "kinds": ["reward.*"] })).await;
    assert_eq!(over["userErrors"][0]["code"], "LIMIT_REACHED");
    let before = app.statement_count();
    app.data(LOG, json!({})).await;
    let all = app.statement_count() - before;
    assert!(all <= 8, "the page, its count, all logs and all their counts: {all} statements");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_sent_again_from_a_number_on() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    for key in ["k1", "k2", "k3"] {
        issue(&app, key).await;
    }
    let sent = send(&app, &mut receiver, 3).await;
    let ids = |got: &[Value]| got.iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    let replay = async |input: Value| {
        let mut input = input;
        input["endpointId"] = receiver.endpoint_id.clone();
        ask(&app, REPLAY, input).await
    };
    let after = replay(json!({ "afterSequence": sent[0]["body"]["sequence"] })).await;
    let last = sent[2]["body"]["sequence"].to_string();
    assert_eq!(after["replay"], json!({ "queued": 2, "endSequence": last, "hasMore": false }), "{after}");
    let failed = replay(json!({ "failedOnly": true })).await;
    assert_eq!(failed["replay"], json!({ "queued": 0, "endSequence": null, "hasMore": false }), "{failed}");
    let wrong = replay(json!({ "afterSequence": "-1" })).await;
    assert_eq!(wrong["userErrors"][0]["path"], json!(["afterSequence"]));
    assert_eq!(ids(&send(&app, &mut receiver, 2).await), ids(&sent[1..]));

    let all = ask(&app, REPLAY, json!({ "endpointId": receiver.endpoint_id, "idempotencyKey": "once" })).await;
    assert_eq!(all["replay"]["queued"], 3);
    assert_eq!(ids(&send(&app, &mut receiver, 3).await), ids(&sent));
    let again = ask(&app, REPLAY, json!({ "endpointId": receiver.endpoint_id, "idempotencyKey": "once" })).await;
    assert_eq!(again, all);
    assert_eq!(deliver(&app).await.unwrap(), 0, "a key replays once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_turned_off_and_on_misses_nothing() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    let change = async |change: Value| {
        let mut change = change;
        change["endpointId"] = receiver.endpoint_id.clone();
        ask(&app, UPDATE, change).await["endpoint"].take()
    };
    let off = change(json!({ "enabled": false })).await;
    assert_eq!((&off["disabledReason"], &off["url"]), (&json!("An administrator disabled it."), &json!(receiver.url)));
    issue(&app, "k1").await;
    assert_eq!(deliver(&app).await.unwrap(), 0);
    let moved = change(json!({ "enabled": true, "kinds": ["reward.changed"] })).await;
    assert_eq!((&moved["disabledAt"], &moved["kinds"]), (&Value::Null, &json!(["reward.changed"])));
    assert_eq!(send(&app, &mut receiver, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_with_a_month_ago_is_forgotten() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    issue(&app, "k1").await;
    send(&app, &mut receiver, 1).await;
    receiver.tell(json!({ "answers": [500] })).await;
    issue(&app, "k2").await;
    send(&app, &mut receiver, 1).await;
    app.courier.forget(&app.scope).await.unwrap();
    assert_eq!(log(&app).await.1.len(), 2);
    app.advance(TimeDelta::days(31));
    app.courier.forget(&app.scope).await.unwrap();
    let (_, left) = log(&app).await;
    assert_eq!((left.len(), &left[0]["state"]), (1, &json!("PENDING")), "what waits is kept");
}
