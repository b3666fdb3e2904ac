//! The two services as the gateway calls them: who acts, the request id, the trace context and a
//! deadline go along, and nothing else of a request does.
//!
//! What a service says of fields comes back under documented names or none (see `named`).
//! Every call starts from an empty metadata map, so no header of a caller can slip through. Must not
//! know: JSON, endpoints, what an answer is shown as.

mod named;

use cashout_common::actor::{Actor, REQUEST_ID, TRACE_PARENT};
use cashout_common::peer;
use cashout_proto::Failure;
use cashout_proto::account::v1 as account;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1 as withdraw;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

/// What goes along with a call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The verified person.
    pub actor: Actor,
    /// For logs.
    pub request_id: String,
    /// W3C trace context, when the caller sent a well-formed one.
    pub trace_parent: Option<String>,
    /// When the answer must be there.
    pub deadline: Instant,
}

impl Caller {
    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let left = self.deadline.saturating_duration_since(Instant::now());
        request.set_timeout(left.min(peer::CALL_TIMEOUT));
        let metadata = request.metadata_mut();
        self.actor.write(metadata);
        let trace = self.trace_parent.as_deref().map(|trace| (TRACE_PARENT, trace));
        for (name, value) in trace.into_iter().chain([(REQUEST_ID, self.request_id.as_str())]) {
            if let Ok(mut value) = MetadataValue::try_from(value) {
                // Not because it is a secret: HTTP/2 would remember each for the next request, and forget for
                // it what every request repeats.
                value.set_sensitive(true);
                metadata.insert(name, value);
            }
        }
        request
    }
}

/// Connections to both services.
#[derive(Clone)]
pub struct Upstream {
    account: AccountServiceClient<Channel>,
    withdraw: WithdrawServiceClient<Channel>,
    /// Whether the account service is serving.
    pub account_ready: watch::Receiver<bool>,
    /// Whether the withdraw service is serving.
    pub withdraw_ready: watch::Receiver<bool>,
}

impl Upstream {
    /// Connects when first used; a service that is away is waited for by nobody.
    ///
    /// # Errors
    /// When an address is not a URL.
    pub fn open(
        account_address: &str,
        withdraw_address: &str,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let account = peer::channel(account_address)?;
        let withdraw = peer::channel(withdraw_address)?;
        let watched =
            |channel: &Channel, name| peer::watch_health(channel.clone(), name, stop.clone());
        Ok(Self {
            account_ready: watched(&account, "cashout.account.v1.AccountService"),
            withdraw_ready: watched(&withdraw, "cashout.withdraw.v1.WithdrawService"),
            account: AccountServiceClient::new(account),
            withdraw: WithdrawServiceClient::new(withdraw),
        })
    }
}

macro_rules! calls {
    ($($client:ident: $method:ident($request:ty) -> $answer:ty, $fields:ident;)*) => {
        impl Upstream {
            $(
                /// The method of that name.
                ///
                /// # Errors
                /// The service's refusal, or that it does not answer.
                pub async fn $method(
                    &self,
                    caller: &Caller,
                    message: $request,
                ) -> Result<$answer, Failure> {
                    let answer = self.$client.clone().$method(caller.request(message)).await;
                    answer.map(tonic::Response::into_inner).map_err(|status| {
                        let failure = Failure::from_status(&status);
                        named::documented(stringify!($method), failure, named::$fields)
                    })
                }
            )*
        }
    };
}

calls! {
    account: get_account(account::GetAccountRequest) -> account::GetAccountResponse, NONE;
    account: batch_get_accounts(account::BatchGetAccountsRequest) -> account::BatchGetAccountsResponse, NONE;
    account: get_holder(account::GetHolderRequest) -> account::Holder, NONE;
    account: batch_get_holders(account::BatchGetHoldersRequest) -> account::BatchGetHoldersResponse, NONE;
    account: list_statement(account::ListStatementRequest) -> account::ListStatementResponse, NONE;
    account: get_entry(account::GetEntryRequest) -> account::Entry, NONE;
    account: adjust_account(account::AdjustAccountRequest) -> account::AdjustAccountResponse, CHANGE;
    withdraw: request_withdrawal(withdraw::RequestWithdrawalRequest) -> withdraw::RequestWithdrawalResponse, REQUEST;
    withdraw: get_withdrawal(withdraw::GetWithdrawalRequest) -> withdraw::Withdrawal, NONE;
    withdraw: list_withdrawals(withdraw::ListWithdrawalsRequest) -> withdraw::ListWithdrawalsResponse, NONE;
    withdraw: review_withdrawals(withdraw::ReviewWithdrawalsRequest) -> withdraw::ReviewWithdrawalsResponse, REVIEW;
    withdraw: cancel_withdrawal(withdraw::CancelWithdrawalRequest) -> withdraw::Withdrawal, NONE;
    withdraw: receive_notification(withdraw::ReceiveNotificationRequest) -> withdraw::ReceiveNotificationResponse, NONE;
}

/// A person's account in the currency of the documents.
pub fn account_of(user_id: i64) -> account::AccountRef {
    account::AccountRef {
        by: Some(account::account_ref::By::UserId(user_id)),
        currency: String::new(),
    }
}
