//! Medians over rounds, and ratios within them. Integers only: a ratio is kept in thousandths.
//!
//! Two servers are divided round by round, and the median of these ratios is told: what slows a round
//! down slows both, so it falls out.

use crate::comparison::{Comparison, Subject};
use crate::measure::Round;
use crate::target::Target;

/// The middle one; of an even number the lower of the two.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

impl Subject {
    /// The median of a figure over the rounds.
    pub fn median(&self, of: fn(&Round) -> u64) -> u64 {
        median(self.rounds.iter().map(of).collect())
    }
}

/// A ratio over several rounds, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// The smallest of any round.
    pub least: u64,
    /// The median.
    pub median: u64,
    /// The largest.
    pub most: u64,
}

impl Comparison {
    /// The faster of the raw writers, if they were measured.
    pub fn raw(&self) -> Option<Target> {
        let raw = |s: &&Subject| matches!(s.target, Target::RawOne | Target::RawTwo);
        let subjects = self.subjects.iter().filter(raw);
        subjects.max_by_key(|s| s.median(|r| r.per_second)).map(|s| s.target)
    }

    /// How a figure of one server relates to that of another, round by round.
    pub fn ratio(&self, of: fn(&Round) -> u64, above: Target, below: Target) -> Option<Ratio> {
        let (above, below) = (self.of(above)?, self.of(below)?);
        let pairs = above.rounds.iter().zip(&below.rounds);
        let ratios: Option<Vec<u64>> =
            pairs.map(|(a, b)| (of(a) * 1000).checked_div(of(b))).collect();
        let ratios = ratios.filter(|ratios| !ratios.is_empty())?;
        let least = ratios.iter().copied().min()?;
        let most = ratios.iter().copied().max()?;
        Some(Ratio { least, median: median(ratios), most })
    }
}

/// A number of hundredths as people write it.
pub fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// A number of thousandths as people write it.
pub fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

/// Microseconds, from 10 ms up as milliseconds.
pub fn time(us: u64) -> String {
    if us < 10_000 { format!("{us} µs") } else { format!("{}.{} ms", us / 1000, us / 100 % 10) }
}

/// Nanoseconds of CPU time as microseconds.
pub fn cpu(ns: u64) -> String {
    format!("{}.{}", ns / 1000, ns / 100 % 10)
}

/// KiB as MiB.
pub fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, middle) in
            [(vec![], 0), (vec![3], 3), (vec![9, 1], 1), (vec![5, 1, 9], 5), (vec![4, 3, 2, 1], 2)]
        {
            assert_eq!(median(values), middle);
        }
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(hundredths(771), "7.71");
        assert_eq!(hundredths(5), "0.05");
        assert_eq!(thousandths(12_034), "12.034");
        assert_eq!(time(9_999), "9999 µs");
        assert_eq!(time(88_260), "88.2 ms");
        assert_eq!(cpu(43_270), "43.2");
        assert_eq!(mib(15_872), "15.5");
    }
}
