//! Endpoints that do not take what they are sent.

use chrono::{DateTime, TimeDelta, Utc};
use grapevine::worker::deliver;
use serde_json::{Value, json};

use super::{REPLAY, Receiver, UPDATE, advance, ask, brand, issue, log, send};
use crate::graphql::world::furnish;
use crate::support::TestApp;

/// Seconds from now to a moment in an answer.
fn seconds_until(app: &TestApp, moment: &Value) -> i64 {
    let moment: DateTime<Utc> = moment.as_str().unwrap_or_else(|| panic!("{moment}")).parse().unwrap();
    (moment - app.now()).num_seconds()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_is_tried_again_on_the_schedule_under_its_name() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    receiver.tell(json!({ "answers": [500, 503, 200] })).await;
    issue(&app, "k1").await;
    let mut got = send(&app, &mut receiver, 1).await;
    let (endpoint, deliveries) = log(&app).await;
    assert_eq!(
        (&deliveries[0]["state"], &deliveries[0]["lastStatus"], &deliveries[0]["lastError"]),
        (&json!("PENDING"), &json!(500), &json!("It answered 500."))
    );
    assert_eq!(endpoint["failingSince"], "2026-08-15T12:00:00+00:00");
    assert!((5..=6).contains(&seconds_until(&app, &deliveries[0]["nextAttemptAt"])), "{deliveries:?}");

    advance(&app, &mut receiver, TimeDelta::seconds(4)).await;
    assert_eq!(deliver(&app).await.unwrap(), 0, "not before its time");
    advance(&app, &mut receiver, TimeDelta::seconds(2)).await;
    got.extend(send(&app, &mut receiver, 1).await);
    let (_, deliveries) = log(&app).await;
    assert!((300..=360).contains(&seconds_until(&app, &deliveries[0]["nextAttemptAt"])), "{deliveries:?}");
    advance(&app, &mut receiver, TimeDelta::seconds(360)).await;
    got.extend(send(&app, &mut receiver, 1).await);

    assert_eq!(got.iter().map(|one| &one["status"]).collect::<Vec<_>>(), [500, 503, 200]);
    assert!(got.iter().all(|one| one["valid"] == true && one["id"] == got[0]["id"] && one["body"] == got[0]["body"]));
    let (endpoint, deliveries) = log(&app).await;
    assert_eq!(
        (&deliveries[0]["state"], &deliveries[0]["attempts"], &deliveries[0]["lastError"]),
        (&json!("DELIVERED"), &json!(3), &Value::Null)
    );
    assert_eq!(endpoint["failingSince"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_410_is_sent_nothing_more_until_it_is_enabled() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    receiver.tell(json!({ "answers": [410, 200] })).await;
    issue(&app, "k1").await;
    issue(&app, "k2").await;
    let got = send(&app, &mut receiver, 1).await;
    let (endpoint, deliveries) = log(&app).await;
    assert_eq!(endpoint["disabledAt"], "2026-08-15T12:00:00+00:00");
    assert_eq!(endpoint["disabledReason"], "It answered 410: it wants nothing more.");
    assert_eq!([&deliveries[0]["state"], &deliveries[1]["state"]], ["FAILED", "PENDING"]);
    issue(&app, "k3").await;
    advance(&app, &mut receiver, TimeDelta::days(1)).await;
    assert_eq!(deliver(&app).await.unwrap(), 0);

    let enabled = ask(&app, UPDATE, json!({ "endpointId": receiver.endpoint_id, "enabled": true })).await;
    assert_eq!(enabled["endpoint"]["disabledAt"], Value::Null, "{enabled}");
    let later = send(&app, &mut receiver, 2).await;
    assert!(
        later.iter().all(|one| one["valid"] == true && one["id"] != got[0]["id"]),
        "what came meanwhile: {later:?}"
    );

    // What it refused for good is sent again when that is asked for.
    let replayed = ask(&app, REPLAY, json!({ "endpointId": receiver.endpoint_id, "failedOnly": true })).await;
    assert_eq!(
        (&replayed["replay"]["queued"], &replayed["replay"]["hasMore"]),
        (&json!(1), &json!(false)),
        "{replayed}"
    );
    let again = send(&app, &mut receiver, 1).await;
    assert_eq!(
        (&again[0]["id"], &again[0]["body"], &again[0]["valid"]),
        (&got[0]["id"], &got[0]["body"], &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_no_answer_is_told_in_words() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    receiver.tell(json!({ "answers": [302] })).await;
    issue(&app, "k1").await;
    let got = send(&app, &mut receiver, 1).await;
    assert_eq!(got.len(), 1, "{got:?}");
    let (_, deliveries) = log(&app).await;
    assert_eq!(
        (&deliveries[0]["state"], &deliveries[0]["lastError"]),
        (&json!("PENDING"), &json!("It answered 302: redirects are not followed, enter the final address."))
    );

    // Nobody listens on port 1.
    let moved = json!({ "endpointId": receiver.endpoint_id, "url": "http://127.0.0.1:1/" });
    assert_eq!(ask(&app, UPDATE, moved).await["userErrors"], json!([]));
    app.advance(TimeDelta::seconds(6));
    assert_eq!(deliver(&app).await.unwrap(), 1);
    let (_, deliveries) = log(&app).await;
    assert_eq!(
        (&deliveries[0]["lastStatus"], &deliveries[0]["lastError"]),
        (&Value::Null, &json!("No connection to it could be made."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_days_is_disabled_and_says_why() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    receiver.tell(json!({ "answers": [500] })).await;
    issue(&app, "k1").await;
    let mut count = 0;
    loop {
        count += send(&app, &mut receiver, 1).await.len();
        let (_, deliveries) = log(&app).await;
        if deliveries[0]["state"] == "FAILED" {
            break;
        }
        let wait = seconds_until(&app, &deliveries[0]["nextAttemptAt"]) + 1;
        advance(&app, &mut receiver, TimeDelta::seconds(wait)).await;
    }
    assert_eq!(count, 10);
    let (endpoint, _) = log(&app).await;
    assert_eq!(endpoint["disabledReason"], "Every try has failed for 72 hours. The last one: It answered 500.");
    issue(&app, "k2").await;
    assert_eq!(deliver(&app).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_while_others_pass_disables_nothing() {
    let app = brand().await;
    let mut receiver = Receiver::open(&app).await;
    issue(&app, "k1").await;
    for attempt in 1..=10 {
        receiver.tell(json!({ "answers": [500, 200] })).await;
        send(&app, &mut receiver, 1).await;
        issue(&app, &format!("passes {attempt}")).await;
        send(&app, &mut receiver, 1).await;
        advance(&app, &mut receiver, TimeDelta::hours(29)).await;
    }
    let (endpoint, deliveries) = log(&app).await;
    assert_eq!((&deliveries[0]["state"], &deliveries[0]["attempts"]), (&json!("FAILED"), &json!(10)));
    assert_eq!(endpoint["disabledAt"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_network_is_not_sent_to_unless_that_is_allowed() {
    let app = TestApp::start().await;
    furnish(&app).await;
    for url in
        ["http://127.0.0.1:8080/", "https://127.0.0.1/", "https://10.0.0.1/", "https://localhost/", "https://[::1]/"]
    {
        let refused = ask(&app, super::CREATE, json!({ "url": url, "kinds": ["reward.*"] })).await;
        assert_eq!((&refused["userErrors"][0]["code"], &refused["secret"]), (&json!("INVALID"), &Value::Null), "{url}");
    }
    let made = ask(&app, super::CREATE, json!({ "url": "https://shop.example/", "kinds": ["reward.*"] })).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    // A name that leads here is found out when it is looked up, and an address that got past the door when it is asked.
    for (key, url) in
        [("k1", "https://localhost:1/"), ("k2", "https://127.0.0.1:1/"), ("k3", "https://[::ffff:127.0.0.1]:1/")]
    {
        app.execute(&format!("update webhook_endpoints set url = '{url}'")).await;
        issue(&app, key).await;
        assert_eq!(deliver(&app).await.unwrap(), 1, "{url}");
        let (_, deliveries) = log(&app).await;
        let error = deliveries.last().unwrap()["lastError"].as_str().unwrap().to_owned();
        assert_eq!(error, "Its name leads to no public address: private ones are not sent to.", "{url}");
    }
}
