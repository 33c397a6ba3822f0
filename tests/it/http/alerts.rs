//! The stream of alerts to real clients: each alert once, over either transport, across a disconnection.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::front::Front;
use super::redirects::link;
use crate::support::TestSource;
use crate::support::peers::run;

const ALERTS: &str = "subscription($after: String) { fraudAlerts(after: $after) { cursor node { id occurrences } } }";

/// Clicks of one bot within one hour: one alert.
async fn burst(front: &Front, source: &TestSource, token: &str, hours_ago: i64) {
    let time = (front.app.now() - TimeDelta::hours(hours_ago)).to_rfc3339();
    let events: Vec<Value> = (0..30)
        .map(|index| {
            json!({
                "event_id": format!("{hours_ago}-{index}"), "event_type": "click", "link_token": token, "timestamp": time,
                "ip": "203.0.113.7", "user_agent": "python-requests/2.31.0",
            })
        })
        .collect();
    let body = Value::Array(events).to_string();
    let response = super::webhooks::send(front, source, body.as_bytes()).await;
    assert_eq!(response.status(), 202);
    front.app.drain().await;
}

fn cursors(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["data"]["fraudAlerts"]["cursor"].as_str().unwrap_or_else(|| panic!("{line}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_with_its_cursor_misses_no_alert() {
    let front = Front::open().await;
    let (url, source, link) = (front.graphql_url(), front.app.source().await, link(&front).await);
    let first_burst = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        burst(&front, &source, &link.token, 1).await;
    };
    let start = grapevine::base::Cursor { key: 0, id: uuid::Uuid::nil() }.encode();
    let variables = json!({ "after": start }).to_string();
    let arguments = [url.as_str(), &front.key, ALERTS, &variables, "1"];
    let (socket, stream, ()) =
        tokio::join!(run("subscribe.mjs", &arguments), run("stream.mjs", &arguments), first_burst);
    assert!(socket.is_success && stream.is_success, "{} {}", socket.error, stream.error);
    assert_eq!(socket.lines, stream.lines);
    assert_eq!(socket.lines.len(), 1);

    // One alert while nobody listens, one while they listen again.
    burst(&front, &source, &link.token, 2).await;
    let last_burst = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        burst(&front, &source, &link.token, 3).await;
    };
    let variables = json!({ "after": cursors(&socket.lines)[0] }).to_string();
    let arguments = [url.as_str(), &front.key, ALERTS, &variables, "2"];
    let (resumed, stream, ()) =
        tokio::join!(run("subscribe.mjs", &arguments), run("stream.mjs", &arguments), last_burst);
    assert_eq!(resumed.lines, stream.lines, "{} {}", resumed.error, stream.error);
    let mut seen = cursors(&socket.lines);
    seen.extend(cursors(&resumed.lines));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3, "each alert once");
    front.close().await;
}
