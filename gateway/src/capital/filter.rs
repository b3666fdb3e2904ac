//! What a statement is asked for: a page, a direction, a day or month.

use cashout_common::local::Zone;
use cashout_proto::Failure;
use cashout_proto::account::v1::{Direction, StatementFilter};

use crate::http::{Call, malformed};
use crate::upstream::account_of;

/// Rows of a page unless asked otherwise.
pub(super) const PAGE_SIZE: i64 = 10;
/// The largest page.
const PAGE_SIZE_MAX: i64 = 500;

/// What was asked for.
pub(super) struct Asked {
    pub(super) page: i64,
    pub(super) page_size: i64,
    pub(super) filter: StatementFilter,
}

/// Reads the four parameters; an absent or empty one means no restriction.
pub(super) fn read(call: &Call) -> Result<Asked, Failure> {
    let query = &call.query;
    let direction = match query.filled("trade_type")? {
        None => Direction::Unspecified,
        Some("income") => Direction::Income,
        Some("expend") => Direction::Expend,
        Some(_) => return Err(malformed("trade_type must be income or expend")),
    };
    let (from_us, until_us) = match query.filled("date_time")? {
        None => (0, 0),
        Some(text) => {
            let bounds = day_or_month(&call.app.zone, text);
            bounds
                .ok_or_else(|| malformed("date_time must be a day like 2021-03-15, from 1970 on"))?
        }
    };
    Ok(Asked {
        page: query.number("page[cur_page]", 1..=i64::from(i32::MAX))?.unwrap_or(1),
        page_size: query.number("page[page_size]", 1..=PAGE_SIZE_MAX)?.unwrap_or(PAGE_SIZE),
        filter: StatementFilter {
            account: Some(account_of(call.who.user_id)),
            direction: direction.into(),
            moves_available: true,
            from_us,
            until_us,
            ..StatementFilter::default()
        },
    })
}

/// From when until before when a local day or month lasts, in times that services know: none of
/// them is before 1970 in UTC.
fn day_or_month(zone: &Zone, text: &str) -> Option<(i64, i64)> {
    // Only what is shaped like a date gets this far, so the texts compare as the dates do.
    let (from_us, until_us) = zone.day_or_month(text).filter(|_| text >= "1970")?;
    Some((from_us.max(0), until_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_with_1970() -> Result<(), String> {
        let shanghai = Zone::named("Asia/Shanghai")?;
        let day_us = 86_400_000_000;
        for (text, expected) in [
            ("1970-01-02", Some((day_us / 3 * 2, day_us / 3 * 5))),
            // Begins before 1970 in UTC.
            ("1970-01-01", Some((0, day_us / 3 * 2))),
            ("1969-12-31", None),
            ("1969-12", None),
            ("0001-01-01", None),
        ] {
            assert_eq!(day_or_month(&shanghai, text), expected, "{text}");
        }
        // Where local time is behind, the last local day of 1969 ends in 1970.
        assert_eq!(day_or_month(&Zone::named("America/New_York")?, "1969-12-31"), None);
        Ok(())
    }
}
