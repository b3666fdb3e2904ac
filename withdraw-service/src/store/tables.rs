//! The statements that write each table, over rows of any number. Rows that changed are written only over
//! the version and the status they were read with.
//!
//! Must not know: what is written, or when.

use std::sync::LazyLock;

use super::set::{Kind, Statement};

use Kind::{Bytes, Int, MaybeInt, MaybeText, Text};

/// Inserts all rows of the source into a table, with what follows.
fn insert<const N: usize>(table: &str, columns: [(&str, Kind); N], then: &str) -> Statement<N> {
    let names = columns.map(|(name, _)| name).join(", ");
    // SQLite takes ON CONFLICT after a SELECT only behind a WHERE.
    let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM d WHERE 1 = 1{then}");
    Statement::new(columns, &sql)
}

/// What never changes of a withdrawal.
pub(super) static NEW: LazyLock<Statement<38>> = LazyLock::new(|| {
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

pub(super) static CHANGED: LazyLock<Statement<24>> = LazyLock::new(|| {
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

pub(super) static LINES: LazyLock<Statement<9>> = LazyLock::new(|| {
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

pub(super) static REVIEWS: LazyLock<Statement<4>> = LazyLock::new(|| {
    let columns =
        [("withdrawal_id", Int), ("content_digest", Text), ("reviewer", Int), ("at_us", Int)];
    insert("review", columns, "")
});

pub(super) static ATTEMPTS: LazyLock<Statement<9>> = LazyLock::new(|| {
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
pub(super) static ENDED: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE attempt SET state = d.state FROM d \
        WHERE attempt.number = d.number AND attempt.state = d.read_state";
    Statement::new([("number", Text), ("read_state", Text), ("state", Text)], sql)
});

pub(super) static CALLS: LazyLock<Statement<6>> = LazyLock::new(|| {
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

pub(super) static HEARD: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE provider_call SET outcome = d.outcome, detail = d.detail FROM d \
        WHERE provider_call.id = d.id AND provider_call.outcome = ''";
    Statement::new([("id", Int), ("outcome", Text), ("detail", Text)], sql)
});

pub(super) static ANSWERS: LazyLock<Statement<5>> = LazyLock::new(|| {
    let columns =
        [("scope", Text), ("key", Text), ("digest", Bytes), ("reply", Bytes), ("at_us", Int)];
    insert("answer", columns, "")
});

pub(super) static PAYOUTS: LazyLock<Statement<8>> = LazyLock::new(|| {
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

pub(super) static HEAD: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE stream_head SET last_sequence = d.last_sequence, version = d.version FROM d \
        WHERE stream_head.id = 1 AND stream_head.version = d.read_version";
    Statement::new([("read_version", Int), ("version", Int), ("last_sequence", Int)], sql)
});
