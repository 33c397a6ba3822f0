//! Members and creators from files: any order of rows, every doubtful row told, and no change the second time.

mod shapes;
mod waiting;

use std::collections::BTreeMap;

use grapevine::base::sheet::ImportSummary;
use grapevine::creators::import::import_creators;
use grapevine::members::import::import_members;

use crate::support::TestApp;

async fn members(app: &TestApp, text: &str) -> (ImportSummary, String) {
    let mut report = Vec::new();
    let summary = import_members(&app.db, &app.scope, &app.env, text.as_bytes(), &mut report, &|_| ()).await.unwrap();
    (summary, String::from_utf8(report).unwrap())
}

async fn creators(app: &TestApp, text: &str) -> ImportSummary {
    let mut report = Vec::new();
    import_creators(&app.db, &app.scope, &app.env, text.as_bytes(), &mut report, &|_| ()).await.unwrap()
}

/// A number that another one is next to certain after any change of any member.
async fn fingerprint(app: &TestApp) -> i64 {
    app.sql_count("select coalesce(sum(hashtextextended(m::text, 0) / 1000000), 0)::int8 as count from members m").await
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
leo,carol,2026-03-03T09:59:59Z,,
mia,gina,2026-03-01,,INVITED
nina,pete,2026-03-01,,
olga,nina,2026-03-01,,
pete,olga,2026-03-01,,
quin,alice,2026-03-02,,gone
";

/// Line, code, and whether the row is in.
const REMARKS: [&str; 14] = [
    "6 SELF_REFERRAL no",
    "7 CYCLE no",
    "8 CYCLE no",
    "9 PENDING_REFERRER yes",
    "10 PENDING_REFERRER yes",
    "11 SECOND_REFERRER no",
    "12 BAD_DATE no",
    "13 UNKNOWN_CREATOR no",
    "14 BAD_ROW no",
    "15 JOINED_BEFORE_REFERRER yes",
    "17 CYCLE no",
    "18 CYCLE no",
    "19 CYCLE no",
    "20 BAD_STATUS no",
];

fn remarks(report: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(report.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| format!("{} {} {}", &row[0], &row[1], &row[3])).collect()
}

#[tokio::test]
async fn good_rows_come_in_and_doubtful_ones_are_told_by_line() {
    let app = TestApp::start().await;
    let made = creators(&app, "handle,display_name,tier\nann,Ann,gold\nbad handle,B,\nann,Ann again,\n").await;
    assert_eq!((made.imported, made.unchanged, made.by_code), (1, 1, BTreeMap::from([("BAD_HANDLE", 1)])));
    let (summary, report) = members(&app, MEMBERS).await;
    let counts = (summary.rows, summary.imported, summary.unchanged, summary.flagged, summary.rejected);
    assert_eq!(counts, (19, 7, 1, 3, 11));
    assert_eq!(summary.flagged_by_code, BTreeMap::from([("JOINED_BEFORE_REFERRER", 1), ("PENDING_REFERRER", 2)]));
    assert_eq!((summary.by_code["CYCLE"], summary.by_code.len()), (5, 7));
    assert_eq!(remarks(&report), REMARKS);
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[0], "line,code,reason,is_in,external_id,referrer_external_id,joined_at,creator,status");
    assert_eq!(lines[1], "6,SELF_REFERRAL,A member cannot refer itself.,no,dave,dave,2026-03-01,,");

    let in_tree = "select count(*) from members m join members r on r.brand_id = m.brand_id and r.id = m.referrer_id
                   where m.creator_id is not distinct from r.creator_id
                     and (r.external_id, m.external_id) in (('alice', 'bob'), ('bob', 'carol'), ('carol', 'leo'), ('gina', 'mia'))";
    assert_eq!(app.sql_count(in_tree).await, 4);
    let waiting = "select count(*) from members where depth = 0
                   and (external_id, pending_referrer_external_id) in (('gina', 'frank'), ('hugo', 'nobody'))";
    assert_eq!(app.sql_count(waiting).await, 2);
    let carol =
        "select count(*) from members where external_id = 'carol' and status = 'ACTIVATED' and activation_count = 1";
    assert_eq!(app.sql_count(carol).await, 1);
}

#[tokio::test]
async fn the_same_file_a_second_time_changes_nothing() {
    let app = TestApp::start().await;
    creators(&app, "handle,display_name\nann,Ann\n").await;
    let (first, first_report) = members(&app, MEMBERS).await;
    let before = fingerprint(&app).await;
    let (second, second_report) = members(&app, MEMBERS).await;
    assert_eq!((second.imported, second.unchanged), (0, first.imported + first.unchanged));
    assert_eq!((second.by_code, second.flagged_by_code), (first.by_code, first.flagged_by_code));
    assert_eq!(second_report, first_report);
    assert_eq!(fingerprint(&app).await, before);
    assert_eq!(creators(&app, "handle,display_name\nann,Another\n").await.imported, 0);
    assert_eq!(app.sql_count("select count(*) from creators where display_name = 'Ann'").await, 1);
}

#[tokio::test]
async fn a_later_file_hangs_its_members_on_those_of_an_earlier_one() {
    let app = TestApp::start().await;
    members(&app, "external_id,referrer_external_id,joined_at\na,,2026-03-01\n").await;
    let (summary, report) =
        members(&app, "joined_at,external_id,referrer_external_id\n2026-03-02,b,a\n2026-03-02,a,b\n").await;
    assert_eq!((summary.imported, summary.by_code), (1, BTreeMap::from([("SECOND_REFERRER", 1)])));
    assert_eq!(remarks(&report), ["3 SECOND_REFERRER no"]);
    assert_eq!(app.sql_count("select count(*) from members where external_id = 'b' and depth = 1").await, 1);
}

#[tokio::test]
async fn a_file_without_its_columns_is_refused_by_name() {
    let app = TestApp::start().await;
    let import = import_members(&app.db, &app.scope, &app.env, b"external_id,joined\n".as_slice(), Vec::new(), &|_| ());
    let message = import.await.unwrap_err().to_string();
    assert!(message.contains("lacks referrer_external_id, joined_at"), "{message}");
}
