//! What an answer of a provider changes (guarantees G8, G9): noted first, then applied if the withdrawal
//! is still as it was asked for. Only an explicit outcome moves money; past its limit an open one becomes
//! a case.
//!
//! Must not know: how providers are called.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::writer::WriteError;
use cashout_proto::Failure;
use futures::FutureExt;

use super::channels::{self, Alarm};
use super::effects::Ended;
use super::places::Place;
use super::transition::{Step, advance, free};
use super::{Core, micros};
use crate::domain::status::Event;
use crate::domain::withdrawal::Withdrawal;
use crate::ports::{Answer, Repair};
use crate::store::attempts::{self, Call};
use crate::store::book::{Book, Needs, alone};
use crate::store::cases;

/// How often a number must have been turned down before it is taken for a case, when it is late too.
const BLOCKED_OFTEN: i64 = 10;

/// What an answer led to: the withdrawal as it is now, the place kept for what became due, and what
/// somebody must hear of.
type Applied = (Withdrawal, Option<Place>, Option<Alarm>);

/// Why a person must decide: the kind of the case, and the words of the history.
type GiveUp = (&'static str, String);

impl Core {
    /// Notes the answer, then applies it if the withdrawal is still as it was. An answer that comes too
    /// late is noted all the same: it is evidence.
    pub(super) async fn apply(
        self: &Arc<Self>,
        claimed: Withdrawal,
        call: i64,
        answer: Answer,
    ) -> Result<Ended, Failure> {
        let core = self.clone();
        let applied = if matches!(answer, Answer::Paid { .. } | Answer::Refused { .. }) {
            let needs = Needs::claimed(&claimed);
            let job = move |book: &mut Book| {
                book.end_call(call, answer.outcome(), answer.detail());
                let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
                let place = core.applied(book, &mut w, &answer)?;
                Ok(Some((w, place, None)))
            };
            self.store.decide(needs, job).await?
        } else {
            self.store
                .write(move |conn| not_final(conn, core, claimed, call, answer).boxed())
                .await?
        };
        let Some((w, place, alarm)) = applied else { return Ok(Ended::Stale) };
        if let Some(alarm) = alarm {
            alarm.sound();
        }
        Ok(self.onward(w, place))
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
                book.end_attempt(&w.trade_no, "paid");
                learn_number(w, third_trade_no);
                w.paid_at_us = now_us;
                (Event::ProviderPaid, String::new())
            }
            Answer::Refused { code, message } => {
                book.end_attempt(&w.trade_no, "failed");
                w.review_remark.clone_from(message);
                (Event::ProviderRefused, format!("{code}: {message}"))
            }
            Answer::Pending { third_trade_no, confirmation, .. } => {
                learn_number(w, third_trade_no);
                // Told once: a query that tells none takes nothing away.
                if confirmation.is_some() {
                    if w.confirmation.is_none() {
                        // The payee can confirm from now on, whatever was waited for it before.
                        w.due.tries = 0;
                    }
                    w.confirmation.clone_from(confirmation);
                }
                (Event::ProviderPending, String::new())
            }
            Answer::Waiting { third_trade_no } => {
                learn_number(w, third_trade_no);
                let kept = w.confirmation.is_some();
                let event = if kept { Event::ProviderPending } else { Event::ProviderWaiting };
                (event, String::new())
            }
            Answer::NotFound => (Event::NotFound, String::new()),
            Answer::Blocked { .. } => (Event::ProviderBlocked, answer.detail()),
            Answer::Rejected { .. } | Answer::Unknown { .. } => {
                (Event::ProviderUnknown, answer.detail())
            }
        };
        free(&mut w.due);
        // Settling and releasing begin at once, asking again after a pause.
        let ends = matches!(event, Event::ProviderPaid | Event::ProviderRefused);
        let delay_us = match answer {
            _ if ends => 0,
            Answer::Waiting { .. } | Answer::Pending { confirmation: Some(_), .. }
                if w.confirmation.is_some() =>
            {
                self.timing.confirm_backoff_us(w.due.tries)
            }
            _ => self.timing.backoff_us(w.due.tries),
        };
        let step = Step { reason: &reason, delay_us, ..Step::system(event, now_us) };
        advance(book, w, step)?;
        Ok(if ends { self.keep(book, w) } else { None })
    }

    /// Why a person must decide, if an answer that is not final comes too late, or is one that waiting
    /// does not change. How long a provider works on a payout counts from its attempt, how long nobody
    /// knows the outcome from the first such answer: a provider that says now this and now that is no
    /// exception. Who has it asked again begins anew. What a paused channel keeps from being sent is not
    /// late: its time begins when the channel is resumed. What is blocked waits for the repair for as long
    /// as it takes, unless it was sent often and is no further after that time.
    async fn gives_up(
        &self,
        conn: &mut Conn,
        w: &Withdrawal,
        answer: &Answer,
    ) -> Result<Option<GiveUp>, WriteError> {
        let now_us = self.now_us();
        let past = |since_us: i64, limit| now_us.saturating_sub(since_us) >= micros(limit);
        let late = |why: &str| Some(("outcome_unknown", why.to_owned()));
        let (pending, unknown) = (self.timing.pending_limit, self.timing.unknown_limit);
        let since_us = w.unknown_since_us;
        let doubtful = "the outcome stayed unknown past the limit";
        Ok(match answer {
            Answer::Paid { .. } | Answer::Refused { .. } => None,
            Answer::Blocked { repair: Repair::Request, .. } => {
                let why = format!("the provider does not take this request: {}", answer.detail());
                Some(("request_refused", why))
            }
            Answer::Pending { .. } | Answer::Waiting { .. } => {
                let asked_us = asked_since_us(conn, w, now_us).await?;
                let why = "the provider did not finish within the limit";
                past(asked_us, pending).then(|| late(why)).flatten()
            }
            Answer::Rejected { .. } | Answer::Unknown { .. } => {
                (since_us != 0 && past(since_us, unknown)).then(|| late(doubtful)).flatten()
            }
            Answer::NotFound => {
                if let Some(why) = self.never_again(conn, w).await? {
                    return Ok(late(why));
                }
                if since_us == 0 {
                    return Ok(None);
                }
                let open_us = channels::open_since_us(conn, &w.provider).await?;
                let since_us = open_us.map(|open_us| open_us.max(since_us));
                since_us.filter(|us| past(*us, unknown)).and_then(|_| late(doubtful))
            }
            Answer::Blocked { .. } => {
                let asked_us = asked_since_us(conn, w, now_us).await?;
                let again = past(asked_us, pending)
                    && attempts::times_blocked(conn, &w.trade_no).await? >= BLOCKED_OFTEN;
                let why = "the provider does not pay however often its channel is resumed";
                again.then(|| late(why)).flatten()
            }
        })
    }

    /// Why a number that the provider does not know must not be sent again, if it must not.
    async fn never_again(
        &self,
        conn: &mut Conn,
        w: &Withdrawal,
    ) -> Result<Option<&'static str>, WriteError> {
        let calls = attempts::calls_of_number(conn, &w.trade_no).await?;
        let Some(sent) = calls.iter().rev().find(|call| call.operation == "send") else {
            return Ok(None);
        };
        if calls.iter().any(|call| call.operation == "cancel" && call.id > sent.id) {
            return Ok(Some("it was to be taken back, and the provider does not know it"));
        }
        if sent.outcome == "rejected" {
            return Ok(Some(
                "the payee cannot be paid, but an earlier sending may still be on its way",
            ));
        }
        let provider = self.providers.named(&w.provider);
        let remembers = provider.and_then(|provider| provider.remembers());
        let forgotten = remembers
            .is_some_and(|remembers| self.now_us().saturating_sub(sent.at_us) >= micros(remembers));
        Ok(forgotten.then_some("it is too old for the provider to tell anything about it"))
    }
}

/// The provider's number, once it is known.
fn learn_number(w: &mut Withdrawal, third_trade_no: &str) {
    if !third_trade_no.is_empty() {
        w.third_trade_no = third_trade_no.to_owned();
    }
}

/// Notes and applies an answer that leaves the outcome open, unless a person has to decide.
async fn not_final(
    conn: &mut Conn,
    core: Arc<Core>,
    claimed: Withdrawal,
    call: i64,
    answer: Answer,
) -> Result<Option<Applied>, WriteError> {
    let note = |book: &mut Book| {
        book.end_call(call, answer.outcome(), answer.detail());
        book.unchanged(&claimed)
    };
    let Some(mut w) = alone(conn, Needs::id(claimed.id), note).await? else { return Ok(None) };
    let now_us = core.now_us();
    let alarm = match &answer {
        Answer::Blocked { repair, .. } => {
            channels::blocked(conn, &w.provider, *repair, &answer.detail(), now_us).await?
        }
        _ => None,
    };
    let answer = confirmed(conn, &w, answer).await?;
    let gives_up = core.gives_up(conn, &w, &answer).await?;
    if let Some((kind, _)) = &gives_up {
        let evidence = evidence(conn, &w, now_us).await?;
        cases::open(conn, w.id, kind, &evidence, now_us).await?;
    }
    let decide = |book: &mut Book| match &gives_up {
        Some((_, reason)) => {
            free(&mut w.due);
            advance(book, &mut w, Step { reason, ..Step::system(Event::GiveUp, now_us) })?;
            Ok(None)
        }
        None => core.applied(book, &mut w, &answer),
    };
    let place = alone(conn, Needs::id(claimed.id), decide).await?;
    Ok(Some((w, place, alarm)))
}

/// A number that the provider does not know was refused for good if its last sending was turned down
/// because of the payee, and nothing else can have come of it: no sending of it is unanswered, and no
/// answer said that the provider has it. By itself it says nothing (G9).
async fn confirmed(conn: &mut Conn, w: &Withdrawal, answer: Answer) -> Result<Answer, WriteError> {
    if answer != Answer::NotFound {
        return Ok(answer);
    }
    let calls = attempts::calls_of_number(conn, &w.trade_no).await?;
    Ok(match turned_down(&calls) {
        Some(send) => {
            let (code, message) = send.detail.split_once(": ").unwrap_or(("", &send.detail));
            Answer::Refused { code: code.to_owned(), message: message.to_owned() }
        }
        None => answer,
    })
}

/// The last sending, when it was turned down because of the payee and every other call agrees.
fn turned_down(calls: &[Call]) -> Option<&Call> {
    let is = |call: &Call, words: &[&str]| words.contains(&call.outcome.as_str());
    let agrees = |call: &Call| match call.operation.as_str() {
        "send" => is(call, &["rejected", "blocked"]),
        "query" => !is(call, &["pending", "waiting", "paid", "refused"]),
        _ => true,
    };
    let last = calls.iter().rev().find(|call| call.operation == "send")?;
    (is(last, &["rejected"]) && calls.iter().all(agrees)).then_some(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(words: &[&str]) -> Vec<Call> {
        let call = |(id, words): (i64, &&str)| {
            let (operation, outcome) = words.split_once(' ').unwrap_or((words, ""));
            Call {
                id,
                number: "N1".to_owned(),
                operation: operation.to_owned(),
                outcome: outcome.to_owned(),
                detail: String::new(),
                at_us: id,
            }
        };
        (1_i64..).zip(words).map(call).collect()
    }

    #[test]
    fn a_number_was_turned_down_when_its_last_sending_was_and_nothing_disagrees() {
        let table: [(&[&str], bool); 15] = [
            (&["send rejected", "query not_found"], true),
            (&["send rejected", "query unknown", "query not_found"], true),
            (&["send rejected", "query ", "query not_found"], true),
            (&["send blocked", "query not_found", "send rejected", "query not_found"], true),
            (&["send rejected", "cancel pending", "query not_found"], true),
            (&["send rejected", "query pending", "query not_found"], false),
            (&["send rejected", "query waiting", "query not_found"], false),
            (&["send rejected", "query paid", "query not_found"], false),
            (&["send rejected", "query refused", "query not_found"], false),
            (&["send unknown", "query not_found", "send rejected", "query not_found"], false),
            (&["send ", "query not_found", "send rejected", "query not_found"], false),
            (&["send pending", "query not_found", "send rejected", "query not_found"], false),
            (&["send rejected", "query not_found", "send blocked", "query not_found"], false),
            (&["send rejected", "query not_found", "send ", "query not_found"], false),
            (&["query not_found"], false),
        ];
        for (words, expected) in table {
            let calls = calls(words);
            assert_eq!(turned_down(&calls).is_some(), expected, "{words:?}");
        }
    }
}
