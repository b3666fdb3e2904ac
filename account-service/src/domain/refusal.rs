//! Why a command changes nothing: a value, with the facts a caller needs.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such account.
    #[error("there is no such account")]
    AccountNotFound,
    /// No such hold.
    #[error("there is no such hold")]
    HoldNotFound,
    /// Available is less than needed.
    #[error("the available balance is not enough")]
    InsufficientFunds {
        /// What is available, minor units.
        available: i64,
        /// What it would have taken, minor units.
        needed: i64,
    },
    /// Locked: no new holds.
    #[error("the account is locked for cash-outs")]
    AccountLocked,
    /// A number would leave the exact range.
    #[error("the balance would become too large")]
    BalanceOverflow,
    /// The kind does not fit.
    #[error("the kind does not fit this movement")]
    KindMismatch,
    /// Two currencies.
    #[error("the two accounts are in different currencies")]
    CurrencyMismatch,
    /// Both sides are the same account.
    #[error("payer and payee are the same account")]
    SameAccount,
    /// The key was used with another request.
    #[error("the key was used before with another request")]
    IdempotencyConflict,
    /// Ended already.
    #[error("the hold is settled already")]
    HoldAlreadySettled,
    /// Ended already.
    #[error("the hold is released already")]
    HoldAlreadyReleased,
    /// The parts are more than the hold.
    #[error("the parts are more than the hold")]
    HoldAmountExceeded {
        /// What it holds, minor units.
        held: i64,
    },
    /// The balance is below the new limit already.
    #[error("the balance is below the new overdraft limit already")]
    OverdraftInUse,
    /// Another item of the batch was refused.
    #[error("another item of the batch was refused")]
    BatchAborted,
}
