//! Local time as the documents show it. The zone is a setting and its rules are built in, so nothing
//! depends on the host's time zone files.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// A time zone, `Asia/Shanghai` unless set otherwise.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that IANA name.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn named(name: &str) -> Result<Self, String> {
        // The fixed tables are compiled in; the host's are never asked.
        let known = jiff::tz::TimeZoneDatabase::bundled().get(name);
        known.map(Self).map_err(|_| format!("no time zone is called {name:?}"))
    }

    /// The local time of `us`.
    #[must_use]
    pub fn at(&self, us: i64) -> Zoned {
        Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.0.clone())
    }

    /// `2018-08-10 17:53:58`.
    #[must_use]
    pub fn datetime(&self, us: i64) -> String {
        self.at(us).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `2019-11-22T11:07:32+08:00`.
    #[must_use]
    pub fn rfc3339(&self, us: i64) -> String {
        self.at(us).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// `20191122`.
    #[must_use]
    pub fn compact_date(&self, us: i64) -> String {
        self.at(us).strftime("%Y%m%d").to_string()
    }

    /// `20200303232640`.
    #[must_use]
    pub fn compact_datetime(&self, us: i64) -> String {
        self.at(us).strftime("%Y%m%d%H%M%S").to_string()
    }

    /// When the local day of `us` began.
    #[must_use]
    pub fn day_start_us(&self, us: i64) -> i64 {
        self.start_us(self.at(us).date())
    }

    /// From when until before when a local day `2021-03-15` or month `2021-03` lasts; `None` when the
    /// text is neither.
    #[must_use]
    pub fn day_or_month(&self, text: &str) -> Option<(i64, i64)> {
        let shape = |s: &str, len: usize| s.len() == len && s.is_ascii();
        let digits = |s: &str| {
            s.bytes()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
        };
        let (first, next) = if shape(text, 10) && digits(text) {
            let day: Date = text.parse().ok()?;
            (day, day.checked_add(1.day()).ok()?)
        } else if shape(text, 7) && digits(text) {
            let day: Date = format!("{text}-01").parse().ok()?;
            (day, day.checked_add(1.month()).ok()?)
        } else {
            return None;
        };
        Some((self.start_us(first), self.start_us(next)))
    }

    /// The moment of a local `date` and time of day.
    #[must_use]
    pub fn moment_us(&self, at: jiff::civil::DateTime) -> Option<i64> {
        at.to_zoned(self.0.clone()).ok().map(|z| z.timestamp().as_microsecond())
    }

    fn start_us(&self, day: Date) -> i64 {
        self.moment_us(day.at(0, 0, 0, 0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_moments_read_as_documented() -> Result<(), String> {
        let zone = Zone::named("Asia/Shanghai")?;
        assert_eq!(zone.datetime(1_533_894_838_000_000), "2018-08-10 17:53:58");
        assert_eq!(zone.datetime(1_583_249_200_000_000), "2020-03-03 23:26:40");
        assert_eq!(zone.rfc3339(1_574_392_052_000_000), "2019-11-22T11:07:32+08:00");
        Ok(())
    }

    #[test]
    fn a_day_and_a_month_have_their_bounds() -> Result<(), String> {
        let zone = Zone::named("Asia/Shanghai")?;
        let day = zone.day_or_month("2020-03-03");
        assert_eq!(day, Some((1_583_164_800_000_000, 1_583_251_200_000_000)));
        let (from, until) = zone.day_or_month("2020-02").unwrap_or_default();
        assert_eq!((until - from) / 86_400_000_000, 29);
        for bad in [
            "2020",
            "2020-13",
            "2020-02-30",
            "2020-2-3",
            "20200303",
            "2020-03-03T00",
            "２０２０-03",
        ] {
            assert_eq!(zone.day_or_month(bad), None, "{bad}");
        }
        Ok(())
    }
}
