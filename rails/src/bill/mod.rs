//! What the providers say was booked on a day: their bills, read strictly.
//!
//! A bill is somebody else's file: packed, in another charset, perhaps cut off, perhaps made to hurt.
//! It is read whole or not at all, its own totals are checked against its lines, and no error tells
//! what a line says. Formats: WeChat Pay's fund flow (`wechat`), Alipay's account statement
//! (`alipay`). Must not know: our attempts, the ledger, what a difference means.

pub mod alipay;
mod amount;
mod moment;
mod summary;
mod unpack;
pub mod wechat;

pub use amount::yuan;
pub use moment::china_us;

/// Most bytes of a bill, unpacked, all its files together.
pub const MOST_BYTES: u64 = 256 << 20;
/// Most lines of a bill.
pub const MOST_LINES: usize = 4_000_000;
/// Most files of a packed bill.
pub const MOST_FILES: usize = 32;
/// Longest text kept of a field, characters.
const MOST_CHARACTERS: usize = 128;

/// Why a bill is not read. Holds nothing of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{rule}", place(*.file, *.line))]
pub struct Fault {
    /// Which file of a packed bill, from 1; 0 when there is one.
    pub file: usize,
    /// Which line, from 1; 0 when it is no line's fault.
    pub line: usize,
    /// What is wrong.
    pub rule: &'static str,
}

fn place(file: usize, line: usize) -> String {
    match (file, line) {
        (0, 0) => String::new(),
        (0, line) => format!("line {line}: "),
        (file, 0) => format!("file {file}: "),
        (file, line) => format!("file {file}, line {line}: "),
    }
}

impl Fault {
    /// Of the bill as a whole.
    #[must_use]
    pub const fn whole(rule: &'static str) -> Self {
        Self { file: 0, line: 0, rule }
    }

    /// Of one line.
    #[must_use]
    pub const fn at(line: usize, rule: &'static str) -> Self {
        Self { file: 0, line, rule }
    }

    /// The same in a file of several.
    #[must_use]
    pub const fn in_file(self, file: usize) -> Self {
        Self { file, ..self }
    }
}

/// Which way the merchant's money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// To the merchant.
    In,
    /// Away from the merchant.
    Out,
}

/// What a line seems to be by its words. Who knows the number knows better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Money went to somebody: everything that went out and is nothing of the others.
    Payout,
    /// Money that had gone out came back.
    Return,
    /// The provider's own price, or it back.
    Fee,
    /// The merchant filled its account.
    TopUp,
    /// Nothing of payouts: sales, refunds to buyers, the merchant's own withdrawals.
    Other,
}

/// One booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in its file, from 1.
    pub row: usize,
    /// The merchant's number; empty when there is none.
    pub number: String,
    /// The provider's number of the business.
    pub provider_number: String,
    /// The provider's number of this booking.
    pub flow_number: String,
    /// The provider's word for the business.
    pub business: String,
    /// What it seems to be.
    pub kind: Kind,
    /// Which way.
    pub direction: Direction,
    /// How much, minor units, never negative.
    pub amount_minor: i64,
    /// When, UTC microseconds.
    pub at_us: i64,
}

/// Lines of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How many.
    pub count: u64,
    /// How much, minor units.
    pub amount_minor: i64,
}

/// A bill whose totals fit its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bill {
    /// In the order of the file.
    pub lines: Vec<Line>,
    /// What came in.
    pub income: Total,
    /// What went out.
    pub spend: Total,
    /// Whose account, when the bill says; some characters may be `*`.
    pub account: Option<String>,
    /// From when until before when, UTC microseconds, when the bill says.
    pub period_us: Option<(i64, i64)>,
}

impl Bill {
    /// Takes a line in.
    fn add(&mut self, line: Line) -> Result<(), Fault> {
        if self.lines.len() >= MOST_LINES {
            return Err(Fault::at(line.row, "more lines than a bill may have"));
        }
        let total = match line.direction {
            Direction::In => &mut self.income,
            Direction::Out => &mut self.spend,
        };
        total.count += 1;
        let sum = total.amount_minor.checked_add(line.amount_minor);
        total.amount_minor = sum.ok_or(Fault::at(line.row, "the sum is too large"))?;
        self.lines.push(line);
        Ok(())
    }
}

/// What a line seems to be: the provider's words, as far as they are known. What goes out and is not
/// known is a payout, so that somebody looks at it.
fn kind_of(business: &str, direction: Direction) -> Kind {
    let says = |words: &[&str]| words.iter().any(|word| business.contains(word));
    match direction {
        _ if says(&["手续费", "服务费", "收费", "退费"]) => Kind::Fee,
        Direction::In if says(&["退"]) => Kind::Return,
        Direction::In if says(&["充值"]) => Kind::TopUp,
        Direction::Out if says(&["退款", "提现", "分账"]) => Kind::Other,
        Direction::In => Kind::Other,
        Direction::Out => Kind::Payout,
    }
}

/// A field to keep: short, and nothing in it that could forge a line of a report.
fn kept(text: &str, line: usize) -> Result<String, Fault> {
    let text = text.trim();
    if text.chars().count() > MOST_CHARACTERS || text.chars().any(char::is_control) {
        return Err(Fault::at(line, "a field is too long or holds control characters"));
    }
    Ok(text.to_owned())
}

/// Where the columns of those names stand.
fn columns<const N: usize>(
    header: &[String],
    names: [&str; N],
    line: usize,
) -> Result<[usize; N], Fault> {
    let mut found = [0; N];
    for (place, name) in found.iter_mut().zip(names) {
        let mut all = header.iter().enumerate().filter(|(_, known)| *known == name);
        *place = match (all.next(), all.next()) {
            (Some((at, _)), None) => at,
            (None, _) => return Err(Fault::at(line, "a column that is needed is missing")),
            _ => return Err(Fault::at(line, "a column is there twice")),
        };
    }
    Ok(found)
}

/// A column's name, whichever brackets it is written with.
fn column_name(text: &str) -> String {
    text.trim().replace('（', "(").replace('）', ")")
}
