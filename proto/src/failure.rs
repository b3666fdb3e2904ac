//! A failure as a value: made where a rule is broken, carried over gRPC, read again by the caller.
//!
//! The client's message says what to change. What happened inside is the operator's and goes to the
//! log at the boundary, never into a `Failure`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::Reason;

/// The `ErrorInfo` domain of all our failures.
pub const DOMAIN: &str = "cashout";

/// One broken rule on one field of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path as the caller wrote it, e.g. `amount_minor`.
    pub field: String,
    /// The rule, for people.
    pub rule: String,
}

/// Why a request was not carried out, as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable reason.
    pub reason: Reason,
    /// What to change, for people.
    pub message: String,
    /// Facts for machines, e.g. `available_minor`.
    pub metadata: HashMap<String, String>,
    /// Broken rules by field, when input was wrong.
    pub fields: Vec<FieldViolation>,
}

impl Failure {
    /// A failure with a reason and a message.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: HashMap::new(), fields: Vec::new() }
    }

    /// Wrong input in one field.
    #[must_use]
    pub fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::fields(vec![FieldViolation { field: field.into(), rule: rule.into() }])
    }

    /// Wrong input in several fields, all told at once.
    #[must_use]
    pub fn fields(fields: Vec<FieldViolation>) -> Self {
        let told: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.rule)).collect();
        Self { fields, ..Self::new(Reason::InvalidArgument, told.join("; ")) }
    }

    /// Adds one fact for machines.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// Reads a status from a service. What does not come from the table becomes the nearest reason:
    /// connection trouble is `Unavailable`, a passed deadline `DeadlineExceeded`, the rest `Internal`.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let fields: Vec<FieldViolation> = details
            .bad_request()
            .map(|bad| bad.field_violations.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|v| FieldViolation { field: v.field.clone(), rule: v.description.clone() })
            .collect();
        if let Some(info) = details.error_info()
            && info.domain == DOMAIN
            && let Some(reason) = Reason::from_name(&info.reason)
        {
            let message = status.message().to_owned();
            return Self { reason, message, metadata: info.metadata.clone(), fields };
        }
        let (reason, message) = match status.code() {
            // tonic reports an expired deadline as Cancelled "Timeout expired".
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
                (Reason::DeadlineExceeded, "no answer in time; ask again with the same key")
            }
            tonic::Code::ResourceExhausted => (Reason::Overloaded, "too busy; try again later"),
            // A lost connection arrives as Unknown "transport error".
            tonic::Code::Unavailable | tonic::Code::Unknown => {
                (Reason::Unavailable, "a part of the system does not answer; try again")
            }
            _ => (Reason::Internal, "internal error"),
        };
        Self { fields, ..Self::new(reason, message) }
    }

    /// Whether the effect may have happened all the same: the caller has to ask again, not give up.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.reason, Reason::Unavailable | Reason::DeadlineExceeded | Reason::Internal)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason.row().name, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let row = failure.reason.row();
        let mut details = ErrorDetails::with_error_info(row.name, DOMAIN, failure.metadata);
        if row.retry {
            details.set_retry_info(Some(Duration::from_secs(1)));
        }
        for violation in failure.fields {
            details.add_bad_request_violation(violation.field, violation.rule);
        }
        Status::with_error_details(row.grpc, failure.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL {
            let sent = Failure {
                fields: vec![FieldViolation { field: "a".into(), rule: "b".into() }],
                ..Failure::new(*reason, "what to change").with("available_minor", 7)
            };
            let status = Status::from(sent.clone());
            assert_eq!(status.code(), reason.row().grpc);
            assert_eq!(Failure::from_status(&status), sent);
        }
    }

    #[test]
    fn strangers_become_the_nearest_reason() {
        for (status, reason) in [
            (Status::cancelled("Timeout expired"), Reason::DeadlineExceeded),
            (Status::unknown("transport error"), Reason::Unavailable),
            (Status::internal("secret detail"), Reason::Internal),
        ] {
            let read = Failure::from_status(&status);
            assert_eq!(read.reason, reason);
            assert!(!read.message.contains("secret"));
        }
    }
}
