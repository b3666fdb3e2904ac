//! Having a provider asked to take a payout back, on a person's word. The call is noted before it is
//! made; what became of the payout is only learned by asking, which is due at once. Doing it twice is
//! harmless. Must not know: what the answer means.

use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;

use super::payout::request;
use super::transition::{Step, illegal, remark};
use super::{Core, channels};
use crate::domain::status::{Effect, Event, next};
use crate::domain::withdrawal::Withdrawal;
use crate::ports::{Answer, Provider, SendRequest};
use crate::store::attempts;
use crate::store::book::{Book, Needs, alone};
use crate::store::withdrawals::not_found;

impl Core {
    /// Asks the provider to take back the payout of a withdrawal that it has no outcome for yet.
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`, `ILLEGAL_TRANSITION`, `METHOD_MISMATCH` when the provider takes nothing
    /// back, `INVALID_ARGUMENT` without a reason.
    pub async fn cancel_payout(
        self: &Arc<Self>,
        id: i64,
        operator: i64,
        reason: String,
    ) -> Result<Withdrawal, Failure> {
        channels::given(&reason)?;
        let (core, by) = (self.clone(), format!("user:{operator}"));
        let noted = self.store.write(move |conn| note(conn, core, id, by, reason).boxed()).await?;
        let (provider, request, call) = noted;
        let core = self.clone();
        // In a task of its own: a caller that goes away leaves the answer to be noted.
        let task = self.tasks.spawn(async move {
            let answer = core.called(provider.cancel(request)).await;
            core.cancelled(id, call, &answer).await
        });
        match task.await {
            Ok(noted) => noted?,
            Err(_) => return Err(Failure::new(Reason::Internal, "internal error")),
        }
        self.current(id).await
    }

    /// Notes what the provider said, and has it asked at once.
    async fn cancelled(
        self: &Arc<Self>,
        id: i64,
        call: i64,
        answer: &Answer,
    ) -> Result<(), Failure> {
        let (outcome, detail, core) = (answer.outcome(), answer.detail(), self.clone());
        let job = move |book: &mut Book| {
            book.end_call(call, outcome, detail.clone());
            let mut w = book.get(id)?;
            let leased = core.leased(&w.due);
            if hasten(&mut w, core.now_us(), leased) {
                book.schedule(&w);
            }
            Ok(())
        };
        self.store.decide(Needs::id(id), job).await?;
        self.wake.notify_one();
        Ok(())
    }
}

/// Has the provider asked at once, if it has no outcome yet; if somebody is asking, what they hear may be
/// older than the news, so at least the next pauses are short again. Gives whether anything changed.
pub(super) fn hasten(w: &mut Withdrawal, now_us: i64, leased: bool) -> bool {
    let asking = matches!(w.due.effect, Some(Effect::Send | Effect::Query));
    if !w.status.is_asked_about() || !asking {
        return false;
    }
    w.due.tries = 0;
    if leased {
        return true;
    }
    w.due.effect = Some(Effect::Query);
    w.due.held = false;
    w.due.next_run_at_us = now_us;
    true
}

type Noted = (Arc<dyn Provider>, SendRequest, i64);

/// Notes who wants it and why, and the call that is about to be made.
async fn note(
    conn: &mut Conn,
    core: Arc<Core>,
    id: i64,
    by: String,
    reason: String,
) -> Result<Noted, WriteError> {
    let now_us = core.now_us();
    let w = alone(conn, Needs::id(id), |book| book.get(id)).await?;
    if !w.status.visible() {
        return Err(not_found().into());
    }
    let provider = core.provider_of(&w).ok().filter(|provider| provider.cancels());
    let Some(provider) = provider else {
        let told = "this provider takes no payouts back";
        return Err(Failure::new(Reason::MethodMismatch, told).into());
    };
    let impossible = || illegal(w.status, Event::CancelPayout);
    if next(w.status, Event::CancelPayout).is_none() {
        return Err(impossible().into());
    }
    let attempt = attempts::live(conn, id).await?.ok_or_else(impossible)?;
    let (mut w, leased) = (w.clone(), core.leased(&w.due));
    let decide = |book: &mut Book| {
        // So that it is asked about also if nobody lives to note the answer.
        hasten(&mut w, now_us, leased);
        remark(book, &mut w, Step::person(Event::CancelPayout, &by, &reason, now_us))?;
        Ok(book.begin_call(&attempt.number, "cancel", now_us))
    };
    let call = alone(conn, Needs::id(id), decide).await?;
    Ok((provider, request(attempt), call))
}
