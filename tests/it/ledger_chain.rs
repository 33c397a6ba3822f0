//! The chain of the ledger: whole after whatever is done through the doors, and broken by whoever goes round them. The script that checks an
//! export is the one that the documentation shows.

use std::process::{Output, Stdio};

use futures_util::future::join_all;
use grapevine::base::Kind;
use grapevine::ledger::reads::{Extent, look};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uuid::Uuid;

use crate::graphql::world::{setting, story};
use crate::support::{TestApp, binary};

const ISSUE: &str =
    "mutation($input: IssueRewardInput!) { issueReward(input: $input) { reward { id } userErrors { code message } } }";

/// Every transfer as it is, to be put back after it was tampered with.
const KEEP: &str = "create table kept_transfers as select * from ledger_transfers; create table kept_accounts as select * from ledger_accounts;
    create table kept_chains as select * from ledger_chains";
const PUT_BACK: &str = "set session_replication_role = replica;
    delete from ledger_transfers; insert into ledger_transfers select * from kept_transfers;
    delete from ledger_accounts; insert into ledger_accounts select * from kept_accounts;
    delete from ledger_chains; insert into ledger_chains select * from kept_chains;
    set session_replication_role = origin";

async fn issue(app: &TestApp, key: &str) -> Value {
    let input = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
        "kind": "CREDIT", "amount": { "amount": "12.50", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": key });
    app.data(ISSUE, json!({ "input": input })).await["issueReward"].take()
}

/// What `verify` counts in the chain.
async fn breach_count(app: &TestApp) -> i64 {
    let conn = &mut *app.db.conn().await.unwrap();
    look(conn, &app.scope, Extent::Whole).await.unwrap().breach_count
}

/// What the binary prints.
async fn export(app: &TestApp) -> String {
    let output =
        binary(app).args(["export", "ledger", "--brand", "acme", "--format", "ndjson"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the documented script says of an export; `heads` are those of earlier ones.
async fn check(export: &str, heads: &[&str]) -> Output {
    let text = include_str!("../../docs/ledger.md");
    let (_, rest) = text.split_once("```python\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let mut child = Command::new("python3")
        .args(["-c", script])
        .args(heads)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It stops reading where the chain is broken.
    let written = stdin.write_all(export.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(written.is_ok() || !output.status.success());
    output
}

async fn is_whole(export: &str) -> bool {
    let output = check(export, &[]).await;
    let said =
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned();
    assert!(said.starts_with(if output.status.success() { "whole: " } else { "broken" }), "{said}");
    output.status.success()
}

fn head(export: &str) -> String {
    let first: Value = export.lines().next().unwrap().parse().unwrap();
    first["head"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_checked_by_the_documented_script() {
    let app = setting().await;
    story(&app).await;
    let first = export(&app).await;
    let lines: Vec<Value> = first.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines[0]["transfer_count"], lines.len() - 1);
    assert_eq!(lines[1]["kind"], "FUND");
    assert_eq!((&lines[1]["amount"], &lines[1]["amount_minor"]), (&json!("10000.00"), &json!(1_000_000)));
    assert!(lines[1]["debit"].as_str().unwrap().starts_with("funding:brand:brand_"), "{}", lines[1]);
    assert!(lines.len() > 10 && lines.iter().skip(2).all(|line| line["kind"] == "GRANT"), "{first}");
    let output = check(&first, &[]).await;
    let expected = format!("whole: {} transfers end at {}\n", lines.len() - 1, head(&first));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{}", String::from_utf8_lossy(&output.stderr));

    // The head of an export from before the first transfer is where every chain begins.
    let start = hex::encode(Sha256::digest(format!("grapevine ledger 1|{}", Kind::Brand.id(app.brand.id))));
    assert!(check(&first, &[&start]).await.status.success(), "an empty export was the beginning of this one");

    issue(&app, "k1").await;
    let second = export(&app).await;
    assert!(check(&second, &[&head(&first), &head(&second)]).await.status.success(), "it goes on where it ended");
    assert!(!check(&first, &[&head(&second)]).await.status.success(), "what is missing is missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_round_the_doors_breaks_the_chain() {
    const LIKE: &str = "(brand_id, id, debit_account_id, credit_account_id, amount_minor, currency, kind, posted_at";
    const COPY: &str =
        "select brand_id, gen_random_uuid(), debit_account_id, credit_account_id, 1, currency, 'GRANT', posted_at";
    const NEXT: &str = "(select max(chain_seq) + 1 from ledger_transfers)";
    let app = setting().await;
    story(&app).await;
    app.execute(KEEP).await;
    for (deed, text, breaches) in [
        ("an amount", "update ledger_transfers set amount_minor = amount_minor + 1 where chain_seq = 2".to_owned(), 1),
        ("a moment", "update ledger_transfers set posted_at = posted_at + interval '1 microsecond' where chain_seq = 3".to_owned(), 1),
        ("a direction", "update ledger_transfers set debit_account_id = credit_account_id, credit_account_id = debit_account_id where chain_seq = 2".to_owned(), 1),
        ("a cause", "update ledger_transfers set reward_id = null where chain_seq = 2".to_owned(), 1),
        ("a hash", "update ledger_transfers set chain_hash = sha256('x') where chain_seq = 2".to_owned(), 2),
        ("one that is gone", "delete from ledger_transfers where chain_seq = 2".to_owned(), 1),
        ("the first that is gone", "delete from ledger_transfers where chain_seq = 1".to_owned(), 1),
        ("the last that is gone", "delete from ledger_transfers where chain_seq = (select max(chain_seq) from ledger_transfers)".to_owned(), 1),
        ("the end", "update ledger_chains set seq = seq - 1".to_owned(), 1),
        ("one outside", format!("insert into ledger_transfers {LIKE}) {COPY} from ledger_transfers where chain_seq = 2"), 1),
        ("one behind the end", format!("insert into ledger_transfers {LIKE}, chain_seq, chain_hash) {COPY}, {NEXT}, sha256('x') from ledger_transfers where chain_seq = 2"), 2),
        ("one more, with the end", format!("insert into ledger_transfers {LIKE}, chain_seq, chain_hash) {COPY}, {NEXT}, sha256('x') from ledger_transfers where chain_seq = 2;
            update ledger_chains set seq = seq + 1, hash = sha256('x')"), 1),
        ("two that changed places", "update ledger_transfers set chain_seq = -1 where chain_seq = 2; update ledger_transfers set chain_seq = 2 where chain_seq = 3;
            update ledger_transfers set chain_seq = 3 where chain_seq = -1".to_owned(), 3),
    ] {
        app.tamper(&text).await;
        assert_eq!(breach_count(&app).await, breaches, "{deed}");
        // What is not in the chain is in no export: only who sees the database can see it.
        let is_exported = !matches!(deed, "one outside" | "one behind the end");
        assert_eq!(is_whole(&export(&app).await).await, !is_exported, "{deed}");
        app.execute(PUT_BACK).await;
    }
    app.tamper(
        "update ledger_accounts set owner_id = '00000000-0000-0000-0000-00000000dead' where bucket = 'escrow'
        and owner_id = '00000000-0000-0000-0000-0000000000c1'",
    )
    .await;
    assert!(breach_count(&app).await > 0, "an account that became another's");
    app.execute(PUT_BACK).await;
    assert_eq!(breach_count(&app).await, 0);
    assert!(is_whole(&export(&app).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_made_anew_is_the_same_or_lacks_the_heads_that_were_kept() {
    let app = setting().await;
    story(&app).await;
    let first = export(&app).await;
    let forget = "update ledger_transfers set chain_seq = null, chain_hash = null; delete from ledger_chains";
    app.tamper(forget).await;
    assert_eq!(breach_count(&app).await, 0, "a chain that has not begun is not broken");
    let second = export(&app).await;
    assert_eq!((breach_count(&app).await, second.lines().count()), (0, first.lines().count()));

    app.execute(KEEP).await;
    app.tamper(&format!("update ledger_transfers set amount_minor = amount_minor + 1 where chain_seq = 2; {forget}"))
        .await;
    let forged = export(&app).await;
    assert!(is_whole(&forged).await && breach_count(&app).await == 0, "its hashes fit");
    assert!(!check(&forged, &[&head(&second)]).await.status.success(), "and it lacks the head that was kept");
    app.execute(PUT_BACK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_go_on_with_one_chain() {
    let app = setting().await;
    let keys: Vec<String> = (0..24).map(|number| format!("k{}", number % 16)).collect();
    let made = join_all(keys.iter().map(|key| issue(&app, key))).await;
    assert!(made.iter().all(|one| one["userErrors"] == json!([])), "{made:?}");
    let numbers =
        app.texts("select string_agg(chain_seq::text, ' ' order by chain_seq) as text from ledger_transfers").await;
    let expected: Vec<String> = (1..=17).map(|number| number.to_string()).collect();
    assert_eq!(numbers, [expected.join(" ")], "the funding, and each key once");
    assert!(is_whole(&export(&app).await).await);
}
