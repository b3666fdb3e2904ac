//! Which accounts the load falls on. Integers only, so that a seed means the same everywhere.

use std::sync::Arc;

use rand::Rng;

/// A choice of accounts; people are numbered from 1.
#[derive(Debug, Clone)]
pub enum Population {
    /// Each of so many alike.
    Uniform(i64),
    /// Always the first.
    One,
    /// The k-th of so many as often as 1/k: running sums of weights.
    Zipf(Arc<[u64]>),
}

impl Population {
    /// Zipf's law with exponent 1.
    pub fn zipf(people: u64) -> Self {
        let mut sum = 0;
        let sums = (1..=people).map(|rank| {
            sum += (1 << 40) / rank;
            sum
        });
        Self::Zipf(sums.collect())
    }

    /// How many people there are.
    pub fn people(&self) -> i64 {
        match self {
            Self::Uniform(people) => *people,
            Self::One => 1,
            Self::Zipf(sums) => i64::try_from(sums.len()).unwrap_or(i64::MAX),
        }
    }

    /// One of them.
    pub fn pick(&self, rng: &mut impl Rng) -> i64 {
        match self {
            Self::Uniform(people) => rng.random_range(1..=*people),
            Self::One => 1,
            Self::Zipf(sums) => {
                let total = sums.last().copied().unwrap_or(1);
                let at = rng.random_range(0..total);
                let rank = sums.partition_point(|sum| *sum <= at);
                i64::try_from(rank + 1).unwrap_or(1)
            }
        }
    }

    /// Two different ones; with only one person, twice the same.
    pub fn pair(&self, rng: &mut impl Rng) -> (i64, i64) {
        let first = self.pick(rng);
        let second = self.pick(rng);
        // The neighbour instead of another try: no loop that a population of one would never leave.
        let other = if second == first { first % self.people() + 1 } else { second };
        (first, other)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_second_is_asked_for_half_as_often_as_the_first() {
        let population = Population::zipf(1000);
        let mut rng = StdRng::seed_from_u64(1);
        let mut asked = [0_u32; 1001];
        for _ in 0..100_000 {
            asked[usize::try_from(population.pick(&mut rng)).unwrap_or_default()] += 1;
        }
        assert_eq!(asked[0], 0);
        // H(1000) is about 7.49, so the first is asked for 13,360 times.
        for (rank, expected) in [(1, 13_360), (2, 6_680), (10, 1_336)] {
            assert!(asked[rank].abs_diff(expected) < expected / 10, "{rank}: {}", asked[rank]);
        }
    }

    #[test]
    fn a_pair_is_two_people() {
        let mut rng = StdRng::seed_from_u64(1);
        for population in [Population::Uniform(2), Population::zipf(3)] {
            for _ in 0..1000 {
                let (from, to) = population.pair(&mut rng);
                assert_ne!(from, to);
                assert!((1..=population.people()).contains(&to));
            }
        }
    }
}
