//! F7: the database's disk is full under load, and has room again later.

use std::fs::File;
use std::io::{ErrorKind, Write};

use serde_json::json;

use super::disk::Disk;
use super::postgres::Postgres;
use super::stand::Stand;
use super::{pause, rate, sized, skip, tell};

/// Takes all the room that there is.
fn fill(disk: &Disk) -> std::path::PathBuf {
    let path = disk.folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        match file.write(&vec![1; size]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 4,
            Err(error) => panic!("{error}"),
        }
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let mut postgres = Postgres::place(&["min_wal_size=32MB", "max_wal_size=64MB"]).await;
    let disk = match Disk::make(&postgres.folder, sized(240, 1_500)) {
        Ok(disk) => disk,
        Err(reason) => return skip("F7", &reason),
    };
    postgres.settle(disk.folder.join("pg")).await;
    postgres.run().await;
    let stand = Stand::on(Some(postgres.url()), None).await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    let rounds = sized(1, 3);
    for _ in 0..rounds {
        running.progress(sized(50, 1_000)).await;
        let ballast = fill(&disk);
        let refused = running.refused_count();
        stand.until("503 while the disk is full", async || running.refused_count() > refused).await;
        pause(sized(300, 10_000)).await;
        std::fs::remove_file(ballast).unwrap();
        // A database that could not write its log has ended: whoever runs it starts it again.
        postgres.run().await;
        running.progress(1).await;
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let mut figures = stand.check(&load).await;
    figures["rounds"] = json!(rounds);
    figures["database_starts"] = json!(postgres.start_count);
    tell("F7", figures);
}
