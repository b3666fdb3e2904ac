//! Writing what a batch of jobs decided: in a transaction that holds the write lock, or at once over the
//! version that it was decided on. Must not know: SQL, see `tables`.

use cashout_common::db::{Conn, connection_lost};
use sqlx::Error;

use super::book::Book;
use super::sandbox::Payout;
use super::set::{Cell, Part, run_all};
use super::tables::{
    ANSWERS, ATTEMPTS, BEGUN, CALLS, CHANGED, ENDED, FREED, HEAD, HEARD, LINES, NEW, PAYOUTS,
    REVIEWS, STATE, TURNED, joined,
};
use crate::domain::lane::Lane;
use crate::domain::status::Effect;
use crate::domain::withdrawal::{Confirmation, Withdrawal};

/// How a withdrawal stands, in the order of the columns.
fn state(w: &Withdrawal) -> [Cell<'_>; STATE] {
    let confirm =
        |of: fn(&Confirmation) -> &str| Cell::Text(w.confirmation.as_ref().map_or("", of));
    [
        Cell::Int(w.status.number()),
        Cell::Int(w.version),
        Cell::Text(&w.review_remark),
        Cell::Text(&w.content_digest),
        Cell::Text(&w.trade_no),
        Cell::Text(&w.third_trade_no),
        Cell::Int(w.pay_requested_at_us),
        Cell::Int(w.paid_at_us),
        Cell::Int(w.updated_at_us),
        Cell::Text(&w.decided_by),
        Cell::Int(w.unknown_since_us),
        confirm(|c| &c.mch_id),
        confirm(|c| &c.app_id),
        confirm(|c| &c.package),
        Cell::MaybeText(w.due.effect.map(Effect::name)),
        Cell::MaybeInt(Lane::of(w).map(Lane::number)),
        Cell::Int(w.due.next_run_at_us),
        Cell::Int(w.due.tries),
        Cell::Text(&w.due.lease_owner),
        Cell::Int(w.due.lease_until_us),
    ]
}

/// What was asked for, in the order of the columns of [`NEW`].
fn asked(w: &Withdrawal) -> [Cell<'_>; 18] {
    [
        Cell::Int(w.id),
        Cell::Text(&w.cash_sn),
        Cell::Int(w.user_id),
        Cell::Text(&w.currency),
        Cell::Int(w.apply_minor),
        Cell::Int(w.fee_minor),
        Cell::Int(w.actual_minor),
        Cell::Int(i64::from(w.method.number())),
        Cell::Text(&w.provider),
        Cell::Text(&w.mobile),
        Cell::Text(&w.payee_id),
        Cell::Text(&w.payee_name),
        Cell::Text(&w.remark),
        Cell::Int(w.reviewers_required),
        Cell::Int(w.created_at_us),
        Cell::Int(w.payable_from_us),
        Cell::MaybeText(Some(w.request_key.as_str()).filter(|key| !key.is_empty())),
        Cell::Bytes(&w.request_digest),
    ]
}

/// Rows that are not as they were read: the write lock was not held.
fn overtaken() -> Error {
    Error::Protocol("a row changed although the write lock was held".to_owned())
}

impl Book {
    /// Whether there is anything to write.
    #[must_use]
    pub fn changed(&self) -> bool {
        let c = &self.changes;
        !(c.rows.is_empty()
            && c.lines.is_empty()
            && c.calls.is_empty()
            && c.heard.is_empty()
            && c.answers.is_empty()
            && c.payouts.is_empty())
    }

    /// Writes what was decided, in the transaction that holds the write lock and that the book was
    /// loaded in.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let (parts, uncounted) = self.parts();
        let certain: usize = parts.iter().map(Part::rows).sum();
        let touched = run_all(conn, parts, uncounted, None).await?;
        if touched != certain as u64 {
            return Err(overtaken());
        }
        self.head.version += 1;
        Ok(())
    }

    /// Writes what was decided as one statement that is a transaction of its own, on PostgreSQL, if all that
    /// the book was loaded with is still so; false when it is not, and nothing was written.
    ///
    /// # Errors
    /// The database's; after a lost connection nobody knows whether it was written.
    pub async fn write_at_once(&mut self, conn: &mut Conn) -> Result<bool, Error> {
        let (parts, uncounted) = self.parts();
        let certain: usize = parts.iter().map(Part::rows).sum();
        match run_all(conn, parts, uncounted, Some(certain)).await {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.head.version += 1;
                Ok(true)
            }
            // It stopped itself, or the tables refused what rests on something that is no longer so: under
            // the write lock it will show.
            Err(error @ Error::Database(_)) if !connection_lost(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything that is written, and what may be there already. The head comes first: whoever finds that
    /// it has moved touches nothing else.
    fn parts(&self) -> (Vec<Part<'_>>, Vec<Part<'_>>) {
        let c = &self.changes;
        let mut parts = self.rows();
        parts.push(REVIEWS.over(c.reviews.iter().map(|r| {
            let content = Cell::Text(&r.content_digest);
            [Cell::Int(r.withdrawal_id), content, Cell::Int(r.reviewer), Cell::Int(r.at_us)]
        })));
        parts.push(ANSWERS.over(c.answers.iter().map(|a| {
            let (digest, reply) = (Cell::Bytes(&a.stored.digest), Cell::Bytes(&a.stored.reply));
            [Cell::Text(&a.scope), Cell::Text(&a.key), digest, reply, Cell::Int(a.at_us)]
        })));
        parts.extend(self.attempts());
        // An attempt that a person ended already, a call that was answered already: no row, no matter.
        let ended =
            ENDED.over(c.ended.iter().map(|(number, state)| {
                [Cell::Text(number), Cell::Text("live"), Cell::Text(state)]
            }));
        let heard = HEARD.over(c.heard.iter().map(|h| {
            [Cell::Int(h.call), Cell::Text(""), Cell::Text(h.outcome), Cell::Text(&h.detail)]
        }));
        (parts, vec![ended, heard])
    }

    /// New rows, changed rows, their history.
    fn rows(&self) -> Vec<Part<'_>> {
        let c = &self.changes;
        let new = c.new.iter().filter_map(|id| c.rows.get(id));
        let changed = c.rows.values().filter_map(|w| Some((self.rows.get(&w.id)?, w)));
        let freed = changed.clone().filter(|(read, w)| read.request_key != w.request_key);
        let lines = c.lines.iter().map(|l| {
            [
                Cell::Int(l.id),
                Cell::Int(l.withdrawal_id),
                Cell::Int(l.user_id),
                Cell::Int(l.from_status),
                Cell::Int(l.to_status),
                Cell::Text(&l.event),
                Cell::Text(&l.actor),
                Cell::Text(&l.reason),
                Cell::Int(l.at_us),
            ]
        });
        let read = self.stored.version;
        let head = [Cell::Int(read), Cell::Int(read + 1), Cell::Int(self.head.sequence)];
        vec![
            HEAD.over(std::iter::once(head)),
            NEW.over(new.clone().map(asked)),
            BEGUN.over(new.map(|w| joined(&[Cell::Int(w.id)], &state(w), Cell::Int(0)))),
            CHANGED.over(changed.clone().map(|(read, w)| {
                let read = [w.id, read.version, read.status.number()].map(Cell::Int);
                joined(&read, &state(w), Cell::Int(0))
            })),
            FREED
                .over(freed.map(|(read, w)| [Cell::Int(w.id), Cell::Text(&read.request_key)]))
                .rarely(),
            LINES.over(lines),
        ]
    }

    /// Attempts, calls, and what the sandbox booked.
    fn attempts(&self) -> [Part<'_>; 4] {
        let c = &self.changes;
        let attempts = c.attempts.iter().map(|a| {
            [
                Cell::Text(&a.number),
                Cell::Int(a.withdrawal_id),
                Cell::Text(&a.provider),
                Cell::Text(&a.payee_id),
                Cell::Int(a.amount_minor),
                Cell::Bytes(&a.body),
                Cell::Text(&a.digest),
                Cell::Text(&a.state),
                Cell::Int(a.created_at_us),
            ]
        });
        let calls = c.calls.iter().map(|call| {
            [
                Cell::Int(call.id),
                Cell::Text(&call.number),
                Cell::Text(&call.operation),
                Cell::Text(&call.outcome),
                Cell::Text(&call.detail),
                Cell::Int(call.at_us),
            ]
        });
        let new = |p: &&Payout| !self.payouts.contains_key(&p.number);
        let payouts = c.payouts.values().map(AsRef::as_ref).filter(new).map(|p| {
            [
                Cell::Text(&p.number),
                Cell::Text(&p.digest),
                Cell::Text(&p.payee_id),
                Cell::Int(p.amount_minor),
                Cell::Text(&p.state),
                Cell::Text(&p.third_trade_no),
                Cell::Int(p.due_at_us),
                Cell::Int(p.created_at_us),
            ]
        });
        let turned = c.payouts.values().filter_map(|p| {
            let read = &self.payouts.get(&p.number)?.state;
            Some([Cell::Text(&p.number), Cell::Text(read), Cell::Text(&p.state)])
        });
        [
            ATTEMPTS.over(attempts),
            CALLS.over(calls),
            PAYOUTS.over(payouts),
            TURNED.over(turned).rarely(),
        ]
    }
}
