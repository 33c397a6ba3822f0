//! The order in which new members are written: referrers before their referees, and each subtree in one piece, so that a chunk changes
//! the sums of few members above it. Pure.

use super::judge::{Above, Judge};
use crate::base::limits::{IMPORT_CHUNK_LEVELS, IMPORT_CHUNK_ROWS, SEGMENT_DEPTH};

/// Rows in the order of writing, and where its chunks end.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Order {
    pub rows: Vec<usize>,
    ends: Vec<usize>,
}

impl Order {
    /// Each row is followed by everybody below it, siblings in the order of the file. Rows that hang on members who are there already
    /// come first, neighbours together.
    pub fn depth_first(judge: &Judge<'_>) -> Self {
        let branches = Branches::new(judge);
        let mut order = Self::default();
        let mut chunk = Chunk::default();
        let mut next: Vec<(usize, i32)> = branches.tops;
        while let Some((row, depth)) = next.pop() {
            if !chunk.takes(depth) {
                order.ends.push(order.rows.len());
            }
            order.rows.push(row);
            let start = row.checked_sub(1).map_or(0, |before| branches.ends[before]);
            let referees = &branches.referees[start..branches.ends[row]];
            next.extend(referees.iter().rev().map(|referee| (*referee, depth + 1)));
        }
        order.ends.push(order.rows.len());
        order
    }

    /// The rows of each transaction.
    pub fn chunks(&self) -> impl Iterator<Item = &[usize]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.rows[start..*end]).filter(|chunk| !chunk.is_empty())
    }
}

/// What a transaction holds so far. A member changes the sums of everybody above it in its segment, so that 5,000 rows of a chain are
/// ten times the work of 5,000 rows of a common forest: they ran into the deadline of a statement.
#[derive(Default)]
struct Chunk {
    row_count: usize,
    level_count: usize,
}

impl Chunk {
    /// Takes one more row of this depth; if the chunk is full, into a new one, and says so by `false`.
    fn takes(&mut self, depth: i32) -> bool {
        let levels = usize::try_from((depth - 1).max(0) % SEGMENT_DEPTH).unwrap_or(0) + 1;
        let is_full = self.row_count == IMPORT_CHUNK_ROWS || self.level_count + levels > IMPORT_CHUNK_LEVELS;
        if is_full {
            *self = Self::default();
        }
        self.row_count += 1;
        self.level_count += levels;
        !is_full
    }
}

/// Who hangs on whom.
struct Branches {
    /// Rows without a referrer in the file, with their depths, the last to be written first.
    tops: Vec<(usize, i32)>,
    /// The referees of row `r` are `referees[ends[r - 1]..ends[r]]`.
    referees: Vec<usize>,
    ends: Vec<usize>,
}

impl Branches {
    fn new(judge: &Judge<'_>) -> Self {
        let mut ends = vec![0; judge.rows.len()];
        let (mut below_known, mut roots) = (Vec::new(), Vec::new());
        for row in judge.rows_in() {
            match judge.above(&judge.rows[row]) {
                Above::Row(referrer) => ends[referrer] += 1,
                Above::Known(known) => below_known.push((known.number, row, known.depth + 1)),
                Above::Nobody | Above::Absent => roots.push((row, 0)),
            }
        }
        // From counts to starts; filling the lists then moves each start to its end.
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total - *end;
        }
        let mut referees = vec![0; total];
        for row in judge.rows_in() {
            if let Above::Row(referrer) = judge.above(&judge.rows[row]) {
                referees[ends[referrer]] = row;
                ends[referrer] += 1;
            }
        }
        below_known.sort_unstable();
        let below_known = below_known.into_iter().map(|(_, row, depth)| (row, depth));
        let tops = roots.into_iter().rev().chain(below_known.rev()).collect();
        Self { tops, referees, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_bounded_by_its_rows_and_by_the_sums_that_they_change() {
        let check = |depth: i32, expected: usize| {
            let mut chunk = Chunk::default();
            assert!((0..expected).all(|_| chunk.takes(depth)));
            assert!(!chunk.takes(depth));
            assert_eq!(chunk.row_count, 1);
        };
        check(0, IMPORT_CHUNK_ROWS);
        check(SEGMENT_DEPTH + 1, IMPORT_CHUNK_ROWS);
        check(SEGMENT_DEPTH, IMPORT_CHUNK_LEVELS / SEGMENT_DEPTH as usize);
    }
}
