//! What goes wrong with which payout: the matrix, and random ones.
//!
//! A case is one payout with the faults that strike it, told to the simulator by a tag in the payee's id.
//! Must not know: how a payout is made, or how it is judged.

use cashout_common::random::Random;
use serde_json::{Value, json};

/// One payout and what goes wrong with it.
#[derive(Debug, Clone)]
pub struct Case {
    /// `wechat` or `alipay`.
    pub provider: &'static str,
    /// For messages: in which state what strikes.
    pub name: String,
    /// As the simulator takes them, without `match` and `provider`.
    pub faults: Vec<Value>,
    /// Whether an operator takes the payout back meanwhile.
    pub cancelled: bool,
}

/// Faults of an answer, to whatever was asked.
const ANSWERS: &[&str] = &[
    "lose_request",
    "lose_reply",
    "system_error",
    "system_error_after",
    "unlisted",
    "rate_limit",
    "http",
    "http_after",
    "garbage",
    "truncated",
    "wrong_signature",
    "missing_signature",
    "wrong_serial",
    "other_key",
    "stale",
    "no_content",
    "state",
    "not_found",
    "amount",
    "payee",
    "merchant",
    "delay_reply",
];
/// Faults of the sending alone.
const SENDINGS: &[&str] = &["short_balance", "refuse", "fail", "pending", "late", "silent"];
/// Faults of notifications.
const NOTICES: &[&str] = &[
    "duplicate",
    "withhold",
    "reorder",
    "corrupt",
    "probe",
    "other_key",
    "wrong_signature",
    "stale",
];

/// How long an answer that is late takes: longer than the service waits, milliseconds.
const LATE_MS: u32 = 900;
/// How long a payout that pends does, seconds.
const PENDING_S: u32 = 2;

fn fault(operation: &str, kind: &str, times: Option<u32>, skip: u32) -> Value {
    let mut made = json!({"operation": operation, "fault": kind, "skip": skip});
    if let Some(times) = times {
        made["times"] = json!(times);
    }
    match kind {
        "delay_reply" | "delay" => made["ms"] = json!(LATE_MS),
        "pending" | "late" | "reorder" => made["seconds"] = json!(PENDING_S),
        _ => {}
    }
    made
}

/// A state that a withdrawal is brought into, and the call that the fault strikes there.
struct State {
    name: &'static str,
    /// What brings it there.
    before: &'static [(&'static str, &'static str)],
    /// What is called next.
    operation: &'static str,
    /// Calls of that kind that are spared.
    skip: u32,
    /// Whether an operator takes the payout back.
    cancelled: bool,
    /// Only this provider knows it; both when empty.
    only: &'static str,
}

const fn state(
    name: &'static str,
    before: &'static [(&'static str, &'static str)],
    operation: &'static str,
    skip: u32,
) -> State {
    State { name, before, operation, skip, cancelled: false, only: "" }
}

const STATES: &[State] = &[
    state("approved, sent first", &[], "create", 0),
    state("unknown, sent again", &[("create", "lose_request")], "create", 1),
    // The first sending arrives after the second one was answered.
    state("overtaken, sent again", &[("create", "delay")], "create", 1),
    state("blocked, sent again", &[("create", "short_balance")], "create", 1),
    state("paying, asked", &[("create", "pending")], "query", 0),
    state("on its way, asked", &[("create", "late")], "query", 0),
    state("unknown and booked, asked", &[("create", "lose_reply")], "query", 0),
    state("unknown and lost, asked", &[("create", "lose_request")], "query", 0),
    state("blocked, asked", &[("create", "short_balance")], "query", 0),
    state("refused, asked", &[("create", "refuse")], "query", 0),
    state("failed and unknown, asked", &[("create", "fail"), ("create", "lose_reply")], "query", 0),
    // What the payee confirms with was lost, so the second sending asks for it.
    State {
        only: "wechat",
        ..state(
            "waiting for the payee, sent for the package",
            &[("create", "confirm"), ("create", "lose_reply")],
            "create",
            1,
        )
    },
    State {
        cancelled: true,
        only: "wechat",
        ..state("waiting for the payee, taken back", &[("create", "confirm")], "cancel", 0)
    },
    State {
        cancelled: true,
        only: "wechat",
        ..state("waiting for the payee, taken back, asked", &[("create", "confirm")], "query", 1)
    },
];

const NOTICED: &[State] = &[
    state("paid, notified", &[], "notify", 0),
    state("pending, notified", &[("create", "pending")], "notify", 0),
    state("unknown, notified", &[("create", "lose_reply")], "notify", 0),
    state("failed, notified", &[("create", "fail")], "notify", 0),
];

/// Every fault in every state, once and until it is over.
pub fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for provider in ["wechat", "alipay"] {
        for state in STATES.iter().filter(|s| s.only.is_empty() || s.only == provider) {
            let sends = state.operation == "create";
            let kinds = ANSWERS.iter().chain(if sends { SENDINGS } else { &[] });
            for kind in kinds {
                for times in [Some(1), None] {
                    cases.push(case(provider, state, kind, times));
                }
            }
        }
        for state in NOTICED {
            for kind in NOTICES {
                cases.push(case(provider, state, kind, Some(1)));
            }
        }
    }
    cases
}

fn case(provider: &'static str, state: &State, kind: &str, times: Option<u32>) -> Case {
    let mut faults: Vec<Value> =
        state.before.iter().map(|(operation, kind)| fault(operation, kind, Some(1), 0)).collect();
    faults.push(fault(state.operation, kind, times, state.skip));
    let often = times.map_or_else(|| "until it is over".to_owned(), |n| format!("{n} x"));
    let name = format!("{provider}, {}: {kind} {often}", state.name);
    Case { provider, name, faults, cancelled: state.cancelled }
}

/// So many payouts, most of them with faults that strike now and then until all is over.
pub fn random(payouts: usize, random: &Random) -> Vec<Case> {
    let pick = |of: u64| usize::try_from(random.below(of)).unwrap_or(0);
    let one = |kinds: &[&'static str]| {
        kinds.get(pick(kinds.len() as u64)).copied().unwrap_or("lose_reply")
    };
    (0..payouts)
        .map(|n| {
            let provider = if random.below(2) == 0 { "wechat" } else { "alipay" };
            let mut faults = Vec::new();
            for _ in 0..random.below(4) {
                let operation = one(&["create", "create", "query", "notify"]);
                let kind = match operation {
                    "notify" => one(NOTICES),
                    "create" if random.below(3) == 0 => one(SENDINGS),
                    _ => one(ANSWERS),
                };
                let times = u32::try_from(1 + random.below(3)).ok();
                let mut made = fault(operation, kind, times, u32::from(random.below(4) == 0));
                made["per_mille"] = json!(200 + random.below(801));
                faults.push(made);
            }
            Case { provider, name: format!("random {n}"), faults, cancelled: random.below(20) == 0 }
        })
        .collect()
}
