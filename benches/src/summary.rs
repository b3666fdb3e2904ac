//! Medians over rounds, ratios within them, how sure they are, and how people write them. Integers only: a ratio is kept in
//! thousandths.
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

/// The values that the true middle lies between in at least 95 of 100 cases, whatever the values scatter like: how many
/// of n are below it is as random as tossed coins, whose count is within the root of n of its mean so often. Of fewer
/// than six not even the outermost two are.
fn around_the_middle(sorted: &[u64]) -> Option<(u64, u64)> {
    const FEWEST: usize = 6;
    let last = sorted.len().checked_sub(1).filter(|last| last + 1 >= FEWEST)?;
    let from = (last / 2).saturating_sub(last.isqrt() + 1);
    Some((*sorted.get(from)?, *sorted.get(last - from)?))
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
    /// From where to where the median of ever more rounds of the same processes would lie, in at least 95 of 100 cases;
    /// nothing for fewer rounds than can tell.
    pub between_95: Option<(u64, u64)>,
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
        let mut ratios = ratios?;
        ratios.sort_unstable();
        let (least, most) = (*ratios.first()?, *ratios.last()?);
        let between_95 = around_the_middle(&ratios);
        Some(Ratio { least, median: median(ratios), most, between_95 })
    }
}

/// The median of a ratio as people write it.
pub fn shown(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |r| hundredths(r.median / 10))
}

/// The same, with the smallest and the largest.
pub fn spread(ratio: Option<Ratio>) -> String {
    let Some(Ratio { least, median, most, .. }) = ratio else { return "–".to_owned() };
    let [least, median, most] = [least, median, most].map(|ratio| hundredths(ratio / 10));
    format!("**{median}** ({least} – {most})")
}

/// The median in thousandths, with what the true one lies between.
pub fn within_95(ratio: Option<Ratio>) -> String {
    let Some(Ratio { median, between_95, .. }) = ratio else { return "–".to_owned() };
    let median = thousandths(median);
    match between_95.map(|(from, to)| (thousandths(from), thousandths(to))) {
        Some((from, to)) => format!("**{median}** ({from} – {to})"),
        None => format!("**{median}** (too few rounds)"),
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
    fn the_true_middle_is_nearer_the_more_rounds_there_were() {
        let cases = [
            (0, None),
            (5, None),
            (6, Some((0, 5))),
            (7, Some((0, 6))),
            (15, Some((3, 11))),
            (39, Some((12, 26))),
            (99, Some((39, 59))),
        ];
        for (rounds, between) in cases {
            let values: Vec<u64> = (0..rounds).collect();
            assert_eq!(around_the_middle(&values), between, "{rounds}");
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
