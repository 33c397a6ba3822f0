//! A subscriber to alerts who comes back with their last cursor whenever the stream ends, and remembers what they were given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grapevine::base::{Cursor, Kind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::pause;
use super::stand::Stand;

const ALERTS: &str = "subscription($after: String) { fraudAlerts(after: $after) { cursor node { id } } }";
/// Longer than the pings of a stream that lives.
const SILENCE: Duration = Duration::from_secs(40);

/// A subscriber, who leaves when it is dropped.
pub struct Subscriber {
    /// The number and the identifier of each alert, as they came.
    seen: Arc<Mutex<Vec<(i64, String)>>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    pub fn follow(stand: &Stand) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reader = Reader {
            client: reqwest::Client::builder().read_timeout(SILENCE).build().unwrap(),
            url: format!("{}/graphql", stand.url()),
            key: stand.key.clone(),
            seen: Arc::clone(&seen),
        };
        Self { seen, task: tokio::spawn(reader.run()) }
    }

    pub fn seen_count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Waits for the last alert that there is; each came once, in order, and none was left out. Returns how long that took.
    pub async fn check(&self, stand: &Stand) -> Duration {
        let raised = stand.texts_of("select id::text as text from fraud_alerts order by seq").await;
        let caught_up = stand.until("the subscriber has every alert", async || self.seen_count() >= raised.len()).await;
        let seen = self.seen.lock().unwrap().clone();
        assert!(seen.is_sorted_by(|left, right| left.0 < right.0), "numbers come once, and in their order");
        let raised: Vec<String> = raised.iter().map(|id| Kind::Alert.id(id.parse::<Uuid>().unwrap())).collect();
        let seen: Vec<String> = seen.into_iter().map(|(_, id)| id).collect();
        assert_eq!(seen, raised);
        caught_up
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reader {
    client: reqwest::Client,
    url: String,
    key: String,
    seen: Arc<Mutex<Vec<(i64, String)>>>,
}

impl Reader {
    async fn run(self) {
        let mut cursor = Cursor { key: 0, id: Uuid::nil() }.encode();
        loop {
            let body = json!({ "query": ALERTS, "variables": { "after": cursor } });
            let request = self.client.post(&self.url).bearer_auth(&self.key).header("accept", "text/event-stream");
            if let Ok(mut response) = request.json(&body).send().await {
                let mut text = Vec::new();
                while let Ok(Some(chunk)) = response.chunk().await {
                    text.extend_from_slice(&chunk);
                    while let Some(end) = text.windows(2).position(|window| window == b"\n\n") {
                        let event: Vec<u8> = text.drain(..end + 2).collect();
                        self.take(&event, &mut cursor);
                    }
                }
            }
            pause(100).await;
        }
    }

    fn take(&self, event: &[u8], cursor: &mut String) {
        let text = String::from_utf8_lossy(event);
        let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) else { return };
        let answer: Value = serde_json::from_str(data).unwrap();
        let edge = &answer["data"]["fraudAlerts"];
        let (Some(place), Some(id)) = (edge["cursor"].as_str(), edge["node"]["id"].as_str()) else { return };
        *cursor = place.to_owned();
        let seq = Cursor::decode(place, "after").unwrap().key;
        self.seen.lock().unwrap().push((seq, id.to_owned()));
    }
}
