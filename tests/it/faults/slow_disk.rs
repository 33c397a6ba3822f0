//! F8: each sync of the database takes 1.5 s longer, and more events come than can wait.

use std::sync::Arc;
use std::time::Duration;

use grapevine::base::limits::INGEST_QUEUE_MAX;
use grapevine::platforms::sign_generic;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::Instant;

use super::disk::compile;
use super::postgres::Postgres;
use super::stand::Stand;
use super::{pause, rate, sized, tell};

const ARRAY: usize = 100;

/// What one sender of arrays got: how many events were taken, and how many were refused.
async fn flood(stand: Arc<Stand>, number: usize) -> (usize, usize) {
    let events: Vec<Value> = (0..ARRAY)
        .map(|place| json!({"event_id": format!("flood-{number}-{place}"), "event_type": "click", "anonymous_id": format!("flood-{number}")}))
        .collect();
    let raw = Value::Array(events).to_string();
    let signature = sign_generic(stand.source.secret.as_bytes(), raw.as_bytes());
    let url = format!("{}/webhooks/{}", stand.url(), stand.source.slug);
    let request = stand.client.post(url).header("x-webhook-signature", signature).body(raw);
    match request.send().await.unwrap().status().as_u16() {
        202 => (ARRAY, 0),
        503 => (0, ARRAY),
        status => panic!("{status}"),
    }
}

/// The most memory that a process has had, in megabytes, where the system tells.
fn megabytes_max(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_senders_wait_and_the_queue_stays_bounded() {
    if cfg!(not(target_os = "linux")) {
        return super::skip("F8", "the library that slows the disk is loaded as Linux does it");
    }
    let mut postgres = Postgres::start(&[]).await;
    let flag = postgres.folder.join("slow");
    postgres.kill().await;
    postgres.set("LD_PRELOAD", compile("slow_sync", &["-shared", "-fPIC"]));
    postgres.set("SLOW_SYNC_WHILE", flag.clone());
    postgres.run().await;
    let stand = Arc::new(Stand::on(Some(postgres.url()), None).await);
    // The front alone: what the worker makes of it all is seen elsewhere.
    let mut serve = [stand.spawn("serve")];
    stand.until("serve is ready", async || stand.status_of("/readyz").await == Some(200)).await;
    let running = stand.load().run(rate());
    running.progress(sized(50, 2_000)).await;
    let (fast_p50, fast_p99) = running.waits_ms(0);
    let memory_before = megabytes_max(&serve[0]);

    std::fs::write(&flag, "").unwrap();
    pause(200).await;
    running.begin_phase(1);
    let until = Instant::now() + Duration::from_secs(sized(2, 60));
    let (mut taken, mut refused, mut number) = (0, 0, 0);
    while Instant::now() < until || refused == 0 {
        // Half as many again as may wait.
        let senders = (number..number + INGEST_QUEUE_MAX * 3 / 2 / ARRAY)
            .map(|number| tokio::spawn(flood(Arc::clone(&stand), number)));
        for sender in senders.collect::<Vec<_>>() {
            let (own_taken, own_refused) = sender.await.unwrap();
            (taken, refused, number) = (taken + own_taken, refused + own_refused, number + 1);
        }
    }
    running.progress(1).await;
    let (slow_p50, slow_p99) = running.waits_ms(1);
    assert!(slow_p50 > 1_000, "the disk is slow, and nobody is answered before it: {slow_p50} ms");
    std::fs::remove_file(&flag).unwrap();
    let load = running.finish().await;
    Stand::check_alive(&mut serve);
    let logged = stand.count("select count(*) from events").await;
    assert_eq!(logged, i64::try_from(taken + load.acknowledged_count()).unwrap(), "each that was taken, and no other");
    assert_eq!(stand.lost(&load).await.0, 0);
    tell(
        "F8",
        json!({
            "acknowledged": logged, "lost": 0, "double": 0, "refused": load.refused_count() + refused as u64, "unheard": load.unheard_count(),
            "fast_p50_p99_ms": (fast_p50, fast_p99), "slow_p50_p99_ms": (slow_p50, slow_p99),
            "memory_mb_before": memory_before, "memory_mb_max": megabytes_max(&serve[0]),
        }),
    );
}
