//! What the baseline answers to reads: an account, many of them, a page of a statement.
//!
//! Reads have connections of their own and no transaction: what one statement sees is one moment, and
//! asking for no more is the cheapest that a textbook service does. A page takes two statements, so its
//! lines may be newer than its counts; the real service shows both of one moment. Must not know: writes.

mod store;

use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;

use super::store::AccountRow;
use super::{Textbook, failed, ledger, no_account, request};

impl Textbook {
    pub(super) async fn get_account(
        &self,
        request: pb::GetAccountRequest,
    ) -> Result<pb::GetAccountResponse, Failure> {
        let user = request::person("account", request.account.as_ref())?;
        let mut work = self.readers.read().await.map_err(failed)?;
        let read = work.account(user).await;
        let account = work.done(read)?.ok_or_else(no_account)?;
        Ok(pb::GetAccountResponse { account: Some(shown(&account)), ..Default::default() })
    }

    pub(super) async fn batch_get_accounts(
        &self,
        request: pb::BatchGetAccountsRequest,
    ) -> Result<pb::BatchGetAccountsResponse, Failure> {
        let users = request.accounts.iter().map(|a| request::person("accounts", Some(a)));
        let users = users.collect::<Result<Vec<i64>, Failure>>()?;
        let mut work = self.readers.read().await.map_err(failed)?;
        let read = work.accounts(&users).await;
        let accounts = work.done(read)?.iter().map(shown).collect();
        Ok(pb::BatchGetAccountsResponse { accounts, ..Default::default() })
    }

    pub(super) async fn list_statement(
        &self,
        request: pb::ListStatementRequest,
    ) -> Result<pb::ListStatementResponse, Failure> {
        let (user, page, size) = request::page(&request)?;
        let mut work = self.readers.read().await.map_err(failed)?;
        let read = async {
            let Some(of) = work.counted(user).await? else { return Ok(None) };
            let lines = work.lines(&of.account, (page - 1) * size, size).await?;
            Ok(Some((of, lines)))
        };
        let read = read.await;
        // Whoever has no account has an empty statement.
        let Some((of, lines)) = work.done(read)? else {
            return Ok(pb::ListStatementResponse::default());
        };
        Ok(pb::ListStatementResponse {
            entries: lines.iter().map(ledger::entry).collect(),
            total: of.total,
            sum_available_minor: of.sum_available,
            account: Some(shown(&of.account)),
            ..Default::default()
        })
    }
}

/// An account as the contract shows it.
pub fn shown(row: &AccountRow) -> pb::Account {
    pb::Account {
        id: row.id,
        user_id: row.user_id,
        currency: "CNY".to_owned(),
        available_minor: row.available,
        frozen_minor: row.frozen,
        last_seq: row.last_seq,
        created_at_us: row.created_at,
        updated_at_us: row.updated_at,
        ..Default::default()
    }
}
