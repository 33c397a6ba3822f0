//! What an attacker tries on the ledger, through GraphQL and in SQL: each attack has a name, is refused by name, and moves nothing. The
//! list stands in docs/ledger.md too. What two do at once is in `races.rs`, and what a thousand do in `crowd.rs`.

mod door;
mod requests;
mod statements;
mod world;

use std::collections::BTreeSet;

use diesel_async::SimpleAsyncConnection;
use serde_json::{Value, json};

use super::{Desk, creator};
use crate::support::connect;
use world::{World, payout};

/// One attack.
pub struct Attack {
    pub name: &'static str,
    pub how: How,
    /// The code of the answer, or what PostgreSQL's message must hold: the name of the constraint or guard, or what the role lacks.
    pub expected: &'static str,
}

pub enum How {
    /// A mutation: who asks, its name, and its input.
    Asked(Who, &'static str, fn(&World) -> Value),
    /// A statement of the owner of all tables, which is as much as the application's role can be.
    Sql(&'static str),
    /// A statement of the role that docs/ledger.md makes for the door.
    AsDoor(&'static str),
}

/// Whose key asks.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// Finance: who made the payouts.
    Maker,
    /// Finance: who may approve them.
    Checker,
    /// An administrator of another brand.
    Stranger,
    Growth,
    FraudAnalyst,
    Viewer,
    Bot,
    Ingest,
}

impl How {
    /// As the table in docs/ledger.md says it.
    fn shown(&self) -> String {
        match self {
            Self::Asked(_, mutation, _) => format!("`{mutation}`"),
            Self::Sql(_) => "SQL".to_owned(),
            Self::AsDoor(_) => "SQL, as the door's role".to_owned(),
        }
    }
}

/// All of them.
fn attacks() -> impl Iterator<Item = &'static Attack> {
    requests::ATTACKS.iter().chain(requests::REPLAYS).chain(statements::ATTACKS).chain(door::ATTACKS)
}

/// Everything that an attack could have changed.
async fn books(desk: &Desk) -> Vec<String> {
    let rows = "select t::text as text from (
        select 'account' as kind, a::text from ledger_accounts a union all select 'transfer', t::text from ledger_transfers t
        union all select 'chain', c::text from ledger_chains c
        union all select 'reward', r::text from rewards r union all select 'payout', p::text from payouts p
        union all select 'line', l::text from payout_lines l union all select 'key', k::text from idempotency_keys k) t order by 1";
    desk.texts(rows).await
}

/// The first code of an answer, wherever it stands.
fn code_of(answer: &Value) -> String {
    let codes = [&answer["userErrors"][0]["code"], &answer["errors"][0]["extensions"]["code"]];
    codes.into_iter().find_map(Value::as_str).unwrap_or("NONE").to_owned()
}

/// Each one fails where what refuses it is taken away: the check of `src/rewards/manual.rs`, `src/payouts/*.rs`, `src/base/money.rs` or
/// `src/access/idempotency.rs` that gives the code.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_would_move_money_wrongly_is_refused_by_its_code() {
    let world = World::open().await;
    let before = books(&world).await;
    for attack in attacks() {
        let How::Asked(who, mutation, input) = attack.how else { continue };
        let input = input(&world);
        let answer = world.send(&world.key(who).await, mutation, &input).await;
        assert_eq!(code_of(&answer), attack.expected, "{}: {mutation} {input}: {answer}", attack.name);
    }
    assert_eq!(books(&world).await, before);
}

/// Each one fails where its trigger of `migrations/*_guard_books`, or the CHECK or key of an earlier migration, is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_that_would_break_the_books_is_refused_by_its_guard() {
    let world = World::open().await;
    let before = books(&world).await;
    let mut owner = connect(world.database_url()).await;
    for attack in attacks() {
        let How::Sql(statement) = attack.how else { continue };
        let Err(refused) = owner.batch_execute(statement).await else { panic!("{} went through", attack.name) };
        let message = refused.to_string();
        assert!(message.contains(attack.expected), "{}: {statement}: {message}", attack.name);
    }
    drop(owner);
    assert_eq!(books(&world).await, before);
}

/// Fails where `once` of `src/access/idempotency.rs` works for a key that is taken, or does not keep the result.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_returns_the_first_result_and_moves_nothing() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 5_000).await;
    let made = desk.mutate(&desk.maker_key, "createPayout", payout(json!({}))).await;
    assert_eq!(desk.mutate(&desk.maker_key, "createPayout", payout(json!({}))).await, made);
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

/// The rows of the table in docs/ledger.md.
fn documented() -> Vec<String> {
    let text = include_str!("../../../docs/ledger.md");
    let (_, rest) = text.split_once("| attack | how | refused by |\n|---|---|---|\n").unwrap();
    rest.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn every_attack_has_a_name_of_its_own_and_stands_in_the_documentation() {
    let names: BTreeSet<&str> = attacks().map(|attack| attack.name).collect();
    let count = attacks().count();
    assert!(count >= 25 && names.len() == count, "{count} attacks with {} names", names.len());
    let row = |attack: &Attack| format!("| {} | {} | `{}` |", attack.name, attack.how.shown(), attack.expected);
    let rows: Vec<String> = attacks().map(row).collect();
    assert_eq!(documented(), rows, "what docs/ledger.md should say:\n{}", rows.join("\n"));
}
