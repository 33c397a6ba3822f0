//! What an attacker tries on the ledger, through GraphQL and as the application's own role in SQL: each is refused by name, and nothing moves.

use diesel_async::SimpleAsyncConnection;
use grapevine::access::{NewApiKey, NewBrand, Role, create_brand, create_key};
use grapevine::base::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CAMPAIGN, Desk, creator, payout_id};
use crate::support::connect;

/// Everything that an attack could have changed.
async fn books(desk: &Desk) -> Vec<String> {
    let rows = "select t::text as text from (
        select 'account' as kind, a::text from ledger_accounts a union all select 'transfer', t::text from ledger_transfers t
        union all select 'reward', r::text from rewards r union all select 'payout', p::text from payouts p
        union all select 'line', l::text from payout_lines l union all select 'key', k::text from idempotency_keys k) t order by 1";
    desk.texts(rows).await
}

fn reward_input(change: Value) -> Value {
    let mut input = json!({ "campaignId": Kind::Campaign.id(CAMPAIGN), "creatorId": Kind::Creator.id(creator(1).id()), "kind": "CREDIT",
        "amount": { "amount": "1.00", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": "attack" });
    merge(&mut input, change);
    input
}

fn payout_input(change: Value) -> Value {
    let mut input =
        json!({ "creatorId": Kind::Creator.id(creator(1).id()), "currency": "USD", "idempotencyKey": "attack" });
    merge(&mut input, change);
    input
}

/// Puts these fields in the place of those of the same name.
fn merge(input: &mut Value, change: Value) {
    let Value::Object(change) = change else { panic!("{change} is no object") };
    for (name, value) in change {
        input[&name] = value;
    }
}

/// The first code of an answer, wherever it stands.
fn code_of(answer: &Value) -> String {
    let codes = [&answer["userErrors"][0]["code"], &answer["errors"][0]["extensions"]["code"]];
    codes.into_iter().find_map(Value::as_str).unwrap_or("NONE").to_owned()
}

/// A creator, a campaign and a payout of another brand, and its key.
async fn other_brand(desk: &Desk) -> (String, String, String) {
    let mut conn = desk.db.conn().await.unwrap();
    let brand = NewBrand { slug: "globex".into(), name: "Globex".into(), currency: "USD".parse().unwrap() };
    let scope = create_brand(&mut conn, &desk.env, brand).await.unwrap().scope();
    let input = NewApiKey { name: "b".into(), role: Role::Admin, creator_id: None, expires_at: None };
    let (_, key) = create_key(&mut conn, &scope, &desk.env, input).await.unwrap();
    drop(conn);
    let make = "mutation { c: createCreator(input: {handle: \"own\"}) { creator { id } }
        m: createCampaign(input: {slug: \"own\", name: \"Own\", objective: CONVERSION, destinationUrl: \"https://b.example/\",
            budget: {amount: \"100\", currency: \"USD\"}, reward: {kind: CREDIT, escrowDays: 0}}) { campaign { id } } }";
    let made = desk.gql_as(&key, make, json!({})).await;
    let creator = made["data"]["c"]["creator"]["id"].as_str().unwrap().to_owned();
    let issue = "mutation($i: IssueRewardInput!) { issueReward(input: $i) { reward { state } userErrors { code } } }";
    let input = reward_input(json!({ "campaignId": made["data"]["m"]["campaign"]["id"], "creatorId": creator }));
    let issued = desk.gql_as(&key, issue, json!({ "i": input })).await;
    assert_eq!(issued["data"]["issueReward"]["reward"]["state"], "AVAILABLE", "{issued}");
    let drafted = desk.mutate(&key, "createPayout", payout_input(json!({ "creatorId": creator }))).await;
    (key, creator, drafted["payout"]["id"].as_str().unwrap().to_owned())
}

/// Amounts that are none, or more than there is.
#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_none_are_refused_and_nothing_is_granted() {
    let desk = Desk::open().await;
    let before = books(&desk).await;
    let query = "mutation($i: IssueRewardInput!) { issueReward(input: $i) { reward { id } userErrors { code } } }";
    let huge = "9".repeat(60);
    for (amount, currency, expected) in [
        ("-1", "USD", "INVALID"),
        ("0", "USD", "INVALID"),
        ("0.001", "USD", "INVALID"),
        ("NaN", "USD", "INVALID"),
        ("1e28", "USD", "INVALID"),
        ("1_000", "USD", "INVALID"),
        ("\u{661}", "USD", "INVALID"),
        (huge.as_str(), "USD", "INVALID"),
        ("92233720368547758.08", "USD", "INVALID"),
        ("10000000000000.01", "USD", "INVALID"),
        ("1", "EUR", "INVALID"),
        ("1", "usd", "INVALID"),
        ("10000.01", "USD", "INSUFFICIENT_BUDGET"),
    ] {
        let input = reward_input(json!({ "amount": { "amount": amount, "currency": currency } }));
        let mut answer = desk.gql_as(&desk.maker_key, query, json!({ "i": input })).await;
        let answer = if answer["data"].is_null() { answer } else { answer["data"]["issueReward"].take() };
        assert_eq!(code_of(&answer), expected, "{amount} {currency}: {answer}");
    }
    assert_eq!(books(&desk).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_of_what_is_not_ones_own_or_not_there_are_refused() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 5_000).await;
    let draft = desk.draft(creator(1)).await;
    desk.earn(creator(2), 700).await;
    let approved = desk.pay_out(creator(2)).await.id;
    let (other_key, other_creator, other_payout) = other_brand(&desk).await;
    let before = books(&desk).await;
    let (draft, approved) = (payout_id(draft), payout_id(approved));
    let nobody = Kind::Creator.id(Uuid::from_u128(0xdead));
    let attacks: Vec<(&str, &str, Value)> = vec![
        ("INVALID", "createPayout", payout_input(json!({ "memberId": Kind::Member.id(Uuid::nil()) }))),
        ("INVALID", "createPayout", payout_input(json!({ "creatorId": null }))),
        ("INVALID", "createPayout", payout_input(json!({ "creatorId": draft }))),
        ("NOT_FOUND", "createPayout", payout_input(json!({ "creatorId": nobody }))),
        ("NOT_FOUND", "createPayout", payout_input(json!({ "creatorId": other_creator }))),
        (
            "NOT_FOUND",
            "createPayout",
            payout_input(json!({ "creatorId": null, "memberId": Kind::Member.id(creator(1).id()) })),
        ),
        ("INVALID", "createPayout", payout_input(json!({ "currency": "usd" }))),
        ("INVALID", "createPayout", payout_input(json!({ "currency": "USD\u{0}" }))),
        ("CONFLICT", "createPayout", payout_input(json!({ "currency": "EUR" }))),
        ("INVALID", "createPayout", payout_input(json!({ "minimum": { "amount": "-1", "currency": "USD" } }))),
        ("INVALID", "createPayout", payout_input(json!({ "minimum": { "amount": "1", "currency": "EUR" } }))),
        ("INVALID", "createPayout", payout_input(json!({ "minimum": { "amount": "1e30", "currency": "USD" } }))),
        ("INVALID", "createPayout", payout_input(json!({ "earnedBefore": "+10000-01-01T00:00:00Z" }))),
        ("CONFLICT", "createPayout", payout_input(json!({ "earnedBefore": "0001-01-01T00:00:00Z" }))),
        ("INVALID", "createPayout", payout_input(json!({ "idempotencyKey": "" }))),
        ("INVALID", "createPayout", payout_input(json!({ "idempotencyKey": "a\u{0}" }))),
        ("NOT_FOUND", "approvePayout", json!({ "payoutId": other_payout })),
        ("NOT_FOUND", "approvePayout", json!({ "payoutId": Kind::Payout.id(Uuid::nil()) })),
        ("INVALID", "approvePayout", json!({ "payoutId": nobody })),
        ("INVALID", "approvePayout", json!({ "payoutId": draft, "overrideReason": "\u{0}" })),
        ("CONFLICT", "approvePayout", json!({ "payoutId": approved })),
        ("NOT_FOUND", "cancelPayout", json!({ "payoutId": other_payout, "reason": "x" })),
        ("INVALID", "cancelPayout", json!({ "payoutId": draft, "reason": " " })),
        ("CONFLICT", "cancelPayout", json!({ "payoutId": approved, "reason": "x" })),
        ("NOT_FOUND", "markPayoutPaid", json!({ "payoutId": other_payout, "providerReference": "x" })),
        ("CONFLICT", "markPayoutPaid", json!({ "payoutId": draft, "providerReference": "x" })),
        ("INVALID", "markPayoutPaid", json!({ "payoutId": approved, "providerReference": "" })),
        ("INVALID", "markPayoutPaid", json!({ "payoutId": approved, "providerReference": "a\nb" })),
        ("INVALID", "markPayoutPaid", json!({ "payoutId": approved, "providerReference": "x".repeat(256) })),
        ("NOT_FOUND", "markPayoutFailed", json!({ "payoutId": other_payout, "reason": "x" })),
        ("CONFLICT", "markPayoutFailed", json!({ "payoutId": draft, "reason": "x" })),
        ("INVALID", "markPayoutFailed", json!({ "payoutId": approved, "reason": "x".repeat(501) })),
    ];
    for (expected, name, input) in attacks {
        let answer = desk.mutate(&desk.checker_key, name, input.clone()).await;
        assert_eq!(code_of(&answer), expected, "{name} {input}: {answer}");
    }
    for role in [Role::Growth, Role::FraudAnalyst, Role::Viewer, Role::Bot, Role::Ingest] {
        let key = desk.key_of(role).await;
        let answer = desk.mutate(&key, "approvePayout", json!({ "payoutId": draft })).await;
        assert_eq!(code_of(&answer), "FORBIDDEN", "{role:?}");
    }
    // The other way round, with a key that the first brand has used before.
    let stolen = desk.mutate(&other_key, "approvePayout", json!({ "payoutId": draft, "idempotencyKey": "k" })).await;
    assert_eq!(code_of(&stolen), "NOT_FOUND");
    assert_eq!(books(&desk).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_returns_the_first_result_and_other_arguments_are_refused() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 5_000).await;
    let made = desk.mutate(&desk.maker_key, "createPayout", payout_input(json!({}))).await;
    assert_eq!(desk.mutate(&desk.maker_key, "createPayout", payout_input(json!({}))).await, made);
    let other = desk
        .mutate(&desk.maker_key, "createPayout", payout_input(json!({ "earnedBefore": "2027-01-01T00:00:00Z" })))
        .await;
    assert_eq!(code_of(&other), "IDEMPOTENCY_KEY_REUSED");
    let approve = |key: &str, reason: Value| {
        let input = json!({ "payoutId": made["payout"]["id"], "overrideReason": reason, "idempotencyKey": key });
        let desk = &desk;
        async move { desk.mutate(&desk.checker_key, "approvePayout", input).await }
    };
    let approved = approve("a", Value::Null).await;
    assert_eq!(approved["payout"]["state"], "APPROVED", "{approved}");
    assert_eq!(approve("a", Value::Null).await, approved);
    assert_eq!(code_of(&approve("a", json!("Other.")).await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(code_of(&approve("b", Value::Null).await), "CONFLICT");
    assert_eq!(desk.standing(creator(1)).await, (0, 5_000, 0), "paid once");
    let ten = (0..10).map(|_| {
        let input = json!({ "payoutId": made["payout"]["id"], "providerReference": "tr_9", "idempotencyKey": "p" });
        let desk = &desk;
        async move { desk.mutate(&desk.maker_key, "markPayoutPaid", input).await }
    });
    let ten = futures_util::future::join_all(ten).await;
    assert!(ten.iter().all(|answer| *answer == ten[0] && answer["payout"]["state"] == "PAID"), "{ten:#?}");
}

/// Statements as the application's own role could send them after a mistake of ours, and the constraint that stops each.
const STATEMENTS: [(&str, &str); 22] = [
    ("update ledger_accounts set debit_minor = credit_minor + 1 where bucket = 'payable'", "ledger_accounts_guard_check"),
    ("update ledger_accounts set credit_minor = -1 where bucket = 'receivable'", "ledger_accounts_totals_check"),
    ("update ledger_transfers set amount_minor = 0", "ledger_transfers_amount_minor_check"),
    ("update ledger_transfers set amount_minor = -5", "ledger_transfers_amount_minor_check"),
    ("update ledger_transfers set credit_account_id = debit_account_id", "ledger_transfers_accounts_check"),
    ("update ledger_transfers set payout_id = null where kind = 'PAYOUT'", "ledger_transfers_payout_id_check"),
    ("update ledger_transfers set payout_id = id where kind = 'GRANT'", "ledger_transfers_payout_id_check"),
    ("update ledger_transfers set kind = 'RETURN' where kind = 'PAYOUT'", "ledger_transfers_reverses_id_check"),
    ("update ledger_transfers set kind = 'GIFT'", "ledger_transfers_kind_check"),
    ("insert into ledger_transfers select * from ledger_transfers", "ledger_transfers_pkey"),
    ("update payouts set amount_minor = amount_minor + 1", "payouts_amount_minor_check"),
    ("update payouts set netted_minor = -1, amount_minor = gross_minor + 1", "payouts_amount_minor_check"),
    ("update payouts set state = 'PAID' where state = 'DRAFT'", "payouts_"),
    ("update payouts set state = 'DRAFT' where state = 'APPROVED'", "payouts_approved_at_check"),
    ("update payouts set state = 'PAID', closed_at = approved_at where state = 'APPROVED'", "payouts_provider_reference_check"),
    ("update payouts set state = 'FAILED', closed_at = approved_at where state = 'APPROVED'", "payouts_reason_check"),
    ("update payouts set beneficiary_member_id = beneficiary_creator_id", "payouts_beneficiary_check"),
    ("update payout_lines set amount_minor = granted_minor + 1", "payout_lines_amount_minor_check"),
    ("update payout_lines set amount_minor = 0", "payout_lines_amount_minor_check"),
    ("update payout_lines set reason = 'HELD'", "payout_lines_is_"),
    (
        "insert into payout_lines (brand_id, payout_id, number, reward_id, granted_minor, amount_minor, is_payable, is_live)
         select l.brand_id, p.id, 99, l.reward_id, l.granted_minor, l.amount_minor, true, true
         from payout_lines l join payouts p on p.id <> l.payout_id where l.is_live limit 1",
        "payout_lines_live_idx",
    ),
    ("delete from rewards where state = 'PAID'", "payout_lines_reward_id_fkey"),
];

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_would_break_the_books_are_refused_by_name() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 5_000).await;
    desk.pay_out(creator(1)).await;
    desk.earn(creator(2), 700).await;
    desk.draft(creator(2)).await;
    let before = books(&desk).await;
    let mut conn = connect(desk.database_url()).await;
    for (statement, constraint) in STATEMENTS {
        let Err(refused) = conn.batch_execute(statement).await else { panic!("{statement} went through") };
        let message = refused.to_string();
        assert!(message.contains(constraint), "{statement}: {message}");
    }
    drop(conn);
    assert_eq!(books(&desk).await, before);
}
