//! The verdict: what the withdraw service says became of every withdrawal, beside the simulator's books. Must
//! not know: what went wrong on the way.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::Context;
use cashout_proto::withdraw::v1::{Status, Withdrawal};
use serde_json::Value;

/// What was found.
#[derive(Debug, Default)]
pub struct Judged {
    /// How many ended how.
    pub ended: BTreeMap<&'static str, usize>,
    /// What must never happen.
    pub wrong: Vec<String>,
    /// Payouts in the books.
    pub booked: usize,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers in the simulator's books; withdrawals:", self.booked)?;
        self.ended.iter().try_for_each(|(how, many)| write!(f, " {how} {many}"))?;
        write!(f, "; wrong {}", self.wrong.len())?;
        self.wrong.iter().take(20).try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}

/// One number in the simulator's books.
struct Booked<'a> {
    number: &'a str,
    amount_minor: i64,
    payee: &'a str,
    state: &'a str,
    times_paid: i64,
}

fn booked(row: &Value) -> anyhow::Result<Booked<'_>> {
    let text = |name: &str| row[name].as_str().with_context(|| format!("{name} in {row}"));
    let number = |name: &str| row[name].as_i64().with_context(|| format!("{name} in {row}"));
    Ok(Booked {
        number: text("number")?,
        amount_minor: number("amount_minor")?,
        payee: text("payee")?,
        state: text("state")?,
        times_paid: number("times_paid")?,
    })
}

/// Compares both sides. A number begins with the cash_sn of its withdrawal.
pub fn judge(withdrawals: &[Withdrawal], books: &[Value]) -> anyhow::Result<Judged> {
    let mut judged = Judged { booked: books.len(), ..Judged::default() };
    let mut by_sn: HashMap<&str, Vec<Booked<'_>>> = HashMap::new();
    for row in books {
        let row = booked(row)?;
        let (cash_sn, _) = row.number.split_once('T').context("a number of ours")?;
        by_sn.entry(cash_sn).or_default().push(row);
    }
    for w in withdrawals {
        let rows = by_sn.remove(w.cash_sn.as_str()).unwrap_or_default();
        let (ended, wrong) = one(w, &rows);
        *judged.ended.entry(ended).or_default() += 1;
        judged.wrong.extend(wrong.map(|wrong| format!("{}: {wrong}", w.payee_id)));
    }
    judged.wrong.extend(by_sn.keys().map(|sn| format!("{sn} was paid for nobody")));
    Ok(judged)
}

/// How one ended, and what is wrong with it.
fn one(w: &Withdrawal, rows: &[Booked<'_>]) -> (&'static str, Option<String>) {
    let paid: i64 = rows.iter().map(|row| row.times_paid).sum();
    let ended = match w.status() {
        Status::Paid => "paid",
        Status::Failed => "failed",
        Status::Unresolved => "cases",
        _ => "unfinished",
    };
    let states: Vec<&str> = rows.iter().map(|row| row.state).collect();
    let wrong = if paid > 1 {
        Some(format!("paid {paid} times"))
    } else if rows.iter().any(|r| r.amount_minor != w.actual_minor || r.payee != w.payee_id) {
        Some("another amount or payee".to_owned())
    } else {
        match ended {
            "paid" if paid != 1 => Some(format!("PAID, and the books say {states:?}")),
            "failed" if paid != 0 => Some(format!("returned, and the books say {states:?}")),
            // Money that was returned may not be on its way either.
            "failed" if states.iter().any(|s| !["failed", "cancelled"].contains(s)) => {
                Some(format!("returned while the books say {states:?}"))
            }
            "unfinished" => Some(format!("still {:?}, the books say {states:?}", w.status())),
            _ => None,
        }
    };
    (ended, wrong)
}
