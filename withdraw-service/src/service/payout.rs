//! Paying through a provider (guarantees G8 to G10). The attempt is committed before
//! the first byte leaves; every call is noted before it is made; unknown is an outcome.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::number::{digest, hex};
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;

use super::effects::Ended;
use super::places::Place;
use super::transition::{Step, advance, free};
use super::{Core, Timing, micros};
use crate::domain::numbers::{next_attempt, trade_no};
use crate::domain::status::Event;
use crate::domain::withdrawal::Withdrawal;
use crate::ports::{Answer, Order, Provider, SendRequest};
use crate::store::attempts::{self, Attempt};
use crate::store::book::{Book, Needs, alone};
use crate::store::cases;

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
    fn provider_of(&self, w: &Withdrawal) -> Result<Arc<dyn Provider>, Failure> {
        self.providers
            .named(&w.provider)
            .ok_or_else(|| Failure::new(Reason::Internal, "no provider of that name is configured"))
    }

    /// Whether its provider is configured.
    pub(super) fn pays(&self, w: &Withdrawal) -> bool {
        self.providers.named(&w.provider).is_some()
    }

    /// Writes the attempt of a claimed withdrawal, then sends it under the same lease.
    pub(super) async fn pay(self: &Arc<Self>, claimed: Withdrawal) -> Result<Ended, Failure> {
        if let Err(failure) = self.provider_of(&claimed) {
            return self.postpone(claimed, &failure).await;
        }
        let (core, id) = (self.clone(), claimed.id);
        let job = move |book: &mut Book| {
            let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
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
    /// written here. What would be paid must be what enough reviewers approved; otherwise the approval
    /// is void and there is nothing to ask.
    pub(super) fn write_attempt(
        &self,
        book: &mut Book,
        w: &mut Withdrawal,
    ) -> Result<Option<Asked>, Failure> {
        let (provider, now_us) = (self.provider_of(w)?, self.now_us());
        let content = w.content();
        if content != w.content_digest || w.reviewers < w.reviewers_required {
            w.content_digest = content;
            free(&mut w.due);
            let reason = "what would be paid is not what was approved";
            let step = Step { reason, ..Step::system(Event::ApprovalVoided, now_us) };
            advance(book, w, step)?;
            return Ok(None);
        }
        w.trade_no = trade_no(&w.cash_sn, next_attempt(&w.trade_no), &self.world.random);
        if w.pay_requested_at_us == 0 {
            w.pay_requested_at_us = now_us;
        }
        let order = Order {
            number: w.trade_no.clone(),
            payee_id: w.payee_id.clone(),
            payee_name: w.payee_name.clone(),
            amount_minor: w.actual_minor,
            currency: w.currency.clone(),
        };
        let body = provider.prepare(&order)?;
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
        let (sent, future) = match what {
            What::Send(request) => (true, provider.send(request)),
            What::Query(request) => (false, provider.query(request)),
        };
        // In a task of its own: a call that is too slow is left alone, not dropped half-way.
        let answer = tokio::time::timeout(self.timing.call_timeout, tokio::spawn(future)).await;
        let answer = match answer {
            Ok(Ok(Answer::NotFound)) if sent => unknown("not found, in answer to a sending"),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unknown("the provider's adapter failed"),
            Err(_) => unknown("no answer in time"),
        };
        self.apply(claimed, call, answer).await
    }

    /// Notes the answer, then applies it if the withdrawal is still as it was. An answer that comes too
    /// late is noted all the same: it is evidence.
    async fn apply(
        self: &Arc<Self>,
        claimed: Withdrawal,
        call: i64,
        answer: Answer,
    ) -> Result<Ended, Failure> {
        let (core, id) = (self.clone(), claimed.id);
        let applied = if matches!(answer, Answer::Paid { .. } | Answer::Refused { .. }) {
            let job = move |book: &mut Book| {
                book.end_call(call, answer.outcome(), answer.detail());
                let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
                let place = core.applied(book, &mut w, &answer)?;
                Ok(Some((w, place)))
            };
            self.store.decide(Needs::id(id), job).await?
        } else {
            self.store
                .write(move |conn| not_final(conn, core, claimed, call, answer).boxed())
                .await?
        };
        Ok(applied.map_or(Ended::Stale, |(w, place)| self.onward(w, place)))
    }

    /// Applies an answer, inside a job.
    fn applied(
        &self,
        book: &mut Book,
        w: &mut Withdrawal,
        answer: &Answer,
    ) -> Result<Option<Place>, Failure> {
        let now_us = self.now_us();
        let (event, reason) = match answer {
            Answer::Paid { third_trade_no } => {
                book.end_attempt(w.id, "paid");
                w.third_trade_no.clone_from(third_trade_no);
                w.paid_at_us = now_us;
                (Event::ProviderPaid, String::new())
            }
            Answer::Refused { code, message } => {
                book.end_attempt(w.id, "failed");
                w.review_remark.clone_from(message);
                (Event::ProviderRefused, format!("{code}: {message}"))
            }
            Answer::Pending { .. } => (Event::ProviderPending, String::new()),
            Answer::NotFound => (Event::NotFound, String::new()),
            Answer::Rejected { .. } | Answer::Blocked { .. } | Answer::Unknown { .. } => {
                (Event::ProviderUnknown, answer.detail())
            }
        };
        free(&mut w.due);
        // Settling and releasing begin at once, asking again after a pause.
        let again =
            matches!(event, Event::ProviderPending | Event::ProviderUnknown | Event::NotFound);
        let delay_us = if again { self.timing.backoff_us(w.due.tries) } else { 0 };
        let step = Step { reason: &reason, delay_us, ..Step::system(event, now_us) };
        advance(book, w, step)?;
        Ok(if again { None } else { self.keep(book, w) })
    }
}

fn unknown(why: &str) -> Answer {
    Answer::Unknown { why: why.to_owned() }
}

fn request(attempt: Attempt) -> SendRequest {
    let Attempt { number, payee_id, amount_minor, body, digest, .. } = attempt;
    SendRequest { number, payee_id, amount_minor, body, digest }
}

/// Notes the call that is made next. A number is sent for the first time, or again after the provider
/// said that it does not know it; in every other case it is asked about (G8).
async fn note_call(
    conn: &mut Conn,
    claimed: Withdrawal,
    now_us: i64,
) -> Result<Option<Asked>, WriteError> {
    let now = alone(conn, Needs::id(claimed.id), |book| book.unchanged(&claimed)).await?;
    let Some(w) = now else { return Ok(None) };
    // Somebody took over meanwhile, another instance or this one again: they ask, we do not.
    let lease = |w: &Withdrawal| (w.due.lease_owner.clone(), w.due.lease_until_us);
    if lease(&w) != lease(&claimed) {
        return Ok(None);
    }
    let Some(attempt) = attempts::live(conn, w.id).await? else {
        tracing::error!(withdrawal = w.id, "paying without a live attempt");
        return Ok(None);
    };
    let last = attempts::last_call(conn, &attempt.number).await?;
    let send = last.is_none_or(|call| call.operation == "query" && call.outcome == "not_found");
    let operation = if send { "send" } else { "query" };
    let begin = |book: &mut Book| Ok(book.begin_call(&attempt.number, operation, now_us));
    let call = alone(conn, Needs::default(), begin).await?;
    let what = if send { What::Send(request(attempt)) } else { What::Query(request(attempt)) };
    Ok(Some(Asked { call, what }))
}

/// Notes and applies an answer that leaves the outcome open, unless it comes past a limit.
async fn not_final(
    conn: &mut Conn,
    core: Arc<Core>,
    claimed: Withdrawal,
    call: i64,
    answer: Answer,
) -> Result<Option<(Withdrawal, Option<Place>)>, WriteError> {
    let note = |book: &mut Book| {
        book.end_call(call, answer.outcome(), answer.detail());
        book.unchanged(&claimed)
    };
    let Some(mut w) = alone(conn, Needs::id(claimed.id), note).await? else { return Ok(None) };
    let now_us = core.now_us();
    let gives_up = past_limit(conn, &w, &answer, core.timing, now_us).await?;
    if gives_up.is_some() {
        let evidence = evidence(conn, &w, now_us).await?;
        cases::open(conn, w.id, &evidence, now_us).await?;
    }
    let decide = |book: &mut Book| match gives_up {
        Some(reason) => {
            free(&mut w.due);
            advance(book, &mut w, Step { reason, ..Step::system(Event::GiveUp, now_us) })?;
            Ok(None)
        }
        None => core.applied(book, &mut w, &answer),
    };
    let place = alone(conn, Needs::id(claimed.id), decide).await?;
    Ok(Some((w, place)))
}

/// Why a person must decide, if an answer that is not final comes too late. How long a provider works on
/// a payout counts from its attempt, how long nobody knows the outcome from the first such answer: a
/// provider that says now this and now that is no exception. Who has it asked again begins anew.
async fn past_limit(
    conn: &mut Conn,
    w: &Withdrawal,
    answer: &Answer,
    timing: Timing,
    now_us: i64,
) -> Result<Option<&'static str>, WriteError> {
    let past = |since_us: i64, limit| now_us.saturating_sub(since_us) >= micros(limit);
    Ok(match answer {
        Answer::Paid { .. } | Answer::Refused { .. } => None,
        Answer::Pending { .. } => {
            past(asked_since_us(conn, w, now_us).await?, timing.pending_limit)
                .then_some("the provider did not finish within the limit")
        }
        Answer::NotFound
        | Answer::Rejected { .. }
        | Answer::Blocked { .. }
        | Answer::Unknown { .. } => {
            let known_until_now = w.unknown_since_us == 0;
            (!known_until_now && past(w.unknown_since_us, timing.unknown_limit))
                .then_some("the outcome stayed unknown past the limit")
        }
    })
}

/// Since when a final answer is waited for: since the attempt, or since a person had it asked again.
async fn asked_since_us(conn: &mut Conn, w: &Withdrawal, now_us: i64) -> Result<i64, WriteError> {
    let written_us = attempts::live(conn, w.id).await?.map_or(now_us, |a| a.created_at_us);
    Ok(written_us.max(cases::asked_again_us(conn, w.id).await?))
}

/// What is known of a payout nobody knows the outcome of. No personal data: people look that up.
async fn evidence(conn: &mut Conn, w: &Withdrawal, now_us: i64) -> Result<String, WriteError> {
    let calls = attempts::calls(conn, w.id).await?;
    let asked_since_us = asked_since_us(conn, w, now_us).await?;
    let seconds = |us: i64| us / cashout_common::clock::SECOND_US;
    let mut text = format!(
        "number {} at {}: {} {}, no final answer for {} s, {} calls; the last:",
        w.trade_no,
        w.provider,
        cashout_common::money::format_fixed(w.actual_minor),
        w.currency,
        seconds(now_us.saturating_sub(asked_since_us)),
        calls.len(),
    );
    for call in calls.iter().rev().take(5) {
        let outcome = if call.outcome.is_empty() { "no answer" } else { &call.outcome };
        let ago = seconds(now_us.saturating_sub(call.at_us));
        text.push_str(&format!(" [{} {ago} s ago: {outcome} {}]", call.operation, call.detail));
    }
    Ok(text)
}
