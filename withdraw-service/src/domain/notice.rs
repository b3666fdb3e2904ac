//! What a verified notification is found to be, beside the withdrawal it is about. Whatever it is, it
//! changes no status: at most the provider is asked.
//!
//! Must not know: who signed it, where it is kept.

use cashout_common::number::{digest, hex};

use super::status::Status;

/// What a notification was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no outcome yet: the provider is asked at once, or is being asked.
    Asked,
    /// A person decides on this withdrawal; it is there to be read.
    Noted,
    /// The outcome is known already and it says nothing else.
    Late,
    /// It says otherwise than the outcome.
    Contradiction,
    /// Another amount or payee than was asked for.
    Mismatch,
    /// No number of ours at this provider.
    UnknownNumber,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Asked,
        Self::Noted,
        Self::Late,
        Self::Contradiction,
        Self::Mismatch,
        Self::UnknownNumber,
    ];

    /// The stored name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Noted => "noted",
            Self::Late => "late",
            Self::Contradiction => "contradiction",
            Self::Mismatch => "mismatch",
            Self::UnknownNumber => "unknown_number",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// Words for a state that say paid. These and the next mean the same at all providers.
pub const PAID_WORDS: &[&str] = &["SUCCESS"];
/// Words for a state that say not paid for good, or paid back.
pub const NOT_PAID_WORDS: &[&str] = &["FAIL", "CANCELLED", "CLOSED", "REFUND"];

/// What a notification told about a number, in the form in which it is kept: nobody can be recognised by
/// it, and it can be compared with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the payee is said to get, when it says.
    pub amount_minor: Option<i64>,
    /// Who is said to be paid, as a digest; empty when it does not say.
    pub payee_digest: String,
}

impl Claim {
    /// What was told about that number.
    #[must_use]
    pub fn new(number: &str, amount_minor: Option<i64>, payee_id: Option<&str>) -> Self {
        let payee_digest = payee_id.map(|id| payee_digest(number, id)).unwrap_or_default();
        Self { amount_minor, payee_digest }
    }

    /// Whether it tells another amount or payee than was asked for under that number.
    #[must_use]
    pub fn differs(&self, number: &str, amount_minor: i64, payee_id: &str) -> bool {
        let told = !self.payee_digest.is_empty();
        self.amount_minor.is_some_and(|told| told != amount_minor)
            || (told && self.payee_digest != payee_digest(number, payee_id))
    }
}

/// The number is the salt: the same payee has another digest in every notification about another number.
fn payee_digest(number: &str, payee_id: &str) -> String {
    hex(&digest(&[b"payee told by a notification", number.as_bytes(), payee_id.as_bytes()]))
}

/// What somebody must hear of a notification with that verdict and state, as the word of an alarm.
#[must_use]
pub fn alarm(verdict: Verdict, state: &str) -> Option<&'static str> {
    match verdict {
        // Who decides must not take it for unpaid.
        Verdict::Noted if PAID_WORDS.contains(&state) => Some("notification_says_paid"),
        Verdict::Asked | Verdict::Noted | Verdict::Late => None,
        Verdict::Contradiction => Some("notification_contradiction"),
        Verdict::Mismatch => Some("notification_mismatch"),
        Verdict::UnknownNumber => Some("notification_unknown_number"),
    }
}

/// The verdict on a notification about a withdrawal of that status.
#[must_use]
pub fn verdict(status: Status, state: &str, differs: bool) -> Verdict {
    let against = match status {
        _ if differs => return Verdict::Mismatch,
        status if status.is_asked_about() => return Verdict::Asked,
        Status::Settling | Status::Paid => NOT_PAID_WORDS,
        Status::Failing | Status::Failed => PAID_WORDS,
        _ => return Verdict::Noted,
    };
    if against.contains(&state) { Verdict::Contradiction } else { Verdict::Late }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_the_outcome_that_is_known() {
        use Status as S;
        for (status, state, differs, expected) in [
            (S::Paying, "SUCCESS", false, Verdict::Asked),
            (S::Unknown, "FAIL", false, Verdict::Asked),
            (S::Blocked, "SUCCESS", false, Verdict::Asked),
            (S::Paying, "SUCCESS", true, Verdict::Mismatch),
            (S::Paid, "SUCCESS", true, Verdict::Mismatch),
            (S::Unresolved, "SUCCESS", false, Verdict::Noted),
            (S::Paid, "SUCCESS", false, Verdict::Late),
            (S::Settling, "DEALING", false, Verdict::Late),
            (S::Failed, "CANCELLED", false, Verdict::Late),
            (S::Paid, "REFUND", false, Verdict::Contradiction),
            (S::Settling, "FAIL", false, Verdict::Contradiction),
            (S::Failed, "SUCCESS", false, Verdict::Contradiction),
            (S::Failing, "SUCCESS", false, Verdict::Contradiction),
        ] {
            assert_eq!(verdict(status, state, differs), expected, "{status:?} {state}");
        }
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(verdict.name()), Some(verdict));
        }
    }

    #[test]
    fn a_claim_is_compared_in_what_it_tells_and_names_nobody() {
        let told = |amount, payee| Claim::new("N1", amount, payee);
        for (claim, differs) in [
            (told(None, None), false),
            (told(Some(100), None), false),
            (told(None, Some("alice")), false),
            (told(Some(100), Some("alice")), false),
            (told(Some(101), Some("alice")), true),
            (told(Some(100), Some("mallory")), true),
            (told(None, Some("")), true),
            (told(Some(-100), None), true),
        ] {
            assert_eq!(claim.differs("N1", 100, "alice"), differs, "{claim:?}");
            assert!(!claim.payee_digest.contains("alice"), "{claim:?}");
        }
        let claim = told(None, Some("alice"));
        assert!(claim.differs("N2", 100, "alice"), "the number is the salt");
    }

    #[test]
    fn somebody_hears_of_what_does_not_fit_and_of_paid_in_a_case() {
        for (verdict, state, expected) in [
            (Verdict::Asked, "SUCCESS", None),
            (Verdict::Late, "SUCCESS", None),
            (Verdict::Noted, "SUCCESS", Some("notification_says_paid")),
            (Verdict::Noted, "FAIL", None),
            (Verdict::Noted, "ACCEPTED", None),
            (Verdict::Contradiction, "REFUND", Some("notification_contradiction")),
            (Verdict::Mismatch, "SUCCESS", Some("notification_mismatch")),
            (Verdict::UnknownNumber, "SUCCESS", Some("notification_unknown_number")),
        ] {
            assert_eq!(alarm(verdict, state), expected, "{verdict:?} {state}");
        }
    }
}
