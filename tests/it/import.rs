//! Members and creators from files: any order of rows, bad rows told one by one, and no change the second time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use grapevine::base::sheet::ImportSummary;
use grapevine::creators::import::import_creators;
use grapevine::members::import::import_members;

use crate::support::TestApp;

async fn members(app: &TestApp, text: &str) -> (ImportSummary, String) {
    let mut rejected = Vec::new();
    let summary = import_members(&app.db, &app.scope, &app.env, text.as_bytes(), &mut rejected, &|_| ()).await.unwrap();
    (summary, String::from_utf8(rejected).unwrap())
}

async fn creators(app: &TestApp, text: &str) -> ImportSummary {
    let mut rejected = Vec::new();
    import_creators(&app.db, &app.scope, &app.env, text.as_bytes(), &mut rejected, &|_| ()).await.unwrap()
}

const MEMBERS: &str = "external_id,referrer_external_id,joined_at,creator,status
carol,bob,2026-03-03T10:00:00Z,,ACTIVATED
bob,alice,2026-03-02,,
alice,,2026-03-01,ann,
alice,,2026-03-01,ann,
dave,dave,2026-03-01,,
erin,frank,2026-03-01,,
frank,erin,2026-03-01,,
gina,frank,2026-03-01,,
hugo,nobody,2026-03-01,,
bob,carol,2026-03-02,,
ivan,alice,last week,,
judy,alice,2026-03-01,zoe,
kate,alice
";

#[tokio::test]
async fn good_rows_come_in_and_bad_ones_are_told_by_line() {
    let app = TestApp::start().await;
    assert_eq!(
        creators(&app, "handle,display_name,tier\nann,Ann,gold\nbad handle,B,\nann,Ann again,\n").await.imported,
        1
    );
    let (summary, rejected) = members(&app, MEMBERS).await;
    assert_eq!((summary.rows, summary.imported, summary.unchanged, summary.rejected), (13, 3, 1, 9));
    let expected = BTreeMap::from([
        ("BAD_DATE", 1),
        ("BAD_ROW", 1),
        ("CYCLE", 2),
        ("SECOND_REFERRER", 1),
        ("SELF_REFERRAL", 1),
        ("UNKNOWN_CREATOR", 1),
        ("UNKNOWN_REFERRER", 2),
    ]);
    assert_eq!(summary.by_code, expected);
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines[0], "line,code,reason,external_id,referrer_external_id,joined_at,creator,status");
    assert!(lines[1].starts_with("6,SELF_REFERRAL,") && lines[1].ends_with(",dave,dave,2026-03-01,,"), "{}", lines[1]);
    assert_eq!(lines.len(), 10);

    let in_tree = "select count(*) from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
                   where m.path <@ r.path and m.depth = r.depth + 1 and m.creator_id = r.creator_id and r.referee_count = 1";
    assert_eq!(app.sql_count(in_tree).await, 2);
    let carol =
        "select count(*) from members where external_id = 'carol' and status = 'ACTIVATED' and activation_count = 1";
    assert_eq!(app.sql_count(carol).await, 1);
}

#[tokio::test]
async fn the_same_file_a_second_time_changes_nothing() {
    let app = TestApp::start().await;
    creators(&app, "handle,display_name\nann,Ann\n").await;
    let (first, first_rejected) = members(&app, MEMBERS).await;
    let (second, second_rejected) = members(&app, MEMBERS).await;
    assert_eq!((second.imported, second.unchanged), (0, first.imported + first.unchanged));
    assert_eq!((second.by_code, second_rejected), (first.by_code, first_rejected));
    assert_eq!(app.sql_count("select count(*) from members").await, 3);
    assert_eq!(creators(&app, "handle,display_name\nann,Another\n").await.imported, 0);
    assert_eq!(app.sql_count("select count(*) from creators where display_name = 'Ann'").await, 1);
}

#[tokio::test]
async fn a_later_file_hangs_its_members_on_those_of_an_earlier_one() {
    let app = TestApp::start().await;
    members(&app, "external_id,referrer_external_id,joined_at\na,,2026-03-01\n").await;
    let (summary, _) =
        members(&app, "joined_at,external_id,referrer_external_id\n2026-03-02,b,a\n2026-03-02,a,b\n").await;
    assert_eq!((summary.imported, summary.by_code), (1, BTreeMap::from([("SECOND_REFERRER", 1)])));
    assert_eq!(app.sql_count("select count(*) from members where external_id = 'b' and depth = 1").await, 1);
}

#[tokio::test]
async fn a_file_without_its_columns_is_refused_by_name() {
    let app = TestApp::start().await;
    let import = import_members(&app.db, &app.scope, &app.env, b"external_id,joined\n".as_slice(), Vec::new(), &|_| ());
    let message = import.await.unwrap_err().to_string();
    assert!(message.contains("lacks referrer_external_id, joined_at"), "{message}");
}

/// A chain longer than any path may grow, its end first, and a broad tree: `GRAPEVINE_IMPORT_ROWS` sets their size.
#[tokio::test]
async fn many_rows_in_the_worst_order_come_in_in_seconds() {
    let app = TestApp::start().await;
    let size: u64 = std::env::var("GRAPEVINE_IMPORT_ROWS").map_or(20_000, |text| text.parse().unwrap());
    let (chain, tree) = (size / 10, size - size / 10);
    let mut text = String::from("external_id,referrer_external_id,joined_at\n");
    for index in (1..chain).rev() {
        text.push_str(&format!("chain{index},chain{},2026-03-01\n", index - 1));
    }
    text.push_str("chain0,,2026-03-01\n");
    for index in (1..tree).rev() {
        text.push_str(&format!("tree{index},tree{},2026-03-01T00:00:00Z\n", index * 7 / 10));
    }
    text.push_str("tree0,,2026-03-01\n");
    let reported = AtomicU64::new(0);
    let started = std::time::Instant::now();
    let progress = |progress: grapevine::base::sheet::Progress| reported.store(progress.done_count, Ordering::Relaxed);
    let import = import_members(&app.db, &app.scope, &app.env, text.as_bytes(), Vec::new(), &progress);
    assert_eq!(import.await.unwrap().imported, size);
    assert_eq!(reported.load(Ordering::Relaxed), size);
    eprintln!("{size} rows in {:?}", started.elapsed());
    let deepest = "select max(depth)::int8 as count from members where external_id like 'chain%'";
    assert_eq!(u64::try_from(app.sql_count(deepest).await).unwrap(), chain - 1);
    assert!(app.sql_count("select max(nlevel(path))::int8 as count from members").await <= 64);
}
