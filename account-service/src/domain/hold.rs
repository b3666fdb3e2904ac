//! Money set aside until it is settled or released, exactly once.
//!
//! ```text
//!            settle (parts leave, the rest returns)
//!   open ──────────────────────────────────────────▶ settled
//!     └────────── release (all of it returns) ─────▶ released
//! ```

use std::sync::Arc;

use cashout_common::kind::Kind;

/// Where a hold is in its short life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// Still holds its amount.
    Open,
    /// Left, at least in part.
    Settled,
    /// Returned whole.
    Released,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Dense from 1.
    pub id: i64,
    /// The caller's key, by which it is ended.
    pub key: Arc<str>,
    /// Whose money.
    pub account_id: i64,
    /// Minor units, more than 0.
    pub amount: i64,
    /// What its entries say.
    pub kind: Kind,
    /// Where it is.
    pub state: HoldState,
    /// What left, minor units.
    pub settled: i64,
    /// What returned, minor units.
    pub released: i64,
    /// When it is released by itself; 0 for never.
    pub release_at: i64,
    /// When it was placed.
    pub created_at: i64,
    /// When it ended; 0 while open.
    pub ended_at: i64,
}

impl Hold {
    /// When it is still to be released by itself.
    #[must_use]
    pub fn due_at(&self) -> Option<i64> {
        (self.state == HoldState::Open && self.release_at > 0).then_some(self.release_at)
    }

    /// The hold as it was when it was placed, which is what a replayed placement answers.
    #[must_use]
    pub fn as_placed(&self) -> Self {
        Self { state: HoldState::Open, settled: 0, released: 0, ended_at: 0, ..self.clone() }
    }
}
