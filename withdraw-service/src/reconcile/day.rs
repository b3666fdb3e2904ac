//! Days of bills: the providers' are those of China, whatever zone people are shown.

use jiff::civil::Date;
use rails::bill::{Bill, china_us};

const DAY_US: i64 = 86_400_000_000;
const SECOND_US: i64 = 1_000_000;
const CHINA_AHEAD_US: i64 = 8 * 3_600_000_000;

/// One day of bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// When it begins, UTC microseconds.
    pub from_us: i64,
}

impl Day {
    /// `2020-03-03`.
    ///
    /// # Errors
    /// The rule, when it is none.
    pub fn read(text: &str) -> Result<Self, String> {
        let from_us = china_us(&format!("{text} 00:00:00"));
        from_us.map(|from_us| Self { from_us }).ok_or("must be a day like 2020-03-03".to_owned())
    }

    /// The day a moment is in.
    #[must_use]
    pub const fn of(us: i64) -> Self {
        let china = us + CHINA_AHEAD_US;
        Self { from_us: china - china.rem_euclid(DAY_US) - CHINA_AHEAD_US }
    }

    /// When the next one begins.
    #[must_use]
    pub const fn until_us(self) -> i64 {
        self.from_us + DAY_US
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { from_us: self.until_us() }
    }

    /// Whether a moment is in it.
    #[must_use]
    pub const fn holds(self, us: i64) -> bool {
        self.from_us <= us && us < self.until_us()
    }

    /// `2020-03-03`.
    #[must_use]
    pub fn name(self) -> String {
        let days = (self.from_us + CHINA_AHEAD_US).div_euclid(DAY_US);
        let days = jiff::Span::new().try_days(days).ok();
        let day = days.and_then(|days| Date::constant(1970, 1, 1).checked_add(days).ok());
        day.map_or_else(String::new, |day| day.to_string())
    }

    /// The day a bill is of: as asked for, as its head says, as its lines say. They must agree.
    ///
    /// # Errors
    /// Which line, or what else, is of another day.
    pub fn of_bill(bill: &Bill, asked: Option<Self>) -> Result<Self, String> {
        let said = bill.period_us.map(|(from, _)| Self { from_us: from });
        let first = bill.lines.first().map(|line| Self::of(line.at_us));
        let day = asked.or(said).or(first);
        let day = day.ok_or("the bill does not say its day: say it with --date")?;
        if let Some((from, until)) = bill.period_us {
            let whole = until == day.until_us() || until == day.until_us() - SECOND_US;
            if from != day.from_us || !whole {
                return Err(format!("the bill is not of the day {}", day.name()));
            }
        }
        match bill.lines.iter().find(|line| !day.holds(line.at_us)) {
            None => Ok(day),
            Some(line) => {
                Err(format!("line {} of the bill is not of the day {}", line.row, day.name()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_china() -> Result<(), String> {
        let day = Day::read("2020-03-03")?;
        assert_eq!(day.from_us, 1_583_164_800_000_000);
        assert_eq!((day.name(), day.next().name()), ("2020-03-03".into(), "2020-03-04".into()));
        for (us, name) in [
            (day.from_us, "2020-03-03"),
            (day.from_us - 1, "2020-03-02"),
            (day.until_us() - 1, "2020-03-03"),
            (day.until_us(), "2020-03-04"),
            (0, "1970-01-01"),
        ] {
            assert_eq!(Day::of(us).name(), name);
        }
        for wrong in ["", "2020-3-3", "2020-02-30", "20200303", "2020-03-03 "] {
            assert!(Day::read(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }
}
