//! What is asked for, one operation at a time, and the mixes of a load. Must not know: whom it is asked of.

use rand::Rng;

use super::BATCH;

/// One operation, as a caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A unary credit.
    Credit,
    /// A unary transfer between two persons.
    Between,
    /// A hold, and when it is answered its settlement; both together are one operation.
    HoldAndSettle,
    /// A hold, and when it is answered its release; both together are one operation.
    HoldAndRelease,
    /// A batch of 1,000 independent credits; every credit is an operation.
    Batch,
    /// A balance, and when it is answered the first page of the statement; together one operation.
    Read,
}

/// What one caller does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The same.
    Only(Step),
    /// The mix of a day.
    Day,
    /// Every second caller credits, every other one reads; what is read is counted apart.
    ReadsBesideWrites,
}

/// The mix of a day, in parts of a hundred: mostly income, some of it passed on or cashed out, and
/// people who look at what they have.
const DAY: &[(u32, Step)] = &[
    (55, Step::Credit),
    (15, Step::Between),
    (15, Step::HoldAndSettle),
    (5, Step::HoldAndRelease),
    (10, Step::Read),
];

impl Step {
    /// Operations that one answered call of it carries out.
    pub fn counts(self) -> u64 {
        if self == Self::Batch { BATCH } else { 1 }
    }

    /// What it adds to the money of all accounts together, in amounts of one movement.
    pub fn brings(self) -> i64 {
        match self {
            Self::Credit => 1,
            Self::Batch => i64::try_from(BATCH).unwrap_or(i64::MAX),
            Self::HoldAndSettle => -1,
            Self::Between | Self::HoldAndRelease | Self::Read => 0,
        }
    }
}

impl Act {
    /// The next operation of the caller of that number.
    pub fn step(self, caller: u64, rng: &mut impl Rng) -> Step {
        match self {
            Self::Only(step) => step,
            Self::Day => of_a_day(rng),
            Self::ReadsBesideWrites if caller.is_multiple_of(2) => Step::Credit,
            Self::ReadsBesideWrites => Step::Read,
        }
    }

    /// Whether an operation is counted apart from the others.
    pub fn apart(self, step: Step) -> bool {
        self == Self::ReadsBesideWrites && step == Step::Read
    }

    /// Whether people need money before it begins.
    pub fn needs_funds(self) -> bool {
        let needs =
            |step| matches!(step, Step::Between | Step::HoldAndSettle | Step::HoldAndRelease);
        match self {
            Self::Only(step) => needs(step),
            Self::Day => DAY.iter().any(|(_, step)| needs(*step)),
            Self::ReadsBesideWrites => false,
        }
    }
}

fn of_a_day(rng: &mut impl Rng) -> Step {
    let mut at = rng.random_range(0..DAY.iter().map(|(parts, _)| parts).sum());
    for (parts, step) in DAY {
        if at < *parts {
            return *step;
        }
        at -= parts;
    }
    Step::Credit
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_day_is_mixed_as_the_table_says() {
        let mut rng = StdRng::seed_from_u64(1);
        let steps: Vec<Step> = (0..10_000).map(|_| Act::Day.step(0, &mut rng)).collect();
        assert_eq!(DAY.iter().map(|(parts, _)| parts).sum::<u32>(), 100);
        for (parts, step) in DAY {
            let found = steps.iter().filter(|s| *s == step).count();
            let expected = usize::try_from(*parts).unwrap_or_default() * 100;
            assert!(found.abs_diff(expected) < 200, "{step:?}: {found} of {expected}");
        }
    }

    #[test]
    fn half_of_the_callers_read_beside_writes() {
        let mut rng = StdRng::seed_from_u64(1);
        let act = Act::ReadsBesideWrites;
        let steps: Vec<Step> = (0..4).map(|caller| act.step(caller, &mut rng)).collect();
        assert_eq!(steps, [Step::Credit, Step::Read, Step::Credit, Step::Read]);
        assert!(act.apart(Step::Read) && !act.apart(Step::Credit) && !Act::Day.apart(Step::Read));
    }

    #[test]
    fn an_operation_adds_to_the_money_what_it_must() {
        for (step, brings) in [
            (Step::Credit, 1),
            (Step::Batch, 1000),
            (Step::Between, 0),
            (Step::HoldAndSettle, -1),
            (Step::HoldAndRelease, 0),
            (Step::Read, 0),
        ] {
            assert_eq!(step.brings(), brings);
        }
    }
}
