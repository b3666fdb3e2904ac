//! The gRPC client behind the ledger port: what exactly is asked, and how each answer is understood.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use cashout_common::db::Database;
use cashout_common::peer;
use cashout_proto::account::v1::account_service_server::{AccountService, AccountServiceServer};
use cashout_proto::account::v1::*;
use cashout_proto::{Failure, Reason};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use withdraw_service::domain::withdrawal::Withdrawal;
use withdraw_service::ledger::RemoteLedger;
use withdraw_service::ports::{Ledger, LedgerAnswer, ReleaseCause};
use withdraw_service::store::{MIGRATIONS, withdrawals};

use crate::harness::{ALICE, Service, config, manual};
use crate::together::text;

/// An account service that notes what it is asked and answers what it is told.
#[derive(Default)]
pub struct Scripted {
    asked: Mutex<Vec<String>>,
    refuse: Mutex<Option<Refuse>>,
    /// The hold there is, for whoever asks.
    hold: Mutex<Option<Result<Hold, Status>>>,
}

/// What is refused, and why.
#[derive(Debug, Clone)]
pub enum Refuse {
    /// Each command, for this reason.
    Command(&'static str),
    /// The call as a whole.
    Call(Status),
    /// Nothing, but nobody is ever answered.
    Silence,
    /// Nothing, but one answer is missing.
    Short,
    /// Nothing, but the answers are about another hold.
    Other,
}

impl Scripted {
    /// Carries everything out, or refuses each for a reason of ours, or the call for a stranger's.
    /// `None`: not at all.
    fn change(
        &self,
        asked: ChangeHoldsRequest,
    ) -> Option<Result<Response<ChangeHoldsResponse>, Status>> {
        let told = asked.commands.into_iter().map(|c| c.command.map_or_else(String::new, text));
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(told.clone());
        let refuse = self.refuse.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let entry =
            Entry { available_after_minor: 30, frozen_after_minor: 70, ..Default::default() };
        let outcome = match refuse {
            Some(Refuse::Call(status)) => return Some(Err(status)),
            Some(Refuse::Silence) => return None,
            Some(Refuse::Command(reason)) => {
                let reason = reason.to_owned();
                hold_result::Outcome::Refused(Refusal { reason, ..Default::default() })
            }
            Some(Refuse::Short) => return Some(Ok(Response::new(ChangeHoldsResponse::default()))),
            other => {
                let key = "cash:another".to_owned();
                let hold = other.map(|_| Hold { key, ..Default::default() });
                let done = HoldResponse { hold, entries: vec![entry], ..Default::default() };
                hold_result::Outcome::Done(done)
            }
        };
        let result = HoldResult { outcome: Some(outcome) };
        let results = told.map(|_| result.clone()).collect();
        Some(Ok(Response::new(ChangeHoldsResponse { results })))
    }

    /// All commands so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this is refused.
    pub fn refuses(&self, refuse: Option<Refuse>) {
        *self.refuse.lock().unwrap_or_else(PoisonError::into_inner) = refuse;
    }

    fn holds(&self, hold: Option<Result<Hold, Status>>) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    fn hold(&self) -> Result<Response<Hold>, Status> {
        let hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let missing = || Err(Failure::new(Reason::HoldNotFound, "no such hold").into());
        hold.unwrap_or_else(missing).map(Response::new)
    }

    fn last(&self) -> String {
        self.asked().pop().unwrap_or_default()
    }
}

struct Server(Arc<Scripted>);

type Answer<'a, T> = BoxFuture<'a, Result<Response<T>, Status>>;

/// RPCs this client never calls.
macro_rules! never_called {
    ($($name:ident($request:ty) -> $response:ty;)*) => {$(
        fn $name<'s, 'f>(&'s self, _: Request<$request>) -> Answer<'f, $response>
        where 's: 'f, Self: 'f {
            Box::pin(async { Err(Status::unimplemented("")) })
        }
    )*};
}

impl AccountService for Server {
    fn change_holds<'s, 'f>(
        &'s self,
        request: Request<ChangeHoldsRequest>,
    ) -> Answer<'f, ChangeHoldsResponse>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answer = self.0.change(request.into_inner());
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn batch_get_accounts<'s, 'f>(
        &'s self,
        request: Request<BatchGetAccountsRequest>,
    ) -> Answer<'f, BatchGetAccountsResponse>
    where
        's: 'f,
        Self: 'f,
    {
        let mut answer = BatchGetAccountsResponse::default();
        for account in request.into_inner().accounts {
            // Everybody has an account, one of them is somebody.
            let Some(account_ref::By::UserId(user_id)) = account.by else { continue };
            let available_minor = user_id * 10;
            answer.accounts.push(Account { user_id, available_minor, ..Default::default() });
            let username = "with others".to_owned();
            let holder = Holder { user_id, username, ..Default::default() };
            answer.holders.extend((user_id == ALICE).then_some(holder));
        }
        Box::pin(async move { Ok(Response::new(answer)) })
    }

    fn get_hold<'s, 'f>(&'s self, request: Request<GetHoldRequest>) -> Answer<'f, Hold>
    where
        's: 'f,
        Self: 'f,
    {
        let known = request.into_inner().hold_key == "cash:202003030000000001";
        let unknown = || Err(Status::invalid_argument("another key"));
        Box::pin(async move { if known { self.0.hold() } else { unknown() } })
    }

    fn get_account<'s, 'f>(
        &'s self,
        _: Request<GetAccountRequest>,
    ) -> Answer<'f, GetAccountResponse>
    where
        's: 'f,
        Self: 'f,
    {
        let account = Account { available_minor: 40, frozen_minor: 60, ..Default::default() };
        let answer = GetAccountResponse { account: Some(account), ..Default::default() };
        Box::pin(async move { Ok(Response::new(answer)) })
    }

    fn get_holder<'s, 'f>(&'s self, request: Request<GetHolderRequest>) -> Answer<'f, Holder>
    where
        's: 'f,
        Self: 'f,
    {
        let user_id = request.into_inner().user_id;
        let payee = |method: PayeeMethod, payee_id: &str| Payee {
            method: method.into(),
            payee_id: payee_id.to_owned(),
            ..Default::default()
        };
        let payees = vec![payee(PayeeMethod::Wechat, "wx"), payee(PayeeMethod::Alipay, "ali")];
        let holder = Holder { user_id, username: "alice".into(), payees, ..Default::default() };
        let missing = Failure::new(Reason::HolderNotFound, "nobody");
        let answer = if user_id == ALICE { Ok(Response::new(holder)) } else { Err(missing.into()) };
        Box::pin(async move { answer })
    }

    type StreamEntriesStream = BoxStream<'static, Result<Entry, Status>>;

    never_called! {
        open_account(OpenAccountRequest) -> OpenAccountResponse;
        place_hold(PlaceHoldRequest) -> HoldResponse;
        settle_hold(SettleHoldRequest) -> HoldResponse;
        release_hold(ReleaseHoldRequest) -> HoldResponse;
        abandon_hold(AbandonHoldRequest) -> HoldResponse;
        get_balance_at(GetBalanceAtRequest) -> GetBalanceAtResponse;
        post_transfer(PostTransferRequest) -> PostTransferResponse;
        post_transfers(PostTransfersRequest) -> PostTransfersResponse;
        adjust_account(AdjustAccountRequest) -> AdjustAccountResponse;
        list_holds(ListHoldsRequest) -> ListHoldsResponse;
        set_lock(SetLockRequest) -> Account;
        set_overdraft_limit(SetOverdraftLimitRequest) -> Account;
        batch_get_holders(BatchGetHoldersRequest) -> BatchGetHoldersResponse;
        set_profile(SetProfileRequest) -> Holder;
        set_membership(SetMembershipRequest) -> Holder;
        bind_payee(BindPayeeRequest) -> Holder;
        unbind_payee(UnbindPayeeRequest) -> Holder;
        list_statement(ListStatementRequest) -> ListStatementResponse;
        scan_statement(ScanStatementRequest) -> ScanStatementResponse;
        get_entry(GetEntryRequest) -> Entry;
        stream_entries(StreamEntriesRequest) -> Self::StreamEntriesStream;
    }
}

/// A withdrawal of 7.00 with a fee of 0.07 that BOB decided on, and a ledger to ask about it.
pub async fn scene() -> anyhow::Result<(Withdrawal, RemoteLedger, Arc<Scripted>)> {
    let database = cashout_testing::sqlite("remote").await?;
    let mut settings = config(&database)?;
    settings.policy.fee_rate = "0.01".parse()?;
    let service = Service::with(settings).await?;
    let id = service.ask(manual(700)).await?.0.id;
    let opened = Database::open(&database.url, MIGRATIONS).await?;
    let mut w = withdrawals::find(opened.readers(), id).await?.context("just requested")?;
    opened.close().await;
    service.stop().await;
    Arc::make_mut(&mut w.asked).cash_sn = "202003030000000001".to_owned();
    w.decided_by = "user:8".to_owned();
    let script = Arc::new(Scripted::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = AccountServiceServer::new(Server(script.clone()));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let serving =
        tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming);
    tokio::spawn(serving);
    let ledger = RemoteLedger::new(peer::channel(&format!("http://{address}"))?);
    Ok((w, ledger, script))
}

#[tokio::test]
async fn holds_are_placed_settled_and_released_as_designed() -> anyhow::Result<()> {
    let (w, ledger, script) = scene().await?;
    let LedgerAnswer::Done(after) = ledger.place(&w).await else { anyhow::bail!("not placed") };
    ensure!((after.available_minor, after.frozen_minor, after.locked) == (30, 70, false));
    let sn = &w.cash_sn;
    ensure!(
        script.last()
            == format!(
                "place cash:{sn} 700 ENTRY_KIND_WITHDRAWAL Some(UserId(7)) CNY | 提现冻结 {sn} 8"
            ),
        "{}",
        script.last()
    );
    ensure!(ledger.settle(&w).await == LedgerAnswer::Done(()));
    let parts = "693 to payout:manual as ENTRY_KIND_WITHDRAWAL, 7 to fee:income as ENTRY_KIND_WITHDRAWAL_FEE";
    let settled = format!("settle cash:{sn} by cash:{sn}:settle: {parts} | 提现成功 {sn} 8");
    ensure!(script.last() == settled, "{}", script.last());
    for (cause, kind, note) in [
        (ReleaseCause::Refused, "ENTRY_KIND_WITHDRAWAL_RETURNED", "审核不通过，退回"),
        (ReleaseCause::Failed, "ENTRY_KIND_WITHDRAWAL_RETURNED", "提现失败，退回"),
        (ReleaseCause::Cancelled, "ENTRY_KIND_WITHDRAWAL_CANCELLED", "取消提现，退回"),
    ] {
        ensure!(ledger.release(&w, cause).await == LedgerAnswer::Done(()));
        let released = format!("release cash:{sn} by cash:{sn}:release as {kind} | {note} {sn} 8");
        ensure!(script.last() == released, "{}", script.last());
    }
    let holder = ledger.holder(ALICE).await?.context("a person")?;
    let payees = (holder.wechat.map(|p| p.payee_id), holder.alipay.map(|p| p.payee_id));
    ensure!(payees == (Some("wx".to_owned()), Some("ali".to_owned())));
    ensure!(ledger.holder(99).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn only_a_refusal_with_a_reason_of_ours_is_definite() -> anyhow::Result<()> {
    let (w, ledger, script) = scene().await?;
    let ours = |reason: Reason| Refuse::Command(reason.row().name);
    for (refuse, definite) in [
        (ours(Reason::InsufficientFunds), true),
        (ours(Reason::AccountLocked), true),
        (ours(Reason::AccountNotFound), true),
        (ours(Reason::HoldAlreadyReleased), true),
        (ours(Reason::IdempotencyConflict), false),
        (ours(Reason::Overloaded), false),
        (ours(Reason::Unavailable), false),
        (ours(Reason::Internal), false),
        (Refuse::Command("A_REASON_OF_TOMORROW"), false),
        (Refuse::Short, false),
        (Refuse::Other, false),
        (Refuse::Call(Failure::new(Reason::InvalidArgument, "too many").into()), false),
        (Refuse::Call(Failure::new(Reason::AccountNotFound, "whose?").into()), false),
        (Refuse::Call(Status::unknown("transport error")), false),
        (Refuse::Call(Status::deadline_exceeded("late")), false),
        (Refuse::Call(Status::internal("what?")), false),
        (Refuse::Call(Status::unimplemented("an older version")), false),
        (Refuse::Call(Status::failed_precondition("a stranger's refusal")), false),
    ] {
        let case = format!("{refuse:?}");
        script.refuses(Some(refuse));
        let answer = ledger.settle(&w).await;
        ensure!(!matches!(answer, LedgerAnswer::Done(())), "{case}");
        ensure!(matches!(answer, LedgerAnswer::Refused(_)) == definite, "{case}: {answer:?}");
        let placed = ledger.place(&w).await;
        ensure!(matches!(placed, LedgerAnswer::Refused(_)) == definite, "{case}: {placed:?}");
    }
    Ok(())
}

/// What each command comes to when its key conflicts: placed, settled, released, abandoned.
async fn despite_conflict(
    w: &Withdrawal,
    ledger: &RemoteLedger,
) -> [Result<(), Option<Reason>>; 4] {
    fn told<T>(answer: LedgerAnswer<T>) -> Result<(), Option<Reason>> {
        match answer {
            LedgerAnswer::Done(_) => Ok(()),
            LedgerAnswer::Refused(_) => Err(None),
            LedgerAnswer::Unknown(failure) => Err(Some(failure.reason)),
        }
    }
    [
        told(ledger.place(w).await),
        told(ledger.settle(w).await),
        told(ledger.release(w, ReleaseCause::Failed).await),
        told(ledger.abandon(w).await),
    ]
}

#[tokio::test]
async fn after_a_conflict_of_keys_the_hold_itself_says_what_was_done() -> anyhow::Result<()> {
    let (w, ledger, script) = scene().await?;
    let conflict = Refuse::Command(Reason::IdempotencyConflict.row().name);
    script.refuses(Some(conflict));
    let hold = |state: HoldState, amount_minor, settled_minor| Hold {
        user_id: ALICE,
        amount_minor,
        settled_minor,
        state: state.into(),
        ..Default::default()
    };
    let (open, settled, released) = (HoldState::Open, HoldState::Settled, HoldState::Released);
    let unclear = Err(Some(Reason::IdempotencyConflict));
    let foreign = Err(Some(Reason::Internal));
    let away = Status::unavailable("away");
    for (case, found, answers) in [
        ("open", Some(Ok(hold(open, 700, 0))), [Ok(()), unclear, unclear, unclear]),
        ("settled", Some(Ok(hold(settled, 700, 700))), [unclear, Ok(()), unclear, unclear]),
        ("settled in part", Some(Ok(hold(settled, 700, 699))), [unclear; 4]),
        ("released", Some(Ok(hold(released, 700, 0))), [unclear, unclear, Ok(()), Ok(())]),
        ("another amount", Some(Ok(hold(open, 701, 0))), [foreign; 4]),
        ("nobody's", Some(Ok(Hold { user_id: 0, ..hold(released, 700, 0) })), [foreign; 4]),
        ("none", None, [unclear; 4]),
        ("no answer", Some(Err(away)), [Err(Some(Reason::Unavailable)); 4]),
    ] {
        script.holds(found);
        let told = despite_conflict(&w, &ledger).await;
        ensure!(told == answers, "{case}: {told:?}");
    }
    script.holds(Some(Ok(hold(open, 700, 0))));
    let LedgerAnswer::Done(after) = ledger.place(&w).await else { anyhow::bail!("not placed") };
    ensure!((after.available_minor, after.frozen_minor) == (40, 60), "as it is now");
    Ok(())
}
