//! Deciding an open case: the only way out of `UNRESOLVED`, by a person, with the proof in words.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::text;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;

use super::Core;
use super::effects::Going;
use super::transition::{Step, advance};
use crate::domain::notice::PAID_WORDS;
use crate::domain::status::Event;
use crate::domain::withdrawal::Withdrawal;
use crate::store::attempts::{self, Call};
use crate::store::book::{Book, Needs, alone};
use crate::store::cases::{self, Case};
use crate::store::notifications;

/// What a person found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It was paid.
    Paid,
    /// It was not and will not be paid.
    NotPaid,
    /// Nothing; the provider is to be asked again.
    AskAgain,
}

impl Finding {
    const fn word(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::NotPaid => "not_paid",
            Self::AskAgain => "ask_again",
        }
    }
}

/// A decision on a case.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// What was found out.
    pub finding: Finding,
    /// By whom.
    pub resolver: i64,
    /// The proof, in words.
    pub reason: String,
    /// The provider's number, when known.
    pub third_trade_no: String,
}

impl Core {
    /// Decides a case.
    ///
    /// # Errors
    /// `CASE_NOT_FOUND`, `CASE_ALREADY_RESOLVED`, `SELF_REVIEW`, `INVALID_ARGUMENT`.
    pub async fn resolve(self: &Arc<Self>, id: i64, given: Resolution) -> Result<Case, Failure> {
        if given.reason.trim().is_empty() {
            return Err(Failure::field("reason", "say what the proof is"));
        }
        text::free(&given.reason, 255).map_err(|rule| Failure::field("reason", rule))?;
        text::free(&given.third_trade_no, 64)
            .map_err(|rule| Failure::field("third_trade_no", rule))?;
        let core = self.clone();
        let (case, w) =
            self.store.write(move |conn| resolve_job(conn, core, id, given).boxed()).await?;
        self.finish(vec![Going::inline(w)]).await;
        Ok(case)
    }
}

async fn resolve_job(
    conn: &mut Conn,
    core: Arc<Core>,
    id: i64,
    given: Resolution,
) -> Result<(Case, Withdrawal), WriteError> {
    let missing = || Failure::new(Reason::CaseNotFound, "no such case");
    let case = cases::get(conn, id).await?.ok_or_else(missing)?;
    if !case.resolution.is_empty() {
        let told = "the case was decided already";
        return Err(Failure::new(Reason::CaseAlreadyResolved, told).into());
    }
    if given.finding == Finding::NotPaid && said_paid(conn, case.withdrawal_id).await? {
        let told = "the provider has said that it was paid; have it asked again first";
        return Err(Failure::field("resolution", told).into());
    }
    if given.finding == Finding::NotPaid && still_waits(conn, case.withdrawal_id).await? {
        let told = "the payee can still confirm it; have it taken back or asked again first";
        return Err(Failure::field("resolution", told).into());
    }
    let (now_us, by) = (core.now_us(), format!("user:{}", given.resolver));
    let decide = |book: &mut Book| {
        let mut w = book.get(case.withdrawal_id)?;
        if w.user_id == given.resolver {
            return Err(Failure::new(Reason::SelfReview, "another person must decide on it"));
        }
        let event = found(book, &core, &mut w, &given, now_us);
        w.decided_by.clone_from(&by);
        advance(book, &mut w, Step::person(event, &by, &given.reason, now_us))?;
        Ok(w)
    };
    let w = alone(conn, Needs::id(case.withdrawal_id), decide).await?;
    let word = given.finding.word();
    cases::resolve(conn, w.id, word, &by, &given.reason, now_us).await?;
    let case = cases::get(conn, id).await?.ok_or_else(missing)?;
    Ok((case, w))
}

/// Whether the provider ever said that a withdrawal was paid: in an answer that came too late to be
/// applied, or in a notification.
async fn said_paid(conn: &mut Conn, withdrawal_id: i64) -> Result<bool, WriteError> {
    let calls = attempts::calls(conn, withdrawal_id).await?;
    let answered = calls.iter().any(|call| call.operation != "cancel" && call.outcome == "paid");
    Ok(answered || notifications::say(conn, withdrawal_id, PAID_WORDS).await?)
}

/// Whether the last thing the provider said, asked about it, is that the payee has yet to confirm: that is
/// no word on a payout that may not be paid any more, and silence after it is none either.
async fn still_waits(conn: &mut Conn, withdrawal_id: i64) -> Result<bool, WriteError> {
    let calls = attempts::calls(conn, withdrawal_id).await?;
    let said = |c: &&Call| c.operation == "query" && !["", "unknown"].contains(&c.outcome.as_str());
    Ok(calls.iter().rfind(said).is_some_and(|call| call.outcome == "waiting"))
}

/// What a finding changes, and what happens by it.
fn found(
    book: &mut Book,
    core: &Core,
    w: &mut Withdrawal,
    given: &Resolution,
    now_us: i64,
) -> Event {
    match given.finding {
        Finding::Paid => {
            book.end_attempt(&w.trade_no, "paid");
            if !given.third_trade_no.is_empty() {
                w.third_trade_no.clone_from(&given.third_trade_no);
            }
            w.paid_at_us = now_us;
            core.lease(w);
            Event::ResolvePaid
        }
        Finding::NotPaid => {
            book.end_attempt(&w.trade_no, "failed");
            w.review_remark.clone_from(&given.reason);
            core.lease(w);
            Event::ResolveNotPaid
        }
        Finding::AskAgain => Event::AskAgain,
    }
}
