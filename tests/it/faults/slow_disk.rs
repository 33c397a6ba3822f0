//! F8: each sync of the database takes 1.5 s longer, and more events come than can wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use grapevine::base::limits::INGEST_QUEUE_MAX;
use grapevine::platforms::sign_generic;
use serde_json::{Value, json};
use tokio::process::Child;

use super::disk::compile;
use super::postgres::Postgres;
use super::stand::Stand;
use super::{pause, rate, sized, tell};

const ARRAY: usize = 100;

/// Senders of arrays: half as many events again as may wait.
const FLOOD: usize = INGEST_QUEUE_MAX * 3 / 2 / ARRAY;

/// What the senders of arrays share: how many events were taken, and how many were refused.
#[derive(Default)]
struct Flood {
    next: AtomicUsize,
    taken: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Flood {
    async fn post(self: Arc<Self>, stand: Arc<Stand>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let event = |place: usize| json!({"event_id": format!("flood-{number}-{place}"), "event_type": "click", "anonymous_id": format!("flood-{number}")});
            let raw = Value::Array((0..ARRAY).map(event).collect()).to_string();
            let signature = sign_generic(stand.source.secret.as_bytes(), raw.as_bytes());
            let url = format!("{}/webhooks/{}", stand.url(), stand.source.slug);
            let request = stand.client.post(url).header("x-webhook-signature", signature).body(raw);
            match request.send().await.unwrap().status().as_u16() {
                202 => self.taken.fetch_add(ARRAY, Ordering::SeqCst),
                503 => self.refused.fetch_add(ARRAY, Ordering::SeqCst),
                status => panic!("{status}"),
            };
            pause(1_000).await;
        }
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
    pause(500).await;
    running.begin_phase(1);
    let flood = Arc::new(Flood::default());
    let senders: Vec<_> = (0..FLOOD).map(|_| tokio::spawn(Arc::clone(&flood).post(Arc::clone(&stand)))).collect();
    pause(sized(2_000, 60_000)).await;
    stand.until("503 beyond the queue", async || flood.refused.load(Ordering::SeqCst) > 0).await;
    flood.is_over.store(true, Ordering::SeqCst);
    running.progress(1).await;
    let (slow_p50, slow_p99) = running.waits_ms(1);
    assert!(slow_p50 > 1_000, "the disk is slow, and nobody is answered before it: {slow_p50} ms");
    std::fs::remove_file(&flag).unwrap();
    for sender in senders {
        sender.await.unwrap();
    }
    let (taken, refused) = (flood.taken.load(Ordering::SeqCst), flood.refused.load(Ordering::SeqCst));
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
