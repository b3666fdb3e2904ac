//! Queries over attempts, calls and notifications that find nothing as long as G8, G9 and G15 hold.
//!
//! Must not know: who asks.

use super::rules::Rule;
use crate::domain::notice::{NOT_PAID_WORDS, PAID_WORDS};
use crate::domain::status::Status;

fn any_of(statuses: &[Status]) -> String {
    let numbers: Vec<String> = statuses.iter().map(|s| s.number().to_string()).collect();
    numbers.join(", ")
}

fn words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}

const OPEN: [Status; 4] = [Status::Paying, Status::Unknown, Status::Blocked, Status::Unresolved];
const PAID: [Status; 2] = [Status::Settling, Status::Paid];
const FAILED: [Status; 2] = [Status::Failing, Status::Failed];
const UNSENT: [Status; 5] =
    [Status::Declined, Status::Refusing, Status::Refused, Status::Cancelling, Status::Cancelled];

/// Counts the withdrawals whose money returned.
pub(super) fn returned() -> String {
    let (failed, unsent) = (any_of(&FAILED), any_of(&UNSENT));
    format!("SELECT count(*) FROM withdrawal_state WHERE status IN ({failed}, {unsent})")
}

/// G8: one number at a time, sent again only after the provider said that it does not know it, or that
/// the payee must confirm what they were not told.
pub(super) fn never_pays_twice() -> Vec<Rule> {
    let (open, paid) = (any_of(&OPEN), any_of(&PAID));
    let rule = |told, sql: String| Rule { guarantee: "G8", noun: "withdrawal", told, sql };
    vec![
        rule(
            "has two numbers of which none failed",
            "SELECT CAST(withdrawal_id AS TEXT) FROM attempt WHERE state <> 'failed' \
             GROUP BY withdrawal_id HAVING count(*) > 1"
                .to_owned(),
        ),
        rule(
            "was not written down before it was sent",
            "SELECT CAST(a.withdrawal_id AS TEXT) FROM attempt a WHERE NOT EXISTS \
             (SELECT 1 FROM provider_call c WHERE c.number = a.number AND c.operation = 'send' \
             AND c.at_us >= a.created_at_us AND c.id = \
             (SELECT min(f.id) FROM provider_call f WHERE f.number = a.number))"
                .to_owned(),
        ),
        rule(
            "is called about under a number that was never written down",
            "SELECT 'of number ' || c.number FROM provider_call c WHERE NOT EXISTS \
             (SELECT 1 FROM attempt a WHERE a.number = c.number)"
                .to_owned(),
        ),
        rule(
            "was sent again without having been asked about",
            "SELECT CAST(a.withdrawal_id AS TEXT) FROM (SELECT number, operation, \
             lag(operation) OVER (PARTITION BY number ORDER BY id) AS operation_before, \
             lag(outcome) OVER (PARTITION BY number ORDER BY id) AS outcome_before \
             FROM provider_call WHERE operation <> 'cancel') c \
             JOIN attempt a ON a.number = c.number \
             WHERE c.operation = 'send' AND c.operation_before IS NOT NULL \
             AND NOT (c.operation_before = 'query' \
             AND c.outcome_before IN ('not_found', 'waiting'))"
                .to_owned(),
        ),
        rule(
            "was sent although it was to be taken back",
            "SELECT CAST(a.withdrawal_id AS TEXT) FROM attempt a WHERE EXISTS (SELECT 1 \
             FROM provider_call s JOIN provider_call c ON c.number = s.number AND c.id < s.id \
             WHERE s.number = a.number AND s.operation = 'send' AND c.operation = 'cancel')"
                .to_owned(),
        ),
        rule(
            "is with a provider without a live number",
            format!(
                "SELECT CAST(w.id AS TEXT) FROM withdrawal_now w WHERE w.status IN ({open}) AND NOT \
                 EXISTS (SELECT 1 FROM attempt a WHERE a.number = w.trade_no \
                 AND a.withdrawal_id = w.id AND a.state = 'live')"
            ),
        ),
        rule(
            "has a number that stands otherwise than it does",
            format!(
                "SELECT CAST(w.id AS TEXT) FROM attempt a JOIN withdrawal_now w \
                 ON w.id = a.withdrawal_id WHERE (a.state = 'live' AND w.status NOT IN ({open})) \
                 OR (a.state = 'paid' AND w.status NOT IN ({paid}))"
            ),
        ),
        rule(
            "is paid by nobody's word",
            "SELECT CAST(a.withdrawal_id AS TEXT) FROM attempt a WHERE a.state = 'paid' \
             AND NOT EXISTS (SELECT 1 FROM provider_call c WHERE c.number = a.number \
             AND c.operation <> 'cancel' AND c.outcome = 'paid') \
             AND NOT EXISTS (SELECT 1 FROM open_case o WHERE o.withdrawal_id = a.withdrawal_id \
             AND o.resolution = 'paid')"
                .to_owned(),
        ),
    ]
}

/// G9: money returns on a definite refusal, on a person's word, or because nothing was ever sent.
pub(super) fn never_returns_what_may_be_paid() -> Vec<Rule> {
    let (failed, unsent) = (any_of(&FAILED), any_of(&UNSENT));
    let rule = |told, sql| Rule { guarantee: "G9", noun: "withdrawal", told, sql };
    vec![
        rule(
            "returned without a refusal for good",
            format!(
                "SELECT CAST(w.id AS TEXT) FROM withdrawal_now w WHERE w.status IN ({failed}) \
                 AND EXISTS (SELECT 1 FROM attempt a WHERE a.withdrawal_id = w.id) \
                 AND NOT EXISTS (SELECT 1 FROM provider_call c WHERE c.number = w.trade_no \
                 AND c.operation <> 'cancel' AND c.outcome = 'refused') \
                 AND NOT EXISTS (SELECT 1 FROM open_case o WHERE o.withdrawal_id = w.id \
                 AND o.resolution = 'not_paid') \
                 AND NOT EXISTS (SELECT 1 FROM provider_call s JOIN provider_call q \
                 ON q.number = s.number AND q.id > s.id WHERE s.number = w.trade_no \
                 AND s.operation = 'send' AND s.outcome = 'rejected' \
                 AND q.operation = 'query' AND q.outcome = 'not_found' AND NOT EXISTS \
                 (SELECT 1 FROM provider_call l WHERE l.number = s.number AND l.id <> s.id \
                 AND ((l.operation = 'send' AND (l.id > s.id \
                 OR l.outcome NOT IN ('rejected', 'blocked'))) \
                 OR (l.operation = 'query' \
                 AND l.outcome IN ('pending', 'waiting', 'paid')))))"
            ),
        ),
        rule(
            "returned as if nothing had been sent",
            format!(
                "SELECT CAST(w.id AS TEXT) FROM withdrawal_now w WHERE w.status IN ({unsent}) \
                 AND EXISTS (SELECT 1 FROM attempt a WHERE a.withdrawal_id = w.id)"
            ),
        ),
        rule(
            "returned although the provider said paid",
            format!(
                "SELECT CAST(w.id AS TEXT) FROM withdrawal_now w JOIN attempt a \
                 ON a.withdrawal_id = w.id WHERE w.status IN ({failed}, {unsent}) AND EXISTS \
                 (SELECT 1 FROM provider_call c WHERE c.number = a.number \
                 AND c.operation <> 'cancel' AND c.outcome = 'paid')"
            ),
        ),
    ]
}

/// G15: notifications are kept once, compared, and no outcome comes of one.
pub(super) fn notifications_are_hints() -> Vec<Rule> {
    let (paid, not_paid) = (words(PAID_WORDS), words(NOT_PAID_WORDS));
    let noun = "notification or withdrawal";
    let rule = |told, sql| Rule { guarantee: "G15", noun, told, sql };
    vec![
        rule(
            "was kept twice",
            "SELECT provider || ' ' || id FROM notification GROUP BY provider, id \
             HAVING count(*) > 1"
                .to_owned(),
        ),
        rule(
            "was found to be about a number of ours, or not, wrongly",
            "SELECT n.provider || ' ' || n.id FROM notification n \
             WHERE (n.verdict = 'unknown_number') = EXISTS (SELECT 1 FROM attempt a \
             WHERE a.number = n.number AND a.provider = n.provider)"
                .to_owned(),
        ),
        rule(
            "was compared wrongly with the outcome",
            format!(
                "SELECT n.provider || ' ' || n.id FROM notification n \
                 JOIN attempt a ON a.number = n.number \
                 WHERE n.verdict IN ('late', 'contradiction') AND (n.verdict = 'contradiction') <> \
                 ((a.state = 'paid' AND n.state IN ({not_paid})) \
                 OR (a.state = 'failed' AND n.state IN ({paid})))"
            ),
        ),
        rule(
            "changed its status by a notification",
            "SELECT DISTINCT CAST(withdrawal_id AS TEXT) FROM history \
             WHERE NOT (actor = 'system' OR actor LIKE 'user:%')"
                .to_owned(),
        ),
    ]
}
