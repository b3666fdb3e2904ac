//! What a statement is asked for: a page, a direction, a day or month.

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
            let bounds = call.app.zone.day_or_month(text);
            bounds.ok_or_else(|| malformed("date_time must be a day like 2021-03-15"))?
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
