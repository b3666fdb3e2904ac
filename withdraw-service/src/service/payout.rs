//! Paying through a provider (guarantees G8 to G10). The attempt is committed before the first byte
//! leaves; every call is noted before it is made; nothing is sent while the channel is paused or before
//! the payee can be paid.
//!
//! Must not know: what an answer changes, see `answers`.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::number::{digest, hex};
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::Core;
use super::effects::{Ended, Going};
use super::transition::{Step, advance, free};
use crate::domain::numbers::{next_attempt, trade_no};
use crate::domain::status::{Effect, Event};
use crate::domain::withdrawal::{WHEN_RESUMED, Withdrawal};
use crate::ports::{Answer, Order, Provider, SendRequest};
use crate::store::attempts::{self, Attempt};
use crate::store::book::{Book, Needs, alone};

/// SHA-256 of a request's bytes, hex.
#[must_use]
pub fn body_digest(body: &[u8]) -> String {
    hex(&digest(&[body]))
}

/// What to ask a provider, noted already.
#[derive(Debug, Clone)]
pub struct Asked {
    call: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Send(SendRequest),
    Query(SendRequest),
}

impl Core {
    pub(super) fn provider_of(&self, w: &Withdrawal) -> Result<Arc<dyn Provider>, Failure> {
        self.providers
            .named(&w.provider)
            .ok_or_else(|| Failure::new(Reason::Internal, "no provider of that name is configured"))
    }

    /// Whether its provider is configured.
    pub(super) fn pays(&self, w: &Withdrawal) -> bool {
        self.providers.named(&w.provider).is_some()
    }

    /// Until when a payout must not be begun: the payee was bound only recently, or the channel is
    /// paused. `None`: it may be begun now.
    fn waits_until(&self, book: &Book, w: &Withdrawal) -> Option<i64> {
        let cooling = Some(w.payable_from_us).filter(|from_us| *from_us > self.now_us());
        cooling.or_else(|| book.paused(&w.provider).then_some(WHEN_RESUMED))
    }

    /// Begins the payout of what was just approved, inside the job that approved it: its attempt is
    /// written with the approval when it may be sent and there is a place; else it waits its turn.
    pub(super) fn begin_payout(&self, book: &mut Book, going: &mut Going) -> Result<(), Failure> {
        let w = &mut going.w;
        if w.due.effect != Some(Effect::Pay) || !self.pays(w) {
            return Ok(());
        }
        if let Some(until_us) = self.waits_until(book, w) {
            w.due.hold(until_us);
            book.schedule(w);
            return Ok(());
        }
        going.place = self.keep(book, w);
        if going.place.is_some() {
            going.asked = self.write_attempt(book, w)?;
        }
        Ok(())
    }

    /// Writes the attempt of a claimed withdrawal, then sends it under the same lease.
    pub(super) async fn pay(self: &Arc<Self>, claimed: Withdrawal) -> Result<Ended, Failure> {
        if let Err(failure) = self.provider_of(&claimed) {
            return self.postpone(claimed, &failure).await;
        }
        let (core, id) = (self.clone(), claimed.id);
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
            if let Some(until_us) = core.waits_until(book, &w) {
                w.due.hold(until_us);
                book.save(w.status, &mut w)?;
                return Ok(Some((w, None)));
            }
            let asked = core.write_attempt(book, &mut w)?;
            Ok(Some((w, asked)))
        };
        match self.store.decide(Needs::id(id), job).await? {
            Some((w, Some(asked))) => self.ask_provider(w, Some(asked)).await,
            Some((_, None)) => Ok(Ended::Applied),
            None => Ok(Ended::Stale),
        }
    }

    /// Approved to paying, inside a job: number, payee, amount, exact bytes and the sending of them are
    /// written here. What would be paid must be what enough reviewers approved, and the provider's
    /// adapter must be able to ask for it; otherwise the approval is void and there is nothing to ask:
    /// it is back before the reviewers, who may refuse it, since nothing was ever sent.
    fn write_attempt(&self, book: &mut Book, w: &mut Withdrawal) -> Result<Option<Asked>, Failure> {
        let (provider, now_us) = (self.provider_of(w)?, self.now_us());
        let content = w.content();
        if content != w.content_digest || w.reviewers < w.reviewers_required {
            w.content_digest = content;
            void(book, w, "what would be paid is not what was approved", now_us)?;
            return Ok(None);
        }
        let number = trade_no(&w.cash_sn, next_attempt(&w.trade_no), &self.world.random);
        let order = order(w, number);
        let body = match provider.prepare(&order) {
            Ok(body) => body,
            Err(failure) => {
                tracing::error!(withdrawal = w.id, %failure, "no request can be made of a withdrawal");
                let reason = format!("no request can be made of it: {}", failure.message);
                void(book, w, &reason, now_us)?;
                return Ok(None);
            }
        };
        w.trade_no.clone_from(&order.number);
        if w.pay_requested_at_us == 0 {
            w.pay_requested_at_us = now_us;
        }
        let attempt = Attempt {
            number: order.number,
            withdrawal_id: w.id,
            provider: w.provider.clone(),
            payee_id: order.payee_id,
            amount_minor: order.amount_minor,
            digest: body_digest(&body),
            body,
            state: "live".to_owned(),
            created_at_us: now_us,
        };
        book.attempt(attempt.clone());
        advance(book, w, Step::system(Event::AttemptWritten, now_us))?;
        let call = book.begin_call(&attempt.number, "send", now_us);
        Ok(Some(Asked { call, what: What::Send(request(attempt)) }))
    }

    /// Sends or asks, whichever is right, and applies the answer.
    pub(super) async fn ask_provider(
        self: &Arc<Self>,
        claimed: Withdrawal,
        asked: Option<Asked>,
    ) -> Result<Ended, Failure> {
        let provider = match self.provider_of(&claimed) {
            Ok(provider) => provider,
            Err(failure) => return self.postpone(claimed, &failure).await,
        };
        let asked = match asked {
            Some(asked) => Some(asked),
            None => {
                let (claimed, now_us) = (claimed.clone(), self.now_us());
                self.store.write(move |conn| note_call(conn, claimed, now_us).boxed()).await?
            }
        };
        let Some(Asked { call, what }) = asked else { return Ok(Ended::Stale) };
        // Whoever has the lease now asks; a sending from here could overtake what they learn.
        let lost = claimed.due.lease_until_us != 0 && self.now_us() >= claimed.due.lease_until_us;
        if lost && matches!(what, What::Send(_)) {
            return Ok(Ended::Stale);
        }
        let (sent, future) = match what {
            What::Send(request) => (true, provider.send(request)),
            What::Query(request) => (false, provider.query(request)),
        };
        let answer = match self.called(future).await {
            Answer::NotFound if sent => Answer::unknown("not found, in answer to a sending"),
            // Only the answer to a sending says that this sending was turned down.
            answer @ (Answer::Rejected { .. } | Answer::Blocked { .. }) if !sent => {
                Answer::unknown(answer.detail())
            }
            answer => answer,
        };
        self.apply(claimed, call, answer).await
    }

    /// What a call to a provider ends with, within its time. In a task of its own: a call that is too
    /// slow is left alone, not dropped half-way.
    pub(super) async fn called(&self, call: BoxFuture<'static, Answer>) -> Answer {
        match tokio::time::timeout(self.timing.call_timeout, tokio::spawn(call)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::unknown("the provider's adapter failed"),
            Err(_) => Answer::unknown("no answer in time"),
        }
    }
}

/// What is to be paid, under a number.
pub(super) fn order(w: &Withdrawal, number: String) -> Order {
    Order {
        number,
        payee_id: w.payee_id.clone(),
        payee_name: w.payee_name.clone(),
        amount_minor: w.actual_minor,
        currency: w.currency.clone(),
    }
}

/// Takes the approval of what cannot be paid as it is back.
fn void(book: &mut Book, w: &mut Withdrawal, reason: &str, now_us: i64) -> Result<(), Failure> {
    free(&mut w.due);
    advance(book, w, Step { reason, ..Step::system(Event::ApprovalVoided, now_us) })
}

/// An attempt as it goes out.
pub(super) fn request(attempt: Attempt) -> SendRequest {
    let Attempt { number, payee_id, amount_minor, body, digest, .. } = attempt;
    let confirmation_kept = false;
    SendRequest { number, payee_id, amount_minor, body, digest, confirmation_kept }
}

/// Notes the call that is made next. A number is sent for the first time, or again when the last thing
/// the provider said of it is that it does not know it; in every other case it is asked about (G8). A
/// sending waits while the channel is paused.
async fn note_call(
    conn: &mut Conn,
    claimed: Withdrawal,
    now_us: i64,
) -> Result<Option<Asked>, WriteError> {
    let read =
        |book: &mut Book| Ok(book.unchanged(&claimed)?.map(|w| (book.paused(&w.provider), w)));
    let now = alone(conn, Needs::id(claimed.id), read).await?;
    let Some((paused, mut w)) = now else { return Ok(None) };
    // Somebody took over meanwhile, another instance or this one again: they ask, we do not.
    let lease = |w: &Withdrawal| (w.due.lease_owner.clone(), w.due.lease_until_us);
    if lease(&w) != lease(&claimed) {
        return Ok(None);
    }
    let Some(attempt) = attempts::live(conn, w.id).await? else {
        tracing::error!(withdrawal = w.id, "paying without a live attempt");
        return Ok(None);
    };
    if body_digest(&attempt.body) != attempt.digest {
        tracing::error!(alarm = "attempt_changed", withdrawal = w.id, "not what was written");
        return Ok(None);
    }
    let last = attempts::last_asked(conn, &attempt.number).await?;
    let unknown_there =
        last.is_none_or(|call| call.operation == "query" && call.outcome == "not_found");
    let send = unknown_there && w.due.effect == Some(Effect::Send);
    if send && paused {
        let hold = |book: &mut Book| {
            w.due.hold(WHEN_RESUMED);
            book.save(w.status, &mut w)
        };
        alone(conn, Needs::id(claimed.id), hold).await?;
        return Ok(None);
    }
    let operation = if send { "send" } else { "query" };
    let begin = |book: &mut Book| Ok(book.begin_call(&attempt.number, operation, now_us));
    let call = alone(conn, Needs::default(), begin).await?;
    // A paused channel sends nothing, not even to hear the package again.
    let confirmation_kept = w.confirmation.is_some() || paused;
    let request = SendRequest { confirmation_kept, ..request(attempt) };
    let what = if send { What::Send(request) } else { What::Query(request) };
    Ok(Some(Asked { call, what }))
}
