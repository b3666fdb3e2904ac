//! The echo server: the same messages and the same transport, and no database behind it. What it
//! carries is the most that any ledger on this stack could.
//!
//! Must not know: balances. Its answers have the shape of real ones, so they cost the same to encode.

use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;

use crate::surface::surface;

/// Answers at once.
pub struct Echo;

surface!(Echo);

impl Echo {
    async fn open_account(
        &self,
        request: pb::OpenAccountRequest,
    ) -> Result<pb::OpenAccountResponse, Failure> {
        let account = pb::Account { id: 1, user_id: request.user_id, ..Default::default() };
        Ok(pb::OpenAccountResponse { account: Some(account), created: true })
    }

    async fn get_account(
        &self,
        _: pb::GetAccountRequest,
    ) -> Result<pb::GetAccountResponse, Failure> {
        Ok(pb::GetAccountResponse { account: Some(pb::Account::default()), ..Default::default() })
    }

    async fn post_transfer(
        &self,
        request: pb::PostTransferRequest,
    ) -> Result<pb::PostTransferResponse, Failure> {
        let entries = vec![entry(request.kind, request.amount_minor, String::new())];
        Ok(pb::PostTransferResponse { transfer_id: 1, entries, replayed: false })
    }

    async fn place_hold(&self, request: pb::PlaceHoldRequest) -> Result<pb::HoldResponse, Failure> {
        Ok(held(request.key, request.kind, request.amount_minor))
    }

    async fn settle_hold(
        &self,
        request: pb::SettleHoldRequest,
    ) -> Result<pb::HoldResponse, Failure> {
        let (kind, amount) = request.parts.first().map_or((0, 0), |p| (p.kind, p.amount_minor));
        Ok(held(request.hold_key, kind, amount))
    }

    async fn release_hold(
        &self,
        request: pb::ReleaseHoldRequest,
    ) -> Result<pb::HoldResponse, Failure> {
        Ok(held(request.hold_key, request.kind, 1))
    }

    async fn batch_get_accounts(
        &self,
        request: pb::BatchGetAccountsRequest,
    ) -> Result<pb::BatchGetAccountsResponse, Failure> {
        let accounts = request.accounts.iter().map(|_| pb::Account::default()).collect();
        Ok(pb::BatchGetAccountsResponse { accounts, ..Default::default() })
    }

    async fn list_statement(
        &self,
        request: pb::ListStatementRequest,
    ) -> Result<pb::ListStatementResponse, Failure> {
        let lines = 0..request.page_size;
        let entries = lines.map(|_| entry(pb::EntryKind::Task.into(), 1, String::new())).collect();
        Ok(pb::ListStatementResponse { entries, total: 100, ..Default::default() })
    }
}

fn held(key: String, kind: i32, amount_minor: i64) -> pb::HoldResponse {
    let entries = vec![entry(kind, amount_minor, key.clone())];
    let hold = pb::Hold { id: 1, key, kind, amount_minor, ..Default::default() };
    pb::HoldResponse { hold: Some(hold), entries, replayed: false }
}

/// An entry whose numbers take as many bytes as those of a ledger that has been in use.
fn entry(kind: i32, amount_minor: i64, hold_key: String) -> pb::Entry {
    pb::Entry {
        id: 1_000_000,
        transfer_id: 1_000_000,
        account_id: 10_000,
        user_id: 10_000,
        seq: 100,
        kind,
        available_delta_minor: amount_minor,
        available_after_minor: 1_000_000,
        counter_account: "platform:income".to_owned(),
        hold_key,
        created_at_us: 1_767_240_000_000_000,
        currency: "CNY".to_owned(),
        ..Default::default()
    }
}
