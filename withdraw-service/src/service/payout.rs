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
    operation: Operation,
    request: SendRequest,
}

/// What is done with a number that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// Send it, for the first time or because the provider does not know it.
    Send,
    /// Send the same again although the provider has it: for what the payee confirms with.
    Fetch,
    /// Ask about it.
    Query,
}

impl Operation {
    /// As it is recorded.
    const fn name(self) -> &'static str {
        match self {
            Self::Send | Self::Fetch => "send",
            Self::Query => "query",
        }
    }
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
        let (core, needs) = (self.clone(), Needs::claimed(&claimed));
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
            if let Some(until_us) = core.waits_until(book, &w) {
                w.due.hold(until_us);
                book.save(w.status, &mut w)?;
                return Ok(Some((w, None)));
            }
            // Whoever took over meanwhile will find the version moved, and this lease.
            core.lease(&mut w);
            let asked = core.write_attempt(book, &mut w)?;
            Ok(Some((w, asked)))
        };
        match self.store.decide(needs, job).await? {
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
            if content != w.content_digest {
                // What was approved was another content.
                (w.content_digest, w.reviewers) = (content, 0);
            }
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
        let operation = Operation::Send;
        let call = book.begin_call(&attempt.number, operation.name(), now_us);
        Ok(Some(Asked { call, operation, request: request(attempt) }))
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
        let Some(Asked { call, operation, request }) = asked else { return Ok(Ended::Stale) };
        // Whoever has the lease now asks; a sending from here could overtake what they learn.
        let lost = claimed.due.lease_until_us != 0 && self.now_us() >= claimed.due.lease_until_us;
        if lost && operation != Operation::Query {
            return Ok(Ended::Stale);
        }
        let called = match operation {
            Operation::Send | Operation::Fetch => provider.send(request),
            Operation::Query => provider.query(request),
        };
        let answer = heard(operation, self.called(called).await);
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

/// What an answer says, in answer to that. Only a question tells that a number is not known, and only a
/// sending that it was turned down: not one of a number that the provider has, whose payout stands
/// whatever becomes of the repetition.
fn heard(operation: Operation, answer: Answer) -> Answer {
    match answer {
        Answer::NotFound if operation != Operation::Query => {
            Answer::unknown("not found, in answer to a sending")
        }
        Answer::Rejected { .. } | Answer::Blocked { .. } if operation != Operation::Send => {
            Answer::unknown(answer.detail())
        }
        answer => answer,
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
    SendRequest { number, payee_id, amount_minor, body, digest }
}

/// What is right to do with a number now. It is sent for the first time, or again when the last thing the
/// provider said of it is that it does not know it, or that the payee must confirm and we do not know
/// with what; in every other case it is asked about (G8). What a person had taken back is not sent again.
/// While the channel is paused nothing is sent: what the provider has is asked about, the rest waits
/// (`None`).
async fn right_now(
    conn: &mut Conn,
    w: &Withdrawal,
    number: &str,
    paused: bool,
) -> Result<Option<Operation>, WriteError> {
    if w.due.effect != Some(Effect::Send) || attempts::taken_back(conn, number).await? {
        return Ok(Some(Operation::Query));
    }
    let last = attempts::last_asked(conn, number).await?;
    let said = |outcome: &str| {
        last.as_ref().is_some_and(|call| call.operation == "query" && call.outcome == outcome)
    };
    Ok(if last.is_none() || said("not_found") {
        (!paused).then_some(Operation::Send)
    } else if said("waiting") && w.confirmation.is_none() && !paused {
        Some(Operation::Fetch)
    } else {
        Some(Operation::Query)
    })
}

/// Notes the call that is made next, if there is one.
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
        let (alarm, number) = ("attempt_changed", attempt.number.as_str());
        tracing::error!(alarm, number, withdrawal = w.id, "not what was written");
        return Ok(None);
    }
    let Some(operation) = right_now(conn, &w, &attempt.number, paused).await? else {
        let hold = |book: &mut Book| {
            w.due.hold(WHEN_RESUMED);
            book.save(w.status, &mut w)
        };
        alone(conn, Needs::id(claimed.id), hold).await?;
        return Ok(None);
    };
    let begin = |book: &mut Book| Ok(book.begin_call(&attempt.number, operation.name(), now_us));
    let call = alone(conn, Needs::default(), begin).await?;
    Ok(Some(Asked { call, operation, request: request(attempt) }))
}
