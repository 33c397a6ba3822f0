//! The decision over all rows of a file: what is told of them, and in which order the new ones are written. Pure.

use super::judge::Judge;
use super::order::Order;
use super::roster::Roster;
use super::row::Row;
use crate::base::sheet::Remark;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub order: Order,
    pub remarks: Vec<Remark>,
}

impl Plan {
    pub fn new(rows: &[Row], roster: &Roster<'_>) -> Self {
        let judge = Judge::new(rows, roster);
        Self { remarks: judge.remarks(), order: Order::depth_first(&judge) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::super::roster::Known;
    use super::*;
    use crate::members::MemberStatus;

    /// Splits `member<referrer@day`.
    fn split(text: &str) -> (&str, Option<&str>, i64) {
        let (text, day) = text.split_once('@').unwrap_or((text, "0"));
        let (name, referrer) = text.split_once('<').unwrap_or((text, ""));
        (name, Some(referrer).filter(|name| !name.is_empty()), day.parse().unwrap())
    }

    /// Rows, and what is known: `member`, `member<referrer` or, of one that waits, `member?referrer`. Expects the order and the remarks
    /// by member, those of rows that are in with a `+`.
    fn check(rows: &[&str], known: &[&str], order: &[&str], remarks: &[&str]) {
        let id = |name: &str| Uuid::from_u128(name.bytes().fold(1, |sum, byte| sum * 256 + u128::from(byte)));
        let day = |day: i64| DateTime::from_timestamp(day * 86_400, 0).unwrap();
        let mut roster = Roster::default();
        let mut to_row = |(index, text): (usize, &&'static str)| {
            let (name, referrer, joined_on) = split(text);
            let (creator_id, campaign_id, status) = (None, None, MemberStatus::SignedUp);
            let (member, referrer) = (roster.number(name), referrer.map(|name| roster.number(name)));
            Row { index, member, referrer, joined_at: day(joined_on), creator_id, campaign_id, status }
        };
        let statics: Vec<&'static str> = rows.iter().map(|row| &*Box::leak(row.to_string().into_boxed_str())).collect();
        let rows: Vec<Row> = statics.iter().enumerate().map(&mut to_row).collect();
        for (number, text) in (0..).zip(known) {
            let is_waiting = text.contains('?');
            let text = text.replace('?', "<");
            let (name, referrer, joined_on) = split(&text);
            let known = Known {
                id: id(name),
                referrer_id: referrer.filter(|_| !is_waiting).map(id),
                joined_at: day(joined_on),
                number,
                depth: 0,
                pending_referrer: referrer.filter(|_| is_waiting).map(str::to_owned),
            };
            roster.know(name, known);
        }
        let plan = Plan::new(&rows, &roster);
        let found: Vec<&str> = plan.order.rows.iter().map(|index| roster.name(rows[*index].member)).collect();
        assert_eq!(found, order, "{statics:?}");
        let told =
            |remark: &Remark| format!("{} {}{}", statics[remark.row], if remark.is_in { "+" } else { "" }, remark.code);
        let found: Vec<String> = plan.remarks.iter().map(told).collect();
        assert_eq!(found, remarks, "{statics:?}");
    }

    #[test]
    fn referrers_come_first_and_subtrees_in_one_piece_whatever_the_order_of_the_rows() {
        check(&["c<b", "b<a", "a", "d<b", "e<c"], &[], &["a", "b", "c", "e", "d"], &[]);
        check(&["a", "x", "b<a", "y<x", "c<a", "d<b"], &[], &["a", "b", "d", "c", "x", "y"], &[]);
        check(&["r", "c<b", "b<y", "d<x", "e<y"], &["x", "y"], &["d", "b", "c", "e", "r"], &[]);
    }

    #[test]
    fn every_member_of_a_cycle_is_refused_and_who_hangs_on_it_waits() {
        let cycle = ["a<b CYCLE", "b<c CYCLE", "c<a CYCLE"];
        check(
            &["d<c", "a<b", "b<c", "c<a", "e<d", "f"],
            &[],
            &["d", "e", "f"],
            &[&["d<c +PENDING_REFERRER"], &cycle[..]].concat(),
        );
        check(
            &["a<b", "b<c", "c<a", "a<b", "b<x", "x"],
            &[],
            &["x"],
            &[&cycle[..], &["a<b CYCLE", "b<x SECOND_REFERRER"]].concat(),
        );
        check(&["a<b", "b<a"], &[], &[], &["a<b CYCLE", "b<a CYCLE"]);
    }

    #[test]
    fn who_names_an_unknown_referrer_waits_and_those_below_hang_on() {
        let waits = ["a<b +PENDING_REFERRER"];
        check(&["c<a", "a<b"], &[], &["a", "c"], &waits);
        check(&["c<a", "a<b"], &["a?b", "c<a"], &[], &waits);
        check(&["c<a", "a<b", "b"], &["a?b", "c<a"], &["b"], &[]);
        check(&["a<c", "c"], &["a?b"], &["c"], &["a<c SECOND_REFERRER"]);
    }

    #[test]
    fn the_first_referrer_wins() {
        check(&["a", "b", "c<a", "c<b", "c<a", "c"], &[], &["a", "c", "b"], &["c<b SECOND_REFERRER"]);
        let second = ["c<b SECOND_REFERRER", "a<b SECOND_REFERRER"];
        check(&["c<a", "c<b", "a<b"], &["a", "b", "c<a"], &[], &second);
        check(&["c<x", "x"], &["c"], &["x"], &["c<x SECOND_REFERRER"]);
        check(&["c<a", "c", "a"], &["a", "c<a"], &[], &[]);
    }

    #[test]
    fn who_joined_before_the_referrer_is_told_and_in() {
        let early = ["b<a@1 +JOINED_BEFORE_REFERRER"];
        check(&["b<a@1", "a@2", "c<a@2"], &[], &["a", "b", "c"], &early);
        check(&["b<a@1", "a@2", "c<a@2"], &["a@2", "b<a@1", "c<a@2"], &[], &early);
        check(&["b<a@1"], &["a@2"], &["b"], &early);
        check(&["b<a@1", "a@2"], &["b?a@1"], &["a"], &early);
    }

    #[test]
    fn a_chain_of_any_length_takes_no_stack() {
        let rows: Vec<String> = (0..100_000).rev().map(|n| format!("{}<{n}", n + 1)).chain(["0".to_owned()]).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let order: Vec<String> = (0..=100_000).map(|n| n.to_string()).collect();
        check(&rows, &[], &order.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    }
}
