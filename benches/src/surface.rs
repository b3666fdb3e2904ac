//! The account service's methods for the servers we compare with: eight are answered, the rest refused.
//!
//! Also how such a server is served: through the same listener, limits and boundary as the real
//! service, so that a difference between them is a difference of their ledgers. Must not know: any rule.

use std::net::SocketAddr;

use anyhow::Context;
use cashout_common::serve::{Limits, grpc, stop_signal};
use cashout_proto::account::v1::DESCRIPTORS;
use cashout_proto::account::v1::account_service_server::{
    AccountService, AccountServiceServer, SERVICE_NAME,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;

/// Implements the service: the answered methods ask the server's own of the same name, the rest refuse.
macro_rules! surface {
    ($server:ty) => {
        $crate::surface::surface! { $server;
            answered {
            open_account: OpenAccountRequest => OpenAccountResponse;
            get_account: GetAccountRequest => GetAccountResponse;
            post_transfer: PostTransferRequest => PostTransferResponse;
            place_hold: PlaceHoldRequest => HoldResponse;
            settle_hold: SettleHoldRequest => HoldResponse;
            list_statement: ListStatementRequest => ListStatementResponse;
            release_hold: ReleaseHoldRequest => HoldResponse;
            batch_get_accounts: BatchGetAccountsRequest => BatchGetAccountsResponse;
            } refused {
            post_transfers: PostTransfersRequest => PostTransfersResponse;
            get_balance_at: GetBalanceAtRequest => GetBalanceAtResponse;
            adjust_account: AdjustAccountRequest => AdjustAccountResponse;
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
            bind_payee: BindPayeeRequest => Holder;
            unbind_payee: UnbindPayeeRequest => Holder;
            scan_statement: ScanStatementRequest => ScanStatementResponse;
            get_entry: GetEntryRequest => Entry;
            }
        }
    };
    ($server:ty; answered { $($name:ident: $request:ident => $response:ident;)* }
     refused { $($no:ident: $no_request:ident => $no_response:ident;)* }) => {
        #[tonic::async_trait]
        impl cashout_proto::account::v1::account_service_server::AccountService for $server {
            $(async fn $name(
                &self,
                request: tonic::Request<cashout_proto::account::v1::$request>,
            ) -> Result<tonic::Response<cashout_proto::account::v1::$response>, tonic::Status> {
                let answer = self.$name(request.into_inner()).await;
                answer.map(tonic::Response::new).map_err(tonic::Status::from)
            })*

            $(async fn $no(
                &self,
                _: tonic::Request<cashout_proto::account::v1::$no_request>,
            ) -> Result<tonic::Response<cashout_proto::account::v1::$no_response>, tonic::Status> {
                Err(tonic::Status::unimplemented("not a part of the comparison"))
            })*

            type StreamEntriesStream =
                tonic::codegen::BoxStream<cashout_proto::account::v1::Entry>;

            async fn stream_entries(
                &self,
                _: tonic::Request<cashout_proto::account::v1::StreamEntriesRequest>,
            ) -> Result<tonic::Response<Self::StreamEntriesStream>, tonic::Status> {
                Err(tonic::Status::unimplemented("not a part of the comparison"))
            }
        }
    };
}

pub(crate) use surface;

/// Serves until SIGTERM; says `ready <name>=<address>` like a service of ours.
pub async fn serve(
    name: &str,
    listen: SocketAddr,
    server: impl AccountService,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| listen.to_string())?;
    println!("ready {name}=http://{}", listener.local_addr()?);
    let mut routes = Routes::builder();
    routes.add_service(AccountServiceServer::new(server));
    let (_serving, ready) = watch::channel(true);
    grpc(listener, SERVICE_NAME, DESCRIPTORS, routes, ready, Limits::default(), stop_signal()).await
}
