//! One line of a study: what was found, what was wanted, and whether it is so. Integers only.
//!
//! Must not know: how anything is measured.

use std::fmt;

use serde::Serialize;

use crate::summary::{hundredths, mib, time};

/// A number with its unit, which names it in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Number {
    /// A time, microseconds.
    #[serde(rename = "number_us")]
    Us(u64),
    /// Memory, KiB.
    #[serde(rename = "number_kib")]
    Kib(u64),
    /// How many in a second.
    #[serde(rename = "number_per_second")]
    PerSecond(u64),
    /// One figure as a part of another, per mille; may be more than all of it.
    #[serde(rename = "number_permille")]
    Permille(u64),
    /// One figure over another, in hundredths.
    #[serde(rename = "number_hundredths")]
    Hundredths(u64),
}

impl Number {
    fn plain(self) -> u64 {
        match self {
            Self::Us(n)
            | Self::Kib(n)
            | Self::PerSecond(n)
            | Self::Permille(n)
            | Self::Hundredths(n) => n,
        }
    }

    fn comparable(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Us(us) => f.write_str(&time(us)),
            Self::Kib(kib) => write!(f, "{} MiB", mib(kib)),
            Self::PerSecond(n) => write!(f, "{n} /s"),
            Self::Permille(n) => write!(f, "{}.{} %", n / 10, n % 10),
            Self::Hundredths(n) => write!(f, "× {}", hundredths(n)),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the number is of, in words.
    pub what: String,
    /// The number as people write it, with its unit.
    pub value: String,
    /// The number.
    #[serde(flatten)]
    pub number: Number,
    /// What it should be, in words; empty when nobody said.
    pub goal: String,
    /// Whether it is so; nothing when nobody said what it should be.
    pub met: Option<bool>,
}

impl Finding {
    /// Something that was found, without a goal.
    pub fn new(what: impl Into<String>, number: Number) -> Self {
        let (value, goal) = (number.to_string(), String::new());
        Self { what: what.into(), value, number, goal, met: None }
    }

    /// It should be at most that, in the same unit.
    pub fn at_most(self, most: Number) -> Self {
        let met = self.number.comparable(most) && self.number.plain() <= most.plain();
        Self { goal: format!("≤ {most}"), met: Some(met), ..self }
    }

    /// It should be at least that, in the same unit.
    pub fn at_least(self, least: Number) -> Self {
        let met = self.number.comparable(least) && self.number.plain() >= least.plain();
        Self { goal: format!("≥ {least}"), met: Some(met), ..self }
    }
}

/// One figure as a part of another, per mille; 0 when the other is 0.
pub fn permille(of: u64, all: u64) -> Number {
    Number::Permille(of.saturating_mul(1000).checked_div(all).unwrap_or_default())
}

/// One figure over another, in hundredths; 0 when the other is 0.
pub fn ratio(above: u64, below: u64) -> Number {
    Number::Hundredths(above.saturating_mul(100).checked_div(below).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_up_to_its_border_and_never_by_another_unit() {
        let found = |n| Finding::new("it", Number::Us(n));
        for (finding, met) in [
            (found(5), None),
            (found(5).at_most(Number::Us(5)), Some(true)),
            (found(6).at_most(Number::Us(5)), Some(false)),
            (found(5).at_least(Number::Us(5)), Some(true)),
            (found(4).at_least(Number::Us(5)), Some(false)),
            (found(4).at_most(Number::Kib(5)), Some(false)),
        ] {
            assert_eq!(finding.met, met, "{finding:?}");
        }
    }

    #[test]
    fn the_unit_names_the_number_in_the_json() -> anyhow::Result<()> {
        let finding = Finding::new("rest", Number::Kib(1536)).at_most(Number::Kib(30 * 1024));
        let json = serde_json::to_value(finding)?;
        let expected = serde_json::json!({
            "what": "rest", "value": "1.5 MiB", "number_kib": 1536, "goal": "≤ 30.0 MiB", "met": true,
        });
        assert_eq!(json, expected);
        Ok(())
    }

    #[test]
    fn parts_of_nothing_are_nothing() {
        assert_eq!(permille(3, 4), Number::Permille(750));
        assert_eq!(permille(3, 0), Number::Permille(0));
        assert_eq!(ratio(9, 2).to_string(), "× 4.50");
    }
}
