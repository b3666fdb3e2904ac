//! Carrying out what is due: outside any transaction, under a key made of the withdrawal, repeated
//! until answered. What was learned is applied only if the withdrawal is still as it was claimed.

use std::future::Future;
use std::sync::Arc;

use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::Core;
use super::declined::declined;
use super::payout::Asked;
use super::places::Place;
use super::transition::{Step, advance, free};
use crate::domain::status::{Effect, Event, Status};
use crate::domain::withdrawal::{AccountAfter, Applicant, Requested, Withdrawal};
use crate::ports::{LedgerAnswer, ReleaseCause, Replies};
use crate::store::answers::Stored;
use crate::store::book::{Book, Needs};

/// A withdrawal with an effect that this instance has the lease for.
#[derive(Debug)]
pub struct Going {
    /// As it was written last.
    pub w: Withdrawal,
    /// The applicant, when just read.
    pub applicant: Option<Applicant>,
    /// What to ask the provider, when it is noted already.
    pub asked: Option<Asked>,
    /// The place it takes; what a caller waits for takes none.
    pub place: Option<Place>,
}

impl Going {
    /// An effect that a caller waits for.
    #[must_use]
    pub fn inline(w: Withdrawal) -> Self {
        Self { w, applicant: None, asked: None, place: None }
    }

    /// An effect that was claimed or kept.
    #[must_use]
    pub fn claimed(w: Withdrawal, place: Place) -> Self {
        Self { place: Some(place), ..Self::inline(w) }
    }
}

/// How an effect ended this time.
#[derive(Debug)]
pub enum Ended {
    /// The hold was placed; the answer to the request.
    Requested(Vec<u8>),
    /// The hold was refused: nothing is left of the request.
    Declined(Failure),
    /// Answered, and the answer was applied.
    Applied,
    /// Applied, and this instance keeps what became due.
    GoesOn(Box<Going>),
    /// No answer yet; it will be tried again.
    Postponed,
    /// Somebody else was faster: what was learned here is of no use.
    Stale,
}

impl Core {
    /// Carries out the effect of a claimed withdrawal, and what becomes due by it as long as this
    /// instance can keep it.
    pub async fn carry_out(self: &Arc<Self>, mut going: Going) -> Ended {
        loop {
            let id = going.w.id;
            match self.step(going).await {
                Ok(Ended::GoesOn(next)) => going = *next,
                Ok(ended) => return ended,
                Err(failure) => {
                    // The lease runs out and somebody tries again.
                    tracing::error!(withdrawal = id, %failure, "an effect could not be recorded");
                    return Ended::Postponed;
                }
            }
        }
    }

    /// Carries out one effect once.
    async fn step(self: &Arc<Self>, going: Going) -> Result<Ended, Failure> {
        let until = Instant::now() + self.timing.ledger_timeout;
        let Going { w, applicant, asked, place } = going;
        let ended = match w.due.effect {
            Some(Effect::PlaceHold) => self.place(w, applicant, until).await,
            Some(Effect::Settle) => {
                let answer = answered(until, self.ledger.settle(&w)).await;
                self.end_hold(w, answer, Event::Settled).await
            }
            Some(Effect::Release) => {
                let answer = answered(until, self.ledger.release(&w, cause(w.status))).await;
                self.end_hold(w, answer, Event::Released).await
            }
            // Most are noted with their approval, and never come here.
            Some(Effect::Pay) => self.pay(w).boxed().await,
            Some(Effect::Send | Effect::Query) => self.ask_provider(w, asked).await,
            None => Ok(Ended::Stale),
        };
        drop(place);
        ended
    }

    /// What follows a job that is committed: what it kept goes on, what it left is the worker's.
    pub(super) fn onward(&self, w: Withdrawal, place: Option<Place>) -> Ended {
        match place {
            Some(place) => Ended::GoesOn(Box::new(Going::claimed(w, place))),
            None => {
                if w.due.effect.is_some() {
                    self.wake.notify_one();
                }
                Ended::Applied
            }
        }
    }

    async fn place(
        self: &Arc<Self>,
        w: Withdrawal,
        applicant: Option<Applicant>,
        until: Instant,
    ) -> Result<Ended, Failure> {
        // Just read means: this process has just written the request and asks for the first time.
        let first = applicant.is_some() && w.due.tries == 0;
        let account = match answered(until, self.ledger.place(&w)).await {
            LedgerAnswer::Done(account) => account,
            LedgerAnswer::Refused(failure) if first => {
                return self.decline(w, failure).boxed().await;
            }
            LedgerAnswer::Refused(failure) => {
                return self.give_up(w, failure, until).boxed().await;
            }
            // The key is used up: by us, if we were giving this request up when we were stopped.
            LedgerAnswer::Unknown(failure) if failure.reason == Reason::IdempotencyConflict => {
                return self.give_up(w, declined(Reason::Unavailable), until).boxed().await;
            }
            LedgerAnswer::Unknown(failure) => return self.postpone(w, &failure).await,
        };
        let applicant = match applicant {
            Some(applicant) => applicant,
            None => match timeout_at(until, self.ledger.holder(w.user_id)).await {
                Ok(Ok(found)) => found.into(),
                Ok(Err(failure)) => return self.postpone(w, &failure).await,
                Err(_) => return self.postpone(w, &too_late()).await,
            },
        };
        self.placed(w, account, applicant).await
    }

    /// Declines a request that was asked for more than once: an earlier call may still be on its way,
    /// and must not freeze money for a request that is gone.
    async fn give_up(
        self: &Arc<Self>,
        w: Withdrawal,
        refused: Failure,
        until: Instant,
    ) -> Result<Ended, Failure> {
        match answered(until, self.ledger.abandon(&w)).await {
            LedgerAnswer::Done(()) => self.decline(w, refused).await,
            LedgerAnswer::Refused(failure) | LedgerAnswer::Unknown(failure) => {
                self.postpone(w, &failure).await
            }
        }
    }

    /// Puts the request before the reviewers, and its answer under its key, in one transaction.
    async fn placed(
        &self,
        claimed: Withdrawal,
        account: AccountAfter,
        applicant: Applicant,
    ) -> Result<Ended, Failure> {
        let (replies, now_us) = (self.replies.clone(), self.now_us());
        let needs = Needs::claimed(&claimed);
        let job = move |book: &mut Book| {
            let applicant = applicant.clone();
            place_job(book, &claimed, account, applicant, replies.as_ref(), now_us)
        };
        self.store.decide(needs, job).await
    }

    async fn decline(&self, claimed: Withdrawal, failure: Failure) -> Result<Ended, Failure> {
        let failure = Failure { metadata: failure.metadata, ..declined(failure.reason) };
        let (now_us, id) = (self.now_us(), claimed.id);
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(Ended::Stale) };
            // A refused request leaves nothing behind: the key is free again.
            w.request_key.clear();
            let reason = failure.reason.row().name;
            let step = Step { reason, ..Step::system(Event::HoldRefused, now_us) };
            advance(book, &mut w, step)?;
            Ok(Ended::Declined(failure.clone()))
        };
        self.store.decide(Needs::id(id), job).await
    }

    async fn end_hold(
        &self,
        claimed: Withdrawal,
        answer: LedgerAnswer<()>,
        event: Event,
    ) -> Result<Ended, Failure> {
        match answer {
            LedgerAnswer::Done(()) => {}
            LedgerAnswer::Unknown(failure) => return self.postpone(claimed, &failure).await,
            // The hold is ours and open, so this is a defect somewhere: never given up, told loudly.
            LedgerAnswer::Refused(failure) => {
                tracing::error!(withdrawal = claimed.id, %failure, "the ledger refused to end a hold");
                return self.postpone(claimed, &failure).await;
            }
        }
        let (now_us, needs) = (self.now_us(), Needs::claimed(&claimed));
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(Ended::Stale) };
            advance(book, &mut w, Step::system(event, now_us))?;
            Ok(Ended::Applied)
        };
        self.store.decide(needs, job).await
    }

    /// Gives the lease back and tries again after a pause.
    pub(super) async fn postpone(
        &self,
        claimed: Withdrawal,
        failure: &Failure,
    ) -> Result<Ended, Failure> {
        let effect = claimed.due.effect.map_or("-", Effect::name);
        tracing::warn!(withdrawal = claimed.id, effect, %failure, "no answer, will try again");
        let now_us = self.now_us();
        let next_run_at_us = now_us.saturating_add(self.timing.backoff_us(claimed.due.tries));
        let id = claimed.id;
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(Ended::Stale) };
            w.due.next_run_at_us = next_run_at_us;
            w.due.tries = w.due.tries.saturating_add(1);
            free(&mut w.due);
            book.save(w.status, &mut w)?;
            Ok(Ended::Postponed)
        };
        let ended = self.store.decide(Needs::id(id), job).await;
        // The worker has to know of the pause.
        self.wake.notify_one();
        ended
    }
}

fn place_job(
    book: &mut Book,
    claimed: &Withdrawal,
    account: AccountAfter,
    applicant: Applicant,
    replies: &dyn Replies,
    now_us: i64,
) -> Result<Ended, Failure> {
    let Some(mut w) = book.unchanged(claimed)? else { return Ok(Ended::Stale) };
    advance(book, &mut w, Step::system(Event::HoldPlaced, now_us))?;
    let (key, digest) = (w.request_key.clone(), w.request_digest.clone());
    let scope = super::request::scope(w.user_id);
    let reply = replies.requested(&Requested { withdrawal: w, account, applicant });
    if !key.is_empty() {
        let stored = Stored { digest, reply: reply.clone() };
        book.put_answer(&scope, &key, stored, now_us);
    }
    Ok(Ended::Requested(reply))
}

/// What the ledger answers until then; after that nothing is certain.
async fn answered<T>(
    until: Instant,
    asked: impl Future<Output = LedgerAnswer<T>>,
) -> LedgerAnswer<T> {
    timeout_at(until, asked).await.unwrap_or_else(|_| LedgerAnswer::Unknown(too_late()))
}

fn too_late() -> Failure {
    Failure::new(Reason::DeadlineExceeded, "the ledger did not answer in time")
}

fn cause(status: Status) -> ReleaseCause {
    match status {
        Status::Cancelling => ReleaseCause::Cancelled,
        Status::Refusing => ReleaseCause::Refused,
        _ => ReleaseCause::Failed,
    }
}
