//! Forests of hostile shapes, in the worst order of rows. That they are forests is checked when each test ends.

use std::sync::atomic::{AtomicU64, Ordering};

use grapevine::base::sheet::Progress;
use grapevine::members::import::import_members;

use super::members;
use crate::support::TestApp;

const HEADER: &str = "external_id,referrer_external_id,joined_at\n";

#[tokio::test]
async fn a_chain_of_10_000_comes_in_from_its_end() {
    let app = TestApp::start().await;
    let mut text = HEADER.to_owned();
    for index in (1..10_000).rev() {
        text.push_str(&format!("m{index},m{},2026-03-01\n", index - 1));
    }
    text.push_str("m0,,2026-03-01\n");
    assert_eq!(members(&app, &text).await.0.imported, 10_000);
    let ordered = "select count(*) from members where 'm' || depth = external_id";
    assert_eq!(app.sql_count(ordered).await, 10_000);
    assert!(app.sql_count("select max(nlevel(path))::int8 as count from members").await <= 64);
}

/// A star that does not fit one transaction, its centre the last row, among the shuffled rows of a tree.
#[tokio::test]
async fn a_star_and_a_shuffled_tree_come_in_together() {
    let app = TestApp::start().await;
    let (rays, nodes) = (6_000, 600);
    let mut rows: Vec<String> = (0..rays).map(|index| format!("ray{index},centre,2026-03-01\n")).collect();
    rows.extend((1..nodes).map(|index| format!("node{index},node{},2026-03-01T00:00:00Z\n", index * 7 / 10)));
    // A stride that shares no divisor with the number of rows visits each once.
    let shuffled = (0..rows.len()).map(|index| rows[index * 7_919 % rows.len()].as_str());
    let text: String =
        [HEADER].into_iter().chain(shuffled).chain(["node0,,2026-03-01\ncentre,,2026-03-01\n"]).collect();

    let reported = AtomicU64::new(0);
    let progress = |progress: Progress| reported.store(progress.done_count, Ordering::Relaxed);
    let import = import_members(&app.db, &app.scope, &app.env, text.as_bytes(), Vec::new(), &progress);
    assert_eq!((import.await.unwrap().imported, reported.load(Ordering::Relaxed)), (6_601, 6_601));
    let below_centre = "select referee_count::int8 as count from members where external_id = 'centre'";
    assert_eq!(app.sql_count(below_centre).await, 6_000);
    let below_parent =
        "select count(*) from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
                        where r.external_id = 'node' || nullif(regexp_replace(m.external_id, '[^0-9]', '', 'g'), '')::int * 7 / 10";
    assert_eq!(app.sql_count(below_parent).await, 599);
    // Those of one subtree have numbers in one piece.
    let scattered = "select count(*) from members m
                     where m.external_id like 'node%'
                       and (select max(d.number) - min(d.number) + 1 - count(*) from members d where d.path <@ m.path) <> 0";
    assert_eq!(app.sql_count(scattered).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_one_file_at_once_make_each_member_once() {
    let app = TestApp::start().await;
    let mut text = HEADER.to_owned();
    for index in 0..6_000 {
        let referrer = if index == 0 { String::new() } else { format!("m{}", index / 3) };
        text.push_str(&format!("m{index},{referrer},2026-03-01\n"));
    }
    let (one, other) = tokio::join!(members(&app, &text), members(&app, &text));
    assert_eq!(one.0.imported + other.0.imported, 6_000);
    assert_eq!(app.sql_count("select count(*) from members where pending_referrer_external_id is null").await, 6_000);
}
