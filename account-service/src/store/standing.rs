//! Every hold under a prefix of keys and how it stands, for a comparison with who placed it
//! (guarantee G12). Must not know: who places holds, or why.

use cashout_common::on_engine;

use super::Store;
use crate::domain::HoldState;

/// A hold as an outsider compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHold {
    /// The key it was placed under.
    pub key: String,
    /// Whose money.
    pub user_id: i64,
    /// How much, minor units.
    pub amount_minor: i64,
    /// How it stands.
    pub state: HoldState,
}

/// Reads the whole table: it runs beside the service, not in it.
const UNDER: &str = "SELECT h.key, a.user_id, h.amount, h.state FROM hold h \
    JOIN account a ON a.id = h.account_id WHERE substr(h.key, 1, length($1)) = $1 ORDER BY h.id";

impl Store {
    /// Every hold whose key begins with `prefix`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holds_under(&self, prefix: &str) -> Result<Vec<FoundHold>, sqlx::Error> {
        let rows: Vec<(String, i64, i64, i64)> = on_engine!(self.database().readers(), p =>
            sqlx::query_as(UNDER).bind(prefix).fetch_all(p).await?);
        Ok(rows
            .into_iter()
            .map(|(key, user_id, amount_minor, state)| {
                let state = super::rows::hold_state(state);
                FoundHold { key, user_id, amount_minor, state }
            })
            .collect())
    }
}
