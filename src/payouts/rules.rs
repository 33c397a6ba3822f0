//! What a payout pays: which lines, why not the others, and how much of it is sent. Pure, and exact in whole minor units.

use uuid::Uuid;

use super::LineReason;
use crate::rewards::RewardState;

/// How long what a key has approved of its own payouts counts against the limit up to which it may.
pub const ALONE_HOURS: i64 = 24;

/// What is known of a reward when a sheet is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub reward_id: Uuid,
    pub state: RewardState,
    pub granted_minor: i64,
    /// What of it was not taken back.
    pub left_minor: i64,
    pub has_open_alert: bool,
    pub is_fraud_confirmed: bool,
    pub is_in_another: bool,
}

/// A line of the sheet. It is payable where nothing speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub reward_id: Uuid,
    pub granted_minor: i64,
    pub amount_minor: i64,
    pub reason: Option<LineReason>,
}

/// What a payout comes to, in minor units: `gross = netted + amount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub gross_minor: i64,
    /// What of it settles what the beneficiary owes.
    pub netted_minor: i64,
    /// What is sent.
    pub amount_minor: i64,
}

/// Why a reward cannot be paid, if so. Where several things speak against it, the one that lasts longest is told.
#[must_use]
pub fn obstacle(facts: &Facts, is_banned: bool) -> Option<LineReason> {
    if facts.is_in_another || facts.state == RewardState::Paid {
        return Some(LineReason::InAnotherPayout);
    }
    if facts.left_minor <= 0 || matches!(facts.state, RewardState::Reversed | RewardState::Rejected) {
        return Some(LineReason::TakenBack);
    }
    if facts.is_fraud_confirmed {
        return Some(LineReason::FraudConfirmed);
    }
    if facts.has_open_alert {
        return Some(LineReason::OpenAlert);
    }
    match facts.state {
        RewardState::Held => Some(LineReason::Held),
        RewardState::Pending | RewardState::Escrowed => Some(LineReason::InEscrow),
        _ => is_banned.then_some(LineReason::BeneficiaryBanned),
    }
}

/// What payable lines come to where `owed_minor` of what the beneficiary owes may be withheld: the debt first, the rest is sent, and what
/// the lines do not cover stays owed. `None`: the sum does not fit 64 bits.
#[must_use]
pub fn sum(lines: &[Line], owed_minor: i64) -> Option<Sum> {
    let payable = lines.iter().filter(|line| line.reason.is_none());
    let gross_minor = payable.map(|line| line.amount_minor).try_fold(0_i64, i64::checked_add)?;
    let netted_minor = owed_minor.clamp(0, gross_minor);
    Some(Sum { gross_minor, netted_minor, amount_minor: gross_minor - netted_minor })
}

/// The sheet, and what it comes to. What would be sent below `minimum_minor` is not paid at all. `None`: the sum does not fit 64 bits.
#[must_use]
pub fn sheet(
    facts: &[Facts],
    is_banned: bool,
    owed_minor: i64,
    minimum_minor: Option<i64>,
) -> Option<(Vec<Line>, Sum)> {
    let line = |facts: &Facts| Line {
        reward_id: facts.reward_id,
        granted_minor: facts.granted_minor,
        amount_minor: facts.left_minor,
        reason: obstacle(facts, is_banned),
    };
    let mut lines: Vec<Line> = facts.iter().map(line).collect();
    let come_to = sum(&lines, owed_minor)?;
    if minimum_minor.is_none_or(|minimum| come_to.amount_minor >= minimum) {
        return Some((lines, come_to));
    }
    for line in lines.iter_mut().filter(|line| line.reason.is_none()) {
        line.reason = Some(LineReason::BelowMinimum);
    }
    Some((lines, Sum::default()))
}

/// Whether the one who made a payout may not approve it: above the limit, with what it approved alone in the [`ALONE_HOURS`] before, and
/// always in another currency than the brand's, since nothing here knows what that is worth.
#[must_use]
pub fn needs_second(gross_minor: i64, four_eyes_above_minor: i64, is_own_currency: bool) -> bool {
    !is_own_currency || gross_minor > four_eyes_above_minor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: RewardState, left_minor: i64) -> Facts {
        Facts {
            reward_id: Uuid::nil(),
            state,
            granted_minor: 100,
            left_minor,
            has_open_alert: false,
            is_fraud_confirmed: false,
            is_in_another: false,
        }
    }

    fn check(facts: &Facts, is_banned: bool, expected: Option<LineReason>) {
        assert_eq!(obstacle(facts, is_banned), expected, "{facts:?}");
    }

    #[test]
    fn a_line_is_paid_only_where_nothing_speaks_against_it() {
        let available = facts(RewardState::Available, 100);
        check(&available, false, None);
        check(&available, true, Some(LineReason::BeneficiaryBanned));
        check(&Facts { has_open_alert: true, ..available }, false, Some(LineReason::OpenAlert));
        let confirmed = Facts { has_open_alert: true, is_fraud_confirmed: true, ..available };
        check(&confirmed, false, Some(LineReason::FraudConfirmed));
        check(&Facts { is_in_another: true, ..confirmed }, false, Some(LineReason::InAnotherPayout));
        check(&facts(RewardState::Escrowed, 100), false, Some(LineReason::InEscrow));
        check(&facts(RewardState::Pending, 100), false, Some(LineReason::InEscrow));
        check(&facts(RewardState::Held, 100), false, Some(LineReason::Held));
        check(&facts(RewardState::Paid, 100), false, Some(LineReason::InAnotherPayout));
        check(&facts(RewardState::Reversed, 0), false, Some(LineReason::TakenBack));
        check(&facts(RewardState::Available, 0), false, Some(LineReason::TakenBack));
    }

    /// Gross, netted and amount of two available rewards of 60 and 40 and one in escrow.
    fn check_sum(owed_minor: i64, minimum_minor: Option<i64>, expected: (i64, i64, i64)) {
        let all =
            [facts(RewardState::Available, 60), facts(RewardState::Available, 40), facts(RewardState::Escrowed, 7)];
        let (lines, sum) = sheet(&all, false, owed_minor, minimum_minor).unwrap();
        assert_eq!((sum.gross_minor, sum.netted_minor, sum.amount_minor), expected);
        let payable = lines.iter().filter(|line| line.reason.is_none()).count();
        assert_eq!(payable, if sum.gross_minor > 0 { 2 } else { 0 });
    }

    #[test]
    fn a_debt_is_settled_first_and_the_rest_of_it_is_carried_on() {
        check_sum(0, None, (100, 0, 100));
        check_sum(30, None, (100, 30, 70));
        check_sum(100, None, (100, 100, 0));
        check_sum(1_000, None, (100, 100, 0));
        check_sum(-5, None, (100, 0, 100));
        check_sum(30, Some(70), (100, 30, 70));
        check_sum(30, Some(71), (0, 0, 0));
    }

    #[test]
    fn a_sum_beyond_64_bits_is_none() {
        let huge = facts(RewardState::Available, i64::MAX);
        assert!(sheet(&[huge, facts(RewardState::Available, 1)], false, 0, None).is_none());
    }

    #[test]
    fn a_second_pair_of_eyes_is_needed_above_the_limit_and_for_foreign_money() {
        let expected = [(0, 0, true, false), (1, 0, true, true), (500, 500, true, false), (501, 500, true, true)];
        for (gross, limit, is_own, needed) in expected {
            assert_eq!(needs_second(gross, limit, is_own), needed, "{gross} of {limit}");
        }
        assert!(needs_second(1, i64::MAX, false));
    }
}
