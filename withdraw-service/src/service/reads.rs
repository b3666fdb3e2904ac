//! Reading withdrawals, their history, their attempts and open cases.

use cashout_common::writer::database_failure;
use cashout_proto::Failure;

use super::Core;
use crate::domain::withdrawal::Withdrawal;
use crate::store::attempts::{Attempt, Call};
use crate::store::history::{self, Line};
use crate::store::listing::{Filter, list};
use crate::store::{attempts, withdrawals};

/// Everything that happened to a withdrawal.
#[derive(Debug, Clone)]
pub struct Story {
    /// Every change of status, oldest first.
    pub lines: Vec<Line>,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// Every call of every attempt, oldest first.
    pub calls: Vec<Call>,
}

/// The longest history that is read at once; a withdrawal has a dozen lines.
const HISTORY_LIMIT: i64 = 10_000;

impl Core {
    /// One withdrawal; of `user_id` (not 0) only, and then only once it is visible to people.
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`, or the database does not answer.
    pub async fn get(&self, id: i64, user_id: i64) -> Result<Withdrawal, Failure> {
        let w = self.current(id).await?;
        if user_id != 0 && (w.user_id != user_id || !w.status.visible()) {
            return Err(withdrawals::not_found());
        }
        Ok(w)
    }

    /// One page and how many there are in all.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn list(&self, filter: &Filter) -> Result<(Vec<Withdrawal>, i64), Failure> {
        list(self.store.readers(), filter).await.map_err(|e| database_failure(&e))
    }

    /// Everything that happened to a withdrawal, with the same visibility as [`Core::get`].
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`, or the database does not answer.
    pub async fn story(&self, id: i64, user_id: i64) -> Result<Story, Failure> {
        let w = self.get(id, user_id).await?;
        let readers = self.store.readers();
        let read = async {
            let lines = history::after(readers, 0, w.id, HISTORY_LIMIT).await?;
            let (attempts, calls) = attempts::of(readers, w.id).await?;
            Ok(Story { lines, attempts, calls })
        };
        read.await.map_err(|e| database_failure(&e))
    }

    /// Changes after a sequence, of one withdrawal or (0) of all; at most so many. Fewer are not the last ones: there
    /// are no more when there are none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn changes_after(
        &self,
        sequence: i64,
        withdrawal_id: i64,
        limit: usize,
    ) -> Result<Vec<Line>, Failure> {
        if withdrawal_id == 0 {
            let recent = self.store.recent(sequence, limit);
            if !recent.is_empty() {
                return Ok(recent);
            }
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = history::after(self.store.readers(), sequence, withdrawal_id, limit).await;
        read.map_err(|e| database_failure(&e))
    }
}
