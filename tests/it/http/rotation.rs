//! Secrets of webhook sources: made, shown once, listed, and changed over without a gap.

use chrono::TimeDelta;
use grapevine::platforms::{Scheme, key_of, sign};
use serde_json::{Value, json};

use super::front::Front;

const CREATE: &str = "mutation($input: CreateWebhookSourceInput!) { createWebhookSource(input: $input) {
    source { id url scheme } secret userErrors { code path message } } }";
const ROTATE: &str = "mutation($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) {
    source { id previousSecretExpiresAt } secret userErrors { code path message } } }";
const LIST: &str =
    "{ webhookSources { totalCount nodes { id name scheme url createdAt lastEventAt previousSecretExpiresAt } } }";

async fn ask(front: &Front, query: &str, input: Value) -> Value {
    let body = json!({ "query": query, "variables": { "input": input } });
    let mut answer: Value = front.post().json(&body).send().await.unwrap().json().await.unwrap();
    assert!(answer["errors"].is_null(), "{answer}");
    let data = answer["data"].as_object_mut().unwrap();
    data.values_mut().next().unwrap().take()
}

fn schemes() -> [(Scheme, &'static str); 2] {
    [(Scheme::Generic, "GENERIC"), (Scheme::StandardWebhooks, "STANDARD_WEBHOOKS")]
}

/// Posts an event of its own under this secret and returns the status.
async fn post(front: &Front, made: &Value, scheme: Scheme, secret: &Value, event_id: &str) -> u16 {
    let slug = made["source"]["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let body = json!({ "event_type": "click", "anonymous_id": "a", "event_id": event_id }).to_string();
    let key = key_of(scheme, secret.as_str().unwrap()).unwrap();
    let mut request = front.client.post(format!("{}/webhooks/{slug}", front.url));
    for (name, value) in sign(scheme, &key, event_id, front.app.now(), body.as_bytes()) {
        request = request.header(name, value);
    }
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn both_secrets_count_during_the_overlap_and_the_new_one_alone_after_it() {
    let front = Front::open().await;
    for (scheme, name) in schemes() {
        let made = ask(&front, CREATE, json!({ "name": "shop", "scheme": name })).await;
        let (id, first) = (&made["source"]["id"], &made["secret"]);
        assert_eq!(post(&front, &made, scheme, first, "e1").await, 202, "{name}");
        let rotated = ask(&front, ROTATE, json!({ "sourceId": id, "overlapSeconds": 3600 })).await;
        let second = &rotated["secret"];
        assert_ne!(first, second);
        assert_eq!(rotated["source"]["previousSecretExpiresAt"], "2026-08-15T13:00:00+00:00", "{rotated}");
        assert_eq!(post(&front, &made, scheme, second, "e2").await, 202, "{name}: the new one counts at once");
        assert_eq!(post(&front, &made, scheme, first, "e3").await, 202, "{name}: the old one still counts");

        let early = ask(&front, ROTATE, json!({ "sourceId": id, "overlapSeconds": 60 })).await;
        assert_eq!((&early["userErrors"][0]["code"], &early["secret"]), (&json!("CONFLICT"), &Value::Null), "{early}");
        assert_eq!(post(&front, &made, scheme, first, "e4").await, 202, "{name}: refused is refused");

        front.app.advance(TimeDelta::hours(1));
        assert_eq!(post(&front, &made, scheme, first, "e5").await, 401, "{name}: the overlap is over");
        assert_eq!(post(&front, &made, scheme, second, "e6").await, 202, "{name}");
        let third = ask(&front, ROTATE, json!({ "sourceId": id })).await;
        assert_eq!(
            third["source"]["previousSecretExpiresAt"], "2026-08-16T13:00:00+00:00",
            "a day is the default: {third}"
        );
        assert_eq!(post(&front, &made, scheme, first, "e7").await, 401, "{name}: two secrets count, not three");
        front.app.advance(TimeDelta::hours(-1));
    }
    front.close().await;
}

#[tokio::test]
async fn a_secret_that_has_leaked_is_ended_at_once() {
    let front = Front::open().await;
    for (scheme, name) in schemes() {
        let made = ask(&front, CREATE, json!({ "name": "shop", "scheme": name })).await;
        let id = &made["source"]["id"];
        let second = ask(&front, ROTATE, json!({ "sourceId": id })).await;
        let third = ask(&front, ROTATE, json!({ "sourceId": id, "overlapSeconds": 0 })).await;
        assert_eq!(third["source"]["previousSecretExpiresAt"], Value::Null);
        assert_eq!(post(&front, &made, scheme, &third["secret"], "e1").await, 202, "{name}");
        for old in [&made["secret"], &second["secret"]] {
            assert_eq!(post(&front, &made, scheme, old, "e2").await, 401, "{name}");
        }
    }
    front.close().await;
}

#[tokio::test]
async fn a_replay_shows_the_first_result_and_rotates_nothing() {
    let front = Front::open().await;
    let input = json!({ "name": "shop", "idempotencyKey": "k1" });
    let made = ask(&front, CREATE, input.clone()).await;
    assert_eq!(ask(&front, CREATE, input).await, made);
    let id = &made["source"]["id"];
    let input = json!({ "sourceId": id, "idempotencyKey": "k1" });
    let rotated = ask(&front, ROTATE, input.clone()).await;
    assert!(rotated["secret"].is_string(), "{rotated}");
    assert_eq!(ask(&front, ROTATE, input).await, rotated);
    let other = ask(&front, ROTATE, json!({ "sourceId": id, "overlapSeconds": 9, "idempotencyKey": "k1" })).await;
    assert_eq!(other["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    let secret = rotated["secret"].as_str().unwrap();
    assert_eq!(front.app.sql_count("select count(*) from idempotency_keys").await, 2);
    let kept = format!("select count(*) from idempotency_keys where result::text like '%{secret}%'");
    assert_eq!(front.app.sql_count(kept.leak()).await, 0, "a kept result holds no secret in clear");

    let viewer = front.app.key_of(grapevine::access::Role::Viewer).await;
    let replay = json!({ "query": ROTATE, "variables": { "input": { "sourceId": id, "idempotencyKey": "k1" } } });
    let request = front.client.post(front.graphql_url()).bearer_auth(viewer).json(&replay);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "a replay needs the same permission: {answer}");
    front.close().await;
}

#[tokio::test]
async fn a_sender_may_choose_the_secret_if_it_is_a_good_one() {
    let front = Front::open().await;
    let chosen = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (scheme, name) in schemes() {
        let made = ask(&front, CREATE, json!({ "name": "shop", "scheme": name })).await;
        let input = json!({ "sourceId": made["source"]["id"], "secret": chosen, "overlapSeconds": 0 });
        assert_eq!(ask(&front, ROTATE, input).await["secret"], chosen);
        assert_eq!(post(&front, &made, scheme, &json!(chosen), "e1").await, 202, "{name}");
        for bad in ["", "whsec_c2hvcnQ=", "whsec_", "short", "ünïcode is longer than it looks, but no"] {
            let input = json!({ "name": "shop", "scheme": name, "secret": bad });
            let refused = ask(&front, CREATE, input).await;
            assert_eq!(refused["userErrors"][0]["path"], json!(["secret"]), "{name} {bad}: {refused}");
            assert_eq!(refused["secret"], Value::Null);
        }
    }
    for overlap in [-1, 7 * 24 * 3_600 + 1] {
        let made = ask(&front, CREATE, json!({ "name": "shop" })).await;
        let input = json!({ "sourceId": made["source"]["id"], "overlapSeconds": overlap });
        assert_eq!(ask(&front, ROTATE, input).await["userErrors"][0]["path"], json!(["overlapSeconds"]));
    }
    front.close().await;
}

#[tokio::test]
async fn the_list_tells_what_wants_rotating() {
    let front = Front::open().await;
    let made = ask(&front, CREATE, json!({ "name": "old" })).await;
    front.app.advance(TimeDelta::days(1));
    let second = ask(&front, CREATE, json!({ "name": "new", "scheme": "STANDARD_WEBHOOKS" })).await;
    assert_eq!(post(&front, &made, Scheme::Generic, &made["secret"], "e1").await, 202);
    assert_eq!(post(&front, &made, Scheme::Generic, &second["secret"], "e2").await, 401, "which is no event");
    front.app.advance(TimeDelta::seconds(59));
    assert_eq!(post(&front, &made, Scheme::Generic, &made["secret"], "e3").await, 202);
    let listed = front.app.data(LIST, json!({})).await["webhookSources"].take();
    assert_eq!(listed["totalCount"], 2);
    let [first, last] = [0, 1].map(|index| &listed["nodes"][index]);
    assert_eq!(
        (&first["id"], &first["name"], &first["scheme"]),
        (&made["source"]["id"], &json!("old"), &json!("GENERIC"))
    );
    assert_eq!((&first["url"], &first["createdAt"]), (&made["source"]["url"], &json!("2026-08-15T12:00:00+00:00")));
    assert_eq!(first["lastEventAt"], "2026-08-16T12:00:00+00:00", "to the minute");
    assert_eq!((&last["scheme"], &last["lastEventAt"]), (&json!("STANDARD_WEBHOOKS"), &Value::Null));
    front.app.advance(TimeDelta::seconds(1));
    assert_eq!(post(&front, &made, Scheme::Generic, &made["secret"], "e4").await, 202);
    let listed = front.app.data(LIST, json!({})).await;
    assert_eq!(listed["webhookSources"]["nodes"][0]["lastEventAt"], "2026-08-16T12:01:00+00:00");
    let page = "query($after: String) { webhookSources(first: 1, after: $after) { pageInfo { hasNextPage endCursor } nodes { name } } }";
    let one = front.app.data(page, json!({})).await["webhookSources"].take();
    assert_eq!((&one["nodes"][0]["name"], &one["pageInfo"]["hasNextPage"]), (&json!("old"), &json!(true)));
    let two = front.app.data(page, json!({ "after": one["pageInfo"]["endCursor"] })).await["webhookSources"].take();
    assert_eq!((&two["nodes"][0]["name"], &two["pageInfo"]["hasNextPage"]), (&json!("new"), &json!(false)));
    front.close().await;
}
