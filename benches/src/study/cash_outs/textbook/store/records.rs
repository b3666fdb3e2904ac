//! What the careful textbook writes down besides cash-outs and their history, in the transaction of the
//! step it belongs to. Must not know: what a status allows, or when a step is due.

use cashout_common::db::Engine;
use cashout_common::on_engine;
use sqlx::Error;

use crate::baseline::store::Work;

const PAYEES_SQLITE: &str = "INSERT INTO payee (user_id, payee_id) \
    WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    SELECT i, 'payee' || i FROM n";
const PAYEES_POSTGRES: &str =
    "INSERT INTO payee (user_id, payee_id) SELECT i, 'payee' || i FROM generate_series(1, $1) AS i";
macro_rules! payee {
    ($then:literal) => {
        concat!("SELECT payee_id FROM payee WHERE user_id = $1", $then)
    };
}
/// SQLite's one writer needs no row locks.
const PAYEE_SQLITE: &str = payee!("");
const PAYEE_POSTGRES: &str = payee!(" FOR UPDATE");
/// Declined ones have the status 2. PostgreSQL's sum of big integers is a decimal without the cast.
const TAKEN: &str = "SELECT CAST(COALESCE(SUM(apply), 0) AS BIGINT) FROM cash_out \
    WHERE user_id = $1 AND created_at >= $2 AND status <> 2";
const REVIEW: &str =
    "INSERT INTO review (cash_out_id, content_digest, reviewer, at) VALUES ($1, $2, $3, $4)";
const ATTEMPT: &str = "INSERT INTO attempt (number, cash_out_id, payee_id, amount, body, digest, \
    state, created_at) VALUES ($1, $2, $3, $4, $5, $6, 'live', $7)";
const ENDED: &str = "UPDATE attempt SET state = $2 WHERE number = $1 AND state = 'live'";
const CALL: &str = "INSERT INTO provider_call (number, operation, outcome, at) \
    VALUES ($1, 'send', '', $2) RETURNING id";
const HEARD: &str = "UPDATE provider_call SET outcome = $2 WHERE id = $1 AND outcome = ''";

/// What is asked of a provider.
#[derive(Debug)]
#[allow(missing_docs)] // The columns of the schema beside this crate's source.
pub struct Attempt {
    pub number: String,
    pub cash_out_id: i64,
    pub payee_id: String,
    pub amount: i64,
    pub body: Vec<u8>,
    pub digest: Vec<u8>,
}

/// Binds people from 1 on to a place where they are paid.
pub async fn bind(work: &mut Work, people: i64) -> Result<(), Error> {
    let sql = match work.conn() {
        Engine::Sqlite(_) => PAYEES_SQLITE,
        Engine::Postgres(_) => PAYEES_POSTGRES,
    };
    on_engine!(work.conn(), c => sqlx::query(sql).bind(people).execute(&mut *c).await.map(drop))
}

/// Where a person is paid, locked until the end of the transaction.
pub async fn lock_payee(work: &mut Work, user: i64) -> Result<Option<String>, Error> {
    let sql = match work.conn() {
        Engine::Sqlite(_) => PAYEE_SQLITE,
        Engine::Postgres(_) => PAYEE_POSTGRES,
    };
    on_engine!(work.conn(), c => sqlx::query_scalar(sql).bind(user).fetch_optional(&mut *c).await)
}

/// What a person has asked for since then, declined requests apart, minor units.
pub async fn taken(work: &mut Work, user: i64, since_us: i64) -> Result<i64, Error> {
    on_engine!(work.conn(), c => sqlx::query_scalar(TAKEN).bind(user).bind(since_us)
        .fetch_one(&mut *c).await)
}

/// Writes an approval of that content.
pub async fn review(
    work: &mut Work,
    cash_out: i64,
    content: &[u8],
    (reviewer, now_us): (i64, i64),
) -> Result<(), Error> {
    on_engine!(work.conn(), c => sqlx::query(REVIEW).bind(cash_out).bind(content).bind(reviewer)
        .bind(now_us).execute(&mut *c).await.map(drop))
}

/// Writes what will be asked, and that it is about to be; gives the call's number.
pub async fn attempt(work: &mut Work, a: &Attempt, now_us: i64) -> Result<i64, Error> {
    on_engine!(work.conn(), c => {
        sqlx::query(ATTEMPT).bind(&a.number).bind(a.cash_out_id).bind(&a.payee_id).bind(a.amount)
            .bind(&a.body).bind(&a.digest).bind(now_us).execute(&mut *c).await?;
        sqlx::query_scalar(CALL).bind(&a.number).bind(now_us).fetch_one(&mut *c).await
    })
}

/// Writes that a call was answered, and that its attempt has paid.
pub async fn paid(work: &mut Work, number: &str, call: i64) -> Result<bool, Error> {
    on_engine!(work.conn(), c => {
        let heard = sqlx::query(HEARD).bind(call).bind("paid").execute(&mut *c).await?;
        let ended = sqlx::query(ENDED).bind(number).bind("paid").execute(&mut *c).await?;
        Ok(heard.rows_affected() == 1 && ended.rows_affected() == 1)
    })
}

/// What is on record of a cash-out's payment: approvals, the attempt's state and what the call was answered.
#[cfg(test)]
pub async fn found(work: &mut Work, cash_out: i64) -> Result<(i64, String, String), Error> {
    const FOUND: &str = "SELECT (SELECT count(*) FROM review WHERE cash_out_id = a.cash_out_id), \
        a.state, c.outcome FROM attempt a JOIN provider_call c ON c.number = a.number \
        WHERE a.cash_out_id = $1";
    on_engine!(work.conn(), c => sqlx::query_as(FOUND).bind(cash_out).fetch_one(&mut *c).await)
}
