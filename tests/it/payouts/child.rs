//! A ledger in memory that a child could follow: money lies in boxes, a transfer takes it from one and puts it into another, and what may
//! not be is refused before anything moves. `batches.rs` compares it with PostgreSQL.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use grapevine::base::Code;
use grapevine::journeys::Decision;
use grapevine::ledger::Overdrawn;
use grapevine::payouts::PayoutState;
use grapevine::rewards::{RewardReason, RewardState};
use uuid::Uuid;

use super::CAMPAIGN;

/// The creator who is banned: nothing can be owed to him.
pub const BANNED: usize = 3;
/// The first beneficiary who is a member, and so has a cap.
pub const FIRST_MEMBER: usize = 4;
/// Rewards of a member that count on one day.
pub const PER_DAY_MAX: i32 = 60;

/// A box: its bucket, whose it is, and the currency of what lies in it.
pub type Account = (&'static str, Uuid, &'static str);

/// Somebody asks for a reward.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The same number is the same cause.
    pub number: usize,
    pub owner: usize,
    pub referee: Option<usize>,
    pub currency: &'static str,
    pub minor: i64,
    pub escrow_days: i32,
    pub decision: Decision,
    pub is_running: bool,
}

/// A move between two boxes that nobody has earned.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    pub from: Account,
    pub to: Account,
    pub minor: i64,
    /// Whether both boxes were opened for it.
    pub is_opened: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Reward {
    pub owner: usize,
    pub referee: Option<usize>,
    pub currency: &'static str,
    pub minor: i64,
    pub state: RewardState,
    pub releases_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct Payout {
    pub owner: usize,
    pub state: PayoutState,
    /// The rewards that it pays, by their places.
    pub pays: Vec<usize>,
    pub netted: i64,
}

/// What the alerts on a referee say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Suspicion {
    pub is_open: bool,
    pub is_confirmed: bool,
}

/// What a wish came to: `None` where the same was wished for before.
pub type Fate = Option<(RewardState, Option<RewardReason>)>;

pub struct Child {
    brand_id: Uuid,
    owners: Vec<Uuid>,
    pub boxes: BTreeMap<Account, i64>,
    /// How many transfers there were.
    pub transfer_count: i64,
    pub rewards: Vec<Reward>,
    pub payouts: Vec<Payout>,
    pub suspicions: Vec<Suspicion>,
    known: HashSet<usize>,
    granted: HashMap<(usize, NaiveDate), i32>,
}

fn require(is_met: bool, code: Code) -> Result<(), Code> {
    if is_met { Ok(()) } else { Err(code) }
}

impl Child {
    pub fn new(brand_id: Uuid, owners: Vec<Uuid>, referee_count: usize, funded: i64) -> Self {
        let mut child = Self {
            brand_id,
            owners,
            boxes: BTreeMap::new(),
            transfer_count: 0,
            rewards: Vec::new(),
            payouts: Vec::new(),
            suspicions: vec![Suspicion::default(); referee_count],
            known: HashSet::new(),
            granted: HashMap::new(),
        };
        child.put(child.funding("USD"), child.budget("USD"), funded);
        child
    }

    pub fn funding(&self, currency: &'static str) -> Account {
        ("funding", self.brand_id, currency)
    }

    pub fn budget(&self, currency: &'static str) -> Account {
        ("budget", CAMPAIGN, currency)
    }

    fn of(&self, bucket: &'static str, owner: usize, currency: &'static str) -> Account {
        (bucket, self.owners[owner], currency)
    }

    pub fn holds(&self, account: Account) -> i64 {
        self.boxes.get(&account).copied().unwrap_or(0)
    }

    fn put(&mut self, from: Account, to: Account, minor: i64) {
        *self.boxes.entry(from).or_default() -= minor;
        *self.boxes.entry(to).or_default() += minor;
        self.transfer_count += 1;
    }

    /// Every box that is not empty, as `batches.rs` reads it from PostgreSQL.
    pub fn boxes_shown(&self) -> Vec<String> {
        let shown =
            |((bucket, owner, currency), minor): (&Account, &i64)| format!("{bucket}:{owner}:{currency}={minor}");
        let mut shown: Vec<String> = self.boxes.iter().filter(|(_, minor)| **minor != 0).map(shown).collect();
        shown.sort_unstable();
        shown
    }

    /// What rewards in escrow and held ones come to.
    pub fn escrowed(&self) -> i64 {
        let waits = |reward: &&Reward| matches!(reward.state, RewardState::Escrowed | RewardState::Held);
        self.rewards.iter().filter(waits).map(|reward| reward.minor).sum()
    }

    pub fn grant(&mut self, now: DateTime<Utc>, wishes: &[Wish]) -> Vec<Fate> {
        wishes.iter().map(|wish| self.known.insert(wish.number).then(|| self.answer(now, wish))).collect()
    }

    fn answer(&mut self, now: DateTime<Utc>, wish: &Wish) -> (RewardState, Option<RewardReason>) {
        let Wish { owner, referee, currency, minor, .. } = *wish;
        let fate = match self.denial(now, wish) {
            Some(reason) => (RewardState::Rejected, Some(reason)),
            None if wish.decision == Decision::Review => (RewardState::Held, Some(RewardReason::FraudReview)),
            None if wish.escrow_days > 0 => (RewardState::Escrowed, None),
            None => (RewardState::Available, None),
        };
        if fate.0 == RewardState::Available {
            self.put(self.of("escrow", owner, currency), self.of("payable", owner, currency), minor);
        }
        let releases_at = now + TimeDelta::days(i64::from(wish.escrow_days));
        self.rewards.push(Reward { owner, referee, currency, minor, state: fate.0, releases_at });
        fate
    }

    /// Why not; where nothing speaks against it, it is paid out of the budget.
    fn denial(&mut self, now: DateTime<Utc>, wish: &Wish) -> Option<RewardReason> {
        if wish.decision == Decision::Block {
            return Some(RewardReason::FraudBlocked);
        }
        if !wish.is_running {
            return Some(RewardReason::CampaignNotRunning);
        }
        if wish.owner == BANNED {
            return Some(RewardReason::CreatorNotActive);
        }
        let day = (wish.owner, now.date_naive());
        let count = self.granted.get(&day).copied().unwrap_or(0);
        if wish.owner >= FIRST_MEMBER && count >= PER_DAY_MAX {
            return Some(RewardReason::DailyCap);
        }
        let budget = self.budget(wish.currency);
        if wish.minor <= 0 || self.holds(budget) < wish.minor {
            return Some(RewardReason::BudgetExhausted);
        }
        self.put(budget, self.of("escrow", wish.owner, wish.currency), wish.minor);
        self.granted.insert(day, count + 1);
        None
    }

    /// What time and reviewers do to rewards. Returns how many moves there were.
    pub fn settle(&mut self, now: DateTime<Utc>) -> usize {
        let mut count = 0;
        for place in 0..self.rewards.len() {
            while let Some(state) = self.next(place, now) {
                match state {
                    RewardState::Available => self.move_released(place),
                    RewardState::Reversed => self.move_back(place, "escrow"),
                    _ => {}
                }
                self.rewards[place].state = state;
                count += 1;
            }
        }
        count
    }

    /// What becomes of a reward by itself now.
    fn next(&self, place: usize, now: DateTime<Utc>) -> Option<RewardState> {
        let reward = self.rewards[place];
        let Suspicion { is_open, is_confirmed } = self.suspicion(reward);
        match reward.state {
            RewardState::Escrowed if reward.releases_at > now => None,
            RewardState::Escrowed if is_open => Some(RewardState::Held),
            RewardState::Held if is_open => None,
            RewardState::Escrowed | RewardState::Held if is_confirmed => Some(RewardState::Reversed),
            RewardState::Escrowed => Some(RewardState::Available),
            RewardState::Held => Some(RewardState::Escrowed),
            _ => None,
        }
    }

    fn suspicion(&self, reward: Reward) -> Suspicion {
        reward.referee.map(|referee| self.suspicions[referee]).unwrap_or_default()
    }

    fn move_released(&mut self, place: usize) {
        let Reward { owner, currency, minor, .. } = self.rewards[place];
        self.put(self.of("escrow", owner, currency), self.of("payable", owner, currency), minor);
    }

    fn move_back(&mut self, place: usize, from: &'static str) {
        let Reward { owner, currency, minor, .. } = self.rewards[place];
        self.put(self.of(from, owner, currency), self.budget(currency), minor);
    }

    pub fn release(&mut self, place: usize) -> Result<(), Code> {
        let reward = self.rewards[place];
        require(matches!(reward.state, RewardState::Escrowed | RewardState::Held), Code::Conflict)?;
        let Suspicion { is_open, is_confirmed } = self.suspicion(reward);
        require(!is_open && !is_confirmed, Code::FraudBlocked)?;
        self.move_released(place);
        self.rewards[place].state = RewardState::Available;
        Ok(())
    }

    pub fn reverse(&mut self, place: usize) -> Result<(), Code> {
        let from = match self.rewards[place].state {
            RewardState::Escrowed | RewardState::Held => "escrow",
            RewardState::Available => "payable",
            RewardState::Paid => "receivable",
            _ => return Err(Code::Conflict),
        };
        self.move_back(place, from);
        self.rewards[place].state = RewardState::Reversed;
        Ok(())
    }

    /// The rewards that payouts hold.
    fn taken(&self) -> HashSet<usize> {
        use PayoutState::{Approved, Draft, Paid};
        let holds = |payout: &&Payout| matches!(payout.state, Draft | Approved | Paid);
        self.payouts.iter().filter(holds).flat_map(|payout| payout.pays.iter().copied()).collect()
    }

    pub fn gross(&self, pays: &[usize]) -> i64 {
        pays.iter().map(|place| self.rewards[*place].minor).sum()
    }

    /// What is owed, but for what was taken back of payouts of which nobody knows yet whether they were paid.
    fn nettable(&self, owner: usize) -> i64 {
        let open = self.payouts.iter().filter(|payout| payout.owner == owner && payout.state == PayoutState::Approved);
        let paid = open.flat_map(|payout| &payout.pays).map(|place| &self.rewards[*place]);
        let taken = paid.filter(|reward| reward.state == RewardState::Reversed);
        -self.holds(self.of("receivable", owner, "USD")) - taken.map(|reward| reward.minor).sum::<i64>()
    }

    pub fn draft(&mut self, owner: usize, minimum: Option<i64>) -> Result<(), Code> {
        use RewardState::{Available, Escrowed, Held};
        let own = |place: &usize| self.rewards[*place].owner == owner && self.rewards[*place].currency == "USD";
        let own: Vec<usize> = (0..self.rewards.len()).filter(own).collect();
        let waits = |place: &usize| matches!(self.rewards[*place].state, Escrowed | Held | Available);
        require(own.iter().any(waits), Code::Conflict)?;
        let taken = self.taken();
        let is_free = |place: &usize| {
            let Suspicion { is_open, is_confirmed } = self.suspicion(self.rewards[*place]);
            self.rewards[*place].state == Available && !taken.contains(place) && !is_open && !is_confirmed
        };
        let mut pays: Vec<usize> = own.into_iter().filter(is_free).collect();
        let mut netted = self.nettable(owner).min(self.gross(&pays));
        if minimum.is_some_and(|minimum| self.gross(&pays) - netted < minimum) {
            (pays, netted) = (Vec::new(), 0);
        }
        self.payouts.push(Payout { owner, state: PayoutState::Draft, pays, netted });
        Ok(())
    }

    pub fn approve(&mut self, place: usize) -> Result<(), Code> {
        let Payout { owner, state, mut pays, .. } = self.payouts[place].clone();
        require(state == PayoutState::Draft, Code::Conflict)?;
        pays.retain(|reward| {
            let reward = self.rewards[*reward];
            reward.state == RewardState::Available && !self.suspicion(reward).is_confirmed
        });
        let is_suspect = |reward: &usize| self.suspicion(self.rewards[*reward]).is_open;
        require(!pays.iter().any(is_suspect), Code::FraudBlocked)?;
        require(!pays.is_empty(), Code::Conflict)?;
        let (payable, paid_out) = (self.of("payable", owner, "USD"), self.of("paid_out", owner, "USD"));
        let (gross, netted) = (self.gross(&pays), self.nettable(owner).min(self.gross(&pays)));
        for reward in &pays {
            self.rewards[*reward].state = RewardState::Paid;
            self.put(payable, paid_out, self.rewards[*reward].minor);
        }
        if netted > 0 {
            self.put(paid_out, self.of("receivable", owner, "USD"), netted);
        }
        let state = if gross == netted { PayoutState::Paid } else { PayoutState::Approved };
        self.payouts[place] = Payout { owner, state, pays, netted };
        Ok(())
    }

    pub fn close(&mut self, place: usize, from: PayoutState, to: PayoutState) -> Result<(), Code> {
        require(self.payouts[place].state == from, Code::Conflict)?;
        self.payouts[place].state = to;
        Ok(())
    }

    pub fn fail(&mut self, place: usize) -> Result<(), Code> {
        self.close(place, PayoutState::Approved, PayoutState::Failed)?;
        let Payout { owner, pays, netted, .. } = self.payouts[place].clone();
        let (paid_out, receivable) = (self.of("paid_out", owner, "USD"), self.of("receivable", owner, "USD"));
        if netted > 0 {
            self.put(receivable, paid_out, netted);
        }
        for reward in pays {
            let minor = self.rewards[reward].minor;
            if self.rewards[reward].state == RewardState::Paid {
                self.rewards[reward].state = RewardState::Available;
                self.put(paid_out, self.of("payable", owner, "USD"), minor);
            } else {
                self.put(paid_out, receivable, minor);
            }
        }
        Ok(())
    }

    /// Moves what may be moved, and says why not of the others.
    pub fn post(&mut self, deed: &Deed) -> Result<(), Overdrawn> {
        let Deed { from, to, minor, is_opened } = *deed;
        if minor <= 0 || from == to || from.2 != to.2 {
            return Err(Overdrawn::Shape);
        }
        if !is_opened {
            return Err(Overdrawn::NotOpened);
        }
        if from.0 == "budget" && self.holds(from) < minor {
            return Err(Overdrawn::Balance);
        }
        // Dollars were funded before, so that the largest amount there is does not fit on top of them.
        if minor == i64::MAX {
            return Err(Overdrawn::Overflow);
        }
        self.put(from, to, minor);
        Ok(())
    }
}
