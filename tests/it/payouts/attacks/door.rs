//! The role that docs/ledger.md makes for the door, by the very statements that stand there: it can do all that money asks for, and nothing
//! that would go round the guards.

use diesel_async::SimpleAsyncConnection;
use grapevine::base::{SystemChance, random_bytes};
use grapevine::campaigns::RewardKind;
use grapevine::db::Db;
use grapevine::ledger::reads::Extent;
use grapevine::rewards::{self, NewReward};
use grapevine::{payouts, worker};
use scoped_futures::ScopedFutureExt;

use super::super::{CAMPAIGN, Desk, all_of, creator, usd};
use super::world::World;
use super::{Attack, How, attacks, books};
use crate::support::connect;

const fn door(name: &'static str, expected: &'static str, statement: &'static str) -> Attack {
    Attack { name, how: How::AsDoor(statement), expected }
}

pub const ATTACKS: &[Attack] = &[
    door(
        "a guard switched off",
        "must be owner of table ledger_transfers",
        "alter table ledger_transfers disable trigger all",
    ),
    door(
        "a guard dropped",
        "must be owner of relation ledger_transfers",
        "drop trigger ledger_transfers_update_guard on ledger_transfers",
    ),
    door(
        "a constraint dropped",
        "must be owner of table ledger_accounts",
        "alter table ledger_accounts drop constraint ledger_accounts_guard_check",
    ),
    door("the guards' own function dropped", "must be owner of function", "drop function books_refuse() cascade"),
    door(
        "a session that passes for a replica",
        "permission denied to set parameter",
        "set session_replication_role = replica",
    ),
    door("the table of transfers dropped", "must be owner of table ledger_transfers", "drop table ledger_transfers"),
    door(
        "transfers truncated by the door",
        "permission denied for table ledger_transfers",
        "truncate ledger_transfers",
    ),
    door(
        "transfers deleted by the door",
        "permission denied for table ledger_transfers",
        "delete from ledger_transfers",
    ),
    door(
        "transfers changed by the door",
        "permission denied for table ledger_transfers",
        "update ledger_transfers set amount_minor = 1",
    ),
    door("rewards deleted by the door", "permission denied for table rewards", "delete from rewards"),
];

/// The documented statements, with a name that no other test's role has.
fn statements(role: &str) -> String {
    let text = include_str!("../../../../docs/ledger.md");
    let (_, rest) = text.split_once("## A role for the door").unwrap();
    let (_, rest) = rest.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    assert!(statements.contains("grapevine_door"), "{statements}");
    format!("{}; alter role {role} password 'door'", statements.trim().replace("grapevine_door", role))
}

/// Earns, pays out, takes back and drafts again on these connections.
async fn do_all(db: &Db, desk: &Desk) {
    let (maker, checker, env) = (&desk.maker, &desk.checker, &desk.env);
    let new = &NewReward {
        campaign_id: CAMPAIGN,
        beneficiary: creator(4),
        kind: RewardKind::Credit,
        value: usd(900),
        reason: "A good month.".into(),
        idempotency_key: "door".into(),
    };
    let issued =
        db.transaction(|conn| async move { rewards::issue(conn, maker, env, new.clone()).await }.scope_boxed());
    let reward = issued.await.unwrap();
    let released = db.transaction(|conn| async move { rewards::release(conn, maker, env, reward).await }.scope_boxed());
    released.await.unwrap();
    let wanted = &all_of(creator(4));
    let drafted =
        db.transaction(|conn| async move { payouts::create(conn, maker, env, wanted.clone()).await }.scope_boxed());
    let payout = drafted.await.unwrap();
    let approved =
        db.transaction(|conn| async move { payouts::approve(conn, checker, env, payout, None).await }.scope_boxed());
    approved.await.unwrap();
    let reversed = db.transaction(|conn| {
        async move { rewards::reverse(conn, maker, env, reward, "It was a mistake.").await }.scope_boxed()
    });
    reversed.await.unwrap();
    let failed = db.transaction(|conn| {
        async move { payouts::mark_failed(conn, maker, env, payout, "The account is closed.", None).await }
            .scope_boxed()
    });
    failed.await.unwrap();
}

/// Each one fails where the statements of docs/ledger.md grant what they should not.
#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_door_does_all_that_money_asks_for_and_goes_round_no_guard() {
    let world = World::open().await;
    let role = format!("door_{}", hex::encode(random_bytes::<8>(&SystemChance)));
    let mut owner = connect(world.database_url()).await;
    owner.batch_execute(&statements(&role)).await.unwrap();
    let mut url = url::Url::parse(world.database_url()).unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("door")).unwrap();
    do_all(&Db::connect(url.as_str(), 2).unwrap(), &world).await;
    assert_eq!(worker::audit(&world, Extent::Whole).await.unwrap(), 0);

    let before = books(&world).await;
    let mut door = connect(url.as_str()).await;
    for attack in attacks() {
        let How::AsDoor(statement) = attack.how else { continue };
        let Err(refused) = door.batch_execute(statement).await else { panic!("{} went through", attack.name) };
        let message = refused.to_string();
        assert!(message.contains(attack.expected), "{}: {statement}: {message}", attack.name);
    }
    drop(door);
    assert_eq!(books(&world).await, before);
    owner.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}
