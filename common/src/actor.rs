//! Who acts, as verified metadata between services. The gateway sets it after checking the token and
//! forwards nothing a caller sent under these names.

use cashout_proto::{Failure, Reason};
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::number::parse_id;

/// Metadata name of the acting person's id.
pub const ACTOR: &str = "cashout-actor";
/// Metadata name of the request id, for logs.
pub const REQUEST_ID: &str = "x-request-id";
/// Metadata name of the trace context (W3C).
pub const TRACE_PARENT: &str = "traceparent";

/// Who acts in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, known by their token.
    Person(i64),
    /// Another service, or our own worker.
    System,
}

impl Actor {
    /// Reads the actor of a call; no metadata means a service acts for itself.
    ///
    /// # Errors
    /// `NOT_AUTHENTICATED` when the metadata is there but is not an id.
    pub fn of(metadata: &MetadataMap) -> Result<Self, Failure> {
        let Some(value) = metadata.get(ACTOR) else { return Ok(Self::System) };
        let id = value.to_str().ok().and_then(parse_id);
        id.map(Self::Person).ok_or_else(|| {
            Failure::new(Reason::NotAuthenticated, "cashout-actor must be a user id")
        })
    }

    /// The person, where only a person may act.
    ///
    /// # Errors
    /// `ACTOR_REQUIRED` when no person acts.
    pub fn person(self) -> Result<i64, Failure> {
        match self {
            Self::Person(id) => Ok(id),
            Self::System => {
                Err(Failure::new(Reason::ActorRequired, "say who acts in cashout-actor"))
            }
        }
    }

    /// Puts the actor into the metadata of a call.
    pub fn write(self, metadata: &mut MetadataMap) {
        if let Self::Person(id) = self {
            metadata.insert(ACTOR, MetadataValue::from(id));
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "user:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}
