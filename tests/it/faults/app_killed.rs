//! F1: kill -9 for our own processes, at random moments under load.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::stand::Stand;
use super::{HEAL, pause, random_below, rate, sized, tell};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_has_one_effect_whatever_is_killed() {
    let stand = Stand::on(None, None).await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    let (mut ready, rounds) = (Vec::new(), sized(3, 20));
    for _ in 0..rounds {
        running.progress(10).await;
        pause(300 + random_below(1_200)).await;
        for process in &mut processes {
            process.kill().await.unwrap();
        }
        let started = Instant::now();
        processes = stand.processes().await;
        ready.push(started.elapsed());
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let slowest = ready.iter().max().copied().unwrap_or_default();
    assert!(slowest <= sized(HEAL, Duration::from_secs(2)), "{ready:?}");
    let mut figures = stand.check(&load).await;
    figures["rounds"] = json!(rounds);
    figures["ready_ms_max"] = json!(slowest.as_millis());
    tell("F1", figures);
}
