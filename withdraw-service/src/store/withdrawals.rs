//! The table `withdrawal`: insert, read, and the one guarded update. Must not know: the status table.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use sqlx::Error;

use crate::domain::method::Method;
use crate::domain::status::{Effect, Status};
use crate::domain::withdrawal::{Due, Withdrawal};

/// All columns of a withdrawal `w`, with the approvals of its present content.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT w.*, (SELECT count(*) FROM review r WHERE r.withdrawal_id = w.id ",
            "AND r.content_digest = w.content_digest) AS reviewers FROM withdrawal w ",
            $rest
        )
    };
}
pub(crate) use select;

/// A row as it is stored.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    id: i64,
    cash_sn: String,
    user_id: i64,
    currency: String,
    apply_minor: i64,
    fee_minor: i64,
    actual_minor: i64,
    method: i64,
    provider: String,
    mobile: String,
    payee_id: String,
    payee_name: String,
    remark: String,
    review_remark: String,
    status: i64,
    version: i64,
    content_digest: String,
    reviewers_required: i64,
    reviewers: i64,
    trade_no: String,
    third_trade_no: String,
    pay_requested_at_us: i64,
    paid_at_us: i64,
    created_at_us: i64,
    updated_at_us: i64,
    decided_by: String,
    unknown_since_us: i64,
    effect: Option<String>,
    next_run_at_us: i64,
    tries: i64,
    lease_owner: String,
    lease_until_us: i64,
    request_key: Option<String>,
    request_digest: Vec<u8>,
}

/// A stored value that this version does not know.
pub(crate) fn strange(column: &'static str) -> Error {
    Error::Decode(format!("unknown value in column {column}").into())
}

impl TryFrom<Row> for Withdrawal {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let method = i32::try_from(row.method).ok().and_then(Method::from_number);
        let effect = match row.effect {
            Some(name) => Some(Effect::from_name(&name).ok_or_else(|| strange("effect"))?),
            None => None,
        };
        Ok(Self {
            id: row.id,
            cash_sn: row.cash_sn,
            user_id: row.user_id,
            currency: row.currency,
            apply_minor: row.apply_minor,
            fee_minor: row.fee_minor,
            actual_minor: row.actual_minor,
            method: method.ok_or_else(|| strange("method"))?,
            provider: row.provider,
            mobile: row.mobile,
            payee_id: row.payee_id,
            payee_name: row.payee_name,
            remark: row.remark,
            review_remark: row.review_remark,
            status: Status::from_number(row.status).ok_or_else(|| strange("status"))?,
            version: row.version,
            content_digest: row.content_digest,
            reviewers_required: row.reviewers_required,
            reviewers: row.reviewers,
            trade_no: row.trade_no,
            third_trade_no: row.third_trade_no,
            pay_requested_at_us: row.pay_requested_at_us,
            paid_at_us: row.paid_at_us,
            created_at_us: row.created_at_us,
            updated_at_us: row.updated_at_us,
            decided_by: row.decided_by,
            unknown_since_us: row.unknown_since_us,
            due: Due {
                effect,
                next_run_at_us: row.next_run_at_us,
                tries: row.tries,
                lease_owner: row.lease_owner,
                lease_until_us: row.lease_until_us,
            },
            request_key: row.request_key.unwrap_or_default(),
            request_digest: row.request_digest,
        })
    }
}

/// The withdrawals of rows.
pub(crate) fn all(rows: Vec<Row>) -> Result<Vec<Withdrawal>, Error> {
    rows.into_iter().map(Withdrawal::try_from).collect()
}

const BY_ID: &str = select!("WHERE w.id = $1");

/// One withdrawal, inside a job.
///
/// # Errors
/// `WITHDRAWAL_NOT_FOUND`, or the database's.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Withdrawal, WriteError> {
    let row: Option<Row> = on_engine!(conn, c =>
        sqlx::query_as(BY_ID).bind(id).fetch_optional(&mut *c).await?);
    Ok(row.ok_or_else(not_found)?.try_into()?)
}

/// The withdrawal as it is now, unless anything of it changed since `claimed` was read. What a worker
/// learned meanwhile belongs to the state it had claimed: a pause that another worker began since then
/// moves the version and leaves the status.
///
/// # Errors
/// `WITHDRAWAL_NOT_FOUND`, or the database's.
pub async fn unchanged(
    conn: &mut Conn,
    claimed: &Withdrawal,
) -> Result<Option<Withdrawal>, WriteError> {
    let now = get(conn, claimed.id).await?;
    Ok(Some(now).filter(|w| w.version == claimed.version && w.status == claimed.status))
}

/// One withdrawal, for reading.
///
/// # Errors
/// The database's.
pub async fn find(readers: &Readers, id: i64) -> Result<Option<Withdrawal>, Error> {
    let row: Option<Row> = on_engine!(readers, p =>
        sqlx::query_as(BY_ID).bind(id).fetch_optional(p).await?);
    row.map(Withdrawal::try_from).transpose()
}

/// The refusal for what is not there.
#[must_use]
pub fn not_found() -> Failure {
    Failure::new(Reason::WithdrawalNotFound, "no such withdrawal")
}

const BY_KEY: &str = select!("WHERE w.user_id = $1 AND w.request_key = $2");

/// The withdrawal that a person requested under a key, inside a job. Uses `withdrawal_by_key`.
///
/// # Errors
/// The database's.
pub async fn by_key(conn: &mut Conn, user: i64, key: &str) -> Result<Option<Withdrawal>, Error> {
    let row: Option<Row> = on_engine!(conn, c =>
        sqlx::query_as(BY_KEY).bind(user).bind(key).fetch_optional(&mut *c).await?);
    row.map(Withdrawal::try_from).transpose()
}

/// The withdrawal that a person requested under a key, for reading.
///
/// # Errors
/// The database's.
pub async fn find_by_key(
    readers: &Readers,
    user: i64,
    key: &str,
) -> Result<Option<Withdrawal>, Error> {
    let row: Option<Row> = on_engine!(readers, p =>
        sqlx::query_as(BY_KEY).bind(user).bind(key).fetch_optional(p).await?);
    row.map(Withdrawal::try_from).transpose()
}

/// What a person requested lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the requests since the day began that still count.
    pub day_minor: i64,
    /// When they last requested; 0 for never.
    pub last_us: i64,
}

/// Sums the day's requests that count, and finds the last one. Uses `withdrawal_of_user`; declined
/// requests never happened.
fn usage_sql() -> String {
    let uncounted: Vec<String> = Status::ALL
        .iter()
        .filter(|s| !s.counts_for_the_day())
        .map(|s| s.number().to_string())
        .collect();
    format!(
        "SELECT CAST(coalesce(sum(CASE WHEN created_at_us >= $2 AND status NOT IN ({}) \
         THEN apply_minor ELSE 0 END), 0) AS BIGINT), coalesce(max(created_at_us), 0) \
         FROM withdrawal WHERE user_id = $1 AND status <> {}",
        uncounted.join(", "),
        Status::Declined.number()
    )
}

/// Usage inside a job: nothing can be added between this and the job's own insert.
///
/// # Errors
/// The database's.
pub async fn usage(conn: &mut Conn, user: i64, day_start_us: i64) -> Result<Usage, Error> {
    let (day_minor, last_us) = on_engine!(conn, c =>
        sqlx::query_as(sqlx::AssertSqlSafe(usage_sql()))
            .bind(user).bind(day_start_us).fetch_one(&mut *c).await?);
    Ok(Usage { day_minor, last_us })
}

/// Usage as of now, for a quote.
///
/// # Errors
/// The database's.
pub async fn usage_now(readers: &Readers, user: i64, day_start_us: i64) -> Result<Usage, Error> {
    let (day_minor, last_us) = on_engine!(readers, p =>
        sqlx::query_as(sqlx::AssertSqlSafe(usage_sql()))
            .bind(user).bind(day_start_us).fetch_one(p).await?);
    Ok(Usage { day_minor, last_us })
}

/// Whether a cash_sn is taken.
///
/// # Errors
/// The database's.
pub async fn cash_sn_taken(conn: &mut Conn, cash_sn: &str) -> Result<bool, Error> {
    let count: i64 = on_engine!(conn, c =>
        sqlx::query_scalar("SELECT count(*) FROM withdrawal WHERE cash_sn = $1")
            .bind(cash_sn).fetch_one(&mut *c).await?);
    Ok(count > 0)
}

/// Inserts a withdrawal and gives it the next id: the writer holds the lock, so there is no race.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut Conn, w: &mut Withdrawal) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO withdrawal (id, cash_sn, user_id, currency, apply_minor, \
        fee_minor, actual_minor, method, provider, mobile, payee_id, payee_name, remark, \
        review_remark, status, version, content_digest, reviewers_required, trade_no, \
        third_trade_no, pay_requested_at_us, paid_at_us, created_at_us, updated_at_us, decided_by, \
        unknown_since_us, effect, next_run_at_us, tries, lease_owner, lease_until_us, request_key, \
        request_digest) SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
        $11, $12, '', $13, 1, $14, $15, '', '', 0, 0, $16, $16, '', 0, $17, $16, 0, $18, $19, $20, \
        $21 FROM withdrawal RETURNING id";
    w.id = on_engine!(conn, c => sqlx::query_scalar(SQL)
        .bind(&w.cash_sn).bind(w.user_id).bind(&w.currency).bind(w.apply_minor).bind(w.fee_minor)
        .bind(w.actual_minor).bind(i64::from(w.method.number())).bind(&w.provider).bind(&w.mobile)
        .bind(&w.payee_id).bind(&w.payee_name).bind(&w.remark).bind(w.status.number())
        .bind(&w.content_digest).bind(w.reviewers_required).bind(w.created_at_us)
        .bind(w.due.effect.map(Effect::name)).bind(&w.due.lease_owner).bind(w.due.lease_until_us)
        .bind(key_of(w)).bind(&w.request_digest)
        .fetch_one(&mut *c).await?);
    w.version = 1;
    Ok(())
}

fn key_of(w: &Withdrawal) -> Option<&str> {
    Some(w.request_key.as_str()).filter(|key| !key.is_empty())
}

/// Writes what may change of a withdrawal back, if it is still as it was read: `from` and `w.version`.
///
/// # Errors
/// `ILLEGAL_TRANSITION` when it changed meanwhile, or the database's.
pub async fn save(conn: &mut Conn, from: Status, w: &mut Withdrawal) -> Result<(), WriteError> {
    const SQL: &str = "UPDATE withdrawal SET status = $4, version = version + 1, \
        review_remark = $5, content_digest = $6, trade_no = $7, third_trade_no = $8, \
        pay_requested_at_us = $9, paid_at_us = $10, updated_at_us = $11, decided_by = $12, \
        unknown_since_us = $13, effect = $14, next_run_at_us = $15, tries = $16, lease_owner = $17, \
        lease_until_us = $18, request_key = $19 WHERE id = $1 AND version = $2 AND status = $3";
    let rows = on_engine!(conn, c => sqlx::query(SQL)
        .bind(w.id).bind(w.version).bind(from.number()).bind(w.status.number())
        .bind(&w.review_remark).bind(&w.content_digest).bind(&w.trade_no).bind(&w.third_trade_no)
        .bind(w.pay_requested_at_us).bind(w.paid_at_us).bind(w.updated_at_us).bind(&w.decided_by)
        .bind(w.unknown_since_us).bind(w.due.effect.map(Effect::name)).bind(w.due.next_run_at_us)
        .bind(w.due.tries).bind(&w.due.lease_owner).bind(w.due.lease_until_us).bind(key_of(w))
        .execute(&mut *c).await.map(|r| r.rows_affected())?);
    if rows != 1 {
        return Err(Failure::new(Reason::IllegalTransition, "it changed meanwhile").into());
    }
    w.version += 1;
    Ok(())
}
