//! The steps of a textbook cash-out, each one transaction that is durable before the next begins:
//! request (the hold is placed, then the row written), approve, claim, the sandbox's booking, paid (the
//! hold is settled, then the row written). Where the careful service does more, see `careful`.
//!
//! Must not know: gRPC, or who calls a step.

use cashout_common::clock::Clock;
use cashout_common::number::digest;
use cashout_common::writer::database_failure;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1 as pb;
use cashout_proto::{Failure, Reason};
use tokio::sync::broadcast;
use tonic::Status;
use tonic::transport::Channel;

use super::careful;
use super::store::{self, Books, CashOut};
use crate::baseline::store::Work;
use crate::load::request;

/// Changes of status that a slow follower may be behind.
const BEHIND: usize = 65_536;

/// What every step works with.
pub struct Steps {
    books: Books,
    pub(super) ledger: AccountServiceClient<Channel>,
    clock: Clock,
    changes: broadcast::Sender<pb::StatusChange>,
    careful: bool,
}

/// What was approved and is to be paid.
#[derive(Debug, Clone)]
pub struct Due {
    /// As it was written.
    pub row: CashOut,
    /// The call to come, of the careful service.
    pub call: i64,
}

/// What happens to a cash-out, and who does it.
pub(super) struct Change<'a> {
    pub(super) from: pb::Status,
    pub(super) to: pb::Status,
    pub(super) actor: &'a str,
}

impl Steps {
    /// Over an empty database; with people, carefully, and these have a place where they are paid.
    pub async fn open(
        url: &str,
        ledger: Channel,
        clock: Clock,
        people: Option<i64>,
    ) -> anyhow::Result<Self> {
        let (changes, _) = broadcast::channel(BEHIND);
        let ledger = AccountServiceClient::new(ledger);
        let books = Books::open(url, people).await?;
        Ok(Self { books, ledger, clock, changes, careful: people.is_some() })
    }

    /// Follows all changes from now on.
    pub fn follow(&self) -> broadcast::Receiver<pb::StatusChange> {
        self.changes.subscribe()
    }

    /// The person asks. The hold has the request's key, so a repetition places no second one.
    pub async fn request(
        &self,
        asked: &pb::RequestWithdrawalRequest,
    ) -> Result<(CashOut, bool), Status> {
        let new = self.asked(asked);
        if self.careful {
            return self.request_carefully(new).await;
        }
        let hold = request::place(hold_key(&new.request_key), new.user_id, new.apply);
        self.ledger().place_hold(hold).await?;
        let mut work = self.begin().await?;
        let written = written(&mut work, &new).await;
        let (row, change) = work.end(written).await?;
        let replayed = change.is_none();
        self.tell(change);
        Ok((row, replayed))
    }

    fn asked(&self, asked: &pb::RequestWithdrawalRequest) -> CashOut {
        let pb::RequestWithdrawalRequest { user_id, apply_minor, method, .. } = *asked;
        let now_us = self.now_us();
        let content = format!("{apply_minor}:{method}:{}", asked.remark);
        CashOut {
            id: 0,
            digest: digest(&[content.as_bytes()]).to_vec(),
            cash_sn: uuid::Uuid::now_v7().simple().to_string(),
            request_key: format!("{user_id}:{}", asked.key),
            user_id,
            apply: apply_minor,
            method: i64::from(method),
            payee_id: String::new(),
            status: i64::from(pb::Status::InReview as i32),
            trade_no: String::new(),
            third_trade_no: String::new(),
            created_at: now_us,
            updated_at: now_us,
            paid_at: 0,
        }
    }

    /// Another person approves; gives what is to be paid.
    pub async fn approve(&self, id: i64, reviewer: i64) -> Result<Due, Failure> {
        let mut work = self.begin().await?;
        let approved = self.approved(&mut work, (id, reviewer)).await;
        let (due, changes) = work.end(approved).await?;
        for change in changes {
            self.tell(Some(change));
        }
        Ok(due)
    }

    async fn approved(
        &self,
        work: &mut Work,
        (id, reviewer): (i64, i64),
    ) -> Result<(Due, Vec<pb::StatusChange>), Failure> {
        let (now_us, from) = (self.now_us(), pb::Status::InReview);
        let to = if self.careful { pb::Status::Paying } else { pb::Status::Approved };
        let both = (i64::from(from as i32), i64::from(to as i32));
        let how = (now_us, self.careful);
        let approved = store::approve(work, (id, reviewer), both, how).await.map_err(failed)?;
        let Some(row) = approved else {
            let row = store::get(work, id).await.map_err(failed)?.ok_or_else(not_found)?;
            return Err(if row.user_id == reviewer {
                Failure::new(Reason::SelfReview, "another person must decide on it")
            } else {
                moved()
            });
        };
        let actor = format!("user:{reviewer}");
        if self.careful {
            return careful::begun_with(work, row, (reviewer, &actor), now_us).await;
        }
        let change = noted(work, &row, Change { from, to, actor: &actor }).await?;
        Ok((Due { row, call: 0 }, vec![change]))
    }

    /// Pays what was approved: claimed under a number, booked by the sandbox, settled, paid.
    pub async fn pay(&self, due: Due) -> Result<(), Status> {
        if self.careful {
            return self.pay_carefully(due).await;
        }
        let row = due.row;
        let trade_no = format!("{}1", row.cash_sn);
        let claimed = CashOut { trade_no, updated_at: self.now_us(), ..row };
        let (from, to) = (pb::Status::Approved, pb::Status::Paying);
        let claimed = self.step(claimed, Change { from, to, actor: "system" }).await?;

        let third_trade_no = self.sandbox(&claimed).await?;

        self.settle(&hold_key(&claimed.request_key), claimed.apply).await?;

        let now_us = self.now_us();
        let paid = CashOut { third_trade_no, updated_at: now_us, paid_at: now_us, ..claimed };
        let (from, to) = (pb::Status::Paying, pb::Status::Paid);
        self.step(paid, Change { from, to, actor: "system" }).await?;
        Ok(())
    }

    /// The sandbox books a payout; gives its number of it.
    pub(super) async fn sandbox(&self, claimed: &CashOut) -> Result<String, Failure> {
        let third_trade_no = format!("SB{}", claimed.trade_no);
        let mut work = self.books.at_once().await.map_err(failed)?;
        let booked = store::pay(&mut work, claimed, &third_trade_no).await;
        work.done(booked)?;
        Ok(third_trade_no)
    }

    /// The hold's money leaves.
    pub(super) async fn settle(&self, hold: &str, amount_minor: i64) -> Result<(), Status> {
        let settle = request::settle(format!("settle:{hold}"), hold.to_owned(), amount_minor);
        self.ledger().settle_hold(settle).await.map(drop)
    }

    /// A cash-out as it is now.
    pub async fn read(&self, id: i64) -> Result<CashOut, Failure> {
        self.books.read(id).await?.ok_or_else(not_found)
    }

    /// A change of status and nothing else.
    pub(super) async fn step(&self, row: CashOut, change: Change<'_>) -> Result<CashOut, Failure> {
        let mut work = self.begin().await?;
        let done = changed(&mut work, row, change).await;
        let (row, change) = work.end(done).await?;
        self.tell(Some(change));
        Ok(row)
    }

    pub(super) async fn begin(&self) -> Result<Work, Failure> {
        self.books.begin().await.map_err(failed)
    }

    pub(super) fn ledger(&self) -> AccountServiceClient<Channel> {
        self.ledger.clone()
    }

    pub(super) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Tells the followers of what is committed; without any nobody is told.
    pub(super) fn tell(&self, change: Option<pb::StatusChange>) {
        if let Some(change) = change {
            let _ = self.changes.send(change);
        }
    }
}

/// Writes a new cash-out with its first line of history, or finds the one that used its key.
pub(super) async fn written(
    work: &mut Work,
    new: &CashOut,
) -> Result<(CashOut, Option<pb::StatusChange>), Failure> {
    if let Some(row) = store::insert(work, new).await.map_err(failed)? {
        let actor = format!("user:{}", row.user_id);
        let sequence = store::note(work, (0, row.status), &row, &actor).await.map_err(failed)?;
        let change = line(sequence, pb::Status::Unspecified, &row, &actor);
        return Ok((row, Some(change)));
    }
    let known = store::of_key(work, &new.request_key).await.map_err(failed)?;
    if known.digest == new.digest {
        return Ok((known, None));
    }
    Err(Failure::new(Reason::IdempotencyConflict, "the key was used with another request"))
}

/// Writes a change of status with its line of history, if the status is still the one before.
pub(super) async fn changed(
    work: &mut Work,
    row: CashOut,
    Change { from, to, actor }: Change<'_>,
) -> Result<(CashOut, pb::StatusChange), Failure> {
    let row = CashOut { status: i64::from(to as i32), ..row };
    let old = i64::from(from as i32);
    if !store::save(work, old, &row).await.map_err(failed)? {
        return Err(moved());
    }
    let change = noted(work, &row, Change { from, to, actor }).await?;
    Ok((row, change))
}

/// Writes the line of history of a change, which may be one of several that a row went through at once.
pub(super) async fn noted(
    work: &mut Work,
    row: &CashOut,
    Change { from, to, actor }: Change<'_>,
) -> Result<pb::StatusChange, Failure> {
    let both = (i64::from(from as i32), i64::from(to as i32));
    let sequence = store::note(work, both, row, actor).await.map_err(failed)?;
    Ok(pb::StatusChange { to: to.into(), ..line(sequence, from, row, actor) })
}

fn moved() -> Failure {
    Failure::new(Reason::IllegalTransition, "it has another status")
}

fn line(sequence: i64, from: pb::Status, row: &CashOut, actor: &str) -> pb::StatusChange {
    pb::StatusChange {
        sequence,
        withdrawal_id: row.id,
        user_id: row.user_id,
        from: from.into(),
        to: i32::try_from(row.status).unwrap_or_default(),
        actor: actor.to_owned(),
        at_us: row.updated_at,
        ..Default::default()
    }
}

/// The key of a hold, made of one that is unique to its cash-out.
pub(super) fn hold_key(unique: &str) -> String {
    format!("cash:{unique}")
}

pub(super) fn failed(error: sqlx::Error) -> Failure {
    database_failure(&error)
}

fn not_found() -> Failure {
    Failure::new(Reason::WithdrawalNotFound, "there is no such withdrawal")
}
