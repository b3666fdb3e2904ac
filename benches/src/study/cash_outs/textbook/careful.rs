//! The steps of the careful textbook: the same transactions per step, and before anybody outside is
//! asked for anything, what is asked is on record (guarantees G8 to G12). A request is written before its
//! hold is placed; an attempt with its exact bytes and the call, with the approval, before the provider hears of
//! it; the provider's answer before the hold is settled.
//!
//! Must not know: gRPC, or who calls a step.

use cashout_common::number::digest;
use cashout_proto::withdraw::v1 as pb;
use cashout_proto::{Failure, Reason};
use tonic::{Code, Status};

use super::steps::{Change, Due, Steps, changed, failed, hold_key, noted, written};
use super::store::CashOut;
use super::store::records::{self, Attempt};
use crate::baseline::store::Work;
use crate::load::request;

/// Most that a person may ask for in a day, minor units: more than anybody here does.
const DAY_LIMIT: i64 = 10_000_000;
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

impl Steps {
    /// The person asks: on record, then the hold is placed, then it can be reviewed.
    pub(super) async fn request_carefully(&self, new: CashOut) -> Result<(CashOut, bool), Status> {
        let mut work = self.begin().await?;
        let begun = begun(&mut work, new).await;
        let (row, change) = work.end(begun).await?;
        let replayed = change.is_none();
        self.tell(change);
        if row.status != i64::from(pb::Status::Requested as i32) {
            return Ok((row, replayed));
        }
        // Also when it was written before: then nobody heard whether the hold was placed.
        let place = request::place(hold_key(&row.cash_sn), row.user_id, row.apply);
        let actor = &format!("user:{}", row.user_id);
        let from = pb::Status::Requested;
        if let Err(status) = self.ledger().place_hold(place).await {
            // Anything but a refusal leaves it as it is: the hold may be there.
            if status.code() == Code::FailedPrecondition {
                self.step(row, Change { from, to: pb::Status::Declined, actor }).await?;
            }
            return Err(status);
        }
        let row = self.step(row, Change { from, to: pb::Status::InReview, actor }).await?;
        Ok((row, replayed))
    }

    /// Pays what was approved: the sandbox books, its answer on record, settled, paid.
    pub(super) async fn pay_carefully(&self, due: Due) -> Result<(), Status> {
        let Due { row: claimed, call } = due;
        let third_trade_no = self.sandbox(&claimed).await?;

        let row = CashOut { third_trade_no, updated_at: self.now_us(), ..claimed };
        let mut work = self.begin().await?;
        let heard = heard(&mut work, row, call).await;
        let (row, change) = work.end(heard).await?;
        self.tell(Some(change));

        self.settle(&hold_key(&row.cash_sn), row.apply).await?;

        let now_us = self.now_us();
        let paid = CashOut { updated_at: now_us, paid_at: now_us, ..row };
        let (from, to) = (pb::Status::Settling, pb::Status::Paid);
        self.step(paid, Change { from, to, actor: "system" }).await?;
        Ok(())
    }
}

#[cfg(test)]
impl Steps {
    /// See [`records::found`].
    pub(super) async fn on_record(&self, id: i64) -> Result<(i64, String, String), Failure> {
        let mut work = self.begin().await?;
        let found = records::found(&mut work, id).await.map_err(failed);
        work.end(found).await
    }
}

/// Writes a request within the limit of the day, or finds the one that used its key.
async fn begun(
    work: &mut Work,
    new: CashOut,
) -> Result<(CashOut, Option<pb::StatusChange>), Failure> {
    let payee = records::lock_payee(work, new.user_id).await.map_err(failed)?;
    let payee_id =
        payee.ok_or_else(|| Failure::new(Reason::WechatNotBound, "bind a WeChat account first"))?;
    let new = CashOut { payee_id, status: i64::from(pb::Status::Requested as i32), ..new };
    let (row, change) = written(work, &new).await?;
    if change.is_some() {
        let day_start_us = row.created_at - row.created_at % DAY_US;
        let taken = records::taken(work, row.user_id, day_start_us).await.map_err(failed)?;
        if taken > DAY_LIMIT {
            return Err(Failure::new(Reason::DailyLimit, "over the limit of the day"));
        }
    } else if row.status == i64::from(pb::Status::Declined as i32) {
        return Err(Failure::new(Reason::IllegalTransition, "it was declined; take a new key"));
    }
    Ok((row, change))
}

/// Writes beside an approval what was approved, the attempt and the call to come, and both changes of status.
pub(super) async fn begun_with(
    work: &mut Work,
    row: CashOut,
    (reviewer, actor): (i64, &str),
    now_us: i64,
) -> Result<(Due, Vec<pb::StatusChange>), Failure> {
    records::review(work, row.id, &content(&row), (reviewer, now_us)).await.map_err(failed)?;
    let call = records::attempt(work, &attempt(&row), now_us).await.map_err(failed)?;
    let (from, approved) = (pb::Status::InReview, pb::Status::Approved);
    let (to, system) = (pb::Status::Paying, "system");
    let changes = vec![
        noted(work, &row, Change { from, to: approved, actor }).await?,
        noted(work, &row, Change { from: approved, to, actor: system }).await?,
    ];
    Ok((Due { row, call }, changes))
}

/// Writes what the provider answered.
async fn heard(
    work: &mut Work,
    row: CashOut,
    call: i64,
) -> Result<(CashOut, pb::StatusChange), Failure> {
    if !records::paid(work, &row.trade_no, call).await.map_err(failed)? {
        return Err(Failure::new(Reason::IllegalTransition, "the call was answered already"));
    }
    let (from, to) = (pb::Status::Paying, pb::Status::Settling);
    changed(work, row, Change { from, to, actor: "system" }).await
}

/// A digest of what is paid, and where.
fn content(row: &CashOut) -> Vec<u8> {
    let numbers = [row.user_id, row.apply, row.method].map(i64::to_be_bytes);
    let [user, apply, method] = numbers.each_ref().map(|n| &n[..]);
    digest(&[row.cash_sn.as_bytes(), user, apply, method, row.payee_id.as_bytes()]).to_vec()
}

fn attempt(row: &CashOut) -> Attempt {
    let (number, payee, amount) = (row.trade_no.clone(), &row.payee_id, row.apply);
    let body = format!(r#"{{"number":"{number}","payee":"{payee}","amount":{amount}}}"#);
    Attempt {
        cash_out_id: row.id,
        payee_id: row.payee_id.clone(),
        amount,
        digest: digest(&[body.as_bytes()]).to_vec(),
        body: body.into_bytes(),
        number,
    }
}
