//! Books that do not add up: nothing is paid out, and whoever watches is told.

use grapevine::base::Code;
use grapevine::ledger::reads::Extent;
use grapevine::worker;
use serde_json::{Value, json};

use super::{Desk, code, creator, payout_id};

async fn ready(desk: &Desk) -> Value {
    let url = format!("{}/readyz", desk.serve().await);
    desk.client.get(url).send().await.unwrap().json().await.unwrap()
}

async fn broken_ledgers(desk: &Desk) -> String {
    let url = format!("{}/metrics", desk.serve().await);
    let text = desk.client.get(url).send().await.unwrap().text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix("grapevine_ledgers_broken ")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_books_pay_nothing_out_until_they_are_mended() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 100).await;
    let id = desk.draft(creator(1)).await;
    assert_eq!(worker::audit(&desk, Extent::Whole).await.unwrap(), 0);
    assert_eq!((ready(&desk).await["ledger"].take(), broken_ledgers(&desk).await), (json!(true), "0".to_owned()));

    desk.tamper("update ledger_accounts set credit_minor = credit_minor + 1 where bucket = 'budget'").await;
    assert!(worker::audit(&desk, Extent::Whole).await.unwrap() > 0);
    let state = ready(&desk).await;
    assert_eq!((&state["ledger"], &state["status"]), (&json!(false), &json!("degraded")));
    assert_eq!(broken_ledgers(&desk).await, "1");
    let refused = desk.mutate(&desk.checker_key, "approvePayout", json!({ "payoutId": payout_id(id) })).await;
    assert_eq!((&refused["payout"], &refused["userErrors"][0]["code"]), (&json!(null), &json!("LEDGER_BROKEN")));

    desk.tamper("update ledger_accounts set credit_minor = credit_minor - 1 where bucket = 'budget'").await;
    assert_eq!(worker::audit(&desk, Extent::Whole).await.unwrap(), 0);
    desk.try_approve(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_itself_looks_at_the_books_of_the_beneficiary() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 100).await;
    let id = desk.draft(creator(1)).await;
    for (breaking, mending) in [
        (
            "update ledger_accounts set credit_minor = credit_minor + 5 where bucket = 'payable'",
            "update ledger_accounts set credit_minor = credit_minor - 5 where bucket = 'payable'",
        ),
        (
            "update rewards set state = 'HELD' where state = 'AVAILABLE'",
            "update rewards set state = 'AVAILABLE' where state = 'HELD'",
        ),
        ("update rewards set amount_minor = 101", "update rewards set amount_minor = 100"),
        (
            "update ledger_transfers set amount_minor = 101 where kind = 'RELEASE'",
            "update ledger_transfers set amount_minor = 100 where kind = 'RELEASE'",
        ),
    ] {
        desk.tamper(breaking).await;
        assert_eq!(code(desk.try_approve(id).await), Some(Code::LedgerBroken), "{breaking}");
        desk.tamper(mending).await;
    }
    desk.try_approve(id).await.unwrap();
}

/// Each breaks one rule of the books; the second statement takes it back.
const BREACHES: [(&str, &str, &str); 7] = [
    (
        "a paid reward stands in exactly one approved or paid payout",
        "update rewards set state = 'PAID' where state = 'AVAILABLE'",
        "update rewards set state = 'AVAILABLE' where state = 'PAID' and amount_minor = 7",
    ),
    (
        "a payout is the sum of its payable lines, and what is sent is that less what is owed",
        "update payouts set gross_minor = gross_minor + 1, amount_minor = amount_minor + 1",
        "update payouts set gross_minor = gross_minor - 1, amount_minor = amount_minor - 1",
    ),
    (
        "a line keeps its reward from other payouts as long as its payout may pay it",
        "update payout_lines set is_live = false",
        "update payout_lines set is_live = true",
    ),
    (
        "each line of a payout that was approved has its transfer",
        "update ledger_transfers set amount_minor = amount_minor + 1 where kind = 'PAYOUT'",
        "update ledger_transfers set amount_minor = amount_minor - 1 where kind = 'PAYOUT'",
    ),
    (
        "paid out is what approved payouts send",
        "update ledger_accounts set credit_minor = credit_minor + 1 where bucket = 'paid_out'",
        "update ledger_accounts set credit_minor = credit_minor - 1 where bucket = 'paid_out'",
    ),
    (
        "receivable is what was taken back after it was paid, less what payouts have withheld",
        "update rewards set reversed_minor = 1 where state = 'PAID'",
        "update rewards set reversed_minor = 0 where state = 'PAID'",
    ),
    (
        "nobody owes less than nothing",
        "update ledger_accounts set credit_minor = debit_minor + 1 where bucket = 'receivable'",
        "update ledger_accounts set credit_minor = debit_minor where bucket = 'receivable'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_each_way_in_which_payouts_can_be_broken() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 100).await;
    desk.pay_out(creator(1)).await;
    desk.earn(creator(1), 7).await;
    for (invariant, breaking, mending) in BREACHES {
        desk.tamper(breaking).await;
        let mut conn = desk.db.conn().await.unwrap();
        let findings = grapevine::verify::check(&mut conn, &desk.brand, desk.now()).await.unwrap();
        let broken: Vec<&str> =
            findings.iter().filter(|finding| finding.breach_count > 0).map(|finding| finding.invariant).collect();
        assert!(broken.contains(&invariant), "{breaking}: {broken:?}");
        drop(conn);
        desk.tamper(mending).await;
    }
}

/// What a look of this extent finds in breach.
async fn found(desk: &Desk, extent: Extent) -> i64 {
    worker::audit(desk, extent).await.unwrap()
}

/// Fails without `mark.filter(...)` in `look` of `src/ledger/reads.rs` (the minute's look would find what is old), without the comparison
/// with `hash_at` there, and where `audit` of `src/verify/mod.rs` marks a chain that is broken, or none, or does not ask `is_broken`.
#[tokio::test(flavor = "multi_thread")]
async fn the_look_of_each_minute_finds_what_is_new_and_the_whole_look_what_is_old() {
    const MARK: &str = "select coalesce(max(seq), 0) as count from ledger_chain_marks";
    // No total says anything of it: only the hash does.
    let backdate = |seq: i64, by: &str| {
        format!("update ledger_transfers set posted_at = posted_at {by} interval '1 second' where chain_seq = {seq}")
    };
    let desk = Desk::open().await;
    desk.earn(creator(1), 100).await;
    assert_eq!((desk.sql_count(MARK).await, found(&desk, Extent::New).await), (0, 0), "nobody has looked yet");
    assert_eq!(desk.sql_count(MARK).await, 3, "funded, granted, released");

    desk.earn(creator(1), 100).await;
    desk.tamper(&backdate(5, "-")).await;
    assert_eq!(found(&desk, Extent::New).await, 1);
    assert_eq!(desk.sql_count(MARK).await, 3, "a chain that is broken is not marked");
    desk.tamper(&backdate(5, "+")).await;
    assert_eq!((found(&desk, Extent::New).await, desk.sql_count(MARK).await), (0, 5));

    desk.tamper(&backdate(2, "-")).await;
    assert_eq!(found(&desk, Extent::New).await, 0, "it is not looked at again each minute");
    assert_eq!(found(&desk, Extent::Whole).await, 1);
    assert_eq!(found(&desk, Extent::New).await, 1, "what was broken is not whole because nobody looks at it");
    assert_eq!(ready(&desk).await["ledger"], json!(false));
    desk.tamper(&backdate(2, "+")).await;
    assert_eq!(found(&desk, Extent::New).await, 0);

    // The last one that was found whole carries all of those before it.
    desk.tamper("create table kept as select id, chain_hash from ledger_transfers").await;
    desk.tamper("update ledger_transfers set chain_hash = sha256('x') where chain_seq = 5").await;
    assert!(found(&desk, Extent::New).await > 0);
    desk.tamper("update ledger_transfers t set chain_hash = k.chain_hash from kept k where k.id = t.id").await;
    assert_eq!(found(&desk, Extent::New).await, 0);
}

/// Fails without the comparison with `hash_at` in `look` of `src/ledger/reads.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_made_anew_over_other_transfers_lacks_the_place_that_was_marked() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 100).await;
    assert_eq!(found(&desk, Extent::Whole).await, 0);
    let forget = "update ledger_transfers set chain_seq = null, chain_hash = null; delete from ledger_chains";
    let backdate = "update ledger_transfers set posted_at = posted_at - interval '1 second' where kind = 'FUND'";
    desk.tamper(&format!("{backdate}; {forget}")).await;
    desk.earn(creator(1), 100).await;
    for extent in [Extent::New, Extent::Whole] {
        assert!(found(&desk, extent).await > 0, "its hashes fit, {extent:?}");
    }
    desk.tamper("delete from ledger_chain_marks").await;
    assert_eq!(found(&desk, Extent::Whole).await, 0, "who makes it anew on purpose says so");
}
