//! What breaks in production, broken on purpose under load: databases killed, power cut, disks full and slow, answers lost, workers
//! stopped. What was acknowledged is there once, with one effect, and everything heals unaided.
//! Small by default; `GRAPEVINE_TEST_FAULTS=full` is what `bench/faults` runs. Start with `stand.rs`.

mod disk;
mod load;
mod postgres;
mod proxy;
mod redis_server;
mod stand;
mod subscriber;

mod app_killed;
mod bank;
mod disk_full;
mod lost_answers;
mod order;
mod poison_mix;
mod postgres_killed;
mod power_cut;
mod races;
mod redis_killed;
mod redis_replaced;
mod replayed;
mod slow_disk;
mod stopped_worker;

use std::io::Write;
use std::time::Duration;

use grapevine::base::{SystemChance, random_bytes};
use serde_json::Value;

/// How long healing may take. Only what never heals takes it.
const HEAL: Duration = Duration::from_secs(300);

/// The size of something in a test: small, or full where `GRAPEVINE_TEST_FAULTS` says so.
fn sized<T>(small: T, full: T) -> T {
    let is_full = std::env::var("GRAPEVINE_TEST_FAULTS").is_ok_and(|size| size == "full");
    if is_full { full } else { small }
}

/// Events a second that the senders of most tests post: `GRAPEVINE_TEST_FAULT_RATE`.
fn rate() -> u64 {
    std::env::var("GRAPEVINE_TEST_FAULT_RATE").map_or(sized(50, 1_000), |text| text.parse().unwrap())
}

fn random_below(end: u64) -> u64 {
    u64::from_be_bytes(random_bytes(&SystemChance)) % end
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Writes figures down: to the file that `GRAPEVINE_TEST_FIGURES` names, and to whoever watches the test.
fn tell(fault: &str, mut figures: Value) {
    figures["fault"] = fault.into();
    eprintln!("{figures}");
    if let Ok(path) = std::env::var("GRAPEVINE_TEST_FIGURES") {
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{figures}").unwrap();
    }
}

/// Says that a fault was not tried, and why: silence would look like success.
fn skip(fault: &str, reason: &str) {
    tell(fault, serde_json::json!({ "skipped": reason }));
}
