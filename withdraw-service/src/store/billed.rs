//! The tables `bill` and `billed`, and what our side knows of numbers that stand in bills.
//!
//! Read beside the service, in a process of its own. Must not know: what a difference is.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::{Error, QueryBuilder};

use super::list::by_list;

/// One of our numbers and its cash-out.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Known {
    /// Our number.
    pub number: String,
    /// What it pays.
    pub withdrawal_id: i64,
    /// Who was asked.
    pub provider: String,
    /// What the payee gets, minor units.
    pub amount_minor: i64,
    /// `live`, `paid` or `failed`.
    pub state: String,
    /// When the attempt was written, before it was sent.
    pub created_at_us: i64,
    /// The cash-out's number, which its hold is made of.
    pub cash_sn: String,
    /// The cash-out's status, its number.
    pub status: i64,
    /// When we learned that it was paid; 0 while it is not.
    pub paid_at_us: i64,
}

/// A cash-out that the ledger let money leave for.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Left {
    /// The cash-out's number.
    pub cash_sn: String,
    /// The cash-out.
    pub withdrawal_id: i64,
    /// Who was to pay.
    pub provider: String,
    /// Number of its attempt that is paid; empty when none is.
    pub paid_number: String,
    /// What that attempt pays; 0 when there is none.
    pub paid_minor: i64,
}

/// What one day's bill says of one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Billed {
    /// `yyyy-MM-dd`.
    pub bill_day: String,
    /// Our number.
    pub number: String,
    /// What it pays.
    pub withdrawal_id: i64,
    /// How often money went out under it.
    pub out_count: i64,
    /// How much went out.
    pub out_minor: i64,
    /// How much came back.
    pub in_minor: i64,
}

macro_rules! known {
    ($rest:literal) => {
        concat!(
            "SELECT a.number, a.withdrawal_id, a.provider, a.amount_minor, a.state, \
             a.created_at_us, w.cash_sn, w.status, w.paid_at_us FROM attempt a \
             JOIN withdrawal_now w ON w.id = a.withdrawal_id WHERE ",
            $rest
        )
    };
}
macro_rules! left {
    ($rest:literal) => {
        concat!(
            "SELECT w.cash_sn, w.id AS withdrawal_id, w.provider, \
             coalesce(a.number, '') AS paid_number, coalesce(a.amount_minor, 0) AS paid_minor \
             FROM withdrawal_now w LEFT JOIN attempt a ON a.withdrawal_id = w.id \
             AND a.state = 'paid' WHERE w.cash_sn ",
            $rest
        )
    };
}

/// Numbers of a provider that were paid, as far as we know, between two moments.
///
/// # Errors
/// The database's.
pub async fn paid_between(
    readers: &Readers,
    provider: &str,
    from_us: i64,
    until_us: i64,
) -> Result<Vec<Known>, Error> {
    const SQL: &str = known!(
        "a.provider = $1 AND a.state = 'paid' AND a.created_at_us < $3 AND w.paid_at_us >= $2"
    );
    on_engine!(readers, p => sqlx::query_as(SQL)
        .bind(provider).bind(from_us).bind(until_us).fetch_all(p).await)
}

/// What we know of numbers, whoever was asked under them.
///
/// # Errors
/// The database's.
pub async fn known(readers: &Readers, numbers: &[String]) -> Result<Vec<Known>, Error> {
    by_list!(
        readers,
        numbers,
        known!("a.number IN (SELECT value FROM json_each($1))"),
        known!("a.number = ANY($1)")
    )
}

/// The cash-outs of those numbers, with what was paid for them.
///
/// # Errors
/// The database's.
pub async fn left(readers: &Readers, cash_sns: &[String]) -> Result<Vec<Left>, Error> {
    by_list!(readers, cash_sns, left!("IN (SELECT value FROM json_each($1))"), left!("= ANY($1)"))
}

/// What any bill said of numbers of those cash-outs.
///
/// # Errors
/// The database's.
pub async fn billed(readers: &Readers, withdrawal_ids: &[i64]) -> Result<Vec<Billed>, Error> {
    by_list!(
        readers,
        withdrawal_ids,
        "SELECT * FROM billed WHERE withdrawal_id IN (SELECT value FROM json_each($1))",
        "SELECT * FROM billed WHERE withdrawal_id = ANY($1)"
    )
}

/// The days whose bill of a provider was compared to the end.
///
/// # Errors
/// The database's.
pub async fn days(readers: &Readers, provider: &str) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT bill_day FROM bill WHERE provider = $1";
    on_engine!(readers, p => sqlx::query_scalar(SQL).bind(provider).fetch_all(p).await)
}

/// Forgets what a day's bill said: it is about to be told again. The day counts as not read until
/// [`close`] says so.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut Conn, provider: &str, day: &str) -> Result<(), Error> {
    on_engine!(conn, c => {
        for sql in [
            "DELETE FROM bill WHERE provider = $1 AND bill_day = $2",
            "DELETE FROM billed WHERE provider = $1 AND bill_day = $2",
        ] {
            sqlx::query(sql).bind(provider).bind(day).execute(&mut *c).await?;
        }
        Ok(())
    })
}

/// Keeps what a day's bill says of our numbers; at most a few thousand at a time.
///
/// # Errors
/// The database's.
pub async fn keep(conn: &mut Conn, provider: &str, rows: &[Billed]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    on_engine!(conn, c => {
        let mut insert = QueryBuilder::new(
            "INSERT INTO billed (provider, bill_day, number, withdrawal_id, out_count, out_minor, in_minor) ",
        );
        insert.push_values(rows, |mut row, billed| {
            row.push_bind(provider)
                .push_bind(&billed.bill_day)
                .push_bind(&billed.number)
                .push_bind(billed.withdrawal_id)
                .push_bind(billed.out_count)
                .push_bind(billed.out_minor)
                .push_bind(billed.in_minor);
        });
        insert.build().execute(&mut *c).await.map(drop)
    })
}

/// Marks a day as compared to the end.
///
/// # Errors
/// The database's.
pub async fn close(
    conn: &mut Conn,
    provider: &str,
    day: &str,
    digest: &str,
    lines: i64,
    at_us: i64,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO bill (provider, bill_day, digest, lines, read_at_us) \
        VALUES ($1, $2, $3, $4, $5)";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(provider).bind(day).bind(digest).bind(lines).bind(at_us)
        .execute(&mut *c).await.map(drop))
}

/// What a transaction on these tables takes on PostgreSQL: two comparisons run one after another, the
/// service's own writes go on.
pub const LOCK: &str = "LOCK TABLE bill IN SHARE ROW EXCLUSIVE MODE";
