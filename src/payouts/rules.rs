//! What a payout pays: which lines, why not the others, and how much of it is sent. Pure, and exact in whole minor units.

use std::collections::BTreeMap;

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
    /// The least that its campaign's policy has sent, in minor units of the payout's currency; 0 is anything.
    pub minimum_minor: i64,
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

/// The sheet, and what it comes to. A line is paid only where what is sent in all, with it, reaches the larger of `minimum_minor` and of
/// what its campaign asks for. Those that ask for most are left out first, since without them less is sent: so as much is paid as can
/// be. `None`: the sum does not fit 64 bits.
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
    let asked_minor = minimum_minor.unwrap_or(0);
    let least = |facts: &Facts| facts.minimum_minor.max(asked_minor);
    let reached = reached(facts.iter().map(least).zip(&lines), owed_minor)?;
    for (facts, line) in facts.iter().zip(&mut lines).filter(|(_, line)| line.reason.is_none()) {
        if reached.is_none_or(|reached| least(facts) > reached) {
            let is_campaigns = facts.minimum_minor > asked_minor;
            line.reason = Some(if is_campaigns { LineReason::BelowCampaignMinimum } else { LineReason::BelowMinimum });
        }
    }
    let sum = sum(&lines, owed_minor)?;
    Some((lines, sum))
}

/// The highest of the least sums, each with a line that asks for it, that what is sent reaches when all lines that ask for more are
/// left out. The outer `None`: the sum does not fit 64 bits; the inner one: none is reached.
fn reached<'a>(lines: impl Iterator<Item = (i64, &'a Line)>, owed_minor: i64) -> Option<Option<i64>> {
    let mut parts: BTreeMap<i64, i64> = BTreeMap::new();
    for (least, line) in lines.filter(|(_, line)| line.reason.is_none()) {
        let part = parts.entry(least).or_default();
        *part = part.checked_add(line.amount_minor)?;
    }
    let mut gross_minor = parts.values().try_fold(0_i64, |sum, part| sum.checked_add(*part))?;
    while let Some((least, part)) = parts.pop_last() {
        if gross_minor - owed_minor.clamp(0, gross_minor) >= least {
            return Some(Some(least));
        }
        gross_minor -= part;
    }
    Some(None)
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
            minimum_minor: 0,
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

    /// The amounts that are paid, and why the others are not, of rewards with the least that their campaigns ask for.
    fn check_minimums(all: &[(i64, i64)], owed_minor: i64, asked_minor: Option<i64>, expected: (i64, &[&str])) {
        let with = |(left_minor, minimum_minor): &(i64, i64)| Facts {
            minimum_minor: *minimum_minor,
            ..facts(RewardState::Available, *left_minor)
        };
        let all: Vec<Facts> = all.iter().map(with).collect();
        let (lines, sum) = sheet(&all, false, owed_minor, asked_minor).unwrap();
        let told: Vec<&str> = lines.iter().map(|line| line.reason.map_or("", LineReason::as_str)).collect();
        assert_eq!((sum.amount_minor, told.as_slice()), expected, "{all:?} {owed_minor} {asked_minor:?}");
    }

    #[test]
    fn a_campaign_s_minimum_keeps_its_own_lines_back_and_the_larger_minimum_wins() {
        const CAMPAIGN: &str = "BELOW_CAMPAIGN_MINIMUM";
        const ASKED: &str = "BELOW_MINIMUM";
        check_minimums(&[(60, 100), (40, 0)], 0, None, (100, &["", ""]));
        check_minimums(&[(60, 101), (40, 0)], 0, None, (40, &[CAMPAIGN, ""]));
        check_minimums(&[(60, 101), (40, 50), (7, 0)], 0, None, (107, &["", "", ""]));
        // What is owed is not sent. Without the first, too little is left for the second as well.
        check_minimums(&[(60, 101), (40, 50), (7, 0)], 7, None, (0, &[CAMPAIGN, CAMPAIGN, ""]));
        check_minimums(&[(60, 50), (40, 0)], 0, Some(101), (0, &[ASKED, ASKED]));
        check_minimums(&[(60, 102), (40, 0)], 0, Some(101), (0, &[CAMPAIGN, ASKED]));
        check_minimums(&[(60, 102), (40, 0)], 0, Some(40), (40, &[CAMPAIGN, ""]));
        check_minimums(&[], 0, Some(1), (0, &[]));
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
