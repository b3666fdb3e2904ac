//! What callers saw, added up. Must not know: what they asked, or whom.

use serde::Serialize;

/// What callers saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Operations answered inside the window, without those that are counted apart.
    pub counted: u64,
    /// Microseconds of each call answered inside the window.
    pub latencies_us: Vec<u32>,
    /// The same of reads that are counted apart from what is written beside them.
    pub reads_us: Vec<u32>,
    /// Operations answered at any time.
    pub answered: u64,
    /// Of these, those that wrote something.
    pub written: u64,
    /// Operations asked for that were not answered as they should be.
    pub failed: u64,
    /// What the first of them said.
    pub first_failure: Option<String>,
    /// What happened to the ledger's money.
    pub moved: Moved,
}

/// How much money a ledger has more than before, minor units; below zero when it has less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// By what was answered.
    pub surely: i64,
    /// At most so much more, by what was asked for and not answered.
    pub maybe_in: i64,
    /// At most so much less, by what was asked for and not answered.
    pub maybe_out: i64,
}

impl Moved {
    /// By something that was answered.
    pub fn surely(minor: i64) -> Self {
        Self { surely: minor, ..Self::default() }
    }

    /// By something of which nobody knows whether it happened.
    pub fn maybe(minor: i64) -> Self {
        Self { maybe_in: minor.max(0), maybe_out: (-minor).max(0), surely: 0 }
    }
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.surely += other.surely;
        self.maybe_in += other.maybe_in;
        self.maybe_out += other.maybe_out;
    }
}

impl std::iter::Sum for Moved {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|moved| sum += moved);
        sum
    }
}

impl Seen {
    /// Adds what others saw.
    pub fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.latencies_us.extend(other.latencies_us);
        self.reads_us.extend(other.reads_us);
        self.answered += other.answered;
        self.written += other.written;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.moved += other.moved;
    }
}
