//! What is counted of the ledger's batches. Must not know: what a batch does.

use std::sync::LazyLock;
use std::time::Duration;

use cashout_common::metrics::{self, Gauge, Histogram};

use super::movements;
use crate::domain::Command;

/// The ledger of this process.
pub(super) static LEDGER: LazyLock<Ledger> = LazyLock::new(|| Ledger {
    movements: metrics::sizes("ledger_batch_movements", "Movements that were carried out together"),
    batches: metrics::duration(
        "ledger_batch",
        "From when a batch is taken until it is carried out",
    ),
    waiting: metrics::gauge(
        "ledger_waiting_movements",
        "Movements that waited after the last batch was taken",
    ),
});

/// What is counted.
pub(super) struct Ledger {
    movements: Histogram,
    batches: Histogram,
    waiting: Gauge,
}

impl Ledger {
    /// A batch was carried out, whatever became of its commands.
    pub(super) fn carried_out(&self, commands: &[Command], took: Duration) {
        self.movements.observe(u32::try_from(movements(commands)).unwrap_or(u32::MAX).into());
        self.batches.observe(took.as_secs_f64());
    }

    /// A batch was taken, and so many movements wait for the next.
    pub(super) fn left(&self, waiting: usize) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}
