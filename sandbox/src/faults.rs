//! Faults: what goes wrong with which call, how often. They are scripted over HTTP, or by a word in the
//! payee's id. Must not know: how a provider speaks.

use cashout_common::random::Random;
use serde::{Deserialize, Serialize};

use crate::payout::Provider;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    // Nothing is booked.
    /// The connection breaks before the request is heard.
    LoseRequest,
    /// The provider's own "system error".
    SystemError,
    /// The given `code`, with `status`.
    Error,
    /// A code that no list has.
    Unlisted,
    /// HTTP 429.
    RateLimit,
    /// HTTP `status` (503 unless given) with a page for people.
    Http,
    /// Not enough money, whatever there is.
    ShortBalance,
    /// Turned down because of the payee, with `code`.
    Refuse,
    // Booked otherwise.
    /// Booked, and ends as failed with `code`.
    Fail,
    /// Stays accepted for `seconds`.
    Pending,
    /// Stays on its way for `seconds`.
    Late,
    /// The payee confirms only when told to.
    Confirm,
    // Booked as asked; the answer is not what it should be.
    /// The connection breaks instead of an answer.
    LoseReply,
    /// As [`Kind::SystemError`], after booking.
    SystemErrorAfter,
    /// As [`Kind::Error`], after booking.
    ErrorAfter,
    /// As [`Kind::Http`], after booking.
    HttpAfter,
    /// Never answers.
    Silent,
    /// Waits `ms` before doing anything.
    Delay,
    /// Waits `ms` between booking and answering.
    DelayReply,
    /// Something that is not HTTP.
    Garbage,
    /// Half of the answer.
    Truncated,
    /// A signature over something else.
    WrongSignature,
    /// No signature.
    MissingSignature,
    /// Signed by a key with a name that nobody has.
    WrongSerial,
    /// Signed by another key of the provider's, properly.
    OtherKey,
    /// A time-stamp of ten minutes ago, properly signed.
    Stale,
    /// A properly signed answer without content (204).
    NoContent,
    /// The state `code`, a word that no list has unless given.
    State,
    /// "Not found", although it is there.
    NotFound,
    /// One fen more than it is; in a bill too.
    Amount,
    /// Somebody else's payee id.
    Payee,
    /// Another merchant's id.
    Merchant,
    // Notifications.
    /// Sent twice.
    Duplicate,
    /// Not sent.
    Withhold,
    /// Sent `seconds` later than others.
    Reorder,
    /// One byte of it is another one.
    Corrupt,
    /// A deliberately wrong signature first, as WeChat Pay tests merchants.
    Probe,
    // Bills.
    /// The row is not there.
    HideRow,
    /// The row is there twice.
    DoubleRow,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A payout is asked for.
    Create,
    /// How it stands is asked for.
    Query,
    /// It is taken back.
    Cancel,
    /// A notification of ours.
    Notify,
    /// What there is to pay with.
    Balance,
    /// Where a bill can be fetched.
    Bill,
    /// One row of a bill.
    Row,
    /// Certificates.
    Certificates,
    /// All that a merchant calls: not notifications, nor rows.
    Any,
}

impl Operation {
    /// Its word in the books.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Query => "query",
            Self::Cancel => "cancel",
            Self::Notify => "notify",
            Self::Balance => "balance",
            Self::Bill => "bill",
            Self::Row => "row",
            Self::Certificates => "certificates",
            Self::Any => "any",
        }
    }
}

/// One scripted fault, as it is given over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub fault: Kind,
    /// `wechat` or `alipay`; both unless given.
    #[serde(default)]
    pub provider: String,
    /// Which calls; all unless given.
    #[serde(default = "any")]
    pub operation: Operation,
    /// Part of the number or of the payee's id; all unless given.
    #[serde(default, rename = "match")]
    pub matching: String,
    /// How often; always unless given.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching calls are spared first.
    #[serde(default)]
    pub skip: u32,
    /// In how many of a thousand matching calls; all unless given.
    #[serde(default = "always")]
    pub per_mille: u64,
    /// The code to tell.
    #[serde(default)]
    pub code: String,
    /// The HTTP status to tell.
    #[serde(default)]
    pub status: u16,
    /// Real milliseconds.
    #[serde(default)]
    pub ms: u32,
    /// Virtual seconds.
    #[serde(default)]
    pub seconds: u32,
}

const fn any() -> Operation {
    Operation::Any
}

const fn always() -> u64 {
    1000
}

impl Fault {
    /// A fault without any parameter.
    #[must_use]
    pub fn of(fault: Kind) -> Self {
        Self {
            fault,
            provider: String::new(),
            operation: any(),
            matching: String::new(),
            times: None,
            skip: 0,
            per_mille: always(),
            code: String::new(),
            status: 0,
            ms: 0,
            seconds: 0,
        }
    }

    fn fits(&self, provider: Provider, operation: Operation, names: &[&str]) -> bool {
        let called = !matches!(operation, Operation::Notify | Operation::Row);
        (self.provider.is_empty() || self.provider == provider.word())
            && (self.operation == operation || (self.operation == Operation::Any && called))
            && (self.matching.is_empty() || names.iter().any(|n| n.contains(&self.matching)))
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Default)]
pub struct Trouble(pub Vec<Fault>);

impl Trouble {
    /// The fault of that kind, if there is one.
    #[must_use]
    pub fn find(&self, kind: Kind) -> Option<&Fault> {
        self.0.iter().find(|fault| fault.fault == kind)
    }

    /// Whether there is a fault of that kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.find(kind).is_some()
    }

    /// The first one of those kinds.
    #[must_use]
    pub fn first(&self, kinds: &[Kind]) -> Option<&Fault> {
        self.0.iter().find(|fault| kinds.contains(&fault.fault))
    }
}

/// All scripted faults. They are not kept over a restart: books are, whims are not.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// None any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All that are left.
    #[must_use]
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    /// What goes wrong with this call; it counts as one time of each fault that fits.
    pub fn take(
        &mut self,
        provider: Provider,
        operation: Operation,
        names: &[&str],
        random: &Random,
    ) -> Trouble {
        let mut struck = Vec::new();
        for fault in &mut self.0 {
            if !fault.fits(provider, operation, names) {
                continue;
            }
            if fault.per_mille < always() && random.below(always()) >= fault.per_mille {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = fault.times.as_mut() {
                *times = times.saturating_sub(1);
            }
            struck.push(fault.clone());
        }
        self.0.retain(|fault| fault.times != Some(0));
        Trouble(struck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn a_fault_strikes_what_it_names_as_often_as_it_says() -> Result<(), String> {
        let random = Random::seeded(1);
        let mut faults = Faults::default();
        faults.add(read(
            r#"{"provider":"wechat","operation":"create","match":"N1","fault":"lose_reply","times":2,"skip":1}"#,
        )?);
        let mut strikes = |provider, operation, name: &str| {
            faults.take(provider, operation, &[name, "payee"], &random).0.len()
        };
        for (provider, operation, name, count) in [
            (Provider::Alipay, Operation::Create, "N1", 0),
            (Provider::Wechat, Operation::Query, "N1", 0),
            (Provider::Wechat, Operation::Create, "N2", 0),
            (Provider::Wechat, Operation::Create, "xN1x", 0),
            (Provider::Wechat, Operation::Create, "N1", 1),
            (Provider::Wechat, Operation::Create, "N1", 1),
            (Provider::Wechat, Operation::Create, "N1", 0),
        ] {
            assert_eq!(strikes(provider, operation, name), count, "{operation:?} {name}");
        }
        assert!(faults.all().is_empty());
        Ok(())
    }

    #[test]
    fn a_fault_that_is_not_one_is_refused() {
        for bad in ["{}", r#"{"fault":"burn"}"#, r#"{"fault":"late","second":1}"#, "[]", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
