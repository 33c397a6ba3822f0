//! F2: kill -9 for PostgreSQL and all of its processes, again and again under load.

use std::time::Duration;

use serde_json::json;

use super::postgres::Postgres;
use super::stand::Stand;
use super::{HEAL, pause, random_below, rate, sized, tell};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_outlive_the_database() {
    let mut postgres = Postgres::start(&[]).await;
    let stand = Stand::on(Some(postgres.url()), None).await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    let mut healed = Vec::new();
    let rounds = sized(2, 10);
    for _ in 0..rounds {
        running.progress(20).await;
        pause(random_below(sized(300, 2_000))).await;
        postgres.kill().await;
        // Whoever asks now is told to come back.
        let refused = running.refused_count();
        let is_refused = async || running.refused_count() > refused && stand.status_of("/readyz").await == Some(503);
        stand.until("503 while the database is away", is_refused).await;
        postgres.run().await;
        healed.push(running.progress(1).await);
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let slowest = healed.iter().max().copied().unwrap_or_default();
    assert!(slowest <= sized(HEAL, Duration::from_secs(10)), "{healed:?}");
    let mut figures = stand.check(&load).await;
    figures["rounds"] = json!(rounds);
    figures["healed_ms_max"] = json!(slowest.as_millis());
    tell("F2", figures);
}
