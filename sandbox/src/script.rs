//! Words in the payee's id that say what happens, for trying out without the control API.
//!
//! | the payee's id contains | what happens |
//! |---|---|
//! | `unknown-paid` | is paid, but the first answer to the sending is lost |
//! | `unknown-refused` | fails, but the first answer to the sending is lost |
//! | `delay-3s` (or `delay`: 1 s) | accepted for so long, then paid |
//! | `waver` | never an outcome: accepted, and every second query is answered by a system error |
//! | `refuse` | the payee cannot be paid |
//! | `wrong-name` | the name is not the payee's |
//! | `lost` | the first sending never arrives |
//! | `silent` | is paid, and nothing about it is ever answered |
//! | `confirm` | waits until the payee confirms: `POST /sandbox/payouts/{number}/confirm` |
//! | `poor` | there is not enough money to pay it |
//!
//! Must not know: how a provider speaks.

use crate::faults::{Fault, Kind, Operation, Trouble};

/// How long a payout without an end stays accepted, seconds.
const FOR_EVER_S: u32 = 10 * 365 * 86_400;

/// What the payee's id asks for. `heard` is how often this number was asked about in this way before.
#[must_use]
pub fn trouble(payee: &str, operation: Operation, heard: i64) -> Trouble {
    let has = |word: &str| payee.contains(word);
    let (creates, queries) = (operation == Operation::Create, operation == Operation::Query);
    let first = creates && heard == 0;
    let mut kinds = Vec::new();
    let mut seconds = 0;
    let mut add = |when: bool, kind: Kind| {
        if when {
            kinds.push(kind);
        }
    };
    if has("unknown-paid") {
        add(first, Kind::LoseReply);
    } else if has("unknown-refused") {
        add(creates, Kind::Fail);
        add(first, Kind::LoseReply);
    } else if let Some((_, rest)) = payee.split_once("delay") {
        let given = rest.strip_prefix('-').and_then(|rest| rest.split_once('s'));
        seconds = given.and_then(|(n, _)| n.parse().ok()).unwrap_or(1).min(86_400);
        add(creates, Kind::Pending);
    } else if has("waver") {
        seconds = FOR_EVER_S;
        add(creates, Kind::Pending);
        add(queries && heard % 2 == 1, Kind::SystemError);
    } else if has("wrong-name") || has("refuse") {
        add(creates, Kind::Refuse);
    } else if has("lost") {
        add(first, Kind::LoseRequest);
    } else if has("silent") {
        add(creates || queries, Kind::Silent);
    } else if has("confirm") {
        add(creates, Kind::Confirm);
    } else if has("poor") {
        add(creates, Kind::ShortBalance);
    }
    let fault = |kind| Fault { seconds, ..Fault::of(kind) };
    Trouble(kinds.into_iter().map(fault).collect())
}

/// Whether what the payee's id asks for depends on what was heard before.
#[must_use]
pub fn counts(payee: &str) -> bool {
    ["unknown-", "waver", "lost"].iter().any(|word| payee.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payees_id_is_the_script() {
        use Operation::{Create, Notify, Query};
        for (payee, operation, heard, kinds) in [
            ("alice@example", Create, 0, vec![]),
            ("x-refuse", Create, 0, vec![(Kind::Refuse, 0)]),
            ("x-refuse", Query, 0, vec![]),
            ("unknown-paid", Create, 0, vec![(Kind::LoseReply, 0)]),
            ("unknown-paid", Create, 1, vec![]),
            ("unknown-refused", Create, 0, vec![(Kind::Fail, 0), (Kind::LoseReply, 0)]),
            ("unknown-refused", Create, 1, vec![(Kind::Fail, 0)]),
            ("delay-3s", Create, 0, vec![(Kind::Pending, 3)]),
            ("a-delay", Create, 0, vec![(Kind::Pending, 1)]),
            ("delay-99999999999999999999s", Create, 0, vec![(Kind::Pending, 1)]),
            ("lost-1", Create, 0, vec![(Kind::LoseRequest, 0)]),
            ("lost-1", Create, 1, vec![]),
            ("wavers", Query, 1, vec![(Kind::SystemError, FOR_EVER_S)]),
            ("wavers", Query, 2, vec![]),
            ("silent", Query, 5, vec![(Kind::Silent, 0)]),
            ("silent", Notify, 5, vec![]),
            ("confirm-me", Create, 0, vec![(Kind::Confirm, 0)]),
            ("poor", Create, 7, vec![(Kind::ShortBalance, 0)]),
        ] {
            let got: Vec<(Kind, u32)> =
                trouble(payee, operation, heard).0.iter().map(|f| (f.fault, f.seconds)).collect();
            assert_eq!(got, kinds, "{payee} {operation:?} {heard}");
        }
    }
}
