//! F13: one event delivered eight times at once, and several events that each would earn the same reward.

use std::sync::Arc;

use grapevine::platforms::sign_generic;
use serde_json::{Value, json};

use super::stand::Stand;
use super::{HEAL, sized, tell};

/// Deliveries of one event at once.
const AT_ONCE: usize = 8;

async fn post(stand: &Stand, event: &Value) -> String {
    let raw = event.to_string();
    let signature = sign_generic(stand.source.secret.as_bytes(), raw.as_bytes());
    let url = format!("{}/webhooks/{}", stand.url(), stand.source.slug);
    let request = stand.client.post(url).header("x-webhook-signature", signature).body(raw).timeout(HEAL);
    let answer = request.send().await.unwrap();
    assert!(matches!(answer.status().as_u16(), 200 | 202), "{}", answer.status());
    let answer: Value = answer.json().await.unwrap();
    answer["status"].as_str().unwrap().to_owned()
}

/// Posts all of these at once and returns how many were new.
async fn post_at_once(stand: &Arc<Stand>, events: Vec<Value>) -> usize {
    let posts = events.into_iter().map(|event| {
        let stand = Arc::clone(stand);
        tokio::spawn(async move { post(&stand, &event).await })
    });
    let answers = futures_util::future::join_all(posts.collect::<Vec<_>>()).await;
    answers.into_iter().filter(|answer| answer.as_ref().unwrap() == "queued").count()
}

fn activation(user: usize, number: usize) -> Value {
    json!({"event_id": format!("a-{user}-{number}"), "event_type": "activation", "user_id": format!("u{user}")})
}

async fn members(count: usize) -> (Arc<Stand>, [tokio::process::Child; 2]) {
    let stand = Arc::new(Stand::on(None, None).await);
    let processes = stand.processes().await;
    post(&stand, &json!({"event_id": "ann", "event_type": "signup", "user_id": "ann", "campaign": "launch"})).await;
    for user in 0..count {
        let signup = json!({"event_id": format!("s-{user}"), "event_type": "signup", "user_id": format!("u{user}"), "referrer_user_id": "ann",
            "anonymous_id": format!("d{user}"), "campaign": "launch"});
        post(&stand, &signup).await;
        post(&stand, &activation(user, 1)).await;
    }
    (stand, processes)
}

async fn rewards_to_ann(stand: &Stand, logged: usize) -> i64 {
    stand.read_through(logged as u64).await;
    stand
        .count(
            "select count(*) from rewards where kind = 'CREDIT' and degree = 1 and beneficiary_member_id is not null",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_eight_times_at_once_earns_one_reward() {
    let count = sized(15, 100);
    let (stand, _processes) = members(count).await;
    let mut new = 0;
    for user in 0..count {
        new += post_at_once(&stand, vec![activation(user, 2); AT_ONCE]).await;
    }
    let rewards = rewards_to_ann(&stand, 1 + 3 * count).await;
    assert_eq!((new, rewards), (count, i64::try_from(count).unwrap()));
    tell(
        "F13",
        json!({"acknowledged": count * AT_ONCE, "new": new, "rewards": rewards, "expected": count, "lost": 0, "double": 0}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_at_once_for_one_referee_earn_one_reward() {
    let count = sized(15, 100);
    let (stand, _processes) = members(count).await;
    let mut new = 0;
    for user in 0..count {
        new += post_at_once(&stand, vec![activation(user, 2), activation(user, 3)]).await;
    }
    let rewards = rewards_to_ann(&stand, 1 + 4 * count).await;
    assert_eq!((new, rewards), (2 * count, i64::try_from(count).unwrap()));
    tell(
        "F13b",
        json!({"acknowledged": 2 * count, "new": new, "rewards": rewards, "expected": count, "lost": 0, "double": 0}),
    );
}
