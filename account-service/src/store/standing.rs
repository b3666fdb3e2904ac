//! Holds and how they stand, page by page or by key, for a comparison with who placed them (guarantee G12). Must not
//! know: who places holds, or why.

use cashout_common::on_engine;

use super::{Store, fetch_list};
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

/// Holds of a page.
const PAGE: u16 = 1000;

macro_rules! holds {
    ($rest:literal) => {
        concat!(
            "SELECT h.key, a.user_id, h.amount, h.state FROM hold h \
             JOIN account a ON a.id = h.account_id WHERE ",
            $rest
        )
    };
}
/// Keys are compared byte by byte, so those with a prefix stand together. Two bounds in one statement would have SQLite
/// begin at the wrong one.
const FROM: &str = holds!("h.key >= $1 ORDER BY h.key LIMIT $2");
const AFTER: &str = holds!("h.key > $1 ORDER BY h.key LIMIT $2");

type Row = (String, i64, i64, i64);

impl Store {
    /// A page of the holds whose keys begin with `prefix`, from the first on or after a key, by key; and where the next
    /// page begins after, if there is one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holds_after(
        &self,
        prefix: &str,
        key: Option<&str>,
    ) -> Result<(Vec<FoundHold>, Option<String>), sqlx::Error> {
        let (sql, bound) = key.map_or((FROM, prefix), |key| (AFTER, key));
        let rows: Vec<Row> = on_engine!(self.database().readers(), p =>
            sqlx::query_as(sql).bind(bound).bind(i64::from(PAGE)).fetch_all(p).await?);
        let full = rows.len() == usize::from(PAGE);
        let under = |hold: &FoundHold| hold.key.starts_with(prefix);
        let page: Vec<FoundHold> = rows.into_iter().map(found).take_while(under).collect();
        let last = page.last().map(|last| last.key.clone());
        Ok((page, last.filter(|_| full)))
    }

    /// The holds with these keys, in no order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holds_of(&self, keys: &[String]) -> Result<Vec<FoundHold>, sqlx::Error> {
        let rows = fetch_list!(self.database().readers(), p => p, Row, holds!("h.key"), keys)?;
        Ok(rows.into_iter().map(found).collect())
    }
}

fn found((key, user_id, amount_minor, state): Row) -> FoundHold {
    FoundHold { key, user_id, amount_minor, state: super::rows::hold_state(state) }
}
