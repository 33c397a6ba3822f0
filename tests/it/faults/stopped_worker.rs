//! F10: a worker is stopped in the middle of a batch, another takes over, and the first one goes on where it stood.

use serde_json::json;
use tokio::time::Instant;

use super::postgres::signal;
use super::stand::{READ, Stand};
use super::{pause, rate, sized, tell};

/// A transaction that holds a shard of the log, and whose process says nothing.
const HELD: &str = "select count(*) from pg_stat_activity a
    where a.datname = current_database() and a.state = 'idle in transaction' and a.state_change < clock_timestamp() - interval '200 ms'";
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_in_a_batch_does_nothing_twice() {
    let stand = Stand::on(None, None).await;
    let [mut serve, mut sleeper] = stand.processes().await;
    let running = stand.load().run(rate());
    running.progress(50).await;
    let id = sleeper.id().unwrap();
    // Most moments are between two batches: then it may go on, and is stopped again.
    loop {
        signal("STOP", &[id]).await;
        pause(300).await;
        if stand.count(HELD).await > 0 {
            break;
        }
        signal("CONT", &[id]).await;
        pause(20).await;
    }
    let mut second = stand.spawn("work");
    let (stopped, read) = (Instant::now(), stand.count(READ).await);
    stand.until("another worker has taken over", async || stand.count(READ).await > read).await;
    let taken_over = stopped.elapsed();
    let rest = sized(0, 60_000).max(u64::try_from(taken_over.as_millis()).unwrap());
    pause(rest - u64::try_from(taken_over.as_millis()).unwrap()).await;
    signal("CONT", &[id]).await;
    running.progress(100).await;
    let load = stand.finish(running).await;
    Stand::check_alive(std::slice::from_mut(&mut serve));
    Stand::check_alive(std::slice::from_mut(&mut sleeper));
    Stand::check_alive(std::slice::from_mut(&mut second));
    let mut figures = stand.check(&load).await;
    figures["stopped_s"] = json!(rest / 1_000);
    figures["taken_over_ms"] = json!(taken_over.as_millis());
    tell("F10", figures);
}
