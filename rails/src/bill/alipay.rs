//! Alipay's account statement of one day, `signcustomer` (notes 1.10): a zip of CSVs in GBK. Those with a
//! booking number in their header are statements, in any number; the summary of all of them has to fit.
//! Lines that open with `#` are remarks.

use encoding_rs::GBK;

use super::amount::{count, yuan};
use super::moment::{china_us, written_out_us};
use super::summary::{self, Sums};
use super::unpack::zip;
use super::{Bill, Direction, Fault, Line, Total, column_name, columns, kept, kind_of};

const COLUMNS: [&str; 7] = [
    "账务流水号",
    "业务流水号",
    "商户订单号",
    "发生时间",
    "收入金额(+元)",
    "支出金额(-元)",
    "业务类型",
];
const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Reads a statement as it is downloaded.
///
/// # Errors
/// When anything of it is not as published, or its totals are not those of its lines.
pub fn read(packed: &[u8]) -> Result<Bill, Fault> {
    let (mut bill, mut told): (Option<Bill>, Option<(usize, Sums)>) = (None, None);
    for (at, file) in zip(packed)?.iter().enumerate() {
        let text = decoded(file).map_err(|fault| fault.in_file(at + 1))?;
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let header = lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        if header.contains(COLUMNS[0]) {
            let read = statement(&text).map_err(|fault| fault.in_file(at + 1))?;
            bill = Some(match bill.take() {
                None => read,
                Some(before) => joined(before, read).map_err(|fault| fault.in_file(at + 1))?,
            });
        } else if summary::begins_with(header)
            // Its form is known from readers of others only: one that is not understood is not there.
            && let Ok(read) = summary::read(&text)
            && told.replace((at + 1, read)).is_some()
        {
            return Err(Fault::whole("a second summary").in_file(at + 1));
        }
    }
    let bill = bill.ok_or(Fault::whole("none of its files is a statement"))?;
    match told {
        Some((file, sums)) if sums != (bill.income, bill.spend) => {
            Err(Fault::whole("the summary is not that of the statements").in_file(file))
        }
        _ => Ok(bill),
    }
}

fn decoded(bytes: &[u8]) -> Result<String, Fault> {
    if let Some(rest) = bytes.strip_prefix(MARK) {
        return String::from_utf8(rest.to_vec()).map_err(|_| Fault::whole("not UTF-8"));
    }
    let text = GBK.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(std::borrow::Cow::into_owned).ok_or(Fault::whole("not GBK"))
}

/// A long day comes in several files.
fn joined(mut bill: Bill, more: Bill) -> Result<Bill, Fault> {
    if bill.account != more.account || bill.period_us != more.period_us {
        return Err(Fault::whole("its files are of two accounts or days"));
    }
    for line in more.lines {
        bill.add(line)?;
    }
    Ok(bill)
}

/// One CSV with its remarks.
fn statement(text: &str) -> Result<Bill, Fault> {
    let mut bill = Bill::default();
    let mut header: Option<(usize, [usize; 7])> = None;
    let (mut income, mut spend) = (None, None);
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if let Some(remark) = line.strip_prefix('#') {
            read_remark(remark, &mut bill);
            let told = |words: &str| remark.trim_start().strip_prefix(words).map(|r| total(r, at));
            for (words, place) in [("收入合计", &mut income), ("支出合计", &mut spend)] {
                if let Some(read) = told(words)
                    && place.replace((at, read?)).is_some()
                {
                    return Err(Fault::at(at, "totals that are there twice"));
                }
            }
        } else if !line.is_empty() {
            if spend.is_some() {
                return Err(Fault::at(at, "a line after the totals"));
            }
            let fields = fields(line, at)?;
            match header {
                None => {
                    let names: Vec<String> = fields.iter().map(|f| column_name(f)).collect();
                    header = Some((names.len(), columns(&names, COLUMNS, at)?));
                }
                Some((expected, places)) => {
                    bill.add(booking(&fields, expected, places, at)?)?;
                }
            }
        }
    }
    // What came in may be left out when nothing did.
    let cut_off = Fault::whole("the totals at its end are missing: it is cut off");
    let (at, told) = spend.ok_or(cut_off.clone())?;
    let (_, came) = match income {
        None if bill.income.count > 0 => return Err(cut_off),
        found => found.unwrap_or_default(),
    };
    if (came, told) != (bill.income, bill.spend) {
        return Err(Fault::at(at, "the totals are not those of the lines"));
    }
    Ok(bill)
}

/// The fields of one line, trimmed.
pub(super) fn fields(line: &str, at: usize) -> Result<Vec<String>, Fault> {
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).from_reader(line.as_bytes());
    let record = reader.records().next().and_then(Result::ok);
    let record = record.ok_or(Fault::at(at, "not a line of CSV"))?;
    let mut fields: Vec<String> = record.iter().map(|field| field.trim().to_owned()).collect();
    // Some files end every line with a comma.
    if fields.last().is_some_and(String::is_empty) && line.ends_with(',') {
        fields.pop();
    }
    Ok(fields)
}

fn booking(
    fields: &[String],
    expected: usize,
    places: [usize; 7],
    at: usize,
) -> Result<Line, Fault> {
    // An empty last field may have gone with a last comma.
    if fields.len() != expected && fields.len() + 1 != expected {
        return Err(Fault::at(at, "not as many fields as there are columns"));
    }
    let [flow_number, provider_number, number, time, income, spend, business] =
        places.map(|place| fields.get(place).map_or("", String::as_str));
    let wrong = || Fault::at(at, "not an amount with two decimals");
    let amount = |text: &str, sign: char| match text.strip_prefix(sign).unwrap_or(text) {
        "" => Ok(0),
        text => yuan(text).ok_or_else(wrong),
    };
    let (came, went) = (amount(income, '+')?, amount(spend, '-')?);
    let (direction, amount_minor) = match (came, went) {
        _ if income.is_empty() && spend.is_empty() => return Err(wrong()),
        (came, 0) if came > 0 || spend.is_empty() => (Direction::In, came),
        (0, went) => (Direction::Out, went),
        _ => return Err(Fault::at(at, "both income and spend")),
    };
    let business = kept(business, at)?;
    Ok(Line {
        row: at,
        number: kept(number, at)?,
        provider_number: kept(provider_number, at)?,
        flow_number: kept(flow_number, at)?,
        kind: kind_of(&business, direction),
        business,
        direction,
        amount_minor,
        at_us: china_us(time).ok_or(Fault::at(at, "not a time like 2018-02-01 04:21:23"))?,
    })
}

/// `：12笔，共-34.56元` after its words.
fn total(text: &str, at: usize) -> Result<Total, Fault> {
    let read = || {
        let text = text.trim().trim_start_matches(['：', ':']).trim();
        let (number, rest) = text.split_once('笔')?;
        let sum = rest.trim_start_matches(['，', ',']).trim().strip_prefix('共')?;
        let (sum, _) = sum.split_once('元')?;
        let sum = sum.trim().trim_start_matches(['+', '-']);
        Some(Total { count: count(number.trim())?, amount_minor: yuan(sum)? })
    };
    read().ok_or(Fault::at(at, "totals that are no numbers"))
}

/// Whose account and which days, as the head of a statement says. Words that are not understood tell
/// nothing.
fn read_remark(remark: &str, bill: &mut Bill) {
    let inside = |words: &str| {
        let (_, rest) = remark.split_once(words)?;
        let rest = rest.trim_start_matches(['：', ':']);
        Some(rest.strip_prefix('[')?.split_once(']')?.0)
    };
    if bill.account.is_none() && remark.trim_start().starts_with("账号") {
        bill.account = inside("账号").and_then(|account| kept(account, 0).ok());
    }
    if bill.period_us.is_none() {
        let from = inside("起始日期").and_then(written_out_us);
        let until = inside("终止日期").and_then(written_out_us);
        bill.period_us = from.zip(until);
    }
}
