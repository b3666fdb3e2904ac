//! Reconciliation: a provider's bill of a day against our attempts and the ledger. Every difference
//! becomes a row of a named kind with its age; nothing is moved (docs/reconciliation.md).
//!
//! Runs beside the service, in a process of its own. The ledger's side is handed in: this service does
//! not read the account service's database. Must not know: how a bill is written, JSON of any door.

mod day;
mod facts;
mod fetch;
mod judge;
mod kind;
mod report;
mod settled;

use anyhow::{Context, anyhow, bail, ensure};
use cashout_common::clock::Clock;
use cashout_common::db::{Conn, Database, begin_write, command};
use rails::bill::{self, Bill};

pub use day::Day;
pub use fetch::fetch;
pub use kind::Kind;
pub use report::{Listed, Report, Sum, Told};

use crate::domain::method::Method;
use crate::store::{MIGRATIONS, billed, differences};

/// Rows kept in one statement and one transaction, so that the service's own writes get their turn.
const CHUNK: usize = 2_000;
/// Both sides paid at least this often on a day and have no number in common: not the same merchant.
const STRANGERS: usize = 3;

/// Whose bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// WeChat Pay's fund flow of the operation account.
    Wechat,
    /// Alipay's account statement.
    Alipay,
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "wechat" => Ok(Self::Wechat),
            "alipay" => Ok(Self::Alipay),
            _ => Err("must be `wechat` or `alipay`".to_owned()),
        }
    }
}

impl Source {
    /// The provider's name, as attempts have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
        }
    }

    /// The ledger's account that payouts of this provider leave to.
    #[must_use]
    pub const fn counter_account(self) -> &'static str {
        match self {
            Self::Wechat => Method::Wechat.counter_account(),
            Self::Alipay => Method::Alipay.counter_account(),
        }
    }

    fn read(self, packed: &[u8]) -> Result<Bill, bill::Fault> {
        match self {
            Self::Wechat => bill::wechat::read(packed),
            Self::Alipay => bill::alipay::read(packed),
        }
    }
}

/// What left the ledger for a provider, from one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPayout {
    /// Key of the hold, `cash:…`.
    pub hold_key: String,
    /// How much, minor units.
    pub amount_minor: i64,
    /// When, UTC microseconds.
    pub at_us: i64,
}

/// A bill that was read and whose day is known.
#[derive(Debug)]
pub struct Reading {
    source: Source,
    day: Day,
    bill: Bill,
    digest: String,
}

impl Reading {
    /// Reads a bill as the provider gives it. `day`: which it must be of. `account`: whose it must be,
    /// when both sides say.
    ///
    /// # Errors
    /// When it cannot be read, or is another day's or account's; nothing of its content is told.
    pub fn new(
        source: Source,
        packed: &[u8],
        day: Option<Day>,
        account: Option<&str>,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let bill = source.read(packed).context("the bill")?;
        let day = Day::of_bill(&bill, day).map_err(|why| anyhow!(why))?;
        ensure!(day.until_us() <= clock.now_us(), "the day {} is not over", day.name());
        let said = bill.account.as_deref().zip(account.filter(|account| !account.is_empty()));
        if let Some((said, ours)) = said {
            ensure!(same_account(said, ours), "the bill is of another account than ours");
        }
        let digest = cashout_common::number::hex(&cashout_common::number::digest(&[packed]));
        Ok(Self { source, day, bill, digest })
    }

    /// From when on the ledger's payouts are needed, UTC microseconds.
    #[must_use]
    pub const fn ledger_since_us(&self) -> i64 {
        settled::since_us(self.day.from_us)
    }
}

/// Bills may hide some characters of the account behind `*`, and Alipay's number of the account is the
/// merchant's user id with 0156 behind it.
fn same_account(said: &str, ours: &str) -> bool {
    let fits = |account: &str| match said.split_once('*') {
        None => account == said,
        Some((head, rest)) => {
            let tail = rest.trim_start_matches('*');
            account.len() >= head.len() + tail.len()
                && account.starts_with(head)
                && account.ends_with(tail)
        }
    };
    fits(ours) || fits(&format!("{ours}0156"))
}

/// Compares a bill with our attempts and with what left the ledger, records what differs and tells it.
/// Again with the same bill it finds the same differences, older.
///
/// # Errors
/// When the database cannot be read or written, or the bill is another merchant's; nothing is recorded.
pub async fn reconcile(
    database_url: &str,
    reading: &Reading,
    ledger: Vec<LedgerPayout>,
    clock: &Clock,
) -> anyhow::Result<Report> {
    // Only a database that is there: nothing is made for a mistyped address. It also lets long reads be.
    let readers = Database::open_read_only(database_url).await?;
    let writer = Database::open(database_url, MIGRATIONS).await?;
    let done = compare(&readers, &writer, reading, ledger, clock).await;
    readers.close().await;
    writer.close().await;
    done
}

async fn compare(
    readers: &Database,
    writer: &Database,
    reading: &Reading,
    ledger: Vec<LedgerPayout>,
    clock: &Clock,
) -> anyhow::Result<Report> {
    let now_us = clock.now_us();
    let facts = facts::read(readers.readers(), reading, ledger, now_us).await?;
    refuse_strangers(&facts)?;
    let judged = judge::judge(&facts);
    let (name, day) = (reading.source.name(), reading.day.name());
    let mut conn = writer.connect().await?;
    let recorded = record(&mut conn, reading, &judged, now_us).await;
    cashout_common::db::close(conn).await;
    let (found, vanished) = recorded?;
    let totals = (reading.bill.income, reading.bill.spend);
    Ok(Report::new((name, day), totals, &judged, found, vanished, now_us))
}

/// A bill that has many payouts and none of ours, on a day on which we paid many, is not our bill.
fn refuse_strangers(facts: &judge::Facts<'_>) -> anyhow::Result<()> {
    let payouts = facts.bill.lines.iter().filter(|line| line.kind == bill::Kind::Payout);
    let ours = facts.bill.lines.iter().any(|line| facts.known.contains_key(&line.number));
    let due = facts.known.values().filter(|one| {
        let paid = one.state == "paid" && one.provider == facts.provider;
        paid && facts.day.holds(one.created_at_us) && facts.day.holds(one.paid_at_us)
    });
    if !ours && payouts.count() >= STRANGERS && due.count() >= STRANGERS {
        bail!("no number in the bill is ours, and none of ours is in it: another merchant's?");
    }
    Ok(())
}

/// Writes down what was found: first what the bill says of our numbers, part by part, then the
/// differences and that the day was compared, at once. A run that is cut off leaves the day unread.
async fn record(
    conn: &mut Conn,
    reading: &Reading,
    judged: &judge::Judged,
    now_us: i64,
) -> anyhow::Result<(Vec<differences::Difference>, u64)> {
    let (name, day) = (reading.source.name(), reading.day.name());
    begin(conn).await?;
    billed::forget(conn, name, &day).await?;
    command(conn, "COMMIT").await?;
    for part in judged.billed.chunks(CHUNK) {
        begin(conn).await?;
        billed::keep(conn, name, part).await?;
        command(conn, "COMMIT").await?;
    }
    begin(conn).await?;
    let found = differences::record(conn, name, &day, &judged.differences, now_us).await?;
    let lines = i64::try_from(reading.bill.lines.len())?;
    billed::close(conn, name, &day, &reading.digest, lines, now_us).await?;
    command(conn, "COMMIT").await?;
    Ok(found)
}

/// These tables are this command's alone, so the service's write lock is not needed.
async fn begin(conn: &mut Conn) -> anyhow::Result<()> {
    Ok(begin_write(conn, billed::LOCK).await?)
}
