//! Why a request is declined when its money cannot be frozen: one reason and one text for each case,
//! whoever hears it and whenever.
//!
//! Must not know: how the ledger words its refusals.

use cashout_proto::{Failure, Reason};

use crate::ports::Balance;

/// The refusal for a reason the ledger gave, or that a request was given up for.
#[must_use]
pub fn declined(reason: Reason) -> Failure {
    let told = match reason {
        // For a person no account is an empty one.
        Reason::AccountNotFound | Reason::InsufficientFunds => {
            let told = "the available balance is less than the amount";
            return Failure::new(Reason::InsufficientFunds, told);
        }
        Reason::AccountLocked => "the account is locked for cash-outs",
        Reason::Unavailable => "the request was given up; ask again",
        _ => "the money could not be frozen",
    };
    Failure::new(reason, told)
}

/// The refusal of a request that plainly cannot be held, so that nothing of it is written. Only a
/// placed hold says that there is enough: the balance may change in between.
///
/// # Errors
/// `ACCOUNT_LOCKED` before `INSUFFICIENT_FUNDS`, as documented.
pub fn affordable(balance: Option<Balance>, apply_minor: i64) -> Result<(), Failure> {
    let Some(balance) = balance else { return Err(declined(Reason::AccountNotFound)) };
    if balance.locked {
        return Err(declined(Reason::AccountLocked));
    }
    if balance.available_minor < apply_minor {
        return Err(declined(Reason::InsufficientFunds)
            .with("available_minor", balance.available_minor)
            .with("needed_minor", apply_minor));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_comes_before_the_balance() {
        let balance = |available_minor, locked| Some(Balance { available_minor, locked });
        for (balance, refused) in [
            (balance(100, false), None),
            (balance(99, false), Some(Reason::InsufficientFunds)),
            (balance(-1, false), Some(Reason::InsufficientFunds)),
            (balance(99, true), Some(Reason::AccountLocked)),
            (balance(100, true), Some(Reason::AccountLocked)),
            (None, Some(Reason::InsufficientFunds)),
        ] {
            assert_eq!(affordable(balance, 100).err().map(|f| f.reason), refused, "{balance:?}");
        }
    }
}
