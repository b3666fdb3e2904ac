//! Guarantee G12: the two services agree. Every cash-out has the hold that its status implies, and
//! no hold of the ledger's cash-outs is without its cash-out.
//!
//! The two databases cannot be read at one moment, so the cash-outs are read before and after the
//! holds, and only what did not change in between is judged. Must not know: SQL, or how the two
//! databases are read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cashout_common::report::Check;

/// What a cash-out's status implies about its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implied {
    /// Nothing was placed, or nothing of it is left.
    None,
    /// It holds.
    Open,
    /// It left.
    Settled,
    /// It returned.
    Released,
    /// On its way from one to the next: nothing can be said until it has arrived.
    InFlight,
}

/// What the ledger says about a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Open,
    /// It left.
    Settled,
    /// It returned.
    Released,
}

/// A hold as one side knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side<S> {
    /// Whose money it is.
    pub user_id: i64,
    /// How much, minor units.
    pub amount_minor: i64,
    /// How it stands.
    pub state: S,
}

/// Holds by key, as one side knows them.
pub type Holds<S> = BTreeMap<String, Side<S>>;

/// What comparisons found.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    /// Keys looked at.
    pub rows: u64,
    /// Keys on which the sides do not agree, and how.
    pub suspects: BTreeMap<String, String>,
    took: Duration,
}

/// Compares what the cash-outs imply, read `before` and `after` the holds, with the holds `found`.
#[must_use]
pub fn agreement(
    before: &Holds<Implied>,
    found: &Holds<Standing>,
    after: &Holds<Implied>,
) -> Agreement {
    let keys: BTreeSet<&String> = before.keys().chain(found.keys()).collect();
    let mut suspects = BTreeMap::new();
    for key in &keys {
        let hold = found.get(*key);
        let wrong = match (before.get(*key), after.get(*key)) {
            (Some(first), Some(then)) if first == then => disagreement(then, hold),
            // It moved on while we looked; the next look judges it.
            (_, Some(_)) => None,
            (Some(_), None) => Some("the cash-out vanished".to_owned()),
            (None, None) => Some("a hold without a cash-out".to_owned()),
        };
        if let Some(wrong) = wrong {
            suspects.insert((*key).clone(), wrong);
        }
    }
    let rows = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    Agreement { rows, suspects, took: Duration::ZERO }
}

/// How a cash-out and its hold contradict each other.
fn disagreement(expected: &Side<Implied>, hold: Option<&Side<Standing>>) -> Option<String> {
    use Standing::{Open, Released, Settled};
    let Some(hold) = hold else {
        let fine = matches!(expected.state, Implied::None | Implied::InFlight);
        return (!fine).then(|| format!("{:?}, and there is no hold", expected.state));
    };
    let fits = match expected.state {
        // A request that was given up may have found its hold placed after all, and released it.
        Implied::None => hold.state == Released,
        Implied::Open => hold.state == Open,
        Implied::Settled => hold.state == Settled,
        Implied::Released => hold.state == Released,
        Implied::InFlight => true,
    };
    if !fits {
        return Some(format!("{:?}, and the hold is {:?}", expected.state, hold.state));
    }
    if (expected.user_id, expected.amount_minor) != (hold.user_id, hold.amount_minor) {
        return Some("the hold is another person's or of another amount".to_owned());
    }
    None
}

impl Agreement {
    /// Adds what another comparison found.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.suspects.extend(other.suspects);
    }

    /// Only what another look at it found too, and how it found it.
    #[must_use]
    pub fn confirmed_by(self, mut again: Self) -> Self {
        again.suspects.retain(|key, _| self.suspects.contains_key(key));
        Self { suspects: again.suspects, ..self }
    }

    /// The same, with how long it took in all.
    #[must_use]
    pub fn taking(self, took: Duration) -> Self {
        Self { took, ..self }
    }

    /// The line of the report.
    #[must_use]
    pub fn check(&self) -> Check {
        let examples = self.suspects.iter().take(5);
        Check {
            id: "G12",
            promise: "the two services agree: cash-outs and holds match",
            rows: self.rows,
            violations: u64::try_from(self.suspects.len()).unwrap_or(u64::MAX),
            examples: examples.map(|(key, wrong)| format!("{key}: {wrong}")).collect(),
            ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one<S>(state: S) -> Holds<S> {
        Holds::from([("cash:1".to_owned(), Side { user_id: 7, amount_minor: 100, state })])
    }

    fn none_found() -> Holds<Standing> {
        Holds::new()
    }

    fn wrong(before: &Holds<Implied>, found: &Holds<Standing>, after: &Holds<Implied>) -> bool {
        !agreement(before, found, after).suspects.is_empty()
    }

    #[test]
    fn each_status_allows_what_it_implies_and_nothing_else() {
        use Implied as I;
        use Standing as S;
        let all = [None, Some(S::Open), Some(S::Settled), Some(S::Released)];
        for (implied, allowed) in [
            (I::None, vec![None, Some(S::Released)]),
            (I::Open, vec![Some(S::Open)]),
            (I::Settled, vec![Some(S::Settled)]),
            (I::Released, vec![Some(S::Released)]),
            (I::InFlight, all.to_vec()),
        ] {
            for standing in all {
                let found = standing.map(one).unwrap_or_default();
                let fits = !wrong(&one(implied), &found, &one(implied));
                assert_eq!(fits, allowed.contains(&standing), "{implied:?} {standing:?}");
            }
        }
    }

    #[test]
    fn orphans_vanished_and_changed_holds_are_found_and_what_moves_is_let_be() {
        let none = Holds::new();
        assert!(wrong(&none, &one(Standing::Open), &none));
        assert!(wrong(&one(Implied::Open), &one(Standing::Open), &none));
        assert!(!wrong(&none, &one(Standing::Open), &one(Implied::InFlight)));
        assert!(!wrong(&one(Implied::Open), &one(Standing::Settled), &one(Implied::Settled)));
        let mut other = one(Standing::Open);
        other.values_mut().for_each(|hold| hold.amount_minor = 99);
        assert!(wrong(&one(Implied::Open), &other, &one(Implied::Open)));
        let mut told = agreement(&none, &one(Standing::Open), &none);
        told.add(agreement(&one(Implied::Open), &one(Standing::Open), &one(Implied::Open)));
        let check = told.clone().taking(Duration::from_millis(2)).check();
        assert_eq!((check.rows, check.violations, check.ms), (2, 1, 2));
        assert_eq!(check.examples, ["cash:1: a hold without a cash-out"]);
        let arrived = agreement(&one(Implied::Open), &one(Standing::Open), &one(Implied::Open));
        assert_eq!(told.clone().confirmed_by(arrived).check().violations, 0, "it was under way");
        let again = agreement(&one(Implied::Open), &none_found(), &one(Implied::Open));
        let check = told.confirmed_by(again.clone()).check();
        assert_eq!((check.rows, check.violations), (2, 1));
        assert_eq!(check.examples, ["cash:1: Open, and there is no hold"]);
        let fine = Agreement::default().confirmed_by(again);
        assert_eq!(fine.check().violations, 0, "it moved only then");
    }
}
