//! F3: the power of the database's disk is cut under load: what was not synced is gone.

use serde_json::json;

use super::disk::Disk;
use super::postgres::{Postgres, signal};
use super::stand::Stand;
use super::{pause, random_below, rate, sized, skip, tell};

/// Room for the database of a full run.
const DISK_MEGABYTES: u64 = 2_000;

async fn place(fault: &str, settings: &[&'static str]) -> Option<(Postgres, Disk)> {
    let mut postgres = Postgres::place(settings).await;
    match Disk::make(&postgres.folder, DISK_MEGABYTES) {
        Ok(disk) => {
            postgres.settle(disk.folder.join("pg")).await;
            disk.sync();
            postgres.run().await;
            Some((postgres, disk))
        }
        Err(reason) => {
            skip(fault, &reason);
            None
        }
    }
}

async fn cut(postgres: &mut Postgres, disk: &Disk) {
    disk.cut_power();
    postgres.kill().await;
    disk.power_on();
    postgres.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_outlive_a_power_cut() {
    let Some((mut postgres, disk)) = place("F3", &[]).await else { return };
    let stand = Stand::on(Some(postgres.url()), None).await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    let rounds = sized(1, 5);
    for _ in 0..rounds {
        running.progress(50).await;
        pause(random_below(sized(300, 3_000))).await;
        cut(&mut postgres, &disk).await;
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let mut figures = stand.check(&load).await;
    figures["rounds"] = json!(rounds);
    tell("F3", figures);
}

/// The test above can fail: a database that acknowledges what it has not synced loses it in the same cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_wait_for_its_disk_loses_acknowledged_events() {
    let Some((mut postgres, disk)) = place("F3 negative", &["synchronous_commit=off"]).await else { return };
    let stand = Stand::on(Some(postgres.url()), None).await;
    let serve = stand.spawn("serve");
    stand.until("serve is ready", async || stand.status_of("/readyz").await == Some(200)).await;
    // The process that syncs the log now and then is held, as between two of its rounds: what it has not synced can be lost at any moment.
    let writer =
        stand.texts_of("select pid::text as text from pg_stat_activity where backend_type = 'walwriter'").await;
    signal("STOP", &[writer[0].parse().unwrap()]).await;
    let running = stand.load().run(rate());
    running.progress(100).await;
    let acknowledged = running.acknowledged();
    disk.cut_power();
    drop((running, serve));
    postgres.kill().await;
    disk.power_on();
    postgres.run().await;
    let count = acknowledged.len();
    let (lost, _) = stand.lost_of(acknowledged).await;
    assert!(lost > 0, "none of {count} acknowledged events was lost");
    tell("F3 negative", json!({ "acknowledged": count, "lost": lost, "rounds": 1 }));
}
