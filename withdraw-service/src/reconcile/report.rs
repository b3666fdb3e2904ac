//! What comparing a day found, as a table for a person and as JSON for a program. Amounts in minor
//! units. Must not know: how it was found.

use std::collections::BTreeMap;
use std::fmt;

use cashout_common::money::format_fixed;
use rails::bill::{Direction, Kind as LineKind, Total};
use serde::Serialize;

use super::judge::Judged;
use crate::store::differences::Difference;

/// A number of things and their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// How much, minor units.
    pub amount_minor: i64,
}

impl From<Total> for Sum {
    fn from(total: Total) -> Self {
        Self { count: total.count, amount_minor: total.amount_minor }
    }
}

/// Lines of the bill that are nobody's payout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// `fee`, `top_up` or `other`.
    pub kind: &'static str,
    /// The provider's word.
    pub business: String,
    /// `in` or `out`.
    pub direction: &'static str,
    /// How many, how much.
    #[serde(flatten)]
    pub sum: Sum,
}

/// A difference, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its number among the cases.
    pub id: i64,
    /// See docs/reconciliation.md.
    pub kind: String,
    /// Our number; the provider's with `flow:` before it, or the hold's key, when there is none.
    pub number: String,
    /// The provider's number; may be empty.
    pub provider_number: String,
    /// Which cash-out; 0 when it is none of ours.
    pub withdrawal_id: i64,
    /// What our side says.
    pub ours_minor: Option<i64>,
    /// What the other side says.
    pub theirs_minor: Option<i64>,
    /// What is known.
    pub evidence: String,
    /// Seconds since it was found first.
    pub age_s: i64,
    /// `open`, or `noted` when a person explained it.
    pub state: &'static str,
}

/// The result of comparing one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whose bill.
    pub provider: &'static str,
    /// `yyyy-MM-dd`, in China.
    pub day: String,
    /// Lines of the bill.
    pub lines: u64,
    /// What came in by the bill.
    pub income: Sum,
    /// What went out by the bill.
    pub spend: Sum,
    /// Payouts on which attempt and bill agree.
    pub matched: Sum,
    /// Payouts near midnight whose bill is still to come.
    pub not_yet_due: Sum,
    /// What left the ledger for this provider on the day.
    pub settled: Sum,
    /// What else is in the bill.
    pub listed: Vec<Listed>,
    /// How many differences of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Differences, oldest first.
    pub differences: Vec<Told>,
    /// Differences that this day showed before and does not show any more.
    pub vanished: u64,
}

impl Report {
    /// Puts it together.
    pub(super) fn new(
        (provider, day): (&'static str, String),
        (income, spend): (Total, Total),
        judged: &Judged,
        found: Vec<Difference>,
        vanished: u64,
        now_us: i64,
    ) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for difference in &found {
            *counts.entry(difference.kind.clone()).or_default() += 1;
        }
        let listed = judged.listed.iter().map(|((kind, direction, business), total)| Listed {
            kind: word(*kind),
            business: business.clone(),
            direction: if *direction == Direction::In { "in" } else { "out" },
            sum: (*total).into(),
        });
        Self {
            provider,
            day,
            lines: income.count + spend.count,
            income: income.into(),
            spend: spend.into(),
            matched: judged.matched.into(),
            not_yet_due: judged.not_yet_due.into(),
            settled: judged.settled.into(),
            listed: listed.collect(),
            counts,
            differences: found.into_iter().map(|difference| tell(difference, now_us)).collect(),
            vanished,
        }
    }

    /// Whether nothing waits for a person.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.differences.iter().all(|difference| difference.state != "open")
    }
}

const fn word(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Fee => "fee",
        LineKind::TopUp => "top_up",
        LineKind::Payout | LineKind::Return | LineKind::Other => "other",
    }
}

fn tell(difference: Difference, now_us: i64) -> Told {
    Told {
        age_s: (now_us - difference.first_seen_us).max(0) / 1_000_000,
        state: if difference.resolution.is_empty() { "open" } else { "noted" },
        id: difference.id,
        kind: difference.kind,
        number: difference.number,
        provider_number: difference.provider_number,
        withdrawal_id: difference.withdrawal_id,
        ours_minor: difference.ours_minor,
        theirs_minor: difference.theirs_minor,
        evidence: difference.evidence,
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8} {:>18}", self.count, format_fixed(self.amount_minor))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.provider, self.day)?;
        for (what, sum) in [
            ("bill: went out", &self.spend),
            ("bill: came in", &self.income),
            ("ledger: left", &self.settled),
            ("matched", &self.matched),
            ("not yet due", &self.not_yet_due),
        ] {
            writeln!(f, "  {what:<16} {sum}")?;
        }
        for Listed { kind, business, direction, sum } in &self.listed {
            writeln!(f, "  {:<16} {sum}  {business}", format!("{kind} {direction}"))?;
        }
        for Told { id, kind, number, age_s, state, evidence, .. } in &self.differences {
            writeln!(f, "{state:<5} {kind} {number} (case {id}, {age_s} s old)")?;
            writeln!(f, "      {evidence}")?;
        }
        if self.vanished > 0 {
            writeln!(f, "{} difference(s) found before are gone", self.vanished)?;
        }
        let open = self.differences.iter().filter(|told| told.state == "open").count();
        if open == 0 { writeln!(f, "clean") } else { writeln!(f, "{open} DIFFERENCES") }
    }
}
