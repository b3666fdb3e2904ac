//! The gRPC surface: parses requests into commands, asks the service, answers in wire types.
//!
//! Wire types stop here. Must not know: SQL, or any rule about balances.

mod accounts;
mod answer;
mod holders;
mod holds;
mod parse;
mod postings;
mod request;
mod statements;

use cashout_common::actor::Actor;
use cashout_common::clock::Clock;
use cashout_common::writer::{Writer, database_failure};
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::account_service_server::AccountService;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::service::payees::Payees;
use crate::service::poster::{PostError, Poster};
use crate::store::Store;

/// The server.
#[derive(Debug, Clone)]
pub struct Server {
    store: Store,
    poster: Poster,
    writer: Writer,
    payees: Payees,
    clock: Clock,
    stop: CancellationToken,
}

impl Server {
    /// A server over the pipeline, the store, the writer of holders and their bindings.
    #[must_use]
    pub fn new(
        store: Store,
        poster: Poster,
        writer: Writer,
        payees: Payees,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        Self { store, poster, writer, payees, clock, stop }
    }
}

type Answer<T> = Result<Response<T>, Status>;

/// A stream of entries.
type Entries = tokio_stream::wrappers::ReceiverStream<Result<pb::Entry, Status>>;

/// Turns a handler's result into gRPC's.
fn answer<T>(result: Result<T, Failure>) -> Answer<T> {
    result.map(Response::new).map_err(Status::from)
}

fn read_failure(error: sqlx::Error) -> Failure {
    database_failure(&error)
}

fn post_failure(error: PostError) -> Failure {
    match error {
        PostError::Refused(refusal) => answer::refusal(&refusal),
        PostError::Failed(failure) => *failure,
    }
}

fn account_not_found() -> Failure {
    Failure::new(Reason::AccountNotFound, "there is no such account")
}

macro_rules! methods {
    ($($name:ident: $request:ident => $response:ident;)*) => {
        #[tonic::async_trait]
        impl AccountService for Server {
            // What `async fn` would be here, but for the request's metadata, which it would carry along.
            $(fn $name<'server, 'call>(
                &'server self,
                request: Request<pb::$request>,
            ) -> BoxFuture<'call, Answer<pb::$response>>
            where
                'server: 'call,
            {
                self.$name(request.into_inner()).map(answer).boxed()
            })*

            /// The operator is whoever the metadata says acts.
            async fn adjust_account(
                &self,
                request: Request<pb::AdjustAccountRequest>,
            ) -> Answer<pb::AdjustAccountResponse> {
                let operator = match Actor::of(request.metadata())? {
                    Actor::Person(id) => id.to_string(),
                    Actor::System => String::new(),
                };
                answer(self.adjust_account(request.into_inner(), &operator).await)
            }

            /// Who changed where money goes is told by the metadata too.
            async fn bind_payee(
                &self,
                request: Request<pb::BindPayeeRequest>,
            ) -> Answer<pb::Holder> {
                let actor = Actor::of(request.metadata())?;
                answer(self.bind_payee(request.into_inner(), actor).await)
            }

            async fn unbind_payee(
                &self,
                request: Request<pb::UnbindPayeeRequest>,
            ) -> Answer<pb::Holder> {
                let actor = Actor::of(request.metadata())?;
                answer(self.unbind_payee(request.into_inner(), actor).await)
            }

            type StreamEntriesStream = Entries;

            async fn stream_entries(
                &self,
                request: Request<pb::StreamEntriesRequest>,
            ) -> Answer<Entries> {
                answer(self.stream(request.into_inner()).await)
            }
        }
    };
}

methods! {
    open_account: OpenAccountRequest => OpenAccountResponse;
    get_account: GetAccountRequest => GetAccountResponse;
    batch_get_accounts: BatchGetAccountsRequest => BatchGetAccountsResponse;
    get_balance_at: GetBalanceAtRequest => GetBalanceAtResponse;
    post_transfer: PostTransferRequest => PostTransferResponse;
    post_transfers: PostTransfersRequest => PostTransfersResponse;
    place_hold: PlaceHoldRequest => HoldResponse;
    settle_hold: SettleHoldRequest => HoldResponse;
    release_hold: ReleaseHoldRequest => HoldResponse;
    abandon_hold: AbandonHoldRequest => HoldResponse;
    change_holds: ChangeHoldsRequest => ChangeHoldsResponse;
    get_hold: GetHoldRequest => Hold;
    list_holds: ListHoldsRequest => ListHoldsResponse;
    set_lock: SetLockRequest => Account;
    set_overdraft_limit: SetOverdraftLimitRequest => Account;
    get_holder: GetHolderRequest => Holder;
    batch_get_holders: BatchGetHoldersRequest => BatchGetHoldersResponse;
    set_profile: SetProfileRequest => Holder;
    set_membership: SetMembershipRequest => Holder;
    list_statement: ListStatementRequest => ListStatementResponse;
    scan_statement: ScanStatementRequest => ScanStatementResponse;
    get_entry: GetEntryRequest => Entry;
}
