//! What a simulation adds up. Pure: claims go in one by one, in the order of what caused them; sums come out.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::Question;
use crate::base::{Currency, Error, Result, is_plain};
use crate::journeys::Decision;
use crate::rewards::caps::Counts;
use crate::rewards::grant::{Desk, denial};
use crate::rewards::{Beneficiary, Claim, RewardReason, is_money};

/// Some rewards, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub reward_count: u64,
    pub beneficiary_count: u64,
    /// Minor units by currency; only rewards that are money cost any.
    pub cost_minor: BTreeMap<Currency, i128>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Referees whose activation reached the threshold in the time.
    pub activation_count: u64,
    /// Conversions of the time that the campaign judges.
    pub conversion_count: u64,
    /// What the draft would have granted.
    pub granted: Sums,
    /// What of it would wait for people to review an alert, or waits now.
    pub held: Sums,
    /// What it would have denied, by reason; for money that is what it would have cost.
    pub denied: BTreeMap<RewardReason, Sums>,
    /// What it would have granted, by degree; 0 is the referee's own side.
    pub by_degree: BTreeMap<i16, Sums>,
    /// What was granted in truth for activations and conversions of the time, less what was taken back since.
    pub actual: Sums,
}

/// Sums that still know whom they counted.
#[derive(Default)]
struct Counted {
    sums: Sums,
    beneficiaries: HashSet<Beneficiary>,
}

impl Counted {
    fn add(&mut self, claim: &Claim) {
        self.sums.reward_count += 1;
        self.beneficiaries.insert(claim.beneficiary);
        if is_money(claim.kind) {
            *self.sums.cost_minor.entry(claim.value.currency).or_default() += i128::from(claim.value.minor);
        }
    }

    fn finish(self) -> Sums {
        Sums { beneficiary_count: self.beneficiaries.len() as u64, ..self.sums }
    }
}

/// The caps and the budget of a simulation.
struct Purse {
    /// What is left; `None` is no limit.
    left_minor: Option<i64>,
    currency: Currency,
    counts: Counts,
}

impl Desk for Purse {
    fn full(&self, claim: &Claim) -> Option<RewardReason> {
        self.counts.full(claim)
    }

    /// A budget pays in its own currency alone.
    fn pay(&mut self, claim: &Claim) -> bool {
        let Some(left) = &mut self.left_minor else { return true };
        let is_enough = claim.value.currency == self.currency && claim.value.minor <= *left;
        if is_enough {
            *left -= claim.value.minor;
        }
        is_enough
    }

    fn count(&mut self, claim: &Claim) {
        self.counts.take(claim);
    }
}

/// A simulation so far.
pub(super) struct Run {
    purse: Purse,
    activation_count: u64,
    conversion_count: u64,
    granted: Counted,
    held: Counted,
    denied: BTreeMap<RewardReason, Counted>,
    by_degree: BTreeMap<i16, Counted>,
}

impl Run {
    pub(super) fn new(question: &Question) -> Self {
        let purse = Purse { left_minor: question.budget_minor, currency: question.currency, counts: Counts::default() };
        Self {
            purse,
            activation_count: 0,
            conversion_count: 0,
            granted: Counted::default(),
            held: Counted::default(),
            denied: BTreeMap::new(),
            by_degree: BTreeMap::new(),
        }
    }

    /// Counts causes, whether or not anybody claims for them.
    pub(super) fn count(&mut self, activations: usize, conversions: usize) {
        self.activation_count += activations as u64;
        self.conversion_count += conversions as u64;
    }

    /// Takes the next claim.
    pub(super) fn take(&mut self, claim: &Claim, inactive: &HashSet<Uuid>) {
        if let Some(reason) = denial(claim, inactive, &mut self.purse) {
            self.denied.entry(reason).or_default().add(claim);
            return;
        }
        self.granted.add(claim);
        self.by_degree.entry(claim.degree).or_default().add(claim);
        if claim.decision == Decision::Review {
            self.held.add(claim);
        }
    }

    pub(super) fn finish(self, actual: Sums) -> Simulation {
        Simulation {
            activation_count: self.activation_count,
            conversion_count: self.conversion_count,
            granted: self.granted.finish(),
            held: self.held.finish(),
            denied: self.denied.into_iter().map(|(reason, counted)| (reason, counted.finish())).collect(),
            by_degree: self.by_degree.into_iter().map(|(degree, counted)| (degree, counted.finish())).collect(),
            actual,
        }
    }
}

/// What may be asked.
pub(super) fn check(question: &Question) -> Result<()> {
    if !is_plain(question.from) || !is_plain(question.to) || question.from >= question.to {
        return Err(Error::invalid(&["input", "to"], "Pass an end that is later than the start."));
    }
    if question.budget_minor.is_some_and(|minor| minor <= 0) {
        return Err(Error::invalid(&["input", "budget", "amount"], "Pass a budget above zero."));
    }
    Ok(())
}
