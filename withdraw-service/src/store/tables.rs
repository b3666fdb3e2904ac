//! The statements that write each table, over rows of any number. Rows that changed are written only over
//! the version and the status they were read with.
//!
//! Must not know: what is written, or when.

use std::sync::LazyLock;

use super::set::{Kind, Statement};

use Kind::{Bytes, Int, MaybeInt, MaybeText, Text};

/// Inserts all rows of the source into a table.
fn insert<const N: usize>(table: &str, columns: [(&str, Kind); N]) -> Statement<N> {
    let names = columns.map(|(name, _)| name).join(", ");
    let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM d");
    Statement::new(columns, &sql)
}

/// What was asked for.
pub(super) static NEW: LazyLock<Statement<18>> = LazyLock::new(|| {
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
        ("payable_from_us", Int),
        ("request_key", MaybeText),
        ("request_digest", Bytes),
    ];
    insert("withdrawal", columns)
});

/// The key of a declined request is free again.
pub(super) static FREED: LazyLock<Statement<2>> = LazyLock::new(|| {
    let sql = "UPDATE withdrawal SET request_key = NULL FROM d \
        WHERE withdrawal.id = d.id AND withdrawal.request_key = d.request_key";
    Statement::new([("id", Int), ("request_key", Text)], sql)
});

/// How many columns tell how a withdrawal stands, without its id.
pub(super) const STATE: usize = 20;

const STATE_COLUMNS: [(&str, Kind); STATE] = [
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
];

/// How what is new stands.
pub(super) static BEGUN: LazyLock<Statement<{ 1 + STATE }>> = LazyLock::new(|| {
    let columns = joined(&[("id", Int)], &STATE_COLUMNS, ("", Int));
    insert("withdrawal_state", columns)
});

/// How what has changed stands now.
pub(super) static CHANGED: LazyLock<Statement<{ 3 + STATE }>> = LazyLock::new(|| {
    let read = [("id", Int), ("read_version", Int), ("read_status", Int)];
    let set = STATE_COLUMNS.map(|(name, _)| format!("{name} = d.{name}")).join(", ");
    let sql = format!(
        "UPDATE withdrawal_state SET {set} FROM d WHERE withdrawal_state.id = d.id \
         AND withdrawal_state.version = d.read_version AND withdrawal_state.status = d.read_status"
    );
    Statement::new(joined(&read, &STATE_COLUMNS, ("", Int)), &sql)
});

/// `a` and then `b`, which are `N` together; `none` stands for what is missing.
pub(super) fn joined<T: Copy, const N: usize>(a: &[T], b: &[T], none: T) -> [T; N] {
    let mut all = a.iter().chain(b).copied();
    std::array::from_fn(|_| all.next().unwrap_or(none))
}

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
    insert("history", columns)
});

pub(super) static REVIEWS: LazyLock<Statement<4>> = LazyLock::new(|| {
    let columns =
        [("withdrawal_id", Int), ("content_digest", Text), ("reviewer", Int), ("at_us", Int)];
    insert("review", columns)
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
    insert("attempt", columns)
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
    insert("provider_call", columns)
});

/// As with [`ENDED`], what it has to be is a value: statistics of a small table say that no call is without an
/// outcome, and the plan that follows from that reads all of them.
pub(super) static HEARD: LazyLock<Statement<4>> = LazyLock::new(|| {
    let sql = "UPDATE provider_call SET outcome = d.outcome, detail = d.detail FROM d \
        WHERE provider_call.id = d.id AND provider_call.outcome = d.read_outcome";
    let read = [("id", Int), ("read_outcome", Text)];
    Statement::new(joined(&read, &[("outcome", Text), ("detail", Text)], ("", Int)), sql)
});

pub(super) static ANSWERS: LazyLock<Statement<5>> = LazyLock::new(|| {
    let columns =
        [("scope", Text), ("key", Text), ("digest", Bytes), ("reply", Bytes), ("at_us", Int)];
    insert("answer", columns)
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
    insert("sandbox_payout", columns)
});

pub(super) static TURNED: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE sandbox_payout SET state = d.state FROM d \
        WHERE sandbox_payout.number = d.number AND sandbox_payout.state = d.read_state";
    Statement::new([("number", Text), ("read_state", Text), ("state", Text)], sql)
});

pub(super) static HEAD: LazyLock<Statement<3>> = LazyLock::new(|| {
    let sql = "UPDATE stream_head SET last_sequence = d.last_sequence, version = d.version FROM d \
        WHERE stream_head.id = 1 AND stream_head.version = d.read_version";
    Statement::new([("read_version", Int), ("version", Int), ("last_sequence", Int)], sql)
});
