//! What the service needs from outside: the ledger, payout providers, and a form for stored answers.
//!
//! Must not know: gRPC, SQL, any provider's protocol.

use std::time::Duration;

use cashout_proto::Failure;
use futures::future::BoxFuture;

use crate::domain::withdrawal::{AccountAfter, Holder, Requested, Withdrawal};

/// How long the ledger may take for one step of an effect, all its calls together. A lease is longer.
pub const LEDGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How the ledger answered a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerAnswer<T> {
    /// It is done, now or already before.
    Done(T),
    /// It is not done and will not be.
    Refused(Failure),
    /// It may or may not be done: ask again under the same key.
    Unknown(Failure),
}

/// What a person has, as far as a cash-out needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// What can be held now.
    pub available_minor: i64,
    /// Whether new holds are refused.
    pub locked: bool,
}

/// Why a hold is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseCause {
    /// A reviewer refused.
    Refused,
    /// The payout failed for good.
    Failed,
    /// The owner took it back.
    Cancelled,
}

/// The account service. Every command carries a key made of the withdrawal, so repeating is harmless.
pub trait Ledger: Send + Sync {
    /// Freezes the apply amount.
    fn place<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<AccountAfter>>;
    /// Makes sure that the hold does not stand and never will, when it could not be placed but an
    /// earlier call to place it may still be on its way.
    fn abandon<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>>;
    /// Lets the frozen amount leave: actual to the payout account, fee to income.
    fn settle<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>>;
    /// Returns the frozen amount.
    fn release<'a>(
        &'a self,
        w: &'a Withdrawal,
        cause: ReleaseCause,
    ) -> BoxFuture<'a, LedgerAnswer<()>>;
    /// The balance of a person; `None` when there is no account.
    fn balance(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Balance>, Failure>>;
    /// The person; `None` when nobody is known under that id.
    fn holder(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Holder>, Failure>>;
}

/// What is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Our number.
    pub number: String,
    /// The payee's id at the provider.
    pub payee_id: String,
    /// The real name to check; may be empty.
    pub payee_name: String,
    /// What the payee gets.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// A written attempt, as it goes out: the bytes are the same every time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// Our number.
    pub number: String,
    /// The payee's id at the provider.
    pub payee_id: String,
    /// What the payee gets.
    pub amount_minor: i64,
    /// The exact request.
    pub body: Vec<u8>,
    /// SHA-256 of the body, hex.
    pub digest: String,
}

/// What a provider answered. Whatever is neither an explicit success nor an explicit refusal is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Paid for certain.
    Paid {
        /// The provider's number.
        third_trade_no: String,
    },
    /// Not paid and never will be under this number.
    Refused {
        /// The provider's code.
        code: String,
        /// The provider's words.
        message: String,
    },
    /// Accepted, not finished.
    Pending,
    /// The number is not known there.
    NotFound,
    /// Lost, late, unsigned or unlisted.
    Unknown {
        /// What is known of it.
        why: String,
    },
}

impl Answer {
    /// The word recorded with the call.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Paid { .. } => "paid",
            Self::Refused { .. } => "refused",
            Self::Pending => "pending",
            Self::NotFound => "not_found",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What else was said.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Paid { third_trade_no } => third_trade_no.clone(),
            Self::Refused { code, message } => format!("{code}: {message}"),
            Self::Pending | Self::NotFound => String::new(),
            Self::Unknown { why } => why.clone(),
        }
    }
}

/// Someone who pays people.
pub trait Provider: Send + Sync {
    /// The exact request for an order. Written down before it is sent for the first time.
    fn prepare(&self, order: &Order) -> Vec<u8>;
    /// Sends a written attempt.
    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer>;
    /// Asks what became of a number.
    fn query(&self, number: String) -> BoxFuture<'static, Answer>;
}

/// Result of one item of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The withdrawal.
    pub id: i64,
    /// The reason why not; `None` on success.
    pub refused: Option<&'static str>,
}

/// The form in which answers are stored under a key, so that a replay is the same bytes.
pub trait Replies: Send + Sync {
    /// The answer to a request.
    fn requested(&self, requested: &Requested) -> Vec<u8>;
    /// The answer to a review.
    fn reviewed(&self, results: &[Reviewed]) -> Vec<u8>;
}
