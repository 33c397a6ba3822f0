//! What becomes of each readable row: new, there already, or turned away. Pure, and linear in the number of rows.

use std::borrow::Cow;

use super::roster::{Known, Roster};
use super::row::Row;
use crate::base::sheet::Remark;

const CYCLE: &str = "The referrers of this row lead back to it.";
const SECOND_REFERRER: &str =
    "The member came first with another referrer or with none, and an import does not move members.";
const PENDING_REFERRER: &str = "The referrer is not a member yet: the member waits as a root, and joins the referrer with all below it when that one comes.";
const JOINED_BEFORE_REFERRER: &str = "The member joined before its referrer did.";

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Open,
    /// On the chain that is being followed.
    Followed,
    In,
    InCycle,
    /// Speaks of a member that is there already, or that an earlier row spoke of.
    Late,
}

/// Who stands above a row that is in.
pub(super) enum Above<'a> {
    Nobody,
    Known(&'a Known),
    Row(usize),
    /// Somebody of whom only the name is known.
    Absent,
}

/// The first readable row of a member is its claim; later ones may repeat it, not change it. A member that is there already keeps its
/// place. The members of a cycle are turned away; whoever names a referrer that is not there waits for it.
pub(super) struct Judge<'a> {
    pub rows: &'a [Row],
    roster: &'a Roster<'a>,
    /// For each name: its first row, if it is not known already.
    claims: Vec<Option<usize>>,
    fates: Vec<Fate>,
}

impl<'a> Judge<'a> {
    pub fn new(rows: &'a [Row], roster: &'a Roster<'a>) -> Self {
        let (claims, fates) = (vec![None; roster.count()], vec![Fate::Open; rows.len()]);
        let mut judge = Self { rows, roster, claims, fates };
        for (index, row) in rows.iter().enumerate() {
            if roster.known(row.member).is_some() || judge.claims[row.member].is_some() {
                judge.fates[index] = Fate::Late;
            } else {
                judge.claims[row.member] = Some(index);
            }
        }
        for index in 0..rows.len() {
            if judge.fates[index] == Fate::Open {
                judge.follow(index);
            }
        }
        judge
    }

    /// Walks from a row up to what is settled or ends, and settles the whole chain.
    fn follow(&mut self, start: usize) {
        let mut chain = vec![start];
        let mut next = Some(start);
        while let Some(last) = next {
            self.fates[last] = Fate::Followed;
            next = self.rows[last].referrer.and_then(|referrer| self.claims[referrer]);
            match next.map(|next| (next, self.fates[next])) {
                Some((next, Fate::Open)) => chain.push(next),
                Some((next, Fate::Followed)) => {
                    let from = chain.iter().position(|index| *index == next).unwrap_or(0);
                    for index in chain.drain(from..) {
                        self.fates[index] = Fate::InCycle;
                    }
                    break;
                }
                _ => break,
            }
        }
        for index in chain {
            self.fates[index] = Fate::In;
        }
    }

    pub fn above(&self, row: &Row) -> Above<'a> {
        let Some(referrer) = row.referrer else { return Above::Nobody };
        if let Some(known) = self.roster.known(referrer) {
            return Above::Known(known);
        }
        match self.claims[referrer] {
            Some(index) if self.fates[index] == Fate::In => Above::Row(index),
            _ => Above::Absent,
        }
    }

    pub fn remarks(&self) -> Vec<Remark> {
        let remark = |row: &Row| {
            let refused = self.refusal(row).map(|(code, reason)| (code, reason, false));
            let told = refused.or_else(|| self.warning(row).map(|(code, reason)| (code, reason, true)));
            told.map(|(code, reason, is_in)| Remark { row: row.index, code, reason: Cow::Borrowed(reason), is_in })
        };
        self.rows.iter().filter_map(remark).collect()
    }

    fn refusal(&self, row: &Row) -> Option<(&'static str, &'static str)> {
        let is_second = match (self.roster.known(row.member), self.claims[row.member]) {
            (Some(known), _) => row.referrer.is_some_and(|referrer| !self.is_referrer_of(referrer, known)),
            (None, Some(first)) => row.referrer.is_some() && row.referrer != self.rows[first].referrer,
            (None, None) => false,
        };
        let is_in_cycle = self.claims[row.member].is_some_and(|first| self.fates[first] == Fate::InCycle);
        match (is_second, is_in_cycle) {
            (true, _) => Some(("SECOND_REFERRER", SECOND_REFERRER)),
            (false, true) => Some(("CYCLE", CYCLE)),
            (false, false) => None,
        }
    }

    fn is_referrer_of(&self, referrer: usize, member: &Known) -> bool {
        match member.referrer_id {
            Some(id) => self.roster.known(referrer).is_some_and(|known| known.id == id),
            None => member.pending_referrer.as_deref() == Some(self.roster.name(referrer)),
        }
    }

    fn warning(&self, row: &Row) -> Option<(&'static str, &'static str)> {
        let referrer_joined_at = match self.above(row) {
            Above::Nobody => return None,
            Above::Absent => return Some(("PENDING_REFERRER", PENDING_REFERRER)),
            Above::Known(known) => known.joined_at,
            Above::Row(index) => self.rows[index].joined_at,
        };
        (row.joined_at < referrer_joined_at).then_some(("JOINED_BEFORE_REFERRER", JOINED_BEFORE_REFERRER))
    }

    /// The rows that are in and new.
    pub fn rows_in(&self) -> impl Iterator<Item = usize> {
        (0..self.rows.len()).filter(|index| self.fates[*index] == Fate::In)
    }
}
