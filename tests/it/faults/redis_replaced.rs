//! F6: Redis fails over to a replica that had stopped following.

use serde_json::json;

use super::proxy::Proxy;
use super::redis_killed::{rebuilt, stream};
use super::redis_server::Redis;
use super::stand::Stand;
use super::subscriber::Subscriber;
use super::{rate, sized, tell};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_costs_no_alert() {
    let (mut primary, replica) = (Redis::start().await, Redis::start().await);
    let proxy = Proxy::to(primary.port()).await;
    let stand = Stand::on(None, Some(format!("redis://{}", proxy.address))).await;
    let mut processes = stand.processes().await;
    let subscriber = Subscriber::follow(&stand);
    let running = stand.load().run(rate());
    replica.ask::<String>(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).await.unwrap();
    running.progress(sized(50, 2_000)).await;
    let has_followed = async || !stream(&stand, &replica).await.is_empty();
    stand.until("the replica follows", has_followed).await;
    replica.ask::<String>(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    let lacking = running.acknowledged_count();
    running.progress(sized(100, 4_000)).await;
    let lag = running.acknowledged_count() - lacking;
    let followed = stream(&stand, &replica).await.len();
    stand.until("the replica lags", async || stream(&stand, &primary).await.len() > followed).await;
    let led = stream(&stand, &primary).await.len();
    primary.kill().await;
    proxy.lead_to(replica.port());
    running.progress(sized(50, 2_000)).await;
    let load = stand.finish(running).await;
    let stream_rebuilt = rebuilt(&stand, &replica).await;
    subscriber.check(&stand).await;
    Stand::check_alive(&mut processes);
    let mut figures = stand.check(&load).await;
    figures["rounds"] = json!(1);
    figures["events_behind"] = json!(lag);
    figures["entries_behind"] = json!(led - followed);
    figures["rebuilt_ms"] = json!(stream_rebuilt.as_millis());
    figures["alerts"] = json!(subscriber.seen_count());
    tell("F6", figures);
}
