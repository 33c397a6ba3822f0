//! A ledger in memory that a child could follow, and any sequence of steps: after each one, the books in PostgreSQL say the same.
//! `GRAPEVINE_TEST_LEDGER_STEPS` says how many steps are taken in all.

use grapevine::base::Code;
use grapevine::payouts::{NewPayout, PayoutState};
use grapevine::rewards::{Beneficiary, RewardState};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use uuid::Uuid;

use super::bank::steps;
use super::{CAMPAIGN, Desk, all_of, code, usd};

/// Steps of one sequence at most.
const STEPS_MAX: usize = 40;

/// One thing that people do. A number chooses one of what is there.
#[derive(Clone, Debug)]
enum Step {
    Issue(i64),
    Release(usize),
    Reverse(usize),
    /// With a minimum.
    Draft(Option<i64>),
    Approve(usize),
    Cancel(usize),
    Pay(usize),
    Fail(usize),
}

#[derive(Clone, Debug, PartialEq)]
struct Reward {
    minor: i64,
    state: RewardState,
}

#[derive(Clone, Debug, PartialEq)]
struct Payout {
    state: PayoutState,
    /// The rewards that it pays, by their places.
    pays: Vec<usize>,
    netted_minor: i64,
}

/// What a beneficiary has earned, was paid and owes.
#[derive(Clone, Debug, Default)]
struct Model {
    rewards: Vec<Reward>,
    payouts: Vec<Payout>,
    payable: i64,
    paid_out: i64,
    owed: i64,
    /// What left the budget and did not come back.
    spent: i64,
}

fn require(is_met: bool) -> Result<(), Code> {
    if is_met { Ok(()) } else { Err(Code::Conflict) }
}

impl Model {
    fn is_held(&self, reward: usize) -> bool {
        use PayoutState::{Approved, Draft, Paid};
        self.payouts
            .iter()
            .any(|payout| matches!(payout.state, Draft | Approved | Paid) && payout.pays.contains(&reward))
    }

    fn gross(&self, pays: &[usize]) -> i64 {
        pays.iter().map(|place| self.rewards[*place].minor).sum()
    }

    /// What is owed, but for what was taken back of payouts of which nobody knows yet whether they were paid.
    fn nettable(&self) -> i64 {
        let open = self.payouts.iter().filter(|payout| payout.state == PayoutState::Approved);
        let paid = open.flat_map(|payout| &payout.pays).map(|place| &self.rewards[*place]);
        let taken = paid.filter(|reward| reward.state == RewardState::Reversed);
        self.owed - taken.map(|reward| reward.minor).sum::<i64>()
    }

    fn release(&mut self, place: usize) -> Result<(), Code> {
        let reward = &mut self.rewards[place];
        require(reward.state == RewardState::Escrowed)?;
        reward.state = RewardState::Available;
        self.payable += reward.minor;
        Ok(())
    }

    fn reverse(&mut self, place: usize) -> Result<(), Code> {
        let reward = &mut self.rewards[place];
        match reward.state {
            RewardState::Escrowed => {}
            RewardState::Available => self.payable -= reward.minor,
            RewardState::Paid => self.owed += reward.minor,
            _ => return Err(Code::Conflict),
        }
        reward.state = RewardState::Reversed;
        self.spent -= reward.minor;
        Ok(())
    }

    fn draft(&mut self, minimum: Option<i64>) -> Result<(), Code> {
        use RewardState::{Available, Escrowed};
        require(self.rewards.iter().any(|reward| matches!(reward.state, Escrowed | Available)))?;
        let is_free = |place: &usize| self.rewards[*place].state == Available && !self.is_held(*place);
        let mut pays: Vec<usize> = (0..self.rewards.len()).filter(is_free).collect();
        let mut netted_minor = self.nettable().min(self.gross(&pays));
        if minimum.is_some_and(|minimum| self.gross(&pays) - netted_minor < minimum) {
            (pays, netted_minor) = (Vec::new(), 0);
        }
        self.payouts.push(Payout { state: PayoutState::Draft, pays, netted_minor });
        Ok(())
    }

    fn approve(&mut self, place: usize) -> Result<(), Code> {
        require(self.payouts[place].state == PayoutState::Draft)?;
        let mut pays = self.payouts[place].pays.clone();
        pays.retain(|reward| self.rewards[*reward].state == RewardState::Available);
        require(!pays.is_empty())?;
        let gross = self.gross(&pays);
        let netted_minor = self.nettable().min(gross);
        for reward in &pays {
            self.rewards[*reward].state = RewardState::Paid;
        }
        self.payable -= gross;
        self.owed -= netted_minor;
        self.paid_out += gross - netted_minor;
        let state = if gross == netted_minor { PayoutState::Paid } else { PayoutState::Approved };
        self.payouts[place] = Payout { state, pays, netted_minor };
        Ok(())
    }

    fn close(&mut self, place: usize, from: PayoutState, to: PayoutState) -> Result<(), Code> {
        let payout = &mut self.payouts[place];
        require(payout.state == from)?;
        payout.state = to;
        Ok(())
    }

    fn fail(&mut self, place: usize) -> Result<(), Code> {
        self.close(place, PayoutState::Approved, PayoutState::Failed)?;
        let Payout { pays, netted_minor, .. } = self.payouts[place].clone();
        self.paid_out -= self.gross(&pays) - netted_minor;
        self.owed += netted_minor;
        for place in pays {
            let reward = &mut self.rewards[place];
            if reward.state == RewardState::Paid {
                reward.state = RewardState::Available;
                self.payable += reward.minor;
            } else {
                self.owed -= reward.minor;
            }
        }
        Ok(())
    }

    /// Takes a step; none where there is nothing to take it with.
    fn take(&mut self, step: &Step) -> Option<Result<(), Code>> {
        let at = |number: usize, count: usize| number.checked_rem(count);
        let (rewards, payouts) = (self.rewards.len(), self.payouts.len());
        Some(match *step {
            Step::Issue(minor) => {
                self.rewards.push(Reward { minor, state: RewardState::Escrowed });
                self.spent += minor;
                Ok(())
            }
            Step::Release(number) => self.release(at(number, rewards)?),
            Step::Reverse(number) => self.reverse(at(number, rewards)?),
            Step::Draft(minimum) => self.draft(minimum),
            Step::Approve(number) => self.approve(at(number, payouts)?),
            Step::Cancel(number) => self.close(at(number, payouts)?, PayoutState::Draft, PayoutState::Canceled),
            Step::Pay(number) => self.close(at(number, payouts)?, PayoutState::Approved, PayoutState::Paid),
            Step::Fail(number) => self.fail(at(number, payouts)?),
        })
    }
}

/// The same beneficiary in PostgreSQL.
struct Real<'a> {
    desk: &'a Desk,
    beneficiary: Beneficiary,
    rewards: Vec<Uuid>,
    payouts: Vec<Uuid>,
    budget_before: i64,
}

impl<'a> Real<'a> {
    async fn new(desk: &'a Desk) -> Self {
        let id = desk.env.new_id();
        desk.execute(&format!(
            "insert into creators (brand_id, id, handle, display_name, status, created_at)
             select id, '{id}', 'c{}', 'Creator', 'ACTIVE', created_at from brands",
            id.simple()
        ))
        .await;
        let beneficiary = Beneficiary::Creator(id);
        Self { desk, beneficiary, rewards: Vec::new(), payouts: Vec::new(), budget_before: desk.budget().await }
    }

    /// Takes a step that can be taken.
    async fn take(&mut self, step: &Step) -> Option<Code> {
        let (desk, rewards, payouts) = (self.desk, &self.rewards, &self.payouts);
        let at = |ids: &[Uuid], number: usize| ids[number % ids.len()];
        match *step {
            Step::Issue(minor) => {
                let made = desk.try_issue(self.beneficiary, minor).await;
                self.rewards.extend(made.as_ref().ok());
                code(made)
            }
            Step::Release(number) => code(desk.try_release(at(rewards, number)).await),
            Step::Reverse(number) => code(desk.try_reverse(at(rewards, number)).await),
            Step::Draft(minimum) => {
                let new = NewPayout { minimum: minimum.map(usd), ..all_of(self.beneficiary) };
                let made = desk.try_draft(&new).await;
                self.payouts.extend(made.as_ref().ok());
                code(made)
            }
            Step::Approve(number) => code(desk.try_approve(at(payouts, number)).await),
            Step::Cancel(number) => code(desk.try_cancel(at(payouts, number)).await),
            Step::Pay(number) => code(desk.try_pay(at(payouts, number)).await),
            Step::Fail(number) => code(desk.try_fail(at(payouts, number)).await),
        }
    }

    async fn compare(&self, model: &Model) {
        let desk = self.desk;
        assert_eq!(desk.standing(self.beneficiary).await, (model.payable, model.paid_out, model.owed));
        assert_eq!(self.budget_before - desk.budget().await, model.spent);
        for (id, expected) in self.rewards.iter().zip(&model.rewards) {
            assert_eq!(desk.reward(*id).await.state, expected.state);
        }
        for (id, expected) in self.payouts.iter().zip(&model.payouts) {
            let found = desk.payout(*id).await;
            assert_eq!((found.state, found.netted.minor), (expected.state, expected.netted_minor));
            let pays = usize::try_from(found.payable_count).unwrap();
            assert_eq!((pays, found.gross.minor), (expected.pays.len(), model.gross(&expected.pays)));
        }
    }
}

async fn run(desk: &Desk, sequence: &[Step]) {
    let (mut model, mut real) = (Model::default(), Real::new(desk).await);
    for step in sequence {
        if let Some(expected) = model.take(step) {
            assert_eq!(real.take(step).await, expected.err(), "{step:?}");
            real.compare(&model).await;
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5_000_i64).prop_map(Step::Issue),
        4 => (0..64_usize).prop_map(Step::Release),
        2 => (0..64_usize).prop_map(Step::Reverse),
        2 => prop_oneof![3 => Just(None), 1 => (1..3_000_i64).prop_map(Some)].prop_map(Step::Draft),
        3 => (0..64_usize).prop_map(Step::Approve),
        1 => (0..64_usize).prop_map(Step::Cancel),
        1 => (0..64_usize).prop_map(Step::Pay),
        1 => (0..64_usize).prop_map(Step::Fail),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_of_steps_leaves_the_books_that_a_child_would_keep() {
    let desk = Desk::open().await;
    let mut conn = desk.db.conn().await.unwrap();
    let (amount, cause) = (usd(1_000_000_000_000), Uuid::from_u128(1));
    grapevine::ledger::fund_campaign(&mut conn, &desk.scope, &desk.env, CAMPAIGN, amount, cause).await.unwrap();
    drop(conn);
    let cases = u32::try_from(steps(400) / STEPS_MAX).unwrap().max(1);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let sequences = proptest::collection::vec(any_step(), STEPS_MAX / 2..=STEPS_MAX);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&sequences, |sequence| {
            tokio::runtime::Handle::current().block_on(run(&desk, &sequence));
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
