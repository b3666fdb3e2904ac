//! Attributes of a request body, checked all at once: one violation per broken field.
//!
//! Unknown attributes are never looked at, so none of them can be stored. Must not know: rules that
//! depend on anything but the request itself.

use cashout_common::money::parse_amount;
use cashout_common::text;
use cashout_proto::{Failure, FieldViolation};

use crate::http::malformed;
use crate::json::{Json, read};

/// The attributes of a body, and what is wrong with them so far.
pub(super) struct Attributes {
    values: Json,
    broken: Vec<FieldViolation>,
}

impl Attributes {
    /// Of a JSON:API body: `data.attributes`, or as the document spells it `data.attritbutes`.
    pub(super) fn of_document(body: &[u8]) -> Result<Self, Failure> {
        let document = read(body)?;
        let data = document.get("data");
        let has = |name| data.is_some_and(|data| data.has(name));
        if has("attributes") && has("attritbutes") {
            // Even where one of them is null: a reader that takes the other sees another request.
            let rule = "must not stand together with attributes";
            return Err(Failure::field("attritbutes", rule));
        }
        let member = |name| data.and_then(|data| data.get(name));
        let values = member("attributes").or_else(|| member("attritbutes")).cloned();
        let values = values.unwrap_or_else(|| Json::Object(Vec::new()));
        Self::of(values)
    }

    /// Of a plain JSON object.
    pub(super) fn of_object(body: &[u8]) -> Result<Self, Failure> {
        Self::of(read(body)?)
    }

    fn of(values: Json) -> Result<Self, Failure> {
        match values {
            Json::Object(_) => Ok(Self { values, broken: Vec::new() }),
            _ => Err(malformed("the attributes must be a JSON object")),
        }
    }

    /// Notes a broken rule.
    pub(super) fn broken(&mut self, field: &str, rule: impl Into<String>) {
        self.broken.push(FieldViolation { field: field.to_owned(), rule: rule.into() });
    }

    /// A member, when it is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&Json> {
        self.values.get(field)
    }

    /// Whether a member is absent, null or an empty string.
    pub(super) fn is_blank(&self, field: &str) -> bool {
        self.values.get(field).is_none_or(|value| *value == Json::Text(String::new()))
    }

    /// An amount of money in minor units, from a string or a number as it was written.
    pub(super) fn amount(&mut self, field: &str) -> Option<i64> {
        let read = match self.values.get(field)? {
            Json::Text(text) | Json::Number(text) => {
                parse_amount(text).map_err(|error| error.to_string())
            }
            _ => Err("must be a decimal string or number".to_owned()),
        };
        self.keep(field, read)
    }

    /// A whole number, written as one. `None` as well when it is beyond every documented value.
    pub(super) fn integer(&mut self, field: &str) -> Option<Option<i32>> {
        let value = self.values.get(field)?;
        let number = value.integer().and_then(|n| i32::try_from(n).ok());
        let read =
            if value.is_integer() { Ok(number) } else { Err("must be an integer".to_owned()) };
        self.keep(field, read)
    }

    /// Free text of at most 255 characters; empty when absent.
    pub(super) fn text(&mut self, field: &str) -> String {
        let read = match self.values.get(field) {
            None => return String::new(),
            Some(Json::Text(text)) => text::free(text, 255),
            Some(_) => Err("must be a string".to_owned()),
        };
        self.keep(field, read).unwrap_or_default()
    }

    /// A mobile number; absent and empty are the same.
    pub(super) fn mobile(&mut self, field: &str) -> Option<String> {
        let read = match self.values.get(field)? {
            Json::Text(text) if text.is_empty() => return None,
            Json::Text(text) => text::mobile(text),
            _ => Err("must be a string".to_owned()),
        };
        self.keep(field, read)
    }

    /// Notes a missing member; whether it is missing.
    pub(super) fn require(&mut self, field: &str) -> bool {
        let missing = self.values.get(field).is_none();
        if missing {
            self.broken(field, "is required");
        }
        missing
    }

    fn keep<T>(&mut self, field: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|rule| self.broken(field, rule)).ok()
    }

    /// Everything that was wrong, in one failure.
    pub(super) fn checked(self) -> Result<(), Failure> {
        if self.broken.is_empty() { Ok(()) } else { Err(Failure::fields(self.broken)) }
    }
}
