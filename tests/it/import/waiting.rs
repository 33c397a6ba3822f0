//! Members whose referrer is unknown wait as roots, and join it with everybody below them, by whatever door it comes.

use std::collections::BTreeMap;

use grapevine::ingest::Origin;
use grapevine::platforms::{Scheme, parse};
use serde_json::json;

use super::{creators, fingerprint, members, remarks};
use crate::support::TestApp;

const BELOW_BOB: &str = "external_id,referrer_external_id,joined_at
dora,carl,2026-03-03
carl,bob,2026-03-02
cora,bob,2026-03-02
";

/// Members who stand in a chain `ann`, `bob`, `carl`, `dora`, and `cora` beside `carl`, nobody waiting.
const JOINED: &str = "select count(*) from members m left join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
    where m.pending_referrer_external_id is null and (coalesce(r.external_id, ''), m.external_id, m.depth, m.referee_count) in
          (('', 'ann', 0, 1), ('ann', 'bob', 1, 2), ('bob', 'carl', 2, 1), ('bob', 'cora', 2, 0), ('carl', 'dora', 3, 0))";

#[tokio::test]
async fn a_later_file_that_brings_the_referrer_joins_who_waits_for_it() {
    let app = TestApp::start().await;
    creators(&app, "handle,display_name\nzoe,Zoe\n").await;
    let (first, report) = members(&app, BELOW_BOB).await;
    assert_eq!((first.imported, first.flagged, first.rejected), (3, 2, 0));
    assert_eq!(remarks(&report), ["3 PENDING_REFERRER yes", "4 PENDING_REFERRER yes"]);
    assert_eq!(app.sql_count("select count(*) from members where pending_referrer_external_id = 'bob'").await, 2);

    let above = "external_id,referrer_external_id,joined_at,creator\nbob,ann,2026-03-01,\nann,,2026-02-28,zoe\n";
    let (second, report) = members(&app, above).await;
    assert_eq!((second.imported, report.as_str()), (2, ""));
    assert_eq!(app.sql_count(JOINED).await, 5);
    let inherited =
        "select count(*) from members where creator_id is not null and external_id in ('ann', 'bob', 'carl', 'cora')";
    assert_eq!(app.sql_count(inherited).await, 4);

    let before = fingerprint(&app).await;
    for text in [BELOW_BOB, above] {
        let (again, report) = members(&app, text).await;
        assert_eq!((again.imported, again.rejected, report.as_str()), (0, 0, ""));
    }
    assert_eq!(fingerprint(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_that_brings_the_referrer_joins_who_waits_for_it() {
    let app = TestApp::start().await;
    members(&app, BELOW_BOB).await;
    let minutes_ago = |minutes| (app.now() - chrono::TimeDelta::minutes(minutes)).to_rfc3339();
    let events = json!([
        {"event_id": "1", "event_type": "signup", "user_id": "ann", "timestamp": minutes_ago(2)},
        {"event_id": "2", "event_type": "signup", "user_id": "bob", "referrer_user_id": "ann", "timestamp": minutes_ago(1)},
    ]);
    let items = parse(Scheme::Generic, events.to_string().as_bytes()).items;
    app.door.accept(&Origin::first_party(app.scope.clone()), items).await.unwrap();
    app.drain().await;
    assert_eq!(app.sql_count(JOINED).await, 5);
    // To whom they were joined later is no contradiction, but that they came before is still worth a word.
    let (again, report) = members(&app, BELOW_BOB).await;
    assert_eq!((again.imported, again.rejected), (0, 0));
    assert_eq!(remarks(&report), ["3 JOINED_BEFORE_REFERRER yes", "4 JOINED_BEFORE_REFERRER yes"]);
}

#[tokio::test]
async fn a_member_that_signs_up_below_a_name_is_joined_by_an_import() {
    let app = TestApp::start().await;
    let timestamp = app.now().to_rfc3339();
    let event = json!({"event_id": "1", "event_type": "signup", "user_id": "eve", "referrer_user_id": "dan", "timestamp": timestamp});
    let items = parse(Scheme::Generic, event.to_string().as_bytes()).items;
    app.door.accept(&Origin::first_party(app.scope.clone()), items).await.unwrap();
    app.drain().await;
    members(&app, "external_id,referrer_external_id,joined_at\ndan,,2026-03-01\n").await;
    let joined = "select count(*) from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
                  where m.external_id = 'eve' and r.external_id = 'dan' and m.pending_referrer_external_id is null";
    assert_eq!(app.sql_count(joined).await, 1);
}

#[tokio::test]
async fn a_referrer_that_comes_below_who_waits_for_it_leaves_that_one_a_root() {
    let app = TestApp::start().await;
    members(&app, "external_id,referrer_external_id,joined_at\na,c,2026-03-01\nb,a,2026-03-01\n").await;
    let closing = "external_id,referrer_external_id,joined_at\nc,b,2026-03-01\n";
    let (summary, report) = members(&app, closing).await;
    assert_eq!((summary.imported, summary.flagged_by_code), (1, BTreeMap::from([("CYCLE", 1)])));
    assert_eq!(remarks(&report), ["2 CYCLE yes"]);
    let chain = "select count(*) from members where pending_referrer_external_id is null
                 and (external_id, depth) in (('a', 0), ('b', 1), ('c', 2))";
    assert_eq!(app.sql_count(chain).await, 3);
    let before = fingerprint(&app).await;
    members(&app, closing).await;
    assert_eq!(fingerprint(&app).await, before);
}

/// More than one page of them, and most in vain.
#[tokio::test]
async fn thousands_who_wait_are_all_looked_at() {
    let app = TestApp::start().await;
    let mut text = String::from("external_id,referrer_external_id,joined_at\n");
    for index in 0..5_100 {
        text.push_str(&format!("m{index},r{index},2026-03-01\n"));
    }
    assert_eq!(members(&app, &text).await.0.flagged, 5_100);
    let brought: String =
        [0, 42, 5_099].iter().fold("external_id,referrer_external_id,joined_at\n".to_owned(), |text, index| {
            text + &format!("r{index},,2026-02-01\n")
        });
    assert_eq!(members(&app, &brought).await.0.imported, 3);
    let counts = "select count(*) filter (where pending_referrer_external_id is null) * 10000 + count(*) as count
                  from members where external_id like 'm%'";
    assert_eq!(app.sql_count(counts).await, 3 * 10_000 + 5_100);
}
