//! Everything a person must look at, in one list: differences with bills, then open cases of cash-outs.
//! The first only take a note; what decides a case stands in `resolve`.

use cashout_common::text;
use cashout_common::writer::{WriteError, database_failure};
use cashout_proto::{Failure, Reason};
use futures::FutureExt;

use super::Core;
use crate::store::book::{Book, Needs, alone};
use crate::store::cases::{self, Case};
use crate::store::differences::{self, Difference, FIRST_ID};

/// One question.
#[derive(Debug, Clone)]
pub enum Question {
    /// What became of a payout.
    Case(Case),
    /// Why ledger, attempts and a bill do not agree.
    Difference(Difference),
}

impl Question {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> i64 {
        match self {
            Self::Case(case) => case.id,
            Self::Difference(difference) => difference.id,
        }
    }
}

impl Core {
    /// Questions below an id, newest first; all differences come before all cases.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn questions(
        &self,
        open_only: bool,
        before_id: i64,
        limit: i64,
    ) -> Result<Vec<Question>, Failure> {
        let readers = self.store.readers();
        let failed = |error: sqlx::Error| database_failure(&error);
        let mut all: Vec<Question> = Vec::new();
        if before_id > FIRST_ID {
            let found = differences::list(readers, open_only, before_id, limit).await;
            all.extend(found.map_err(failed)?.into_iter().map(Question::Difference));
        }
        let left = limit - i64::try_from(all.len()).unwrap_or(limit);
        if left > 0 {
            let found = cases::list(readers, open_only, before_id, left).await;
            all.extend(found.map_err(failed)?.into_iter().map(Question::Case));
        }
        Ok(all)
    }

    /// Keeps a person's explanation of a difference. No money moves by it.
    ///
    /// # Errors
    /// `CASE_NOT_FOUND`, `CASE_ALREADY_RESOLVED`, `SELF_REVIEW`, `INVALID_ARGUMENT`.
    pub async fn note(&self, id: i64, by: i64, reason: String) -> Result<Difference, Failure> {
        if reason.trim().is_empty() {
            return Err(Failure::field("reason", "say what explains it"));
        }
        text::free(&reason, 255).map_err(|rule| Failure::field("reason", rule))?;
        let now_us = self.now_us();
        self.store
            .write(move |conn| {
                async move {
                    let missing = || Failure::new(Reason::CaseNotFound, "no such case");
                    let found = differences::get(conn, id).await?.ok_or_else(missing)?;
                    if found.withdrawal_id != 0 {
                        let read = |book: &mut Book| book.get(found.withdrawal_id);
                        let w = alone(conn, Needs::id(found.withdrawal_id), read).await?;
                        if w.user_id == by {
                            let told = "another person must decide on it";
                            return Err(Failure::new(Reason::SelfReview, told).into());
                        }
                    }
                    let by = format!("user:{by}");
                    if !differences::note(conn, id, &by, &reason, now_us).await? {
                        let told = "the case was decided already";
                        return Err(Failure::new(Reason::CaseAlreadyResolved, told).into());
                    }
                    let noted = differences::get(conn, id).await?.ok_or_else(missing)?;
                    Ok::<_, WriteError>(noted)
                }
                .boxed()
            })
            .await
    }
}
