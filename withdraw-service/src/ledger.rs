//! The account service as our ledger: the gRPC client behind the port. What it answers is either done,
//! refused for good, or unknown. Must not know: statuses, the database.

use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::account::v1::{
    AbandonHoldRequest, AccountRef, EntryKind, Facts, GetAccountRequest, GetHoldRequest,
    GetHolderRequest, HoldResponse, HoldState, PayeeMethod, PlaceHoldRequest, ReleaseHoldRequest,
    SettleHoldRequest, SettlePart, account_ref,
};
use cashout_proto::{Failure, Reason, account::v1 as wire};
use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::domain::withdrawal::{AccountAfter, Holder, Payee, Withdrawal};
use crate::ports::{Asker, Balance, LEDGER_TIMEOUT, Ledger, LedgerAnswer, ReleaseCause};

/// The account service over gRPC.
#[derive(Debug, Clone)]
pub struct RemoteLedger {
    client: AccountServiceClient<Channel>,
}

impl RemoteLedger {
    /// Over a channel that connects by itself.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { client: AccountServiceClient::new(channel) }
    }

    async fn account(
        &self,
        user_id: i64,
        currency: &str,
    ) -> Result<Option<wire::Account>, Failure> {
        let account = Some(reference(user_id, currency));
        let asked = call(GetAccountRequest { account, ..Default::default() });
        let answer = self.client.clone().get_account(asked).await;
        Ok(found(answer, Reason::AccountNotFound)?.and_then(|a| a.account))
    }

    async fn place_hold(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        let asked = call(PlaceHoldRequest {
            key: w.hold_key(),
            account: Some(reference(w.user_id, &w.currency)),
            amount_minor: w.apply_minor,
            kind: EntryKind::Withdrawal.into(),
            release_at_us: 0,
            facts: Some(facts(w, "提现冻结")),
        });
        let answer = answered(self.client.clone().place_hold(asked).await);
        match self.despite_conflict(w, HoldState::Open, answer).await {
            LedgerAnswer::Done(Some(held)) => match held.entries.last() {
                // A locked account takes no new holds, so right after this one it was not.
                Some(entry) => LedgerAnswer::Done(AccountAfter {
                    available_minor: entry.available_after_minor,
                    frozen_minor: entry.frozen_after_minor,
                    locked: false,
                }),
                None => self.account_now(w).await,
            },
            LedgerAnswer::Done(None) => self.account_now(w).await,
            LedgerAnswer::Refused(failure) => LedgerAnswer::Refused(failure),
            LedgerAnswer::Unknown(failure) => LedgerAnswer::Unknown(failure),
        }
    }

    async fn account_now(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        match self.account(w.user_id, &w.currency).await {
            Ok(Some(account)) => LedgerAnswer::Done(AccountAfter {
                available_minor: account.available_minor,
                frozen_minor: account.frozen_minor,
                locked: account.locked,
            }),
            Ok(None) => {
                LedgerAnswer::Unknown(Failure::new(Reason::Internal, "a hold without account"))
            }
            Err(failure) => LedgerAnswer::Unknown(failure),
        }
    }

    async fn abandon_hold(&self, w: &Withdrawal) -> LedgerAnswer<()> {
        let asked = call(AbandonHoldRequest {
            hold_key: w.hold_key(),
            account: Some(reference(w.user_id, &w.currency)),
            facts: Some(facts(w, "提现未受理")),
        });
        let answer = answered(self.client.clone().abandon_hold(asked).await);
        match done(self.despite_conflict(w, HoldState::Released, answer).await) {
            // Nobody without an account can have a hold; and what is released is gone.
            LedgerAnswer::Refused(failure)
                if matches!(
                    failure.reason,
                    Reason::AccountNotFound | Reason::HoldAlreadyReleased
                ) =>
            {
                LedgerAnswer::Done(())
            }
            other => other,
        }
    }

    async fn settle_hold(&self, w: &Withdrawal) -> LedgerAnswer<()> {
        let mut parts = vec![SettlePart {
            amount_minor: w.actual_minor,
            counter_account: w.method.counter_account().to_owned(),
            kind: EntryKind::Withdrawal.into(),
            facts: None,
        }];
        if w.fee_minor > 0 {
            parts.push(SettlePart {
                amount_minor: w.fee_minor,
                counter_account: "fee:income".to_owned(),
                kind: EntryKind::WithdrawalFee.into(),
                facts: Some(facts(w, "提现手续费")),
            });
        }
        let asked = call(SettleHoldRequest {
            key: format!("{}:settle", w.hold_key()),
            hold_key: w.hold_key(),
            parts,
            facts: Some(facts(w, "提现成功")),
        });
        let answer = answered(self.client.clone().settle_hold(asked).await);
        done(self.despite_conflict(w, HoldState::Settled, answer).await)
    }

    async fn release_hold(&self, w: &Withdrawal, cause: ReleaseCause) -> LedgerAnswer<()> {
        let (kind, note) = match cause {
            ReleaseCause::Refused => (EntryKind::WithdrawalReturned, "审核不通过，退回"),
            ReleaseCause::Failed => (EntryKind::WithdrawalReturned, "提现失败，退回"),
            ReleaseCause::Cancelled => (EntryKind::WithdrawalCancelled, "取消提现，退回"),
        };
        let asked = call(ReleaseHoldRequest {
            key: format!("{}:release", w.hold_key()),
            hold_key: w.hold_key(),
            kind: kind.into(),
            facts: Some(facts(w, note)),
        });
        let answer = answered(self.client.clone().release_hold(asked).await);
        done(self.despite_conflict(w, HoldState::Released, answer).await)
    }

    /// Every key is ours and says one thing only, so a conflict means that the command was asked for in
    /// other words before, as another version puts them. What counts is how the hold stands: `Done` of
    /// nothing when it is as wanted.
    async fn despite_conflict(
        &self,
        w: &Withdrawal,
        wanted: HoldState,
        answer: LedgerAnswer<HoldResponse>,
    ) -> LedgerAnswer<Option<HoldResponse>> {
        let conflict = match answer {
            LedgerAnswer::Done(done) => return LedgerAnswer::Done(Some(done)),
            LedgerAnswer::Refused(failure) => return LedgerAnswer::Refused(failure),
            LedgerAnswer::Unknown(failure) if failure.reason != Reason::IdempotencyConflict => {
                return LedgerAnswer::Unknown(failure);
            }
            LedgerAnswer::Unknown(conflict) => conflict,
        };
        let asked = call(GetHoldRequest { hold_key: w.hold_key() });
        let hold = match found(self.client.clone().get_hold(asked).await, Reason::HoldNotFound) {
            Ok(Some(hold)) => hold,
            // The key was used up before a hold was placed: it was given up.
            Ok(None) => return LedgerAnswer::Unknown(conflict),
            Err(failure) => return LedgerAnswer::Unknown(failure),
        };
        if (hold.user_id, hold.amount_minor) != (w.user_id, w.apply_minor) {
            // Not to be ended by us, whatever we want.
            tracing::error!(withdrawal = w.id, "the ledger knows another hold under this key");
            let told = "another hold has this key";
            return LedgerAnswer::Unknown(Failure::new(Reason::Internal, told));
        }
        let whole = wanted != HoldState::Settled || hold.settled_minor == w.apply_minor;
        if hold.state() == wanted && whole {
            return LedgerAnswer::Done(None);
        }
        LedgerAnswer::Unknown(conflict)
    }

    /// The person and their balance in one call. When it tells no person there is none, or the account
    /// service is older than this: then that is asked for.
    async fn asker(&self, user_id: i64) -> Result<Asker, Failure> {
        let account = Some(reference(user_id, ""));
        let asked = GetAccountRequest { account, with_holder: true, ..Default::default() };
        let answer = self.client.clone().get_account(call(asked)).await;
        let answer = found(answer, Reason::AccountNotFound)?.unwrap_or_default();
        let person = match answer.holder {
            Some(found) => Some(holder(found)),
            None => self.person(user_id).await?,
        };
        Ok((person, answer.account.as_ref().map(balance)))
    }

    async fn person(&self, user_id: i64) -> Result<Option<Holder>, Failure> {
        let answer = self.client.clone().get_holder(call(GetHolderRequest { user_id })).await;
        Ok(found(answer, Reason::HolderNotFound)?.map(holder))
    }
}

impl Ledger for RemoteLedger {
    fn place<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<AccountAfter>> {
        self.place_hold(w).boxed()
    }

    fn abandon<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.abandon_hold(w).boxed()
    }

    fn settle<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.settle_hold(w).boxed()
    }

    fn release<'a>(
        &'a self,
        w: &'a Withdrawal,
        cause: ReleaseCause,
    ) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.release_hold(w, cause).boxed()
    }

    fn balance(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Balance>, Failure>> {
        async move {
            let account = self.account(user_id, "").await?;
            Ok(account.as_ref().map(balance))
        }
        .boxed()
    }

    fn holder(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Holder>, Failure>> {
        self.person(user_id).boxed()
    }

    fn asker(&self, user_id: i64) -> BoxFuture<'_, Result<Asker, Failure>> {
        self.asker(user_id).boxed()
    }
}

/// A call with a deadline, so that the ledger does not work for nobody.
fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(LEDGER_TIMEOUT);
    request
}

fn reference(user_id: i64, currency: &str) -> AccountRef {
    AccountRef { by: Some(account_ref::By::UserId(user_id)), currency: currency.to_owned() }
}

fn facts(w: &Withdrawal, note: &str) -> Facts {
    Facts {
        note: note.to_owned(),
        reference: w.cash_sn.clone(),
        // The statement shows the operator's id alone.
        operator: w.decided_by.trim_start_matches("user:").to_owned(),
        ..Facts::default()
    }
}

/// After a conflict of a key nothing is certain, so it is unknown; see `despite_conflict`.
fn answered(answer: Result<Response<HoldResponse>, Status>) -> LedgerAnswer<HoldResponse> {
    match answer {
        Ok(response) => LedgerAnswer::Done(response.into_inner()),
        Err(status) => {
            let failure = Failure::from_status(&status);
            let surprise = failure.reason == Reason::IdempotencyConflict;
            if failure.outcome_unknown() || failure.reason.row().retry || surprise {
                LedgerAnswer::Unknown(failure)
            } else {
                LedgerAnswer::Refused(failure)
            }
        }
    }
}

fn done<T>(answer: LedgerAnswer<T>) -> LedgerAnswer<()> {
    match answer {
        LedgerAnswer::Done(_) => LedgerAnswer::Done(()),
        LedgerAnswer::Refused(failure) => LedgerAnswer::Refused(failure),
        LedgerAnswer::Unknown(failure) => LedgerAnswer::Unknown(failure),
    }
}

/// What was read; `None` when the refusal says that it is not there.
fn found<T>(answer: Result<Response<T>, Status>, missing: Reason) -> Result<Option<T>, Failure> {
    match answer {
        Ok(response) => Ok(Some(response.into_inner())),
        Err(status) => match Failure::from_status(&status) {
            failure if failure.reason == missing => Ok(None),
            failure => Err(failure),
        },
    }
}

fn balance(account: &wire::Account) -> Balance {
    Balance { available_minor: account.available_minor, locked: account.locked }
}

fn holder(h: wire::Holder) -> Holder {
    let mut made = Holder {
        username: h.username,
        mobile: h.mobile,
        created_at_us: h.created_at_us,
        updated_at_us: h.updated_at_us,
        wechat: None,
        alipay: None,
    };
    for payee in h.payees {
        let method = payee.method();
        let payee = Payee {
            payee_id: payee.payee_id,
            real_name: payee.real_name,
            mp_openid: payee.mp_openid,
            dev_openid: payee.dev_openid,
            min_openid: payee.min_openid,
            nickname: payee.nickname,
            sex: payee.sex,
            payable_from_us: payee.payable_from_us,
        };
        match method {
            PayeeMethod::Wechat => made.wechat = Some(payee),
            PayeeMethod::Alipay => made.alipay = Some(payee),
            PayeeMethod::Unspecified => {}
        }
    }
    made
}
