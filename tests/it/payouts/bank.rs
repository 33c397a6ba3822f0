//! F17, the bank test: many hands grant, release, take back and pay out whatever comes to their minds, on few accounts and a budget that
//! runs out, while somebody sums. Every sum is zero. `GRAPEVINE_TEST_LEDGER_STEPS` says how much each hand does, `GRAPEVINE_TEST_SEED` what.
//! With their connections ended under them, and for longer: `tests/it/faults/bank.rs`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use grapevine::base::{Chance, Error, Result, SeededChance};
use uuid::Uuid;

use super::{Desk, creator};

const HANDS: u64 = 6;
/// Tens of steps that one hand takes in the end at most.
const STEPS_MORE_MAX: usize = 100;

pub fn steps(default: usize) -> usize {
    std::env::var("GRAPEVINE_TEST_LEDGER_STEPS").map_or(default, |text| text.parse().unwrap())
}

/// Numbers that a seed gives.
pub struct Dice(SeededChance);

impl Dice {
    pub fn of(seed: u64) -> Self {
        Self(SeededChance::from_seed(seed))
    }

    pub fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % u64::try_from(end).unwrap()).unwrap()
    }

    /// One of the latest, so that steps meet.
    fn pick(&self, from: &Mutex<Vec<Uuid>>) -> Option<Uuid> {
        let from = from.lock().unwrap();
        let recent = from.len().min(12);
        (recent > 0).then(|| from[from.len() - 1 - self.below(recent)])
    }
}

/// What all hands know of.
#[derive(Default)]
pub struct Known {
    rewards: Mutex<Vec<Uuid>>,
    payouts: Mutex<Vec<Uuid>>,
}

/// What was refused came too late or asked too much; what failed of the moment was tried five times. Nothing else may happen.
pub fn settle<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Refused(_)) => None,
        Err(error) if error.is_transient() => None,
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
    }
}

pub async fn step(desk: &Desk, dice: &Dice, known: &Known) {
    let (reward, payout) = (dice.pick(&known.rewards), dice.pick(&known.payouts));
    let somebody = creator(1 + dice.below(3) as u128);
    match (dice.below(12), reward, payout) {
        (0..4, ..) => {
            let minor = i64::try_from(1 + dice.below(40_000)).unwrap();
            let made = settle(desk.try_issue(somebody, minor).await);
            known.rewards.lock().unwrap().extend(made);
        }
        (4 | 5, Some(id), _) => {
            settle(desk.try_release(id).await);
        }
        (6 | 7, Some(id), _) => {
            settle(desk.try_reverse(id).await);
        }
        (8, ..) => {
            let made = settle(desk.try_draft(&super::all_of(somebody)).await);
            known.payouts.lock().unwrap().extend(made);
        }
        (9, _, Some(id)) => {
            settle(desk.try_approve(id).await);
        }
        (10, _, Some(id)) => {
            settle(desk.try_fail(id).await);
        }
        (11, _, Some(id)) if dice.below(2) == 0 => {
            settle(desk.try_pay(id).await);
        }
        (11, _, Some(id)) => {
            settle(desk.try_cancel(id).await);
        }
        _ => {}
    }
}

/// Sums over and over until the hands rest, each time with one statement, and returns how often.
async fn keep_summing(desk: &Desk, has_ended: &AtomicBool) -> usize {
    let mut count = 0;
    while !has_ended.load(Ordering::Relaxed) {
        let sum = "select coalesce(sum(credit_minor - debit_minor), 0)::int8 as count from ledger_accounts";
        assert_eq!(desk.sql_count(sum).await, 0);
        let overdrawn = "select count(*) from ledger_accounts where is_guarded and credit_minor < debit_minor";
        assert_eq!(desk.sql_count(overdrawn).await, 0);
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_many_hands_do_at_once_every_sum_is_zero() {
    let seed = std::env::var("GRAPEVINE_TEST_SEED").map_or(17, |text| text.parse::<u64>().unwrap());
    let (desk, known, has_ended) = (&Desk::open().await, &Known::default(), &AtomicBool::new(false));
    let hand = |number: u64| async move {
        let dice = Dice::of(seed + number);
        for _ in 0..steps(120) {
            step(desk, &dice, known).await;
        }
    };
    let work = async {
        futures_util::future::join_all((0..HANDS).map(hand)).await;
        has_ended.store(true, Ordering::Relaxed);
    };
    let (sum_count, ()) = tokio::join!(keep_summing(desk, has_ended), work);
    assert!(sum_count > 10, "nobody looked while the hands worked: {sum_count}");
    // How far so many hands come in so few steps depends on the machine: one goes on until there was something of everything.
    let dice = Dice::of(seed + HANDS);
    for _ in 0..STEPS_MORE_MAX {
        if tame(desk).await.is_none() {
            return;
        }
        for _ in 0..10 {
            step(desk, &dice, known).await;
        }
    }
    panic!("the hands were too tame: no {}", tame(desk).await.unwrap_or_default());
}

/// What has not happened at all, if something has not.
async fn tame(desk: &Desk) -> Option<&'static str> {
    for (what, count) in [
        ("rewards", "select count(*) from rewards where state = 'PAID'"),
        ("payouts", "select count(*) from payouts where state = 'PAID'"),
        ("failures", "select count(*) from payouts where state = 'FAILED'"),
        ("debts", "select count(*) from ledger_transfers where kind = 'NET'"),
    ] {
        if desk.sql_count(count).await == 0 {
            return Some(what);
        }
    }
    None
}
