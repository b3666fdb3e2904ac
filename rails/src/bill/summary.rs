//! The summary beside the statements in Alipay's zip: a line for each kind of business and one for all of
//! them. It knows of the whole day, so it tells when one of several statements is missing.
//!
//! Must not know: single bookings.

use super::alipay::fields;
use super::amount::{count, yuan};
use super::{Fault, Total, column_name, columns};

const COLUMNS: [&str; 5] = ["类型", "收入笔数", "收入金额(+元)", "支出笔数", "支出金额(-元)"];
/// The line for all kinds.
const ALL: &str = "合计";

/// What came in and what went out.
pub(super) type Sums = (Total, Total);

/// Whether a file that begins with this line is a summary.
pub(super) fn begins_with(header: &str) -> bool {
    header.split(',').next().is_some_and(|name| column_name(name) == COLUMNS[0])
}

/// What a summary says of the whole day.
///
/// # Errors
/// When it is not understood, or its last line is not the sum of the others: who reads a bill goes by the
/// statements alone then.
pub(super) fn read(text: &str) -> Result<Sums, Fault> {
    let mut header: Option<(usize, [usize; 5])> = None;
    let (mut sums, mut all) = (Sums::default(), None);
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if all.is_some() {
            return Err(Fault::at(at, "a line after the totals"));
        }
        let fields = fields(line, at)?;
        let Some((expected, places)) = header else {
            let names: Vec<String> = fields.iter().map(|field| column_name(field)).collect();
            header = Some((names.len(), columns(&names, COLUMNS, at)?));
            continue;
        };
        if fields.len() != expected {
            return Err(Fault::at(at, "not as many fields as there are columns"));
        }
        let told = places.map(|place| fields.get(place).map_or("", String::as_str));
        let row = row(told).ok_or(Fault::at(at, "totals that are no numbers"))?;
        if told[0].contains(ALL) {
            all = Some((at, row));
        } else {
            sums = added(sums, row).ok_or(Fault::at(at, "totals that are no numbers"))?;
        }
    }
    match all {
        None if sums == Sums::default() => Ok(sums),
        None => Err(Fault::whole("the totals at its end are missing: it is cut off")),
        Some((_, told)) if told == sums => Ok(sums),
        Some((at, _)) => Err(Fault::at(at, "the totals are not those of the lines")),
    }
}

fn row([_, came, income, went, spend]: [&str; 5]) -> Option<Sums> {
    let total = |number: &str, sum: &str, sign| {
        let sum = sum.strip_prefix(sign).unwrap_or(sum);
        let (number, sum) = (or_zero(number, "0"), or_zero(sum, "0.00"));
        Some(Total { count: count(number)?, amount_minor: yuan(sum)? })
    };
    Some((total(came, income, '+')?, total(went, spend, '-')?))
}

/// An empty cell says nothing came or went.
fn or_zero<'t>(told: &'t str, zero: &'t str) -> &'t str {
    if told.is_empty() { zero } else { told }
}

fn added((income, spend): Sums, (came, went): Sums) -> Option<Sums> {
    let sum = |a: Total, b: Total| {
        let amount_minor = a.amount_minor.checked_add(b.amount_minor)?;
        Some(Total { count: a.count.checked_add(b.count)?, amount_minor })
    };
    Some((sum(income, came)?, sum(spend, went)?))
}
