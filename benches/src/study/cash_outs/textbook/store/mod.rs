//! The textbook cash-outs' database: written and read like the textbook ledger's, one transaction per step. Must not know: what a status allows.

pub mod records;

use cashout_common::db::Engine;
use cashout_common::on_engine;
use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use sqlx::Error;

use crate::baseline::store::{Store, Work};

macro_rules! migration {
    ($engine:literal, $name:literal) => {
        include_str!(concat!("../../../../../migrations/", $engine, "/", $name, ".sql"))
    };
}
const POSTGRES: &str = migration!("postgres", "0002_textbook_cash_outs");
const SQLITE: &str = migration!("sqlite", "0002_textbook_cash_outs");
const RECORDS_POSTGRES: &str = migration!("postgres", "0003_textbook_records");
const RECORDS_SQLITE: &str = migration!("sqlite", "0003_textbook_records");

const NEW: &str = "INSERT INTO cash_out (request_key, digest, cash_sn, user_id, apply, method, \
    payee_id, status, trade_no, third_trade_no, created_at, updated_at, paid_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', $9, $9, 0) \
    ON CONFLICT (request_key) DO NOTHING RETURNING *";
const BY_KEY: &str = "SELECT * FROM cash_out WHERE request_key = $1";
const BY_ID: &str = "SELECT * FROM cash_out WHERE id = $1";
const MOVE: &str = "UPDATE cash_out SET status = $3, trade_no = $4, third_trade_no = $5, \
    updated_at = $6, paid_at = $7 WHERE id = $1 AND status = $2";
/// The number under which it is paid is made of its own.
const APPROVE: &str = "UPDATE cash_out SET status = $3, updated_at = $4, \
    trade_no = CASE WHEN $5 THEN cash_sn || '1' ELSE trade_no END \
    WHERE id = $1 AND status = $2 AND user_id <> $6 RETURNING *";
const NOTE: &str = "INSERT INTO history (cash_out_id, from_status, to_status, actor, at) \
    VALUES ($1, $2, $3, $4, $5) RETURNING id";
const PAY: &str = "INSERT INTO payout (number, amount, third_trade_no, created_at) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (number) DO NOTHING";

/// A cash-out.
#[derive(Debug, Clone, sqlx::FromRow)]
#[allow(missing_docs)] // The columns of the schema beside this crate's source.
pub struct CashOut {
    pub id: i64,
    pub request_key: String,
    pub digest: Vec<u8>,
    pub cash_sn: String,
    pub user_id: i64,
    pub apply: i64,
    pub method: i64,
    pub payee_id: String,
    pub status: i64,
    pub trade_no: String,
    pub third_trade_no: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub paid_at: i64,
}

/// The connections.
pub struct Books {
    store: Store,
    readers: Store,
}

impl Books {
    /// Makes the tables in an empty database, and those of the careful service when there are people to
    /// be careful with.
    pub async fn open(url: &str, people: Option<i64>) -> anyhow::Result<Self> {
        let store = Store::with_tables(url, SQLITE, POSTGRES).await?;
        if let Some(people) = people {
            let mut work = store.begin().await?;
            let made = records(&mut work, people).await.map_err(|error| database_failure(&error));
            work.end(made).await?;
        }
        let readers = Store::readers(url)?;
        Ok(Self { store, readers })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Work, Error> {
        self.store.begin().await
    }

    /// A cash-out as it is now, without a transaction.
    pub async fn read(&self, id: i64) -> Result<Option<CashOut>, Failure> {
        let mut work = self.readers.read().await.map_err(|error| database_failure(&error))?;
        let read = get(&mut work, id).await;
        work.done(read)
    }

    /// Begins what is one statement, and so a transaction of its own.
    pub async fn at_once(&self) -> Result<Work, Error> {
        self.store.read().await
    }
}

async fn records(work: &mut Work, people: i64) -> Result<(), Error> {
    match work.conn() {
        Engine::Sqlite(c) => sqlx::raw_sql(RECORDS_SQLITE).execute(&mut *c).await.map(drop)?,
        Engine::Postgres(c) => sqlx::raw_sql(RECORDS_POSTGRES).execute(&mut *c).await.map(drop)?,
    }
    records::bind(work, people).await
}

/// Writes a cash-out, unless one with its key is there: then nothing is written. Its id is given.
pub async fn insert(work: &mut Work, new: &CashOut) -> Result<Option<CashOut>, Error> {
    on_engine!(work.conn(), c => sqlx::query_as(NEW).bind(&new.request_key).bind(&new.digest)
        .bind(&new.cash_sn).bind(new.user_id).bind(new.apply).bind(new.method)
        .bind(&new.payee_id).bind(new.status).bind(new.created_at).fetch_optional(&mut *c).await)
}

/// The cash-out that used a key.
pub async fn of_key(work: &mut Work, key: &str) -> Result<CashOut, Error> {
    on_engine!(work.conn(), c => sqlx::query_as(BY_KEY).bind(key).fetch_one(&mut *c).await)
}

/// A cash-out inside a transaction.
pub async fn get(work: &mut Work, id: i64) -> Result<Option<CashOut>, Error> {
    on_engine!(work.conn(), c => sqlx::query_as(BY_ID).bind(id).fetch_optional(&mut *c).await)
}

/// Writes a cash-out's new status, if it still has the old one.
pub async fn save(work: &mut Work, from: i64, now: &CashOut) -> Result<bool, Error> {
    on_engine!(work.conn(), c => sqlx::query(MOVE).bind(now.id).bind(from).bind(now.status)
        .bind(&now.trade_no).bind(&now.third_trade_no).bind(now.updated_at).bind(now.paid_at)
        .execute(&mut *c).await.map(|r| r.rows_affected() == 1))
}

/// Approves a cash-out that is not the reviewer's own, if it still has the old status; gives it as it is then,
/// with a number when it is to be paid at once.
pub async fn approve(
    work: &mut Work,
    (id, reviewer): (i64, i64),
    (from, to): (i64, i64),
    (now_us, at_once): (i64, bool),
) -> Result<Option<CashOut>, Error> {
    on_engine!(work.conn(), c => sqlx::query_as(APPROVE).bind(id).bind(from).bind(to).bind(now_us)
        .bind(at_once).bind(reviewer).fetch_optional(&mut *c).await)
}

/// Appends a change of status to the history; gives its number.
pub async fn note(
    work: &mut Work,
    (from, to): (i64, i64),
    now: &CashOut,
    actor: &str,
) -> Result<i64, Error> {
    on_engine!(work.conn(), c => sqlx::query_scalar(NOTE).bind(now.id).bind(from).bind(to)
        .bind(actor).bind(now.updated_at).fetch_one(&mut *c).await)
}

/// Books a payout at the sandbox; a number that is booked already stays as it is.
pub async fn pay(work: &mut Work, now: &CashOut, third: &str) -> Result<(), Error> {
    on_engine!(work.conn(), c => sqlx::query(PAY).bind(&now.trade_no).bind(now.apply).bind(third)
        .bind(now.updated_at).execute(&mut *c).await.map(drop))
}
