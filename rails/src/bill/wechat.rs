//! WeChat Pay's fund flow of one account and day (notes 2.8): CSV in UTF-8, often as gzip; every data
//! field opens with a back-tick, the last two lines are totals. Amounts are yuan here, fen in its API.
//!
//! The bill does not say whose it is.

use super::amount::{count, yuan};
use super::moment::china_us;
use super::unpack::gzip;
use super::{Bill, Direction, Fault, Line, Total, column_name, columns, kept, kind_of};

const COLUMNS: [&str; 8] = [
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "业务类型",
    "收支类型",
    "收支金额(元)",
    "业务凭证号",
];
const TOTALS: [&str; 5] = ["资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"];
const MARK: char = '\u{feff}';

/// Reads a fund flow, packed or not.
///
/// # Errors
/// When anything of it is not as published, or its totals are not those of its lines.
pub fn read(packed: &[u8]) -> Result<Bill, Fault> {
    let text = String::from_utf8(gzip(packed)?).map_err(|_| Fault::whole("not UTF-8"))?;
    let text = text.strip_prefix(MARK).unwrap_or(&text);
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty());

    let (at, header) = lines.next().ok_or(Fault::whole("an empty file"))?;
    let header = names(header);
    let places = columns(&header, COLUMNS, at)?;
    let mut bill = Bill::default();
    for (at, line) in lines.by_ref() {
        if !line.starts_with('`') {
            let names = names(line);
            if names.first().is_none_or(|name| name != TOTALS[0]) {
                return Err(Fault::at(at, "a field without its back-tick"));
            }
            let places = columns(&names, TOTALS, at)?;
            let (at, line) = lines.next().ok_or(CUT_OFF)?;
            check(&bill, &fields(line, names.len(), at)?, places, at)?;
            return match lines.next() {
                None => Ok(bill),
                Some((at, _)) => Err(Fault::at(at, "something follows the totals")),
            };
        }
        bill.add(booking(&fields(line, header.len(), at)?, places, at)?)?;
    }
    Err(CUT_OFF)
}

const CUT_OFF: Fault = Fault::whole("the totals at its end are missing: it is cut off");

fn names(line: &str) -> Vec<String> {
    line.split(',').map(|name| column_name(name.trim_start_matches('`'))).collect()
}

/// The fields of a data line: each opens with a back-tick, so a comma inside one divides nothing.
fn fields(line: &str, expected: usize, at: usize) -> Result<Vec<&str>, Fault> {
    let inside = line.strip_prefix('`').ok_or(Fault::at(at, "a field without its back-tick"))?;
    let fields: Vec<&str> = inside.split(",`").collect();
    if fields.len() == expected {
        Ok(fields)
    } else {
        Err(Fault::at(at, "not as many fields as there are columns"))
    }
}

fn booking(fields: &[&str], places: [usize; 8], at: usize) -> Result<Line, Fault> {
    // Every place is one of the header, and there are as many fields as names in it.
    let [time, provider_number, flow_number, name, business, direction, amount, number] =
        places.map(|place| fields.get(place).map_or("", |field| field.trim()));
    let direction = match direction {
        "收入" => Direction::In,
        "支出" => Direction::Out,
        _ => return Err(Fault::at(at, "neither income nor spend")),
    };
    let words = if name == business { name.to_owned() } else { format!("{name} {business}") };
    let business = kept(&words, at)?;
    Ok(Line {
        row: at,
        number: kept(number, at)?,
        provider_number: kept(provider_number, at)?,
        flow_number: kept(flow_number, at)?,
        kind: kind_of(&business, direction),
        business,
        direction,
        amount_minor: yuan(amount).ok_or(Fault::at(at, "not an amount with two decimals"))?,
        at_us: china_us(time).ok_or(Fault::at(at, "not a time like 2018-02-01 04:21:23"))?,
    })
}

fn check(bill: &Bill, fields: &[&str], places: [usize; 5], at: usize) -> Result<(), Fault> {
    let [all, income, income_sum, spend, spend_sum] =
        places.map(|place| fields.get(place).map_or("", |field| field.trim()));
    let wrong = || Fault::at(at, "totals that are no numbers");
    let total = |number: &str, sum: &str| {
        let count = count(number).ok_or_else(wrong)?;
        Ok::<_, Fault>(Total { count, amount_minor: yuan(sum).ok_or_else(wrong)? })
    };
    let (income, spend) = (total(income, income_sum)?, total(spend, spend_sum)?);
    let all = count(all).ok_or_else(wrong)?;
    if (income, spend) == (bill.income, bill.spend) && all == bill.lines.len() as u64 {
        Ok(())
    } else {
        Err(Fault::at(at, "the totals are not those of the lines"))
    }
}
