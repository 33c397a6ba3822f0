//! Where a member stands in the forest. Pure.
//! A path spells the numbers of a member's up-line, from an anchor or the root down to the member itself. Every member
//! `SEGMENT_DEPTH`, twice that, ... levels down is an anchor: the paths below it start anew with its own label.

use crate::base::limits::SEGMENT_DEPTH;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A place: the path within its segment, and the hops to the root of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub path: String,
    pub depth: i32,
}

/// The place of the member of this number under a parent, given as its path and depth. Paths stay short whatever the depth of the
/// chain.
#[must_use]
pub fn place(parent: Option<(&str, i32)>, number: i64) -> Placement {
    let label = label(number);
    let Some((path, depth)) = parent else { return Placement { path: label, depth: 0 } };
    let above = if is_anchor_depth(depth) { own_label(path) } else { path };
    Placement { path: format!("{above}.{label}"), depth: depth + 1 }
}

/// Whether the paths below a member of this depth start anew.
#[must_use]
pub fn is_anchor_depth(depth: i32) -> bool {
    depth > 0 && depth % SEGMENT_DEPTH == 0
}

/// The numbers of the members above the one with this path, down from the anchor or the root of its segment; with each the hops
/// between the two.
pub(super) fn above(path: &str) -> impl Iterator<Item = (i64, i32)> {
    let hops = i32::try_from(path.split('.').count()).unwrap_or(i32::MAX) - 1;
    path.split('.').map(number).zip((1..=hops).rev())
}

fn own_label(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The number in base 36: at most six characters up to 2.2 billion, so that a level takes eight bytes.
fn label(number: i64) -> String {
    let mut number = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

fn number(label: &str) -> i64 {
    i64::from_str_radix(label, 36).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_any_depth_keeps_short_paths() {
        let mut at = place(None, 1);
        assert_eq!((at.path.as_str(), at.depth), ("1", 0));
        for number in 2..1_000 {
            let parent = at;
            at = place(Some((&parent.path, parent.depth)), number);
            let labels: Vec<&str> = at.path.split('.').collect();
            assert!(labels.len() <= SEGMENT_DEPTH as usize + 1);
            assert_eq!(labels.len() == 2 && at.depth > 1, is_anchor_depth(parent.depth));
            assert_eq!(labels[labels.len() - 2], label(number - 1), "the referrer is always on the path");
        }
        assert_eq!(at.depth, 998);
    }

    #[test]
    fn a_path_tells_who_is_above_and_how_far() {
        assert_eq!(above("1.z.10").collect::<Vec<_>>(), [(1, 2), (35, 1)]);
        assert_eq!(above("1").count(), 0);
    }

    #[test]
    fn labels_are_base_36() {
        for (number, text) in [(0, "0"), (35, "z"), (36, "10"), (2_176_782_335, "zzzzzz")] {
            assert_eq!((label(number).as_str(), self::number(text)), (text, number));
        }
    }
}
