//! Reading one withdrawal, as most callers do. On PostgreSQL those who ask at the same time share a
//! statement.
//!
//! Must not know: who asks.

use std::collections::HashMap;

use cashout_common::db::Conn;
use cashout_common::gather::Rows;
use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use sqlx::Error;

use super::Store;
use super::load::{ROWS, by_id, by_key};
use super::withdrawals::{self, Row};
use crate::domain::withdrawal::Withdrawal;

/// Withdrawals by either name.
#[derive(Debug)]
pub(super) struct Withdrawals;

/// What a withdrawal is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// Its id.
    Id(i64),
    /// The person and the key they requested it under.
    Key(i64, String),
}

impl Store {
    /// One withdrawal as it is now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn withdrawal(&self, id: i64) -> Result<Option<Withdrawal>, Failure> {
        let found = match &self.withdrawals {
            Some(withdrawals) => return withdrawals.find(Name::Id(id)).await,
            None => withdrawals::find(self.readers(), id).await,
        };
        found.map_err(|e| database_failure(&e))
    }

    /// The withdrawal that a person requested under a key, as it is now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn requested(&self, user: i64, key: &str) -> Result<Option<Withdrawal>, Failure> {
        let found = match &self.withdrawals {
            Some(withdrawals) => return withdrawals.find(Name::Key(user, key.to_owned())).await,
            None => withdrawals::find_by_key(self.readers(), user, key).await,
        };
        found.map_err(|e| database_failure(&e))
    }
}

impl Rows for Withdrawals {
    type Key = Name;
    type Row = Withdrawal;

    async fn read(conn: &mut Conn, names: &[Name]) -> Result<HashMap<Name, Withdrawal>, Error> {
        let wanted = names.iter().map(|name| match name {
            Name::Id(id) => by_id(*id),
            Name::Key(user, key) => by_key(*user, key),
        });
        let rows = ROWS.fetch::<Row>(conn, &wanted.collect::<Vec<_>>()).await?;
        let rows = withdrawals::all(rows)?;
        let by_id: HashMap<i64, &Withdrawal> = rows.iter().map(|w| (w.id, w)).collect();
        let by_key: HashMap<(i64, &str), &Withdrawal> =
            rows.iter().map(|w| ((w.user_id, w.request_key.as_str()), w)).collect();
        let found = names.iter().filter_map(|name| {
            let w = match name {
                Name::Id(id) => by_id.get(id),
                Name::Key(user, key) => by_key.get(&(*user, key.as_str())),
            };
            Some((name.clone(), (*w?).clone()))
        });
        Ok(found.collect())
    }
}
