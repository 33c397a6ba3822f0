//! Where a member stands in the forest. Pure.

use crate::base::limits::SEGMENT_LEVELS_MAX;

/// A place: the path within its segment, and the hops to the root of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub path: String,
    pub depth: i32,
    /// The referrer's path, where this member opens a new segment.
    pub segment_parent_path: Option<String>,
}

/// The place of the member of this number under a parent, given as its path and depth. Paths stay short whatever the depth of the
/// chain: a full segment is continued in a new one.
#[must_use]
pub fn place(parent: Option<(&str, i32)>, number: i64) -> Placement {
    let label = label(number);
    let Some((path, depth)) = parent else {
        return Placement { path: label, depth: 0, segment_parent_path: None };
    };
    let depth = depth + 1;
    if path.split('.').count() >= SEGMENT_LEVELS_MAX {
        return Placement { path: label, depth, segment_parent_path: Some(path.to_owned()) };
    }
    Placement { path: format!("{path}.{label}"), depth, segment_parent_path: None }
}

/// The number in base 36: at most six characters up to 2.2 billion, so that a level takes eight bytes.
fn label(number: i64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_any_depth_keeps_short_paths() {
        let mut at = place(None, 1);
        assert_eq!((at.path.as_str(), at.depth), ("1", 0));
        let mut segments = 0;
        for number in 2..1_000 {
            at = place(Some((&at.path, at.depth)), number);
            segments += i32::from(at.segment_parent_path.is_some());
            assert!(at.path.split('.').count() <= SEGMENT_LEVELS_MAX);
        }
        assert_eq!((at.depth, segments), (998, 998 / 64));
    }

    #[test]
    fn labels_are_base_36() {
        assert_eq!([label(0), label(35), label(36), label(2_176_782_335)], ["0", "z", "10", "zzzzzz"]);
    }
}
