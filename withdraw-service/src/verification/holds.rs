//! What the ledger should hold for each withdrawal, page by page, so that both sides can be matched (G12) whatever their
//! number. Must not know: how the ledger is read.

use cashout_common::db::Database;

use crate::domain::status::Status;
use crate::domain::withdrawal::{HOLD_KEYS, Withdrawal, hold_key};
use crate::store::verification as store;

/// What the ledger should say of a withdrawal's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedState {
    /// The hold is open.
    Open,
    /// The hold was settled with everything.
    Settled,
    /// The hold was released.
    Released,
    /// The request was declined: there is no hold, or one that was released again, when an earlier call
    /// to place it arrived before the request was given up. Never an open or a settled one.
    None,
    /// A command to the ledger is under way: either side of it may be true. Read both again.
    InFlight,
}

/// The hold a withdrawal should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHold {
    /// The withdrawal.
    pub withdrawal_id: i64,
    /// Key of the hold in the ledger.
    pub hold_key: String,
    /// Whose money.
    pub user_id: i64,
    /// How much, minor units.
    pub apply_minor: i64,
    /// How it should stand.
    pub state: ExpectedState,
}

/// The withdrawals of a database, as a ledger is compared with them. Rows that are `InFlight` are to be read again after
/// a while; a row that stays so is late, not wrong.
#[derive(Debug)]
pub struct ExpectedHolds(Database);

impl ExpectedHolds {
    /// Opens a database for reading alone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(database_url: &str) -> anyhow::Result<Self> {
        Ok(Self(Database::open_read_only(database_url).await?))
    }

    /// A page of the holds of the withdrawals after that id, by id, and where the next page begins after, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn after(&self, id: i64) -> anyhow::Result<(Vec<ExpectedHold>, Option<i64>)> {
        let (found, until) = store::after(self.0.readers(), id).await?;
        Ok((found.iter().map(expected).collect(), until))
    }

    /// Those of the withdrawals with these keys.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn under(&self, hold_keys: &[String]) -> anyhow::Result<Vec<ExpectedHold>> {
        let cash_sns = hold_keys.iter().filter_map(|key| key.strip_prefix(HOLD_KEYS));
        let cash_sns: Vec<String> = cash_sns.map(str::to_owned).collect();
        let found = store::under(self.0.readers(), &cash_sns).await?;
        Ok(found.iter().map(expected).collect())
    }

    /// Ends reading.
    pub async fn close(self) {
        self.0.close().await;
    }
}

fn expected(w: &Withdrawal) -> ExpectedHold {
    let state = match w.status {
        Status::Declined => ExpectedState::None,
        Status::InReview
        | Status::Approved
        | Status::Paying
        | Status::Unknown
        | Status::Blocked
        | Status::Unresolved => ExpectedState::Open,
        Status::Requested
        | Status::Refusing
        | Status::Cancelling
        | Status::Settling
        | Status::Failing => ExpectedState::InFlight,
        Status::Paid => ExpectedState::Settled,
        Status::Refused | Status::Cancelled | Status::Failed => ExpectedState::Released,
    };
    ExpectedHold {
        withdrawal_id: w.id,
        hold_key: hold_key(&w.cash_sn),
        user_id: w.user_id,
        apply_minor: w.apply_minor,
        state,
    }
}
