//! Withdrawals as they are read, what was asked for with how it stands; see `save` for how it is written. Must not know: the status
//! table.

use std::sync::Arc;

use cashout_common::db::Readers;
use cashout_common::on_engine;
use cashout_proto::{Failure, Reason};
use sqlx::Error;

use crate::domain::lane::Lane;
use crate::domain::method::Method;
use crate::domain::status::{Effect, Status};
use crate::domain::withdrawal::{Asked, Confirmation, Details, Due, Withdrawal};

/// All columns of a withdrawal `w`, with the approvals of its present content.
macro_rules! columns {
    () => {
        "w.*, (SELECT count(*) FROM review r WHERE r.withdrawal_id = w.id \
         AND r.content_digest = w.content_digest) AS reviewers"
    };
}
pub(crate) use columns;

/// Reads withdrawals `w`.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM withdrawal_now w ", $rest)
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
    confirm_mch_id: String,
    confirm_app_id: String,
    confirm_package: String,
    payable_from_us: i64,
    effect: Option<String>,
    lane: Option<i64>,
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
        Ok(Self::from(Details {
            id: row.id,
            asked: Arc::new(Asked {
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
                reviewers_required: row.reviewers_required,
                created_at_us: row.created_at_us,
                payable_from_us: row.payable_from_us,
                request_digest: row.request_digest,
            }),
            review_remark: row.review_remark,
            status: Status::from_number(row.status).ok_or_else(|| strange("status"))?,
            version: row.version,
            content_digest: row.content_digest,
            reviewers: row.reviewers,
            trade_no: row.trade_no,
            third_trade_no: row.third_trade_no,
            pay_requested_at_us: row.pay_requested_at_us,
            paid_at_us: row.paid_at_us,
            updated_at_us: row.updated_at_us,
            decided_by: row.decided_by,
            unknown_since_us: row.unknown_since_us,
            confirmation: (!row.confirm_package.is_empty()).then_some(Confirmation {
                mch_id: row.confirm_mch_id,
                app_id: row.confirm_app_id,
                package: row.confirm_package,
            }),
            due: Due {
                effect,
                next_run_at_us: row.next_run_at_us,
                tries: row.tries,
                lease_owner: row.lease_owner,
                lease_until_us: row.lease_until_us,
                held: row.lane == Some(Lane::Held.number()),
            },
            request_key: row.request_key.unwrap_or_default(),
        }))
    }
}

/// The withdrawals of rows.
pub(crate) fn all(rows: Vec<Row>) -> Result<Vec<Withdrawal>, Error> {
    rows.into_iter().map(Withdrawal::try_from).collect()
}

const BY_ID: &str = select!("WHERE w.id = $1");

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
/// requests never happened. `user` and `day` are expressions.
pub(super) fn usage_sql(user: &str, day: &str) -> String {
    let uncounted: Vec<String> = Status::ALL
        .iter()
        .filter(|s| !s.counts_for_the_day())
        .map(|s| s.number().to_string())
        .collect();
    format!(
        "(SELECT CAST(coalesce(sum(w.apply_minor), 0) AS BIGINT) FROM withdrawal_now w \
         WHERE w.user_id = {user} AND w.created_at_us >= {day} AND w.status NOT IN ({})), \
         coalesce((SELECT w.created_at_us FROM withdrawal_now w WHERE w.user_id = {user} \
         AND w.status <> {} ORDER BY w.created_at_us DESC LIMIT 1), 0)",
        uncounted.join(", "),
        Status::Declined.number()
    )
}

/// Usage as of now, for a quote.
///
/// # Errors
/// The database's.
pub async fn usage_now(readers: &Readers, user: i64, day_start_us: i64) -> Result<Usage, Error> {
    let (day_minor, last_us) = on_engine!(readers, p =>
        sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {}", usage_sql("$1", "$2"))))
            .bind(user).bind(day_start_us).fetch_one(p).await?);
    Ok(Usage { day_minor, last_us })
}
