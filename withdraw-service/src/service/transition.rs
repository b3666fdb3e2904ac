//! The one way a status changes: by the table, compare-and-swap, one history line and the effect that
//! becomes due, all in one transaction; and what is written down beside it.

use cashout_proto::{Failure, Reason};

use crate::domain::method::Method;
use crate::domain::status::{Effect, Event, next};
use crate::domain::withdrawal::{Due, Withdrawal};
use crate::store::book::Book;
use crate::store::history::Line;

use crate::domain::status::Status;

/// What happened, who did it, and why.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What happened.
    pub event: Event,
    /// `user:7` or `system`.
    pub actor: &'a str,
    /// Why, for the history.
    pub reason: &'a str,
    /// When.
    pub now_us: i64,
    /// How long the effect that becomes due has to wait.
    pub delay_us: i64,
}

impl<'a> Step<'a> {
    /// Something the system found out.
    #[must_use]
    pub fn system(event: Event, now_us: i64) -> Self {
        Self { event, actor: "system", reason: "", now_us, delay_us: 0 }
    }

    /// Something a person decided.
    #[must_use]
    pub fn person(event: Event, actor: &'a str, reason: &'a str, now_us: i64) -> Self {
        Self { event, actor, reason, now_us, delay_us: 0 }
    }
}

/// The refusal of what the table does not allow.
#[must_use]
pub fn illegal(status: Status, event: Event) -> Failure {
    let told = format!("not possible: the withdrawal is {}", status.name());
    Failure::new(Reason::IllegalTransition, told)
        .with("status", status.name())
        .with("event", event.name())
}

/// Carries a step out on `w`, together with whatever else the caller changed in it. A lease that the
/// caller put into `w.due` beforehand stays; otherwise the worker may take the effect.
///
/// # Errors
/// `ILLEGAL_TRANSITION`
pub fn advance(book: &mut Book, w: &mut Withdrawal, step: Step<'_>) -> Result<(), Failure> {
    let from = w.status;
    let (to, effect) = next(from, step.event).ok_or_else(|| illegal(from, step.event))?;
    // A person pays a manual withdrawal: nothing becomes due.
    let effect = effect.filter(|e| !(*e == Effect::Pay && w.method == Method::Manual));
    let changed = from != to;
    w.status = to;
    w.updated_at_us = step.now_us;
    w.unknown_since_us = match to {
        // Who has it asked again gives it the whole time again.
        Status::Unknown if w.unknown_since_us == 0 || step.event == Event::AskAgain => step.now_us,
        Status::Unknown | Status::Paying | Status::Unresolved => w.unknown_since_us,
        _ => 0,
    };
    // Only what may still have to be confirmed can be confirmed.
    if !(to.is_asked_about() || to == Status::Unresolved) {
        w.confirmation = None;
    }
    w.due.effect = effect;
    w.due.held = false;
    w.due.next_run_at_us = step.now_us.saturating_add(step.delay_us);
    // An answer that is not final makes the next pause longer, also when it differs from the last one.
    let goes_on = !changed || (from.is_asked_about() && to.is_asked_about());
    w.due.tries = if goes_on { w.due.tries.saturating_add(1) } else { 0 };
    if effect.is_none() {
        free(&mut w.due);
    }
    if !w.due.lease_owner.is_empty() {
        w.due.next_run_at_us = w.due.next_run_at_us.max(w.due.lease_until_us);
    }
    book.save(from, w)?;
    if changed || step.event == Event::ApproveFirst {
        book.append(line(w, from.number(), step.event.name(), step));
    }
    Ok(())
}

/// Writes down what happened without changing the status. The version stays, so that an answer that is
/// on its way is still applied.
///
/// # Errors
/// `ILLEGAL_TRANSITION`
pub fn remark(book: &mut Book, w: &mut Withdrawal, step: Step<'_>) -> Result<(), Failure> {
    if next(w.status, step.event).is_none_or(|(to, _)| to != w.status) {
        return Err(illegal(w.status, step.event));
    }
    w.updated_at_us = step.now_us;
    book.schedule(w);
    book.append(line(w, w.status.number(), step.event.name(), step));
    Ok(())
}

/// Gives a lease back.
pub fn free(due: &mut Due) {
    due.lease_owner.clear();
    due.lease_until_us = 0;
}

/// The first line of a withdrawal that was just inserted.
pub fn born(book: &mut Book, w: &Withdrawal, actor: &str) {
    let step = Step { actor, ..Step::system(Event::HoldPlaced, w.created_at_us) };
    book.append(line(w, 0, crate::domain::status::REQUEST, step));
}

fn line(w: &Withdrawal, from_status: i64, event: &'static str, step: Step<'_>) -> Line {
    Line {
        id: 0,
        withdrawal_id: w.id,
        user_id: w.user_id,
        from_status,
        to_status: w.status.number(),
        event: event.into(),
        actor: step.actor.to_owned(),
        reason: step.reason.to_owned(),
        at_us: step.now_us,
    }
}
