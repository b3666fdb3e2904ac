//! Paying through a provider (guarantees G8 to G10). The attempt is committed before
//! the first byte leaves; every call is noted before it is made; unknown is an outcome.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::number::{digest, hex};
use cashout_common::random::Random;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;

use super::effects::Ended;
use super::transition::{Step, advance, free};
use super::{Core, Timing, micros};
use crate::domain::numbers::{NUMBER_TRIES, trade_no};
use crate::domain::status::{Event, Status};
use crate::domain::withdrawal::Withdrawal;
use crate::ports::{Answer, Order, Provider, SendRequest};
use crate::store::attempts::{self, Attempt};
use crate::store::cases;
use crate::store::withdrawals::unchanged;

/// SHA-256 of a request's bytes, hex.
#[must_use]
pub fn body_digest(body: &[u8]) -> String {
    hex(&digest(&[body]))
}

/// What to ask a provider, noted already.
enum Ask {
    Send { call: i64, request: SendRequest },
    Query { call: i64, number: String },
}

impl Core {
    fn provider_of(&self, w: &Withdrawal) -> Result<Arc<dyn Provider>, Failure> {
        self.providers
            .named(&w.provider)
            .ok_or_else(|| Failure::new(Reason::Internal, "no provider of that name is configured"))
    }

    /// Writes the attempt, then sends it under the same lease.
    pub(super) async fn pay(self: &Arc<Self>, claimed: Withdrawal) -> Result<Ended, Failure> {
        let provider = match self.provider_of(&claimed) {
            Ok(provider) => provider,
            Err(failure) => return self.postpone(claimed, &failure).await,
        };
        let (random, now_us) = (self.world.random.clone(), self.now_us());
        let written = self
            .store
            .write(move |conn| write_attempt(conn, claimed, provider, random, now_us).boxed())
            .await?;
        match written {
            Some(w) if w.status == Status::Paying => self.ask_provider(w).await,
            Some(_) => Ok(Ended::Applied),
            None => Ok(Ended::Stale),
        }
    }

    /// Sends or asks, whichever is right, and applies the answer.
    pub(super) async fn ask_provider(&self, claimed: Withdrawal) -> Result<Ended, Failure> {
        let provider = match self.provider_of(&claimed) {
            Ok(provider) => provider,
            Err(failure) => return self.postpone(claimed, &failure).await,
        };
        let (for_job, now_us) = (claimed.clone(), self.now_us());
        let ask = self.store.write(move |conn| note_call(conn, for_job, now_us).boxed()).await?;
        let Some(ask) = ask else { return Ok(Ended::Stale) };
        let (call, sent, future) = match ask {
            Ask::Send { call, request } => (call, true, provider.send(request)),
            Ask::Query { call, number } => (call, false, provider.query(number)),
        };
        // In a task of its own: a call that is too slow is left alone, not dropped half-way.
        let answer = tokio::time::timeout(self.timing.call_timeout, tokio::spawn(future)).await;
        let answer = match answer {
            Ok(Ok(Answer::NotFound)) if sent => unknown("not found, in answer to a sending"),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unknown("the provider's adapter failed"),
            Err(_) => unknown("no answer in time"),
        };
        let (timing, now_us) = (self.timing, self.now_us());
        self.store
            .write(move |conn| apply(conn, claimed, call, answer, timing, now_us).boxed())
            .await
    }
}

fn unknown(why: &str) -> Answer {
    Answer::Unknown { why: why.to_owned() }
}

/// Approved to paying: number, payee, amount and exact bytes are committed here. What would be paid must
/// be what enough reviewers approved; otherwise the approval is void.
async fn write_attempt(
    conn: &mut Conn,
    claimed: Withdrawal,
    provider: Arc<dyn Provider>,
    random: Random,
    now_us: i64,
) -> Result<Option<Withdrawal>, WriteError> {
    let Some(mut w) = unchanged(conn, &claimed).await? else { return Ok(None) };
    let content = w.content();
    if content != w.content_digest || w.reviewers < w.reviewers_required {
        w.content_digest = content;
        free(&mut w.due);
        let reason = "what would be paid is not what was approved";
        advance(conn, &mut w, Step { reason, ..Step::system(Event::ApprovalVoided, now_us) })
            .await?;
        return Ok(Some(w));
    }
    let n = attempts::count(conn, w.id).await? + 1;
    w.trade_no = free_number(conn, &w.cash_sn, n, &random).await?;
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
    let body = provider.prepare(&order);
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
    attempts::insert(conn, &attempt).await?;
    advance(conn, &mut w, Step::system(Event::AttemptWritten, now_us)).await?;
    Ok(Some(w))
}

async fn free_number(
    conn: &mut Conn,
    cash_sn: &str,
    n: i64,
    random: &Random,
) -> Result<String, WriteError> {
    for _ in 0..NUMBER_TRIES {
        let number = trade_no(cash_sn, n, random);
        if !attempts::taken(conn, &number).await? {
            return Ok(number);
        }
    }
    Err(Failure::new(Reason::Unavailable, "no free number was found; try again").into())
}

/// Notes the call that is made next. A number is sent for the first time, or again after the provider
/// said that it does not know it; in every other case it is asked about (G8).
async fn note_call(
    conn: &mut Conn,
    claimed: Withdrawal,
    now_us: i64,
) -> Result<Option<Ask>, WriteError> {
    let Some(w) = unchanged(conn, &claimed).await? else { return Ok(None) };
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
    let call = attempts::begin_call(conn, &attempt.number, operation, now_us).await?;
    Ok(Some(if send {
        let Attempt { number, payee_id, amount_minor, body, digest, .. } = attempt;
        Ask::Send { call, request: SendRequest { number, payee_id, amount_minor, body, digest } }
    } else {
        Ask::Query { call, number: attempt.number }
    }))
}

/// Notes the answer, then applies it if the withdrawal is still as it was. An answer that comes too late
/// is noted all the same: it is evidence.
async fn apply(
    conn: &mut Conn,
    claimed: Withdrawal,
    call: i64,
    answer: Answer,
    timing: Timing,
    now_us: i64,
) -> Result<Ended, WriteError> {
    attempts::end_call(conn, call, answer.outcome(), &answer.detail()).await?;
    let Some(mut w) = unchanged(conn, &claimed).await? else { return Ok(Ended::Stale) };
    if let Some(reason) = past_limit(conn, &w, &answer, timing, now_us).await? {
        let evidence = evidence(conn, &w, now_us).await?;
        cases::open(conn, w.id, &evidence, now_us).await?;
        free(&mut w.due);
        advance(conn, &mut w, Step { reason, ..Step::system(Event::GiveUp, now_us) }).await?;
        return Ok(Ended::Applied);
    }
    let (event, reason) = match answer {
        Answer::Paid { third_trade_no } => {
            attempts::end(conn, w.id, "paid").await?;
            w.third_trade_no = third_trade_no;
            w.paid_at_us = now_us;
            (Event::ProviderPaid, String::new())
        }
        Answer::Refused { code, message } => {
            attempts::end(conn, w.id, "failed").await?;
            let reason = format!("{code}: {message}");
            w.review_remark = message;
            (Event::ProviderRefused, reason)
        }
        Answer::Pending => (Event::ProviderPending, String::new()),
        Answer::NotFound => (Event::NotFound, String::new()),
        Answer::Unknown { why } => (Event::ProviderUnknown, why),
    };
    free(&mut w.due);
    // Settling and releasing begin at once, asking again after a pause.
    let again = matches!(event, Event::ProviderPending | Event::ProviderUnknown | Event::NotFound);
    let delay_us = if again { timing.backoff_us(w.due.tries) } else { 0 };
    let step = Step { reason: &reason, delay_us, ..Step::system(event, now_us) };
    advance(conn, &mut w, step).await?;
    Ok(Ended::Applied)
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
        Answer::Pending => past(asked_since_us(conn, w, now_us).await?, timing.pending_limit)
            .then_some("the provider did not finish within the limit"),
        Answer::NotFound | Answer::Unknown { .. } => {
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
