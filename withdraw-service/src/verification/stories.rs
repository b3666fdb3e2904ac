//! What a withdrawal and its history say, looked at one after the other: what is paid is what was asked for (G10), every
//! step is a legal edge (G11), and nobody decided about their own (G17).
//!
//! Must not know: where the rows come from.

use std::collections::HashMap;

use super::rows::Seen;
use crate::domain::status::{Event, REQUEST, Status, next};
use crate::domain::withdrawal::Withdrawal;
use crate::store::history::Line;
use crate::store::verification::Page;

/// What was found so far.
pub(super) struct Stories {
    pub(super) contents: Seen,
    pub(super) walks: Seen,
    pub(super) reviewers: Seen,
}

impl Stories {
    /// Nothing yet.
    pub(super) fn begun() -> Self {
        Self { contents: Seen::begun(), walks: Seen::begun(), reviewers: Seen::begun() }
    }

    /// Looks at a page.
    pub(super) fn look(&mut self, page: &Page) {
        let of_one = page.lines.chunk_by(|a, b| a.withdrawal_id == b.withdrawal_id);
        let histories: HashMap<i64, &[Line]> =
            of_one.filter_map(|lines| Some((lines.first()?.withdrawal_id, lines))).collect();
        self.contents.looking(|seen| {
            page.withdrawals.iter().for_each(|w| content(seen, w));
        });
        self.reviewers.looking(|seen| {
            page.withdrawals.iter().for_each(|w| reviewed(seen, w));
            page.lines.iter().for_each(|line| decided(seen, line));
        });
        self.walks.looking(|seen| {
            for w in &page.withdrawals {
                let lines = histories.get(&w.id).copied().unwrap_or_default();
                if walked(seen, lines) != w.status.number() {
                    let id = w.id;
                    seen.wrong(|| {
                        format!("withdrawal {id}: its status is not that of its history")
                    });
                }
                for line in lines.iter().filter(|line| line.user_id != w.user_id) {
                    seen.wrong(|| format!("history {}: another person's", line.id));
                }
            }
        });
    }
}

/// What is paid adds up, and is what was asked to be approved.
fn content(seen: &mut Seen, w: &Withdrawal) {
    seen.row();
    if w.actual_minor.checked_add(w.fee_minor) != Some(w.apply_minor) {
        seen.wrong(|| format!("withdrawal {}: apply is not actual + fee", w.id));
    }
    if w.content() != w.content_digest {
        seen.wrong(|| format!("withdrawal {}: not what was asked to be approved", w.id));
    }
}

/// Walks through a history; gives the status it ends with, 0 without one.
fn walked(seen: &mut Seen, lines: &[Line]) -> i64 {
    let mut at = 0;
    for line in lines {
        seen.row();
        let legal = if at == 0 {
            line.from_status == 0
                && line.event == REQUEST
                && line.to_status == Status::Requested.number()
        } else {
            let from = Status::from_number(line.from_status);
            let event = Event::from_name(&line.event);
            let to = from.zip(event).and_then(|(from, event)| next(from, event));
            line.from_status == at && to.is_some_and(|(to, _)| to.number() == line.to_status)
        };
        if !legal {
            let (id, of) = (line.id, line.withdrawal_id);
            seen.wrong(|| format!("history {id}: no legal edge for withdrawal {of}"));
        }
        at = line.to_status;
    }
    at
}

/// What went further than review has as many reviewers as it needs.
fn reviewed(seen: &mut Seen, w: &Withdrawal) {
    let passed = matches!(
        w.status,
        Status::Approved
            | Status::Paying
            | Status::Unknown
            | Status::Blocked
            | Status::Unresolved
            | Status::Settling
            | Status::Paid
            | Status::Failing
            | Status::Failed
    );
    if passed && w.reviewers < w.reviewers_required {
        let (has, needs) = (w.reviewers, w.reviewers_required);
        seen.wrong(|| format!("withdrawal {}: {has} of {needs} reviewers", w.id));
    }
}

/// Nobody decides about their own.
fn decided(seen: &mut Seen, line: &Line) {
    let event = Event::from_name(&line.event);
    let decides = matches!(
        event,
        Some(Event::Approve | Event::ApproveFirst | Event::Refuse | Event::MarkPaid)
    );
    if decides && line.actor == format!("user:{}", line.user_id) {
        seen.wrong(|| format!("withdrawal {}: decided by its applicant", line.withdrawal_id));
    }
}
