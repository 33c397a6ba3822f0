//! F17, the bank test at length: sixteen hands grant, release, take back and pay out at random, on few accounts, a budget that runs out and
//! members with a cap, while their connections are ended under them. Whoever sums finds nothing made and nothing lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use grapevine::base::Error;
use grapevine::db::sql;
use grapevine::outbox::{self, Topic};
use grapevine::rewards::{self, Beneficiary, Claim};
use scoped_futures::ScopedFutureExt;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{pause, random_below, sized, tell};
use crate::payouts::bank::{Dice, Known, settle, step};
use crate::payouts::{Desk, claim, usd};
use crate::support::connect;

const HANDS: u64 = 16;
/// Rewards of a member that count on the one day that the test lasts, as its clock has it.
const CAP: i32 = 6;

/// What one statement sees of all books: [`SEEN`], which has the cap in words.
#[derive(Debug, PartialEq, diesel::QueryableByName)]
struct Seen {
    /// Over all accounts.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    sum_minor: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    overdrawn_count: i64,
    /// Members who were granted more than the cap, or are counted with more.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    over_cap_count: i64,
}

const SEEN: &str = "select coalesce(sum(credit_minor - debit_minor), 0)::int8 as sum_minor,
        count(*) filter (where is_guarded and credit_minor < debit_minor) as overdrawn_count,
        (select count(*) from (select beneficiary_member_id from rewards where beneficiary_member_id is not null and state <> 'REJECTED'
                               group by beneficiary_member_id having count(*) > 6) granted)
        + (select count(*) from reward_caps where granted_count > 6) as over_cap_count
    from ledger_accounts";

const CAPPED: &str = "select count(*) from rewards where reason = 'DAILY_CAP'";

/// Ends one of the connections of the hands, whatever it does.
const KILL: &str = "select count(pg_terminate_backend(pid)) as count from (
        select pid from pg_stat_activity where datname = current_database() and application_name <> 'onlooker' and pid <> pg_backend_pid()
            and backend_type = 'client backend'
        order by random() limit 1) victim";

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

/// A connection that nobody ends.
async fn onlooker(desk: &Desk) -> AsyncPgConnection {
    let mut conn = connect(desk.database_url()).await;
    conn.batch_execute("set application_name = 'onlooker'").await.unwrap();
    conn
}

/// Grants two rewards to a member who may have so many on a day. What is not granted leaves a row.
async fn grant_capped(desk: &Desk, member: Beneficiary, cause: Uuid) {
    let (scope, now) = (&desk.scope, desk.now());
    let one = |number: u8| Claim {
        per_day_max: Some(CAP),
        escrow_days: 1,
        ..claim(format!("bank:{cause}:{number}"), member, usd(100), now)
    };
    let claims: &Vec<Claim> = &Vec::from([one(1), one(2)]);
    let work = desk.db.transaction(|conn| {
        async move {
            let ids = rewards::grant(conn, scope, now, claims.clone()).await?;
            let told: Vec<(Topic, Uuid)> = ids.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
            outbox::append(conn, scope, now, &told).await?;
            Ok::<(), Error>(())
        }
        .scope_boxed()
    });
    settle(work.await);
}

/// Sums over and over until the hands rest, and returns how often; `is_capped` says when somebody has come to the cap.
async fn keep_summing(desk: &Desk, has_ended: &AtomicBool, is_capped: &AtomicBool) -> u64 {
    let mut conn = onlooker(desk).await;
    let mut count = 0;
    while !has_ended.load(Ordering::Relaxed) {
        let seen: Seen = sql(SEEN).get_result(&mut conn).await.unwrap();
        assert_eq!(seen, Seen { sum_minor: 0, overdrawn_count: 0, over_cap_count: 0 });
        let capped: Count = sql(CAPPED).get_result(&mut conn).await.unwrap();
        is_capped.store(capped.count > 0, Ordering::Relaxed);
        count += 1;
        pause(sized(20, 100)).await;
    }
    count
}

/// Ends connections until the hands rest, and returns how many.
async fn keep_killing(desk: &Desk, has_ended: &AtomicBool) -> i64 {
    let mut conn = onlooker(desk).await;
    let mut count = 0;
    while !has_ended.load(Ordering::Relaxed) {
        pause(20 + random_below(sized(100, 400))).await;
        let killed: Count = sql(KILL).get_result(&mut conn).await.unwrap();
        count += killed.count;
    }
    count
}

/// Fails, among others, where `src/ledger/books.rs` does not ask whether an account holds the amount, where `lock_chain` and `lock_accounts` of
/// `src/ledger/store.rs` do not lock, where `lock_caps` of `src/rewards/store.rs` does not (`do nothing` for `do update`), and where
/// `in_transaction` of `src/db/pool.rs` commits what has failed.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_hands_do_whose_connections_are_ended_every_sum_is_zero() {
    let seed = std::env::var("GRAPEVINE_TEST_SEED").map_or(17, |text| text.parse::<u64>().unwrap());
    let desk = &Desk::open().await;
    let members = &[desk.join("bea").await, desk.join("bob").await];
    let (known, has_ended, steps) = (&Known::default(), &AtomicBool::new(false), &AtomicU64::new(0));
    // On a busy machine it takes longer until somebody comes to the cap.
    let is_capped = &AtomicBool::new(false);
    let ends_at = Instant::now() + Duration::from_secs(sized(6, 300));
    let ends_at_last = ends_at + Duration::from_secs(120);
    let hand = |number: u64| async move {
        let dice = Dice::of(seed + number);
        while Instant::now() < ends_at || (!is_capped.load(Ordering::Relaxed) && Instant::now() < ends_at_last) {
            if dice.below(6) == 0 {
                grant_capped(desk, members[dice.below(members.len())], desk.env.new_id()).await;
            } else {
                step(desk, &dice, known).await;
            }
            steps.fetch_add(1, Ordering::Relaxed);
        }
    };
    let work = async {
        futures_util::future::join_all((0..HANDS).map(hand)).await;
        has_ended.store(true, Ordering::Relaxed);
    };
    let (sums, kills, ()) = tokio::join!(keep_summing(desk, has_ended, is_capped), keep_killing(desk, has_ended), work);
    let mut conn = onlooker(desk).await;
    let mut counted = async |text: &'static str| -> i64 {
        let found: Count = sql(text).get_result(&mut conn).await.unwrap();
        found.count
    };
    let rewards = counted("select count(*) from rewards where state <> 'REJECTED'").await;
    let transfers = counted("select count(*) from ledger_transfers").await;
    let capped = counted(CAPPED).await;
    assert!(
        sums > 10 && kills > 5 && rewards > 0,
        "{sums} sums, {kills} connections ended, {rewards} rewards: too tame"
    );
    assert!(capped > 0, "nobody came to the cap");
    tell(
        "F17",
        json!({"hands": HANDS, "steps": steps.load(Ordering::Relaxed), "kills": kills, "sums": sums, "transfers": transfers, "capped": capped}),
    );
}
