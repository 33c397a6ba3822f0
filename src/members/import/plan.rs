//! What becomes of each readable row: new (referrers before their referees), there already, or turned away. Pure, and linear in the
//! number of rows.

use std::collections::HashMap;

use uuid::Uuid;

use super::row::Row;
use crate::base::sheet::Reject;

/// Members that are in the database, by external id.
pub(super) type Known = HashMap<String, Seat>;

/// A member's place, as far as its referees need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seat {
    pub id: Uuid,
    pub referrer_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub path: String,
    pub depth: i32,
}

const SECOND_REFERRER: &str =
    "The member came in first with another referrer or with none, and an import does not move members.";

/// The decision over all rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Indices of the rows to insert, referrers first.
    pub order: Vec<usize>,
    pub rejects: Vec<Reject>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Open,
    /// On the chain that is being followed.
    Followed,
    Placed,
    Refused,
}

impl Plan {
    /// The first readable row of a member is its claim; later ones may repeat it, not change it. A member that is there already keeps
    /// its place. A row whose referrer was turned away has no referrer either.
    pub fn new(rows: &[Row], known: &Known) -> Self {
        let mut plan = Self::default();
        let mut claims: HashMap<&str, usize> = HashMap::new();
        let mut fates = vec![Fate::Open; rows.len()];
        for (index, row) in rows.iter().enumerate() {
            if let Some(seat) = known.get(&row.external_id) {
                fates[index] = Fate::Refused;
                plan.compare_with_known(row, seat, known);
            } else if let Some(first) = claims.get(row.external_id.as_str()) {
                fates[index] = Fate::Refused;
                if row.referrer.is_some() && row.referrer != rows[*first].referrer {
                    plan.reject(row, "SECOND_REFERRER", SECOND_REFERRER);
                }
            } else {
                claims.insert(&row.external_id, index);
            }
        }
        for index in 0..rows.len() {
            if fates[index] == Fate::Open {
                plan.follow(index, rows, known, &claims, &mut fates);
            }
        }
        plan
    }

    fn compare_with_known(&mut self, row: &Row, seat: &Seat, known: &Known) {
        let Some(referrer) = &row.referrer else { return };
        let referrer_id = known.get(referrer).map(|seat| seat.id);
        if referrer_id.is_none() || referrer_id != seat.referrer_id {
            self.reject(row, "SECOND_REFERRER", SECOND_REFERRER);
        }
    }

    /// Walks from a row up to what decides its fate, and settles the whole chain.
    fn follow(&mut self, start: usize, rows: &[Row], known: &Known, claims: &HashMap<&str, usize>, fates: &mut [Fate]) {
        let mut chain = vec![start];
        let mut last = start;
        let is_grounded = loop {
            fates[last] = Fate::Followed;
            let Some(referrer) = &rows[last].referrer else { break true };
            if known.contains_key(referrer) {
                break true;
            }
            let Some(next) = claims.get(referrer.as_str()).copied() else { break false };
            match fates[next] {
                Fate::Open => chain.push(next),
                Fate::Placed => break true,
                Fate::Refused => break false,
                Fate::Followed => {
                    let from = chain.iter().position(|index| *index == next).unwrap_or(0);
                    for index in chain.drain(from..) {
                        fates[index] = Fate::Refused;
                        self.reject(&rows[index], "CYCLE", "The referrers of this row lead back to it.");
                    }
                    break false;
                }
            }
            last = next;
        };
        for index in chain.into_iter().rev() {
            if is_grounded {
                fates[index] = Fate::Placed;
                self.order.push(index);
            } else {
                fates[index] = Fate::Refused;
                self.reject(
                    &rows[index],
                    "UNKNOWN_REFERRER",
                    "The referrer is neither a member nor a good row of the file.",
                );
            }
        }
    }

    fn reject(&mut self, row: &Row, code: &'static str, reason: &str) {
        self.rejects.push(Reject { row: row.index, code, reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::MemberStatus;

    /// Rows as `member<referrer`, what is known as `member` or `member<referrer`; expects the order and the rejects by code.
    fn check(rows: &[&str], known: &[&str], order: &[&str], rejects: &[(&str, &str)]) {
        let id = |name: &str| Uuid::from_u128(name.bytes().fold(1, |sum, byte| sum * 256 + u128::from(byte)));
        let split = |text: &str| {
            let (name, referrer) = text.split_once('<').unwrap_or((text, ""));
            (name.to_owned(), Some(referrer.to_owned()).filter(|name| !name.is_empty()))
        };
        let rows: Vec<Row> = rows
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let (external_id, referrer) = split(text);
                let (creator_id, campaign_id, status) = (None, None, MemberStatus::SignedUp);
                Row { index, external_id, referrer, joined_at: Default::default(), creator_id, campaign_id, status }
            })
            .collect();
        let seat = |text: &&str| {
            let (name, referrer) = split(text);
            let (path, referrer_id) = (String::new(), referrer.map(|name| id(&name)));
            (name.clone(), Seat { id: id(&name), referrer_id, creator_id: None, campaign_id: None, path, depth: 0 })
        };
        let plan = Plan::new(&rows, &known.iter().map(seat).collect());
        let found: Vec<&str> = plan.order.iter().map(|index| rows[*index].external_id.as_str()).collect();
        assert_eq!(found, order, "{rows:?}");
        let mut found: Vec<(&str, &str)> =
            plan.rejects.iter().map(|reject| (rows[reject.row].external_id.as_str(), reject.code)).collect();
        found.sort_unstable();
        assert_eq!(found, rejects, "{rows:?}");
    }

    #[test]
    fn referrers_come_first_whatever_the_order_of_the_rows() {
        check(&["c<b", "b<a", "a", "d<b"], &[], &["a", "b", "c", "d"], &[]);
        check(&["c<b", "b<a"], &["a"], &["b", "c"], &[]);
    }

    #[test]
    fn every_member_of_a_cycle_is_refused_and_so_is_what_hangs_on_it() {
        check(
            &["d<c", "a<b", "b<c", "c<a", "e<d", "f"],
            &[],
            &["f"],
            &[("a", "CYCLE"), ("b", "CYCLE"), ("c", "CYCLE"), ("d", "UNKNOWN_REFERRER"), ("e", "UNKNOWN_REFERRER")],
        );
        check(&["a<b", "c<b"], &[], &[], &[("a", "UNKNOWN_REFERRER"), ("c", "UNKNOWN_REFERRER")]);
    }

    #[test]
    fn the_first_referrer_wins() {
        check(&["a", "b", "c<a", "c<b", "c<a", "c"], &[], &["a", "b", "c"], &[("c", "SECOND_REFERRER")]);
        check(&["c<a", "c<b", "a<b"], &["a", "b", "c<a"], &[], &[("a", "SECOND_REFERRER"), ("c", "SECOND_REFERRER")]);
        check(&["c<x", "x"], &["c"], &["x"], &[("c", "SECOND_REFERRER")]);
        check(&["c<a", "c", "a"], &["a", "c<a"], &[], &[]);
    }

    #[test]
    fn a_chain_of_any_length_takes_no_stack() {
        let rows: Vec<String> = (0..100_000).rev().map(|n| format!("{}<{n}", n + 1)).chain(["0".to_owned()]).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let order: Vec<String> = (0..=100_000).map(|n| n.to_string()).collect();
        check(&rows, &[], &order.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    }
}
