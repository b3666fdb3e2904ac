//! Writing what a batch of jobs decided: a statement per table, however many jobs there are. Rows that
//! changed are written only over the version and the status they were read with.

use std::sync::LazyLock;

use cashout_common::db::Conn;
use sqlx::Error;

use super::book::Book;
use super::set::{Cell, Kind, Part, Statement, run_all};
use crate::domain::lane::Lane;
use crate::domain::status::Effect;
use crate::domain::withdrawal::{Confirmation, Withdrawal};

use Kind::{Bytes, Int, MaybeInt, MaybeText, Text};

/// Inserts all rows of the source into a table, with what follows.
fn insert<const N: usize>(table: &str, columns: [(&str, Kind); N], then: &str) -> Statement<N> {
    let names = columns.map(|(name, _)| name).join(", ");
    // SQLite takes ON CONFLICT after a SELECT only behind a WHERE.
    let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM d WHERE 1 = 1{then}");
    Statement::new(columns, &sql)
}

/// What never changes of a withdrawal.
static NEW: LazyLock<Statement<38>> = LazyLock::new(|| {
    let columns = [
        ("id", Int),
        ("cash_sn", Text),
        ("user_id", Int),
        ("currency", Text),
        ("apply_minor", Int),
        ("fee_minor", Int),
        ("actual_minor", Int),
        ("method", Int),
        ("provider", Text),
        ("mobile", Text),
        ("payee_id", Text),
        ("payee_name", Text),
        ("remark", Text),
        ("reviewers_required", Int),
        ("created_at_us", Int),
        ("request_digest", Bytes),
        ("payable_from_us", Int),
        ("status", Int),
        ("version", Int),
        ("review_remark", Text),
        ("content_digest", Text),
        ("trade_no", Text),
        ("third_trade_no", Text),
        ("pay_requested_at_us", Int),
        ("paid_at_us", Int),
        ("updated_at_us", Int),
        ("decided_by", Text),
        ("unknown_since_us", Int),
        ("confirm_mch_id", Text),
        ("confirm_app_id", Text),
        ("confirm_package", Text),
        ("effect", MaybeText),
        ("lane", MaybeInt),
        ("next_run_at_us", Int),
        ("tries", Int),
        ("lease_owner", Text),
        ("lease_until_us", Int),
        ("request_key", MaybeText),
    ];
    insert("withdrawal", columns, "")
});

static CHANGED: LazyLock<Statement<24>> = LazyLock::new(|| {
    let columns = [
        ("id", Int),
        ("read_version", Int),
        ("read_status", Int),
        ("status", Int),
        ("version", Int),
        ("review_remark", Text),
        ("content_digest", Text),
        ("trade_no", Text),
        ("third_trade_no", Text),
        ("pay_requested_at_us", Int),
        ("paid_at_us", Int),
        ("updated_at_us", Int),
        ("decided_by", Text),
        ("unknown_since_us", Int),
        ("confirm_mch_id", Text),
        ("confirm_app_id", Text),
        ("confirm_package", Text),
        ("effect", MaybeText),
        ("lane", MaybeInt),
        ("next_run_at_us", Int),
        ("tries", Int),
        ("lease_owner", Text),
        ("lease_until_us", Int),
        ("request_key", MaybeText),
    ];
    let set: Vec<String> =
        columns.iter().skip(3).map(|(name, _)| format!("{name} = d.{name}")).collect();
    let sql = format!(
        "UPDATE withdrawal SET {} FROM d WHERE withdrawal.id = d.id \
         AND withdrawal.version = d.read_version AND withdrawal.status = d.read_status",
        set.join(", ")
    );
    Statement::new(columns, &sql)
});

static LINES: LazyLock<Statement<9>> = LazyLock::new(|| {
    let columns = [
        ("id", Int),
        ("withdrawal_id", Int),
        ("user_id", Int),
        ("from_status", Int),
        ("to_status", Int),
        ("event", Text),
        ("actor", Text),
        ("reason", Text),
        ("at_us", Int),
    ];
    insert("history", columns, "")
});

static REVIEWS: LazyLock<Statement<4>> = LazyLock::new(|| {
    let columns =
        [("withdrawal_id", Int), ("content_digest", Text), ("reviewer", Int), ("at_us", Int)];
    insert("review", columns, "")
});

static ATTEMPTS: LazyLock<Statement<9>> = LazyLock::new(|| {
    let columns = [
        ("number", Text),
        ("withdrawal_id", Int),
        ("provider", Text),
        ("payee_id", Text),
        ("amount_minor", Int),
        ("body", Bytes),
        ("digest", Text),
        ("state", Text),
        ("created_at_us", Int),
    ];
    insert("attempt", columns, "")
});

/// The state it has to have is a value like others: said as a constant it would offer the index of all live
/// attempts, and a plan that reads the whole of it.
static ENDED: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE attempt SET state = d.state FROM d \
        WHERE attempt.number = d.number AND attempt.state = d.read_state";
    Statement::new([("number", Text), ("read_state", Text), ("state", Text)], sql)
});

static CALLS: LazyLock<Statement<6>> = LazyLock::new(|| {
    let columns = [
        ("id", Int),
        ("number", Text),
        ("operation", Text),
        ("outcome", Text),
        ("detail", Text),
        ("at_us", Int),
    ];
    insert("provider_call", columns, "")
});

static HEARD: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE provider_call SET outcome = d.outcome, detail = d.detail FROM d \
        WHERE provider_call.id = d.id AND provider_call.outcome = ''";
    Statement::new([("id", Int), ("outcome", Text), ("detail", Text)], sql)
});

static ANSWERS: LazyLock<Statement<5>> = LazyLock::new(|| {
    let columns =
        [("scope", Text), ("key", Text), ("digest", Bytes), ("reply", Bytes), ("at_us", Int)];
    insert("answer", columns, "")
});

static PAYOUTS: LazyLock<Statement<8>> = LazyLock::new(|| {
    let columns = [
        ("number", Text),
        ("digest", Text),
        ("payee_id", Text),
        ("amount_minor", Int),
        ("state", Text),
        ("third_trade_no", Text),
        ("due_at_us", Int),
        ("created_at_us", Int),
    ];
    insert("sandbox_payout", columns, " ON CONFLICT (number) DO UPDATE SET state = excluded.state")
});

static HEAD: LazyLock<Statement<2>> = LazyLock::new(|| {
    let sql = "UPDATE stream_head SET last_sequence = d.last_sequence FROM d \
        WHERE stream_head.id = 1 AND stream_head.last_sequence = d.read_sequence";
    Statement::new([("read_sequence", Int), ("last_sequence", Int)], sql)
});

/// What may change of a withdrawal, in the order of the columns above, from `status` on.
fn changing(w: &Withdrawal) -> [Cell<'_>; 21] {
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
        Cell::MaybeText(Some(w.request_key.as_str()).filter(|key| !key.is_empty())),
    ]
}

fn fixed(w: &Withdrawal) -> [Cell<'_>; 17] {
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
        Cell::Bytes(&w.request_digest),
        Cell::Int(w.payable_from_us),
    ]
}

/// `a` and then `b`, which are `N` cells together.
fn joined<'c, const N: usize>(a: &[Cell<'c>], b: &[Cell<'c>]) -> [Cell<'c>; N] {
    let mut cells = a.iter().chain(b).copied();
    std::array::from_fn(|_| cells.next().unwrap_or(Cell::Int(0)))
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
    pub async fn write(&self, conn: &mut Conn) -> Result<(), Error> {
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
        let certain: usize = parts.iter().map(Part::rows).sum();
        // An attempt that a person ended already, a call that was answered already: no row, no matter.
        let ended =
            ENDED.over(c.ended.iter().map(|(number, state)| {
                [Cell::Text(number), Cell::Text("live"), Cell::Text(state)]
            }));
        let heard = HEARD.over(
            c.heard
                .iter()
                .map(|h| [Cell::Int(h.call), Cell::Text(h.outcome), Cell::Text(&h.detail)]),
        );
        let touched = run_all(conn, parts, vec![ended, heard]).await?;
        if touched == certain as u64 { Ok(()) } else { Err(overtaken()) }
    }

    /// New rows, changed rows, their history.
    fn rows(&self) -> Vec<Part<'_>> {
        let c = &self.changes;
        let new = c.new.iter().filter_map(|id| c.rows.get(id));
        let changed = c.rows.values().filter_map(|w| Some((self.rows.get(&w.id)?, w)));
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
        let (was, is) = (self.stored.sequence, self.head.sequence);
        let head = (was != is).then_some([Cell::Int(was), Cell::Int(is)]);
        vec![
            NEW.over(new.map(|w| joined(&fixed(w), &changing(w)))),
            CHANGED.over(changed.map(|(read, w)| {
                let guard =
                    [Cell::Int(w.id), Cell::Int(read.version), Cell::Int(read.status.number())];
                joined(&guard, &changing(w))
            })),
            LINES.over(lines),
            HEAD.over(head.into_iter()),
        ]
    }

    /// Attempts, calls, and what the sandbox booked.
    fn attempts(&self) -> [Part<'_>; 3] {
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
        let payouts = c.payouts.values().map(|p| {
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
        [ATTEMPTS.over(attempts), CALLS.over(calls), PAYOUTS.over(payouts)]
    }
}
