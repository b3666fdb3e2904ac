//! What the service needs from outside: the ledger, payout providers, and a form for stored answers.
//!
//! Must not know: gRPC, SQL, any provider's protocol.

use std::time::Duration;

use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join};

pub use crate::domain::withdrawal::Confirmation;
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

/// A person and their balance, each if there is one.
pub type Asker = (Option<Holder>, Option<Balance>);

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
    /// Both, for a request.
    fn asker(&self, user_id: i64) -> BoxFuture<'_, Result<Asker, Failure>> {
        try_join(self.holder(user_id), self.balance(user_id)).boxed()
    }
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

/// Who has to repair what keeps a payout from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// The provider's account is short: topping it up is enough.
    Balance,
    /// Permission, signature or limit of the platform at the provider: every payout of it would fail.
    Channel,
    /// This request alone: a person must look at it.
    Request,
}

/// What a provider answered. Whatever is neither an explicit success nor an explicit refusal is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Paid for certain.
    Paid {
        /// The provider's number.
        third_trade_no: String,
    },
    /// Not paid and never will be under this number: the provider's own record says so.
    Refused {
        /// The provider's code.
        code: String,
        /// The provider's words.
        message: String,
    },
    /// The sending was turned down for good because of the payee. Money returns only when a query made
    /// after it says refused, or does not know the number.
    Rejected {
        /// The provider's code.
        code: String,
        /// The provider's words.
        message: String,
    },
    /// Not paid, until somebody repairs something; then the same number goes out again.
    Blocked {
        /// The provider's code.
        code: String,
        /// The provider's words.
        message: String,
        /// What is to be repaired.
        repair: Repair,
    },
    /// Accepted, not finished.
    Pending {
        /// The provider's number; empty when it told none.
        third_trade_no: String,
        /// The provider's word for how far it is, a listed one; empty when it told none.
        state: String,
        /// What the app needs when the payee must confirm; told once, so it is kept.
        confirmation: Option<Confirmation>,
    },
    /// Accepted, and the payee must confirm. What they confirm with is told only in answer to the same
    /// sending, so one whose answer was lost is made again.
    Waiting {
        /// The provider's number.
        third_trade_no: String,
    },
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
            Self::Rejected { .. } => "rejected",
            Self::Blocked { .. } => "blocked",
            Self::Pending { .. } => "pending",
            Self::Waiting { .. } => "waiting",
            Self::NotFound => "not_found",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What else was said.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Paid { third_trade_no } | Self::Waiting { third_trade_no } => {
                third_trade_no.clone()
            }
            Self::Pending { third_trade_no, state, .. } => {
                format!("{state} {third_trade_no}").trim().to_owned()
            }
            Self::Refused { code, message }
            | Self::Rejected { code, message }
            | Self::Blocked { code, message, .. } => format!("{code}: {message}"),
            Self::NotFound => String::new(),
            Self::Unknown { why } => why.clone(),
        }
    }

    /// Accepted, and nothing else is known.
    #[must_use]
    pub const fn pending() -> Self {
        Self::Pending { third_trade_no: String::new(), state: String::new(), confirmation: None }
    }

    /// Says nothing, because of `why`.
    #[must_use]
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }
}

/// A notification as it came in: raw, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes as received.
    pub body: Vec<u8>,
}

/// What a verified notification says. It is a hint: the provider is asked before anything moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of it: the same for every repetition.
    pub id: String,
    /// Our number.
    pub number: String,
    /// The provider's word for the state.
    pub state: String,
    /// What the payee is said to get, when it says.
    pub amount_minor: Option<i64>,
    /// Who is said to be paid, when it says.
    pub payee_id: Option<String>,
}

/// Why a notification is not heard. Nothing changes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unheard {
    /// Not signed by the provider, too old, or not readable. `why` holds none of its content.
    Forged {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Properly signed, but about another merchant or app: somebody should look.
    Foreign {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Properly signed and about something we do not follow: acknowledged and let go.
    Irrelevant,
    /// The provider tests whether signatures are looked at.
    Probe,
}

/// What a provider wants to hear about a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// HTTP status.
    pub status: u16,
    /// Content type; empty when there is no body.
    pub content_type: &'static str,
    /// The words.
    pub body: &'static str,
}

/// Someone who pays people.
pub trait Provider: Send + Sync {
    /// Whether an order can be asked for at all: amounts, names, forms of ids. Told to the applicant.
    ///
    /// # Errors
    /// A failure that names the field and the rule.
    fn check(&self, _order: &Order) -> Result<(), Failure> {
        Ok(())
    }
    /// The exact request for an order. Written down before it is sent for the first time.
    ///
    /// # Errors
    /// When no request can be made of it; what [`Provider::check`] lets pass can.
    fn prepare(&self, order: &Order) -> Result<Vec<u8>, Failure>;
    /// Sends a written attempt.
    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer>;
    /// Asks what became of an attempt. What is told is compared with it.
    fn query(&self, request: SendRequest) -> BoxFuture<'static, Answer>;
    /// How long after a sending the provider can be asked about it; `None`: for ever. A number that is
    /// not found after that time may have been paid.
    fn remembers(&self) -> Option<Duration> {
        None
    }
    /// Asks to take an attempt back. Only a query tells whether it was.
    fn cancel(&self, _request: SendRequest) -> BoxFuture<'static, Answer> {
        let answer = Answer::unknown("this provider takes nothing back");
        Box::pin(std::future::ready(answer))
    }
    /// Whether [`Provider::cancel`] does anything.
    fn cancels(&self) -> bool {
        false
    }
    /// What is there to pay with, minor units. `Ok(None)`: this provider has no such limit.
    fn balance(&self) -> BoxFuture<'static, Result<Option<i64>, String>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// The provider's bill of a finished local day (`yyyy-MM-dd`), as the provider gives it: packed.
    fn bill(&self, _day: String) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("this provider gives no bills".to_owned())))
    }
    /// Verifies and reads a notification.
    ///
    /// # Errors
    /// Why it is not heard.
    fn notice(&self, _incoming: &Incoming) -> Result<Notice, Unheard> {
        Err(Unheard::Forged { why: "this provider sends no notifications" })
    }
    /// What to answer to a notification: that it was heard, or not.
    fn acknowledge(&self, _heard: bool) -> Acknowledgement {
        Acknowledgement { status: 404, content_type: "", body: "" }
    }
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
