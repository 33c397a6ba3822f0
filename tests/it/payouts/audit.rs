//! Books that do not add up: nothing is paid out, and whoever watches is told.

use grapevine::base::Code;
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
    assert_eq!(worker::audit(&desk).await.unwrap(), 0);
    assert_eq!((ready(&desk).await["ledger"].take(), broken_ledgers(&desk).await), (json!(true), "0".to_owned()));

    desk.tamper("update ledger_accounts set credit_minor = credit_minor + 1 where bucket = 'budget'").await;
    assert!(worker::audit(&desk).await.unwrap() > 0);
    let state = ready(&desk).await;
    assert_eq!((&state["ledger"], &state["status"]), (&json!(false), &json!("degraded")));
    assert_eq!(broken_ledgers(&desk).await, "1");
    let refused = desk.mutate(&desk.checker_key, "approvePayout", json!({ "payoutId": payout_id(id) })).await;
    assert_eq!((&refused["payout"], &refused["userErrors"][0]["code"]), (&json!(null), &json!("LEDGER_BROKEN")));

    desk.tamper("update ledger_accounts set credit_minor = credit_minor - 1 where bucket = 'budget'").await;
    assert_eq!(worker::audit(&desk).await.unwrap(), 0);
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
