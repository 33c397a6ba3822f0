//! The WebSocket's own rules: who may speak, how much, and for how long.

use grapevine::access::revoke_key;
use serde_json::{Value, json};

use super::front::{Front, SUBSCRIPTION, short_deadlines};
use crate::support::peers::run;

/// Says raw messages and returns the last line: the close code, or the status of a refused upgrade.
async fn end_of(front: &Front, messages: Value, options: Value) -> Value {
    let said = run("socket.mjs", &[&front.graphql_url(), &messages.to_string(), &options.to_string()]).await;
    said.lines.last().cloned().unwrap_or_else(|| panic!("{}", said.error))
}

fn init(front: &Front) -> Value {
    json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {}", front.key) } })
}

fn subscribe(id: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": SUBSCRIPTION } })
}

#[tokio::test]
async fn the_protocol_is_kept_or_the_socket_is_closed_with_its_code() {
    let front = Front::open().await;
    let init = init(&front);
    let bad_key = json!({ "type": "connection_init", "payload": { "authorization": "Bearer gv_wrong" } });
    let many: Vec<Value> = std::iter::once(init.clone()).chain((0..21).map(|n| subscribe(&n.to_string()))).collect();
    let cases = [
        (json!([{ "type": "connection_init" }]), 4401),
        (json!([bad_key]), 4403),
        (json!([{ "type": "connection_init", "payload": { "authorization": 5 } }]), 4403),
        (json!([subscribe("1")]), 4401),
        (json!([init, init]), 4429),
        (json!(["not json"]), 4400),
        (json!([[]]), 4400),
        (json!([{ "type": "hello" }]), 4400),
        (json!([init, { "type": "subscribe", "id": "1", "payload": {} }]), 4400),
        (json!([init, subscribe("1"), 50, subscribe("1")]), 4409),
        (json!(many), 4429),
    ];
    for (messages, code) in cases {
        let end = end_of(&front, messages.clone(), json!({})).await;
        assert_eq!(end["close"], code, "{messages}: {end}");
    }
    let end = end_of(&front, json!([init]), json!({ "bytes": 65_537 })).await;
    assert_eq!(end["close"], 1009, "{end}");
    let end = end_of(&front, json!([init]), json!({ "bytes": 1_000_000 })).await;
    assert_eq!(end["close"], 1009, "{end}");
    front.close().await;
}

#[tokio::test]
async fn an_upgrade_needs_our_protocol_and_no_foreign_page() {
    let front = Front::open().await;
    let end = end_of(&front, json!([]), json!({ "protocol": "graphql-ws" })).await;
    assert_eq!(end["status"], 400, "{end}");
    let end = end_of(&front, json!([]), json!({ "origin": "https://evil.example" })).await;
    assert_eq!(end["status"], 403, "{end}");
    front.close().await;
}

#[tokio::test]
async fn a_key_in_the_upgrades_header_is_enough() {
    let front = Front::open().await;
    let messages = json!([{ "type": "connection_init" }, 100, { "type": "subscribe", "id": "a", "payload": { "query": "{ __typename }" } }, 100, "end"]);
    let options = json!({ "headers": { "authorization": format!("Bearer {}", front.key) } });
    let said = run("socket.mjs", &[&front.graphql_url(), &messages.to_string(), &options.to_string()]).await;
    let messages: Vec<&Value> = said.lines.iter().filter_map(|line| line.get("message")).collect();
    let expected = [
        json!({ "type": "connection_ack" }),
        json!({ "type": "next", "id": "a", "payload": { "data": { "__typename": "Query" } } }),
        json!({ "type": "complete", "id": "a" }),
    ];
    assert_eq!(messages, expected.iter().collect::<Vec<_>>(), "{}", said.error);
    front.close().await;
}

#[tokio::test]
async fn a_socket_ends_with_its_deadline_its_key_or_the_process() {
    let front = Front::open_with(short_deadlines()).await;
    let end = end_of(&front, json!([]), json!({})).await;
    assert_eq!(end["close"], 4408, "{end}");

    let messages = json!([init(&front), subscribe("1")]);
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        front.stop();
    };
    let (end, ()) = tokio::join!(end_of(&front, messages, json!({})), stop);
    assert_eq!(end["close"], 1001, "{end}");
    front.close().await;
}

#[tokio::test]
async fn a_revoked_key_takes_its_sockets_with_it() {
    let front = Front::open_with(short_deadlines()).await;
    let messages = json!([init(&front), subscribe("1")]);
    let revoke = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let app = &front.app;
        let mut conn = app.db.conn().await.unwrap();
        let scope = grapevine::access::authenticate(&mut conn, &app.env, &front.key).await.unwrap().unwrap();
        revoke_key(&mut conn, &scope, &app.env, scope.key_id.unwrap()).await.unwrap();
        app.keys.clear();
    };
    let (end, ()) = tokio::join!(end_of(&front, messages, json!({})), revoke);
    assert_eq!(end["close"], 4403, "{end}");
    front.close().await;
}
