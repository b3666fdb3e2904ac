//! Methods on accounts and holds that only read or set a state.

use std::collections::BTreeSet;

use cashout_common::money::MAX_MINOR;
use cashout_common::number::MAX_ID;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};
use futures::future::try_join;

use super::parse::Fields;
use super::{Server, account_not_found, answer, read_failure};
use crate::domain::{Account, Command, Which};

impl Server {
    pub(super) async fn open_account(
        &self,
        request: pb::OpenAccountRequest,
    ) -> Result<pb::OpenAccountResponse, Failure> {
        let mut f = Fields::default();
        let person = f.user("user_id", request.user_id);
        let currency = f.currency("currency", &request.currency);
        let command = f.finish(Command::Open { person, currency })?;
        let (account, created) = self.changed(command).await?;
        Ok(pb::OpenAccountResponse { account: Some(answer::account(&account)), created })
    }

    pub(super) async fn get_account(
        &self,
        request: pb::GetAccountRequest,
    ) -> Result<pb::GetAccountResponse, Failure> {
        let which = named(request.account.as_ref())?;
        let view = async {
            let view = if request.with_open_holds {
                self.store.account_view(&which, true).await.map_err(read_failure)?
            } else {
                self.store.view(&which).await?
            };
            view.ok_or_else(account_not_found)
        };
        // Whoever names a person asks for both at once; the owner of an account has to be read first.
        let (view, holder) = match which {
            _ if !request.with_holder => (view.await?, None),
            Which::Person(user_id, _) => try_join(view, self.known_holder(user_id)).await?,
            Which::Id(_) => {
                let view = view.await?;
                let holder = self.known_holder(view.account.user_id()).await?;
                (view, holder)
            }
        };
        let account = view.account;
        let held = |h| answer::hold(h, account.user_id(), account.currency);
        Ok(pb::GetAccountResponse {
            open_holds: view.open_holds.iter().map(held).collect(),
            next_release_at_us: view.next_release.0,
            next_release_minor: view.next_release.1,
            holder,
            account: Some(answer::account(&account)),
        })
    }

    pub(super) async fn batch_get_accounts(
        &self,
        request: pb::BatchGetAccountsRequest,
    ) -> Result<pb::BatchGetAccountsResponse, Failure> {
        let mut f = Fields::default();
        if request.accounts.len() > 1000 {
            f.broken("accounts", "must be at most 1000");
        }
        let wanted = request.accounts.iter().take(1000).enumerate();
        let wanted: Vec<Which> =
            wanted.map(|(i, a)| f.account(format_args!("accounts[{i}]"), Some(a))).collect();
        let wanted = f.finish(wanted)?;
        let found = self.store.accounts(&wanted).await?;
        let holders = match request.with_holders {
            true => self.behind(&wanted, &found).await?,
            false => vec![],
        };
        let accounts = found.iter().map(answer::account).collect();
        Ok(pb::BatchGetAccountsResponse { accounts, holders })
    }

    /// The persons who are named or own an account that was found.
    async fn behind(
        &self,
        wanted: &[Which],
        found: &[Account],
    ) -> Result<Vec<pb::Holder>, Failure> {
        let named = wanted.iter().filter_map(|which| match which {
            Which::Person(user_id, _) => Some(*user_id),
            Which::Id(_) => None,
        });
        let people: BTreeSet<i64> = named.chain(found.iter().map(Account::user_id)).collect();
        let people: Vec<i64> = people.into_iter().collect();
        let known = self.payees.people(&people).await?;
        Ok(known.into_iter().map(|(row, payees)| self.wire(row, payees)).collect())
    }

    pub(super) async fn get_balance_at(
        &self,
        request: pb::GetBalanceAtRequest,
    ) -> Result<pb::GetBalanceAtResponse, Failure> {
        let mut f = Fields::default();
        let at_us = f.time("at_us", request.at_us);
        let which = f.account("account", request.account.as_ref());
        let account = self.account(&f.finish(which)?).await?;
        let found = self.store.balance_at(account.id, at_us).await.map_err(read_failure)?;
        let (available_minor, frozen_minor, seq) = found;
        Ok(pb::GetBalanceAtResponse { available_minor, frozen_minor, seq })
    }

    pub(super) async fn get_hold(&self, request: pb::GetHoldRequest) -> Result<pb::Hold, Failure> {
        let mut f = Fields::default();
        let key = f.key("hold_key", &request.hold_key);
        let key = f.finish(key)?;
        let found = self.store.hold(&key).await.map_err(read_failure)?;
        let missing = || Failure::new(Reason::HoldNotFound, "there is no such hold");
        let (hold, account) = found.ok_or_else(missing)?;
        Ok(answer::hold(&hold, account.user_id(), account.currency))
    }

    pub(super) async fn list_holds(
        &self,
        request: pb::ListHoldsRequest,
    ) -> Result<pb::ListHoldsResponse, Failure> {
        let mut f = Fields::default();
        let limit = if request.limit == 0 { 100 } else { i64::from(request.limit) };
        let limit = f.range("limit", limit, 1, 1000);
        let before = f.range("before_id", request.before_id, 0, MAX_ID);
        let which = f.account("account", request.account.as_ref());
        let account = self.account(&f.finish(which)?).await?;
        let before = if before == 0 { i64::MAX } else { before };
        let found = self.store.holds(account.id, before, request.open_only, limit).await;
        let found = found.map_err(read_failure)?;
        let full = i64::try_from(found.len()).is_ok_and(|n| n == limit);
        let next = found.last().filter(|_| full).map_or(0, |h| h.id);
        let held = |h| answer::hold(h, account.user_id(), account.currency);
        Ok(pb::ListHoldsResponse { holds: found.iter().map(held).collect(), next_before_id: next })
    }

    pub(super) async fn set_lock(
        &self,
        request: pb::SetLockRequest,
    ) -> Result<pb::Account, Failure> {
        let account = named(request.account.as_ref())?;
        let command = Command::SetLock { account, locked: request.locked };
        Ok(answer::account(&self.changed(command).await?.0))
    }

    pub(super) async fn set_overdraft_limit(
        &self,
        request: pb::SetOverdraftLimitRequest,
    ) -> Result<pb::Account, Failure> {
        let mut f = Fields::default();
        let limit = f.range("limit_minor", request.limit_minor, 0, MAX_MINOR);
        let account = f.account("account", request.account.as_ref());
        let command = f.finish(Command::SetOverdraft { account, limit })?;
        Ok(answer::account(&self.changed(command).await?.0))
    }

    pub(super) async fn account(&self, which: &Which) -> Result<Account, Failure> {
        let found = self.store.account(which).await.map_err(read_failure)?;
        found.ok_or_else(account_not_found)
    }
}

fn named(account: Option<&pb::AccountRef>) -> Result<Which, Failure> {
    let mut f = Fields::default();
    let which = f.account("account", account);
    f.finish(which)
}
