//! The newest lines of history, as this process wrote them, so that who follows them live asks the database for
//! nothing. They are told after their commit only, like the table's.
//!
//! Without gaps: a line that another instance or a rare job wrote is not here, and whoever needs it reads the
//! table. Must not know: who follows.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::history::Line;

/// Most that are remembered (about 300 bytes each): what a few full batches write.
const LINES: usize = 2048;

/// Lines of history in the order of their sequence, each one more than the one before.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Line>>);

impl Recent {
    /// Remembers what was committed just now.
    pub(super) fn add(&self, lines: Vec<Line>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            if known.back().is_some_and(|last| last.id + 1 != line.id) {
                known.clear();
            }
            known.push_back(line);
        }
        let over = known.len().saturating_sub(LINES);
        known.drain(..over);
    }

    /// Up to `limit` lines after a sequence; none when the next one is not known.
    pub(super) fn after(&self, sequence: i64, limit: usize) -> Vec<Line> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.front().map_or(i64::MAX, |line| line.id);
        let Ok(before) = usize::try_from(sequence.saturating_add(1).saturating_sub(first)) else {
            return Vec::new();
        };
        known.iter().skip(before).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ids: impl IntoIterator<Item = i64>) -> Vec<Line> {
        let line = |id| Line {
            id,
            withdrawal_id: 1,
            user_id: 7,
            from_status: 0,
            to_status: 1,
            event: "request".into(),
            actor: "user:7".to_owned(),
            reason: String::new(),
            at_us: 0,
        };
        ids.into_iter().map(line).collect()
    }

    fn told(recent: &Recent, sequence: i64, limit: usize) -> Vec<i64> {
        recent.after(sequence, limit).iter().map(|line| line.id).collect()
    }

    #[test]
    fn what_follows_a_sequence_is_told_when_the_next_line_is_known() {
        let recent = Recent::default();
        assert!(told(&recent, 0, 9).is_empty());
        recent.add(lines(5..=7));
        recent.add(lines([8]));
        for (sequence, limit, expected) in [
            (4, 9, vec![5, 6, 7, 8]),
            (4, 2, vec![5, 6]),
            (6, 9, vec![7, 8]),
            (7, 9, vec![8]),
            (8, 9, vec![]),
            (9, 9, vec![]),
            (i64::MAX, 9, vec![]),
            // The line after it was written by somebody else, or is forgotten.
            (3, 9, vec![]),
            (0, 9, vec![]),
            (i64::MIN, 9, vec![]),
        ] {
            assert_eq!(told(&recent, sequence, limit), expected, "after {sequence}, {limit}");
        }
    }

    #[test]
    fn a_gap_forgets_what_was_before_it_and_only_so_many_are_kept() {
        let recent = Recent::default();
        recent.add(lines([1, 2, 4, 5]));
        assert!(told(&recent, 1, 9).is_empty());
        assert_eq!(told(&recent, 3, 9), [4, 5]);
        recent.add(lines([9]));
        assert!(told(&recent, 4, 9).is_empty());
        assert_eq!(told(&recent, 8, 9), [9]);
        let many = i64::try_from(LINES).unwrap_or(i64::MAX);
        recent.add(lines(10..=many + 9));
        assert!(told(&recent, 8, 9).is_empty(), "9 is forgotten");
        assert_eq!(recent.after(9, usize::MAX).len(), LINES);
    }
}
