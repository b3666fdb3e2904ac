//! Both services as fakes: each method answers what it was told to, and every call is recorded.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cashout_proto::account::v1::account_service_server::AccountService;
use cashout_proto::account::v1::*;
use cashout_proto::withdraw::v1::withdraw_service_server::WithdrawService;
use cashout_proto::withdraw::v1::*;
use cashout_proto::{Failure, Reason};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// What a method was told to do.
#[derive(Clone)]
enum Told {
    Answer(Arc<dyn Any + Send + Sync>),
    Refuse(Failure),
    Never,
}

/// One call that came in.
#[derive(Clone)]
pub struct Recorded {
    /// What came along.
    pub metadata: MetadataMap,
    message: Arc<dyn Any + Send + Sync>,
}

/// Both services.
#[derive(Clone, Default)]
pub struct Fakes {
    told: Arc<Mutex<HashMap<&'static str, Told>>>,
    calls: Arc<Mutex<Vec<Recorded>>>,
}

impl Fakes {
    /// From now on `method` answers this.
    pub fn answers<T: Any + Send + Sync>(&self, method: &'static str, answer: T) {
        self.tell(method, Told::Answer(Arc::new(answer)));
    }

    /// From now on `method` refuses for this reason.
    pub fn refuses(&self, method: &'static str, failure: Failure) {
        self.tell(method, Told::Refuse(failure));
    }

    /// From now on `method` does not answer.
    pub fn hangs(&self, method: &'static str) {
        self.tell(method, Told::Never);
    }

    fn tell(&self, method: &'static str, told: Told) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(method, told);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Recorded> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last message of that type.
    pub fn last<T: Any + Clone>(&self) -> anyhow::Result<T> {
        let calls = self.calls();
        let found = calls.iter().rev().find_map(|call| call.message.downcast_ref::<T>().cloned());
        found.ok_or_else(|| anyhow::anyhow!("no call carried a {}", std::any::type_name::<T>()))
    }

    async fn answer<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
    ) -> Result<Response<A>, Status>
    where
        Q: Any + Send + Sync,
        A: Any + Clone,
    {
        let (metadata, _, message) = request.into_parts();
        let recorded = Recorded { metadata, message: Arc::new(message) };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(method).cloned();
        match told {
            Some(Told::Answer(answer)) => match answer.downcast_ref::<A>() {
                Some(answer) => Ok(Response::new(answer.clone())),
                None => Err(Status::internal("the test told an answer of another type")),
            },
            Some(Told::Refuse(failure)) => Err(failure.into()),
            Some(Told::Never) => std::future::pending().await,
            None => Err(missing(method).into()),
        }
    }
}

/// What a method says that was told nothing: the object does not exist, like on empty services.
fn missing(method: &str) -> Failure {
    let reason = match method {
        "get_account" | "adjust_account" => Reason::AccountNotFound,
        "get_holder" => Reason::HolderNotFound,
        "get_entry" => Reason::EntryNotFound,
        "get_withdrawal" | "cancel_withdrawal" => Reason::WithdrawalNotFound,
        _ => Reason::Internal,
    };
    Failure::new(reason, "nothing is here")
}

macro_rules! fake {
    (
        $service:ident { $stream_method:ident($stream_request:ty) -> $stream:ident of $item:ty; }
        $($method:ident($request:ty) -> $answer:ty;)*
    ) => {
        #[tonic::async_trait]
        impl $service for Fakes {
            type $stream = tonic::codegen::BoxStream<$item>;

            async fn $stream_method(
                &self,
                _: Request<$stream_request>,
            ) -> Result<Response<Self::$stream>, Status> {
                Err(Status::unimplemented("the gateway follows no stream"))
            }

            $(
                async fn $method(
                    &self,
                    request: Request<$request>,
                ) -> Result<Response<$answer>, Status> {
                    self.answer(stringify!($method), request).await
                }
            )*
        }
    };
}

fake! {
    AccountService { stream_entries(StreamEntriesRequest) -> StreamEntriesStream of Entry; }
    open_account(OpenAccountRequest) -> OpenAccountResponse;
    get_account(GetAccountRequest) -> GetAccountResponse;
    batch_get_accounts(BatchGetAccountsRequest) -> BatchGetAccountsResponse;
    get_balance_at(GetBalanceAtRequest) -> GetBalanceAtResponse;
    post_transfer(PostTransferRequest) -> PostTransferResponse;
    post_transfers(PostTransfersRequest) -> PostTransfersResponse;
    adjust_account(AdjustAccountRequest) -> AdjustAccountResponse;
    place_hold(PlaceHoldRequest) -> HoldResponse;
    settle_hold(SettleHoldRequest) -> HoldResponse;
    release_hold(ReleaseHoldRequest) -> HoldResponse;
    abandon_hold(AbandonHoldRequest) -> HoldResponse;
    change_holds(ChangeHoldsRequest) -> ChangeHoldsResponse;
    get_hold(GetHoldRequest) -> Hold;
    list_holds(ListHoldsRequest) -> ListHoldsResponse;
    set_lock(SetLockRequest) -> Account;
    set_overdraft_limit(SetOverdraftLimitRequest) -> Account;
    get_holder(GetHolderRequest) -> Holder;
    batch_get_holders(BatchGetHoldersRequest) -> BatchGetHoldersResponse;
    set_profile(SetProfileRequest) -> Holder;
    set_membership(SetMembershipRequest) -> Holder;
    bind_payee(BindPayeeRequest) -> Holder;
    unbind_payee(UnbindPayeeRequest) -> Holder;
    list_statement(ListStatementRequest) -> ListStatementResponse;
    scan_statement(ScanStatementRequest) -> ScanStatementResponse;
    get_entry(GetEntryRequest) -> Entry;
}

fake! {
    WithdrawService { stream_status_changes(StreamStatusChangesRequest) -> StreamStatusChangesStream of StatusChange; }
    quote(QuoteRequest) -> QuoteResponse;
    request_withdrawal(RequestWithdrawalRequest) -> RequestWithdrawalResponse;
    get_withdrawal(GetWithdrawalRequest) -> Withdrawal;
    list_withdrawals(ListWithdrawalsRequest) -> ListWithdrawalsResponse;
    review_withdrawals(ReviewWithdrawalsRequest) -> ReviewWithdrawalsResponse;
    approve_withdrawal(ApproveWithdrawalRequest) -> Withdrawal;
    refuse_withdrawal(RefuseWithdrawalRequest) -> Withdrawal;
    mark_paid(MarkPaidRequest) -> Withdrawal;
    cancel_withdrawal(CancelWithdrawalRequest) -> Withdrawal;
    get_history(GetHistoryRequest) -> GetHistoryResponse;
    list_cases(ListCasesRequest) -> ListCasesResponse;
    resolve_case(ResolveCaseRequest) -> Case;
    cancel_payout(CancelPayoutRequest) -> Withdrawal;
    list_channels(ListChannelsRequest) -> ListChannelsResponse;
    pause_channel(PauseChannelRequest) -> Channel;
    resume_channel(ResumeChannelRequest) -> Channel;
    receive_notification(ReceiveNotificationRequest) -> ReceiveNotificationResponse;
}
