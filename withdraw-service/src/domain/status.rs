//! The one status of a withdrawal, the one table of its transitions, and its two documented
//! projections (ARCHITECTURE.md, "How a cash-out moves"; the table at the end of docs/http.md).
//!
//! ```text
//!            request                hold_placed             approve
//!  (nothing) ───────▶ REQUESTED ───────────────▶ IN_REVIEW ─────────▶ APPROVED
//!                        │ hold_refused           │  │  ▲ │             │ │ │ ▲
//!                        ▼                        │  │  └─┘approve_first│ │ │ └ approval_voided
//!                     DECLINED             cancel │  │ refuse           │ │ │   returns to IN_REVIEW
//!                                                 ▼  └──▶ REFUSING ◀────┘ │ │ refuse
//!                                        CANCELLING          │ released   │ │
//!                                     released │             ▼            │ │
//!                                              ▼          REFUSED         │ │
//!                                         CANCELLED                       │ │
//!                mark_paid (also from IN_REVIEW, manual)                  │ │
//!            ┌────────────────────────────────────────────────────────────┘ │ attempt_written
//!            │              ┌───────────────────────────────────────────────┘
//!            │              ▼       provider_unknown, not_found
//!            │           PAYING ◀─────────────────────────────▶ UNKNOWN
//!            │            │   ▲           provider_pending,       ▲ │ ▲
//!            │            │   │           provider_waiting        │ │ │
//!            │            │   │ provider_blocked   provider_blocked │ │ │
//!            │            │   │ provider_pending,  provider_unknown │ │ │
//!            │            │   │ provider_waiting                    │ │ │
//!            │            │   └───────────▶ BLOCKED ◀───────────────┘ │ │
//!            │            │                    │ not_found stays:     │ │ ask_again
//!            │            │                    │ sent again           │ │
//!            │            └────────────────────┼──────────────────────┘ │
//!            │   cancel_payout changes nothing │ give_up                │
//!            │   of PAYING and UNKNOWN         ├────────────▶ UNRESOLVED
//!            │       provider_paid,            │                     │
//!            ▼       resolve_paid              │                     │
//!        SETTLING ◀────────────────────────────┼─────────────────────┤
//!            │ settled                         │ provider_refused,   │
//!            ▼                                 ▼ resolve_not_paid    │
//!          PAID                             FAILING ◀────────────────┘
//!                                              │ released
//!                                              ▼
//!                                            FAILED
//! ```

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant = $number,)* }

        impl $type {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The stored number.
            #[must_use]
            pub const fn number(self) -> i64 {
                match self { $($type::$variant => $number,)* }
            }

            /// The stored name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }

            /// The one with that number.
            #[must_use]
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some($type::$variant),)* _ => None }
            }

            /// The one with that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// Where a withdrawal stands. The numbers are those of the proto enum.
    Status {
        /// Written down; the hold is being placed.
        Requested = 1 "requested",
        /// The hold could not be placed. Final.
        Declined = 2 "declined",
        /// Waits for a reviewer.
        InReview = 3 "in_review",
        /// Approved, nothing sent.
        Approved = 4 "approved",
        /// Refused, money on its way back.
        Refusing = 5 "refusing",
        /// Refused. Final.
        Refused = 6 "refused",
        /// Taken back by its owner, money on its way back.
        Cancelling = 7 "cancelling",
        /// Taken back. Final.
        Cancelled = 8 "cancelled",
        /// An attempt is written; no final answer yet.
        Paying = 9 "paying",
        /// The provider's answer was lost or unclear.
        Unknown = 10 "unknown",
        /// A person must decide.
        Unresolved = 11 "unresolved",
        /// Paid; the hold is being settled.
        Settling = 12 "settling",
        /// Paid. Final.
        Paid = 13 "paid",
        /// Not paid for certain, money on its way back.
        Failing = 14 "failing",
        /// Failed. Final.
        Failed = 15 "failed",
        /// Not paid until somebody repairs something at the provider.
        Blocked = 16 "blocked",
    }
}

named! {
    /// What can happen to a withdrawal.
    Event {
        /// The ledger holds the money.
        HoldPlaced = 1 "hold_placed",
        /// The ledger refused to hold it.
        HoldRefused = 2 "hold_refused",
        /// One of several reviewers approved.
        ApproveFirst = 3 "approve_first",
        /// The last reviewer needed approved.
        Approve = 4 "approve",
        /// A reviewer refused.
        Refuse = 5 "refuse",
        /// The owner took it back.
        Cancel = 6 "cancel",
        /// A person paid by hand.
        MarkPaid = 7 "mark_paid",
        /// The number and the exact request are committed.
        AttemptWritten = 8 "attempt_written",
        /// What would be paid is not what was approved.
        ApprovalVoided = 9 "approval_voided",
        /// The provider says paid.
        ProviderPaid = 10 "provider_paid",
        /// The provider refused for good.
        ProviderRefused = 11 "provider_refused",
        /// The provider works on it.
        ProviderPending = 12 "provider_pending",
        /// No answer, or one that says nothing.
        ProviderUnknown = 13 "provider_unknown",
        /// The provider does not know our number.
        NotFound = 14 "not_found",
        /// Only a person can go on: no final answer for longer than the limit, or a request that the
        /// provider does not take.
        GiveUp = 15 "give_up",
        /// A person has proof that it was paid.
        ResolvePaid = 16 "resolve_paid",
        /// A person has proof that it was not paid.
        ResolveNotPaid = 17 "resolve_not_paid",
        /// A person wants the provider asked again.
        AskAgain = 18 "ask_again",
        /// The hold returned to the person.
        Released = 19 "released",
        /// The hold has left.
        Settled = 20 "settled",
        /// The provider does not pay until somebody repairs something there.
        ProviderBlocked = 21 "provider_blocked",
        /// A person has the provider asked to take it back. What became of it is learned by asking.
        CancelPayout = 22 "cancel_payout",
        /// The provider has it and the payee must confirm, but what they confirm with was lost.
        ProviderWaiting = 23 "provider_waiting",
    }
}

named! {
    /// What is to be done outside the database, by the worker, until it is answered.
    Effect {
        /// Freeze the amount.
        PlaceHold = 1 "place_hold",
        /// Give the frozen amount back.
        Release = 2 "release",
        /// Let the frozen amount leave.
        Settle = 3 "settle",
        /// Write an attempt. Manual withdrawals never have this: a person pays them.
        Pay = 4 "pay",
        /// Send the written attempt.
        Send = 5 "send",
        /// Ask the provider about the number.
        Query = 6 "query",
    }
}

impl Effect {
    /// Whether it waits for a provider; the others wait for the ledger.
    #[must_use]
    pub const fn asks_provider(self) -> bool {
        match self {
            Self::Pay | Self::Send | Self::Query => true,
            Self::PlaceHold | Self::Release | Self::Settle => false,
        }
    }
}

/// Name of the first history line, from nothing to `REQUESTED`. It is no event: nothing was before.
pub const REQUEST: &str = "request";

/// Where an event leads, and what becomes due; `None` is illegal. Nothing else changes a status.
#[must_use]
pub const fn next(status: Status, event: Event) -> Option<(Status, Option<Effect>)> {
    use Event as E;
    use Status as S;
    Some(match (status, event) {
        (S::Requested, E::HoldPlaced) => (S::InReview, None),
        (S::Requested, E::HoldRefused) => (S::Declined, None),

        (S::InReview, E::ApproveFirst) => (S::InReview, None),
        (S::InReview, E::Approve) => (S::Approved, Some(Effect::Pay)),
        (S::InReview | S::Approved, E::Refuse) => (S::Refusing, Some(Effect::Release)),
        (S::InReview, E::Cancel) => (S::Cancelling, Some(Effect::Release)),
        (S::InReview | S::Approved, E::MarkPaid) => (S::Settling, Some(Effect::Settle)),

        (S::Approved, E::AttemptWritten) => (S::Paying, Some(Effect::Send)),
        (S::Approved, E::ApprovalVoided) => (S::InReview, None),

        (S::Paying | S::Unknown | S::Blocked | S::Unresolved, E::ProviderPaid) => {
            (S::Settling, Some(Effect::Settle))
        }
        (S::Paying | S::Unknown | S::Blocked | S::Unresolved, E::ProviderRefused) => {
            (S::Failing, Some(Effect::Release))
        }
        (S::Paying | S::Unknown | S::Blocked, E::ProviderPending) => {
            (S::Paying, Some(Effect::Query))
        }
        // What the payee confirms with is told only in answer to the same bytes.
        (S::Paying | S::Unknown | S::Blocked, E::ProviderWaiting) => {
            (S::Paying, Some(Effect::Send))
        }
        (S::Paying | S::Unknown | S::Blocked, E::ProviderUnknown) => {
            (S::Unknown, Some(Effect::Query))
        }
        (S::Paying | S::Unknown | S::Blocked, E::ProviderBlocked) => {
            (S::Blocked, Some(Effect::Query))
        }
        // Never a failure: the same bytes go out again under the same number.
        (S::Paying | S::Unknown, E::NotFound) => (S::Unknown, Some(Effect::Send)),
        (S::Blocked, E::NotFound) => (S::Blocked, Some(Effect::Send)),
        (S::Paying, E::CancelPayout) => (S::Paying, Some(Effect::Query)),
        (S::Unknown, E::CancelPayout) => (S::Unknown, Some(Effect::Query)),
        (S::Paying | S::Unknown | S::Blocked, E::GiveUp) => (S::Unresolved, None),

        (S::Unresolved, E::ResolvePaid) => (S::Settling, Some(Effect::Settle)),
        (S::Unresolved, E::ResolveNotPaid) => (S::Failing, Some(Effect::Release)),
        (S::Unresolved, E::AskAgain) => (S::Unknown, Some(Effect::Query)),

        (S::Settling, E::Settled) => (S::Paid, None),
        (S::Refusing, E::Released) => (S::Refused, None),
        (S::Cancelling, E::Released) => (S::Cancelled, None),
        (S::Failing, E::Released) => (S::Failed, None),
        _ => return None,
    })
}

impl Status {
    /// Document 3's `cash_status`; 0 while nobody may see it.
    #[must_use]
    pub const fn cash_status(self) -> i32 {
        match self {
            Self::Requested | Self::Declined => 0,
            Self::InReview => 1,
            Self::Approved => 2,
            Self::Refusing | Self::Refused | Self::Cancelling | Self::Cancelled => 3,
            Self::Paying
            | Self::Unknown
            | Self::Blocked
            | Self::Unresolved
            | Self::Settling
            | Self::Failing => 4,
            Self::Paid => 5,
            Self::Failed => 6,
        }
    }

    /// Document 1's `pay_status`. Paid only when the ledger says so too.
    #[must_use]
    pub const fn pay_status(self) -> i32 {
        match self {
            Self::Paying | Self::Unknown | Self::Blocked | Self::Settling | Self::Failing => 1,
            Self::Paid => 2,
            Self::Unresolved | Self::Failed => 4,
            _ => 0,
        }
    }

    /// Whether people may see it: before the hold is placed there is no cash-out for them.
    #[must_use]
    pub const fn visible(self) -> bool {
        !matches!(self, Self::Requested | Self::Declined)
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        Event::ALL.iter().all(|event| next(self, *event).is_none())
    }

    /// Whether a provider has it and says nothing final yet: it is asked about again and again.
    #[must_use]
    pub const fn is_asked_about(self) -> bool {
        matches!(self, Self::Paying | Self::Unknown | Self::Blocked)
    }

    /// Whether its amount counts towards the person's sum of the day.
    #[must_use]
    pub const fn counts_for_the_day(self) -> bool {
        !matches!(
            self,
            Self::Declined
                | Self::Refusing
                | Self::Refused
                | Self::Cancelling
                | Self::Cancelled
                | Self::Failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn the_whole_table_is_as_reviewed() -> Result<(), std::fmt::Error> {
        let mut text = String::new();
        for status in Status::ALL {
            let (cash, pay) = (status.cash_status(), status.pay_status());
            writeln!(text, "{} (cash_status {cash}, pay_status {pay})", status.name())?;
            for event in Event::ALL {
                let row = match next(*status, *event) {
                    Some((to, effect)) => {
                        format!("-> {} {}", to.name(), effect.map_or("-", Effect::name))
                    }
                    None => "illegal".to_owned(),
                };
                writeln!(text, "  {:<17} {row}", event.name())?;
            }
        }
        insta::assert_snapshot!("status_table", text);
        Ok(())
    }

    #[test]
    fn only_outcomes_are_final() {
        let finals: Vec<_> =
            Status::ALL.iter().filter(|s| s.is_final()).map(|s| s.name()).collect();
        assert_eq!(finals, ["declined", "refused", "cancelled", "paid", "failed"]);
    }

    #[test]
    fn numbers_and_names_are_found_again() {
        for status in Status::ALL {
            assert_eq!(Status::from_number(status.number()), Some(*status));
            assert_eq!(Status::from_name(status.name()), Some(*status));
        }
        for event in Event::ALL {
            assert_eq!(Event::from_name(event.name()), Some(*event));
        }
    }

    #[test]
    fn money_returns_only_after_a_decision_or_a_definite_refusal() {
        for status in [Status::Paying, Status::Unknown, Status::Blocked, Status::Unresolved] {
            for event in Event::ALL {
                if let Some((_, Some(Effect::Release))) = next(status, *event) {
                    assert!(matches!(event, Event::ProviderRefused | Event::ResolveNotPaid));
                }
            }
        }
    }
}
