//! Parsing fields: every rule a field can break, told with the field's name, all at once.

use std::fmt::Display;
use std::sync::Arc;

use cashout_common::kind::Kind;
use cashout_common::money::MAX_MINOR;
use cashout_common::number::MAX_ID;
use cashout_common::text;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, FieldViolation};

use crate::domain::{Currency, Facts, Which};

/// Collects broken rules while a request is read. A broken field reads as a harmless default, and
/// [`Fields::finish`] refuses the whole. Names of fields are put together only when a rule is broken.
#[derive(Debug, Default)]
pub(super) struct Fields {
    prefix: String,
    broken: Vec<FieldViolation>,
}

impl Fields {
    /// For an item of a list: its fields are told as `transfers[3].key`.
    pub(super) fn inside(prefix: String) -> Self {
        Self { prefix, broken: vec![] }
    }

    /// Notes a broken rule.
    pub(super) fn broken(&mut self, field: impl Display, rule: impl Into<String>) {
        let field = format!("{}{field}", self.prefix);
        self.broken.push(FieldViolation { field, rule: rule.into() });
    }

    /// The value, if no rule was broken.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Failure> {
        if self.broken.is_empty() { Ok(value) } else { Err(Failure::fields(self.broken)) }
    }

    fn checked(&mut self, field: impl Display, result: Result<String, String>) -> String {
        result.unwrap_or_else(|rule| {
            self.broken(field, rule);
            String::new()
        })
    }

    pub(super) fn key(&mut self, field: impl Display, value: &str) -> Arc<str> {
        let key = text::key(value, 128);
        Arc::from(key.unwrap_or_else(|rule| {
            self.broken(field, rule);
            ""
        }))
    }

    pub(super) fn free(&mut self, field: impl Display, value: &str, max: usize) -> String {
        self.checked(field, text::free(value, max))
    }

    /// More than 0, at most 2^53-1 minor units.
    pub(super) fn amount(&mut self, field: impl Display, value: i64) -> i64 {
        self.range(field, value, 1, MAX_MINOR)
    }

    pub(super) fn range(&mut self, field: impl Display, value: i64, min: i64, max: i64) -> i64 {
        if !(min..=max).contains(&value) {
            self.broken(field, format!("must be from {min} to {max}"));
        }
        value.clamp(min, max)
    }

    /// A time, or 0 for none: up to the year 9999.
    pub(super) fn time(&mut self, field: impl Display, value: i64) -> i64 {
        self.range(field, value, 0, 253_402_300_799_000_000)
    }

    pub(super) fn user(&mut self, field: impl Display, value: i64) -> i64 {
        self.range(field, value, 1, MAX_ID)
    }

    pub(super) fn currency(&mut self, field: impl Display, value: &str) -> Currency {
        Currency::parse(value).unwrap_or_else(|| {
            self.broken(field, "must be three upper-case letters, like CNY");
            Currency::CNY
        })
    }

    pub(super) fn account(&mut self, field: impl Display, value: Option<&pb::AccountRef>) -> Which {
        use pb::account_ref::By;
        let Some((by, currency)) = value.and_then(|v| v.by.map(|by| (by, &v.currency))) else {
            self.broken(field, "must name an account by account_id or user_id");
            return Which::Id(0);
        };
        match by {
            By::AccountId(id) => {
                Which::Id(self.range(format_args!("{field}.account_id"), id, 1, MAX_ID))
            }
            By::UserId(id) => {
                let id = self.user(format_args!("{field}.user_id"), id);
                Which::Person(id, self.currency(format_args!("{field}.currency"), currency))
            }
        }
    }

    /// A kind that must be given.
    pub(super) fn kind(&mut self, field: impl Display, value: i32) -> Kind {
        Kind::from_number(value).unwrap_or_else(|| {
            self.broken(field, "must be a kind of the table of kinds");
            Kind::Adjustment
        })
    }

    /// A counter-account's name, or the default of the kind when empty.
    pub(super) fn counter(&mut self, field: impl Display, value: &str, kind: Kind) -> Arc<str> {
        let name = if value.is_empty() { kind.row().counter } else { value };
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b':' | b'-')
        });
        if !first || !rest || name.len() > 64 {
            self.broken(field, "must be a name like platform:income");
        }
        Arc::from(name)
    }

    pub(super) fn facts(&mut self, value: Option<&pb::Facts>) -> Facts {
        let Some(f) = value else { return Facts::default() };
        let fields = [
            ("note", &f.note),
            ("order_no", &f.order_no),
            ("goods_amount", &f.goods_amount),
            ("order_time", &f.order_time),
            ("received_time", &f.received_time),
            ("original_amount", &f.original_amount),
            ("operator", &f.operator),
            ("reference", &f.reference),
            ("payment_code", &f.payment_code),
            ("payment_name", &f.payment_name),
        ];
        Facts::new(fields.map(|(name, value)| self.free(format_args!("facts.{name}"), value, 255)))
    }
}
