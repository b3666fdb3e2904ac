//! Numbers written exactly. Order is the order of the structs' fields; money that is a JSON number is
//! written from its minor units and never passes through a binary float.

use cashout_common::money;
use cashout_proto::{Failure, Reason};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Minor units, written as a JSON number as people would write it: `0.99`, `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub i64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(money::format_short(self.0), serializer)
    }
}

/// A JSON number in the words it was configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal(pub String);

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(self.0.clone(), serializer)
    }
}

fn raw<S: Serializer>(text: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
}

/// The bytes of a body.
///
/// # Errors
/// `INTERNAL`, which would be a defect of a type of ours.
pub fn to_body<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Failure::new(Reason::Internal, "internal error")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_they_would_be_written() -> anyhow::Result<()> {
        for (minor, text) in [
            (99, "0.99"),
            (1, "0.01"),
            (100, "1"),
            (0, "0"),
            (-1100, "-11"),
            (9_007_199_254_740_991, "90071992547409.91"),
        ] {
            assert_eq!(to_body(&Number(minor))?, text.as_bytes());
        }
        assert_eq!(to_body(&Literal("0.0060".to_owned()))?, b"0.0060");
        Ok(())
    }
}
