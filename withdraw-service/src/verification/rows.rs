//! What `verify` looks at row by row, so that it takes no memory however much was paid: the exact bytes
//! every attempt sends (G10), and every notification beside what was asked for (G15).
//!
//! Must not know: where the rows come from.

use std::time::{Duration, Instant};

use cashout_common::report::Check;

use super::{EXAMPLES, millis};
use crate::domain::notice::{Claim, Verdict};
use crate::providers::told::told;
use crate::service::payout::body_digest;
use crate::store::verification::{Asked, Heard};

/// What was found so far.
#[derive(Debug)]
pub(super) struct Seen {
    rows: u64,
    violations: u64,
    examples: Vec<String>,
    took: Duration,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn begun() -> Self {
        Self { rows: 0, violations: 0, examples: Vec::new(), took: Duration::ZERO }
    }

    /// Counts the time of a look.
    pub(super) fn looking(&mut self, look: impl FnOnce(&mut Self)) {
        let started = Instant::now();
        look(self);
        self.took += started.elapsed();
    }

    /// Counts the time since then, of reading.
    pub(super) fn took_since(&mut self, started: Instant) {
        self.took += started.elapsed();
    }

    /// Counts a row.
    pub(super) fn row(&mut self) {
        self.rows += 1;
    }

    /// Counts a violation, and keeps the words of the first few.
    pub(super) fn wrong(&mut self, told: impl FnOnce() -> String) {
        self.violations += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(told());
        }
    }

    /// As a part of a check.
    pub(super) fn part_of(self, mut check: Check) -> Check {
        check.rows += self.rows;
        check.violations += self.violations;
        check.examples.extend(self.examples);
        check.examples.truncate(EXAMPLES);
        check.ms += millis(self.took);
        check
    }
}

/// What is sent is what was written down, and what was written down is what was approved.
pub(super) fn asked(seen: &mut Seen, a: &Asked) {
    seen.row();
    for what in differences(a) {
        seen.wrong(|| format!("attempt of withdrawal {}: {what}", a.attempt.withdrawal_id));
    }
}

/// The row is its withdrawal's, and the bytes say what the row says.
fn differences(asked: &Asked) -> Vec<&'static str> {
    let Asked { attempt: a, w_provider, w_payee_id, w_actual_minor } = asked;
    let mut wrong = Vec::new();
    let own = (Some(&a.provider), Some(&a.payee_id), Some(a.amount_minor));
    if own != (w_provider.as_ref(), w_payee_id.as_ref(), *w_actual_minor) {
        let there = w_provider.is_some();
        wrong.push(if there { "another payee or amount" } else { "it pays nothing that is there" });
    }
    if body_digest(&a.body) != a.digest {
        wrong.push("the request changed");
    }
    let Some(told) = told(&a.provider, &a.body) else {
        wrong.push("its request cannot be read");
        return wrong;
    };
    for (differs, what) in [
        (told.number != a.number, "its request has another number"),
        (told.payee_id != a.payee_id, "its request pays somebody else"),
        (told.amount_minor != a.amount_minor, "its request pays another amount"),
    ] {
        if differs {
            wrong.push(what);
        }
    }
    wrong
}

/// A notification was found to tell something else than was asked for exactly when it does.
pub(super) fn heard(seen: &mut Seen, n: &Heard) {
    let claim = Claim { amount_minor: n.amount_minor, payee_digest: n.payee_digest.clone() };
    let differs = claim.differs(&n.number, n.a_amount_minor, &n.a_payee_id);
    if differs != (n.verdict == Verdict::Mismatch.name()) {
        seen.wrong(|| {
            let told = "was compared wrongly with the attempt";
            format!("notification or withdrawal {} {}: {told}", n.provider, n.id)
        });
    }
}
