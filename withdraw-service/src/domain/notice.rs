//! What a verified notification is found to be, beside the withdrawal it is about. Whatever it is, it
//! changes no status: at most the provider is asked.
//!
//! Must not know: who signed it, where it is kept.

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
}
