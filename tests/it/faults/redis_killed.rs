//! F4 and F5: Redis is killed again and again, away for long, mute, flushed, and back with an old file. It costs time only.

use std::time::Duration;

use grapevine::base::limits::STREAM_LENGTH_MAX;
use redis::streams::StreamRangeReply;
use serde_json::json;

use super::redis_server::Redis;
use super::stand::Stand;
use super::subscriber::Subscriber;
use super::{HEAL, pause, rate, sized, tell};

/// Numbers of the brand's stream, as Redis has them.
pub async fn stream(stand: &Stand, redis: &Redis) -> Vec<u64> {
    let key = format!("{}{{{}}}:outbox", stand.settings.redis_prefix, stand.brand.id.simple());
    let reply: StreamRangeReply = redis.ask(&["XRANGE", &key, "-", "+"]).await.unwrap();
    reply.ids.iter().map(|entry| entry.id.split('-').next().unwrap().parse().unwrap()).collect()
}

/// Waits until the stream holds the outbox again, as far back as it is kept, without a gap; returns how long that took.
pub async fn rebuilt(stand: &Stand, redis: &Redis) -> Duration {
    let is_whole = async || {
        let head = stand.count("select value as count from brand_counters where name = 'outbox'").await.cast_unsigned();
        let found = stream(stand, redis).await;
        let first = head.saturating_sub(STREAM_LENGTH_MAX).max(1);
        let is_dense = found.windows(2).all(|pair| pair[1] == pair[0] + 1);
        is_dense && found.first().is_some_and(|own| *own <= first) && found.last() == Some(&head)
    };
    stand.until("the stream holds the outbox again", is_whole).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_events_are_taken_as_fast_and_alerts_catch_up() {
    let mut redis = Redis::start().await;
    let stand = Stand::on(None, Some(redis.url())).await;
    let mut processes = stand.processes().await;
    let subscriber = Subscriber::follow(&stand);
    let running = stand.load().run(rate());
    let (rounds, outage) = (sized(2, 10), sized(1_000, 60_000));
    pause(sized(1_000, 10_000)).await;
    running.begin_phase(1);
    for _ in 0..rounds {
        redis.kill().await;
        running.progress(10).await;
        redis.run().await;
        running.progress(10).await;
    }
    running.begin_phase(2);
    redis.kill().await;
    pause(outage).await;
    redis.run().await;
    // Nor does it help to be there and say nothing.
    running.begin_phase(3);
    redis.signal("STOP").await;
    pause(outage / 2).await;
    redis.signal("CONT").await;
    running.begin_phase(4);
    let stream_rebuilt = rebuilt_under_load(&stand, &redis).await;
    let load = stand.finish(running).await;
    let caught_up = subscriber.check(&stand).await;
    assert!(caught_up <= sized(HEAL, Duration::from_secs(10)), "{caught_up:?}");
    rebuilt(&stand, &redis).await;
    Stand::check_alive(&mut processes);
    let mut figures = stand.check(&load).await;
    assert_eq!((load.refused_count(), load.unheard_count()), (0, 0), "Redis stands in nobody's way");
    figures["rounds"] = json!(rounds);
    figures["outage_s"] = json!(outage as f64 / 1e3);
    let named = [(0, "ack_p50_p99_ms"), (1, "killed_p50_p99_ms"), (2, "away_p50_p99_ms"), (3, "mute_p50_p99_ms")];
    for (phase, name) in named {
        figures[name] = json!(load.waits_ms(phase));
    }
    figures["rebuilt_ms"] = json!(stream_rebuilt.as_millis());
    figures["caught_up_ms"] = json!(caught_up.as_millis());
    figures["alerts"] = json!(subscriber.seen_count());
    tell("F4", figures);
}

/// Under load the stream's end is always a step behind the outbox: what it must have is what was there when it came back.
async fn rebuilt_under_load(stand: &Stand, redis: &Redis) -> Duration {
    let head = stand.count("select value as count from brand_counters where name = 'outbox'").await.cast_unsigned();
    let first = head.saturating_sub(STREAM_LENGTH_MAX).max(1);
    let has_it = async || {
        let found = stream(stand, redis).await;
        found.windows(2).all(|pair| pair[1] == pair[0] + 1)
            && found.first().is_some_and(|own| *own <= first)
            && found.last().is_some_and(|own| *own >= head)
    };
    stand.until("the stream holds what was in the outbox", has_it).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_and_an_old_file_cost_time_only() {
    let mut redis = Redis::start().await;
    let stand = Stand::on(None, Some(redis.url())).await;
    let mut processes = stand.processes().await;
    let subscriber = Subscriber::follow(&stand);
    let running = stand.load().run(rate());
    running.progress(sized(50, 2_000)).await;
    redis.ask::<String>(&["SAVE"]).await.unwrap();
    let old = redis.file().with_extension("old");
    std::fs::copy(redis.file(), &old).unwrap();
    let mut flushed = Vec::new();
    for _ in 0..sized(1, 5) {
        running.progress(sized(50, 2_000)).await;
        redis.ask::<String>(&["FLUSHALL"]).await.unwrap();
        flushed.push(rebuilt_under_load(&stand, &redis).await);
    }
    running.progress(sized(50, 2_000)).await;
    redis.kill().await;
    std::fs::copy(&old, redis.file()).unwrap();
    redis.run().await;
    let restored = rebuilt_under_load(&stand, &redis).await;
    let load = stand.finish(running).await;
    // And once more, when nothing moves any more that could remind anyone.
    redis.ask::<String>(&["FLUSHALL"]).await.unwrap();
    let at_rest = rebuilt(&stand, &redis).await;
    let caught_up = subscriber.check(&stand).await;
    Stand::check_alive(&mut processes);
    let mut figures = stand.check(&load).await;
    let slowest = flushed.iter().copied().chain([restored, at_rest]).max().unwrap_or_default();
    assert!(slowest <= sized(HEAL, Duration::from_secs(60)), "{flushed:?} {restored:?} {at_rest:?}");
    figures["rounds"] = json!(flushed.len() + 2);
    figures["rebuilt_ms_max"] = json!(slowest.as_millis());
    figures["caught_up_ms"] = json!(caught_up.as_millis());
    figures["alerts"] = json!(subscriber.seen_count());
    tell("F5", figures);
}
