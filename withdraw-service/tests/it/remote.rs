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

/// An account service that notes what it is asked and answers what it is told.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<String>>,
    refuse: Mutex<Option<Status>>,
}

impl Scripted {
    fn note(&self, asked: String) -> Result<Response<HoldResponse>, Status> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        if let Some(status) = self.refuse.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(status);
        }
        let entry =
            Entry { available_after_minor: 30, frozen_after_minor: 70, ..Default::default() };
        Ok(Response::new(HoldResponse { entries: vec![entry], ..Default::default() }))
    }

    fn last(&self) -> String {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.last().cloned().unwrap_or_default()
    }
}

struct Server(Arc<Scripted>);

type Answer<'a, T> = BoxFuture<'a, Result<Response<T>, Status>>;

fn kind(number: i32) -> &'static str {
    EntryKind::try_from(number).map_or("?", |k| k.as_str_name())
}

fn told(facts: Option<Facts>) -> String {
    let facts = facts.unwrap_or_default();
    format!("{} {} {}", facts.note, facts.reference, facts.operator)
}

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
    fn place_hold<'s, 'f>(&'s self, request: Request<PlaceHoldRequest>) -> Answer<'f, HoldResponse>
    where
        's: 'f,
        Self: 'f,
    {
        let r = request.into_inner();
        let who = r.account.map(|a| format!("{:?} {}", a.by, a.currency)).unwrap_or_default();
        let (key, amount, facts) = (r.key, r.amount_minor, told(r.facts));
        let asked = format!("place {key} {amount} {} {who} | {facts}", kind(r.kind));
        Box::pin(async move { self.0.note(asked) })
    }

    fn settle_hold<'s, 'f>(
        &'s self,
        request: Request<SettleHoldRequest>,
    ) -> Answer<'f, HoldResponse>
    where
        's: 'f,
        Self: 'f,
    {
        let r = request.into_inner();
        let part = |p: &SettlePart| {
            format!("{} to {} as {}", p.amount_minor, p.counter_account, kind(p.kind))
        };
        let parts: Vec<String> = r.parts.iter().map(part).collect();
        let (parts, facts) = (parts.join(", "), told(r.facts));
        let asked = format!("settle {} by {}: {parts} | {facts}", r.hold_key, r.key);
        Box::pin(async move { self.0.note(asked) })
    }

    fn release_hold<'s, 'f>(
        &'s self,
        request: Request<ReleaseHoldRequest>,
    ) -> Answer<'f, HoldResponse>
    where
        's: 'f,
        Self: 'f,
    {
        let r = request.into_inner();
        let (kind, facts) = (kind(r.kind), told(r.facts));
        let asked = format!("release {} by {} as {kind} | {facts}", r.hold_key, r.key);
        Box::pin(async move { self.0.note(asked) })
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
        get_account(GetAccountRequest) -> GetAccountResponse;
        batch_get_accounts(BatchGetAccountsRequest) -> BatchGetAccountsResponse;
        get_balance_at(GetBalanceAtRequest) -> GetBalanceAtResponse;
        post_transfer(PostTransferRequest) -> PostTransferResponse;
        post_transfers(PostTransfersRequest) -> PostTransfersResponse;
        adjust_account(AdjustAccountRequest) -> AdjustAccountResponse;
        abandon_hold(AbandonHoldRequest) -> HoldResponse;
        get_hold(GetHoldRequest) -> Hold;
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
async fn scene() -> anyhow::Result<(Withdrawal, RemoteLedger, Arc<Scripted>)> {
    let database = cashout_testing::sqlite("remote").await?;
    let mut settings = config(&database)?;
    settings.policy.fee_rate = "0.01".parse()?;
    let service = Service::with(settings).await?;
    let id = service.ask(manual(700)).await?.0.id;
    let opened = Database::open(&database.url, MIGRATIONS).await?;
    let mut w = withdrawals::find(opened.readers(), id).await?.context("just requested")?;
    opened.close().await;
    service.stop().await;
    w.cash_sn = "202003030000000001".to_owned();
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
    let ours = |reason| Status::from(Failure::new(reason, "no"));
    for (status, definite) in [
        (ours(Reason::InsufficientFunds), true),
        (ours(Reason::AccountLocked), true),
        (ours(Reason::AccountNotFound), true),
        (ours(Reason::HoldAlreadyReleased), true),
        (ours(Reason::IdempotencyConflict), false),
        (ours(Reason::Overloaded), false),
        (ours(Reason::Unavailable), false),
        (ours(Reason::Internal), false),
        (Status::unknown("transport error"), false),
        (Status::deadline_exceeded("late"), false),
        (Status::internal("what?"), false),
        (Status::failed_precondition("a stranger's refusal"), false),
    ] {
        let case = format!("{status:?}");
        *script.refuse.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        let answer = ledger.settle(&w).await;
        ensure!(matches!(answer, LedgerAnswer::Refused(_)) == definite, "{case}: {answer:?}");
        let placed = ledger.place(&w).await;
        ensure!(matches!(placed, LedgerAnswer::Refused(_)) == definite, "{case}: {placed:?}");
    }
    Ok(())
}
