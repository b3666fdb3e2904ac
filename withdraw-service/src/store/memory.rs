//! What the writer of cash-outs knows without looking, on PostgreSQL: the last numbers, paused channels, what
//! people requested lately and which cash-outs wait for a reviewer, all as of one version of the head. While that version stands nobody else
//! has written, so it is still so; a batch that was decided on it is written only over that version.
//!
//! Must not know: SQL, what jobs decide.

use std::collections::{BTreeSet, HashMap};

use super::book::{Book, Needs};
use super::load::Begun;
use super::withdrawals::Usage;
use crate::domain::status::Status;
use crate::domain::withdrawal::Withdrawal;

/// Most people whose requests are remembered (about 60 bytes each).
const PEOPLE: usize = 100_000;

/// Most cash-outs that are remembered while they wait for their first reviewer (about 1 KB each).
const WAITING: usize = 10_000;

/// What is known as of a version.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) begun: Begun,
    /// Cash-outs that wait for their first reviewer, as they were written.
    waiting: HashMap<i64, Withdrawal>,
    /// By person: since when a day counted, and what they requested.
    usage: HashMap<i64, (i64, Usage)>,
}

impl Memory {
    /// What is known after a book was written, or confirmed, by what was known before.
    pub(super) fn after(before: Option<Self>, book: &Book, needs: &[&Needs]) -> Self {
        let begun = Begun { head: book.head, paused: book.paused.clone() };
        let (mut waiting, mut usage) =
            before.map(|memory| (memory.waiting, memory.usage)).unwrap_or_default();
        if usage.len() > PEOPLE {
            usage.clear();
        }
        if waiting.len() > WAITING {
            waiting.clear();
        }
        for w in book.changes.rows.values() {
            if w.status == Status::InReview && w.reviewers == 0 {
                waiting.insert(w.id, w.clone());
            } else {
                waiting.remove(&w.id);
            }
        }
        let asked: BTreeSet<(i64, i64)> = needs.iter().filter_map(|n| n.usage).collect();
        for (user_id, day_us) in &asked {
            usage.insert(*user_id, (*day_us, book.usage(*user_id)));
        }
        // A book has one sum for a person: at midnight nobody knows of which day.
        let two_days = asked.iter().zip(asked.iter().skip(1)).filter(|(one, next)| one.0 == next.0);
        for ((user_id, _), _) in two_days {
            usage.remove(user_id);
        }
        // What no longer counts was counted.
        for w in book.changes.rows.values().filter(|w| !w.status.counts_for_the_day()) {
            usage.remove(&w.user_id);
        }
        Self { begun, waiting, usage }
    }

    /// A cash-out that waits for its first reviewer, if it is known.
    pub(super) fn waiting(&self, id: i64) -> Option<&Withdrawal> {
        self.waiting.get(&id)
    }

    /// What a person requested since that day began, if it is known.
    pub(super) fn usage(&self, user_id: i64, day_us: i64) -> Option<Usage> {
        let (since_us, usage) = self.usage.get(&user_id)?;
        (*since_us == day_us).then_some(*usage)
    }
}
