//! The textbook cash-out service: what a competent service does without sharing commits, over the
//! textbook ledger and with the contract of the real service as far as a whole cash-out needs it.
//!
//! It is as good as its shape allows: no more steps than are needed, workers woken at once, followers
//! told without a look at the database. There are two of it (decision 0026). The plain one has no limit per
//! day, no payee, no digest of what is approved, no notes of calls to a provider, and places a hold before
//! anything is written of it: what a stop has interrupted is lost. The careful one has all of that on
//! record before anybody outside is asked, as the real service promises. Neither has numbers that are hard
//! to guess, stored replies, leases, or somebody who goes on with what a stop has interrupted.

mod careful;
mod steps;
mod store;

#[cfg(test)]
mod textbook_tests;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use cashout_common::actor::Actor;
use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_common::serve::{Limits, grpc, stop_signal};
use cashout_proto::Failure;
use cashout_proto::withdraw::v1 as pb;
use cashout_proto::withdraw::v1::withdraw_service_server::{
    SERVICE_NAME, WithdrawService, WithdrawServiceServer,
};
use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use steps::{Due, Steps};
use store::CashOut;

/// Payouts at a time, as many as callers: nobody waits for a worker.
const WORKERS: usize = 256;

/// The server.
struct Textbook {
    steps: Arc<Steps>,
    approved: mpsc::UnboundedSender<Due>,
}

/// Serves over an empty database and a textbook ledger until SIGTERM; with people, carefully.
pub async fn serve(
    listen: SocketAddr,
    url: &str,
    ledger: &str,
    people: Option<i64>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| listen.to_string())?;
    let steps = Steps::open(url, channel(ledger)?, Clock::system(), people).await?;
    let steps = Arc::new(steps);
    let (approved, waiting) = mpsc::unbounded_channel();
    tokio::spawn(work(steps.clone(), waiting));
    println!("ready baseline-cash-outs=http://{}", listener.local_addr()?);
    let mut routes = Routes::builder();
    routes.add_service(WithdrawServiceServer::new(Textbook { steps, approved }));
    let (_serving, ready) = watch::channel(true);
    let (limits, stop) = (Limits::default(), stop_signal());
    grpc(listener, SERVICE_NAME, pb::DESCRIPTORS, routes, ready, limits, stop).await
}

/// Pays what was approved, in the order of approval, many at a time.
async fn work(steps: Arc<Steps>, mut waiting: mpsc::UnboundedReceiver<Due>) {
    let places = Arc::new(Semaphore::new(WORKERS));
    while let Some(due) = waiting.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let steps = steps.clone();
        tokio::spawn(async move {
            let id = due.row.id;
            if let Err(status) = steps.pay(due).await {
                tracing::error!(id, %status, "a cash-out was not paid");
            }
            drop(place);
        });
    }
}

impl Textbook {
    /// Approves, and has it paid.
    async fn approve(&self, id: i64, reviewer: i64) -> Result<CashOut, Failure> {
        let due = self.steps.approve(id, reviewer).await?;
        let row = due.row.clone();
        // The worker ends with the process only.
        let _ = self.approved.send(due);
        Ok(row)
    }
}

fn reviewer<T>(request: &Request<T>) -> Result<i64, Failure> {
    Actor::of(request.metadata())?.person()
}

/// What the documents call a status: in review, approved or being paid, paid.
fn cash_status(status: i64) -> i32 {
    const PAID: i64 = pb::Status::Paid as i64;
    const IN_REVIEW: i64 = pb::Status::InReview as i64;
    match status {
        IN_REVIEW => 1,
        PAID => 5,
        _ => 2,
    }
}

fn shown(row: &CashOut) -> pb::Withdrawal {
    pb::Withdrawal {
        id: row.id,
        user_id: row.user_id,
        cash_sn: row.cash_sn.clone(),
        currency: "CNY".to_owned(),
        apply_minor: row.apply,
        actual_minor: row.apply,
        method: i32::try_from(row.method).unwrap_or_default(),
        provider: "sandbox".to_owned(),
        status: i32::try_from(row.status).unwrap_or_default(),
        cash_status: cash_status(row.status),
        trade_no: row.trade_no.clone(),
        third_trade_no: row.third_trade_no.clone(),
        paid_at_us: row.paid_at,
        created_at_us: row.created_at,
        updated_at_us: row.updated_at,
        reviewers_required: 1,
        ..Default::default()
    }
}

/// Refuses what is not a part of a whole cash-out.
macro_rules! refused {
    ($($name:ident: $request:ident => $response:ident;)*) => {
        $(fn $name<'life0, 'async_trait>(
            &'life0 self,
            _: Request<pb::$request>,
        ) -> std::pin::Pin<Box<
            dyn Future<Output = Result<Response<pb::$response>, Status>> + Send + 'async_trait,
        >>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented("not a part of the comparison")) })
        })*
    };
}

#[tonic::async_trait]
impl WithdrawService for Textbook {
    async fn request_withdrawal(
        &self,
        request: Request<pb::RequestWithdrawalRequest>,
    ) -> Result<Response<pb::RequestWithdrawalResponse>, Status> {
        let (row, replayed) = self.steps.request(request.get_ref()).await?;
        let withdrawal = Some(shown(&row));
        Ok(Response::new(pb::RequestWithdrawalResponse {
            withdrawal,
            replayed,
            ..Default::default()
        }))
    }

    async fn approve_withdrawal(
        &self,
        request: Request<pb::ApproveWithdrawalRequest>,
    ) -> Result<Response<pb::Withdrawal>, Status> {
        let reviewer = reviewer(&request)?;
        let row = self.approve(request.get_ref().id, reviewer).await?;
        Ok(Response::new(shown(&row)))
    }

    /// Approvals one after the other, each by itself: the gateway knows no other way to approve.
    async fn review_withdrawals(
        &self,
        request: Request<pb::ReviewWithdrawalsRequest>,
    ) -> Result<Response<pb::ReviewWithdrawalsResponse>, Status> {
        let reviewer = reviewer(&request)?;
        let asked = request.into_inner();
        if asked.decision() != pb::Decision::Approve {
            return Err(Status::unimplemented("not a part of the comparison"));
        }
        let mut results = Vec::with_capacity(asked.ids.len());
        for id in asked.ids {
            let refused = self.approve(id, reviewer).await.err();
            let reason = refused.as_ref().map_or("", |failure| failure.reason.row().name);
            let (success, reason) = (refused.is_none(), reason.to_owned());
            results.push(pb::ReviewResult { id, success, reason });
        }
        Ok(Response::new(pb::ReviewWithdrawalsResponse { results, replayed: false }))
    }

    async fn get_withdrawal(
        &self,
        request: Request<pb::GetWithdrawalRequest>,
    ) -> Result<Response<pb::Withdrawal>, Status> {
        Ok(Response::new(shown(&self.steps.read(request.get_ref().id).await?)))
    }

    type StreamStatusChangesStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<pb::StatusChange, Status>> + Send>>;

    /// Live changes only: whoever follows a fresh service misses none.
    async fn stream_status_changes(
        &self,
        _: Request<pb::StreamStatusChangesRequest>,
    ) -> Result<Response<Self::StreamStatusChangesStream>, Status> {
        let changes = stream::unfold(self.steps.follow(), |mut changes| async move {
            match changes.recv().await {
                Ok(change) => Some((Ok(change), changes)),
                Err(RecvError::Lagged(_)) => {
                    Some((Err(Status::data_loss("the follower is too slow")), changes))
                }
                Err(RecvError::Closed) => None,
            }
        });
        Ok(Response::new(changes.boxed()))
    }

    refused! {
        quote: QuoteRequest => QuoteResponse;
        list_withdrawals: ListWithdrawalsRequest => ListWithdrawalsResponse;
        refuse_withdrawal: RefuseWithdrawalRequest => Withdrawal;
        mark_paid: MarkPaidRequest => Withdrawal;
        cancel_withdrawal: CancelWithdrawalRequest => Withdrawal;
        get_history: GetHistoryRequest => GetHistoryResponse;
        list_cases: ListCasesRequest => ListCasesResponse;
        resolve_case: ResolveCaseRequest => Case;
        cancel_payout: CancelPayoutRequest => Withdrawal;
        list_channels: ListChannelsRequest => ListChannelsResponse;
        pause_channel: PauseChannelRequest => Channel;
        resume_channel: ResumeChannelRequest => Channel;
        receive_notification: ReceiveNotificationRequest => ReceiveNotificationResponse;
    }
}
