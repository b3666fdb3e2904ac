//! The RPCs, one after another. Each is finished whatever becomes of its caller (see `boundary`), so none is cancelled
//! half-way.

use std::sync::Arc;

use cashout_common::actor::Actor;
use cashout_proto::Failure;
use cashout_proto::withdraw::v1 as wire;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::convert;
use crate::domain::withdrawal::Withdrawal;
use crate::service::Core;
use crate::service::questions::Question;
use crate::service::request;
use crate::service::resolve::{Finding, Resolution};
use crate::service::review::{Decision, Verdict};
use crate::store::differences::FIRST_ID;

type Answer<T> = Result<Response<T>, Status>;

/// The server.
pub struct Server {
    core: Arc<Core>,
    stop: CancellationToken,
}

impl Server {
    /// Over the verbs; streams end at `stop`.
    #[must_use]
    pub fn new(core: Arc<Core>, stop: CancellationToken) -> Self {
        Self { core, stop }
    }

    async fn decide(
        &self,
        metadata: &MetadataMap,
        id: i64,
        verdict: Verdict,
        remark: String,
    ) -> Answer<wire::Withdrawal> {
        let decision = Decision { verdict, reviewer: person(metadata)?, remark };
        told(self.core.decide(id, decision).await?)
    }

    async fn switch(
        &self,
        provider: String,
        pauses: bool,
        operator: i64,
        reason: String,
    ) -> Answer<wire::Channel> {
        let switched = self.core.switch_channel(provider, pauses, operator, reason).await?;
        Ok(Response::new(convert::channel(switched)))
    }
}

fn person(metadata: &MetadataMap) -> Result<i64, Failure> {
    Actor::of(metadata)?.person()
}

fn told(w: Withdrawal) -> Answer<wire::Withdrawal> {
    Ok(Response::new(convert::withdrawal(w)))
}

#[tonic::async_trait]
impl wire::withdraw_service_server::WithdrawService for Server {
    async fn quote(&self, request: Request<wire::QuoteRequest>) -> Answer<wire::QuoteResponse> {
        let r = request.into_inner();
        let quote = self.core.quote(r.user_id, r.apply_minor, r.method).await?;
        Ok(Response::new(convert::quote(quote)))
    }

    async fn request_withdrawal(
        &self,
        request: Request<wire::RequestWithdrawalRequest>,
    ) -> Answer<wire::RequestWithdrawalResponse> {
        let r = request.into_inner();
        let asked = request::Request {
            user_id: r.user_id,
            apply_minor: r.apply_minor,
            method: r.method,
            mobile: r.mobile,
            remark: r.remark,
            key: r.key,
            variant: r.variant,
        };
        let answered = self.core.request(asked).await?;
        let mut reply: wire::RequestWithdrawalResponse = convert::stored(&answered)?;
        reply.replayed = answered.replayed;
        Ok(Response::new(reply))
    }

    async fn get_withdrawal(
        &self,
        request: Request<wire::GetWithdrawalRequest>,
    ) -> Answer<wire::Withdrawal> {
        let r = request.into_inner();
        told(self.core.get(r.id, r.user_id).await?)
    }

    async fn list_withdrawals(
        &self,
        request: Request<wire::ListWithdrawalsRequest>,
    ) -> Answer<wire::ListWithdrawalsResponse> {
        let r = request.into_inner();
        if r.nobody {
            return Ok(Response::new(wire::ListWithdrawalsResponse::default()));
        }
        let (found, total) = self.core.list(&convert::filter(r)?).await?;
        let withdrawals = found.into_iter().map(convert::withdrawal).collect();
        Ok(Response::new(wire::ListWithdrawalsResponse { withdrawals, total }))
    }

    async fn review_withdrawals(
        &self,
        request: Request<wire::ReviewWithdrawalsRequest>,
    ) -> Answer<wire::ReviewWithdrawalsResponse> {
        let reviewer = person(request.metadata())?;
        let r = request.into_inner();
        let verdict = match wire::Decision::try_from(r.decision) {
            Ok(wire::Decision::Approve) => Verdict::Approve { content_digest: String::new() },
            Ok(wire::Decision::Refuse) => Verdict::Refuse,
            Ok(wire::Decision::MarkPaid) => Verdict::MarkPaid { third_trade_no: String::new() },
            Ok(wire::Decision::Unspecified) | Err(_) => {
                return Err(Failure::field("decision", "approve, refuse or mark paid").into());
            }
        };
        let decision = Decision { verdict, reviewer, remark: r.remark };
        let answered = self.core.review(r.ids, decision, r.key).await?;
        let mut reply: wire::ReviewWithdrawalsResponse = convert::stored(&answered)?;
        reply.replayed = answered.replayed;
        Ok(Response::new(reply))
    }

    async fn approve_withdrawal(
        &self,
        request: Request<wire::ApproveWithdrawalRequest>,
    ) -> Answer<wire::Withdrawal> {
        let (metadata, _, r) = request.into_parts();
        let verdict = Verdict::Approve { content_digest: r.content_digest };
        self.decide(&metadata, r.id, verdict, r.remark).await
    }

    async fn refuse_withdrawal(
        &self,
        request: Request<wire::RefuseWithdrawalRequest>,
    ) -> Answer<wire::Withdrawal> {
        let (metadata, _, r) = request.into_parts();
        self.decide(&metadata, r.id, Verdict::Refuse, r.remark).await
    }

    async fn mark_paid(&self, request: Request<wire::MarkPaidRequest>) -> Answer<wire::Withdrawal> {
        let (metadata, _, r) = request.into_parts();
        let verdict = Verdict::MarkPaid { third_trade_no: r.third_trade_no };
        self.decide(&metadata, r.id, verdict, r.remark).await
    }

    async fn cancel_withdrawal(
        &self,
        request: Request<wire::CancelWithdrawalRequest>,
    ) -> Answer<wire::Withdrawal> {
        let actor = Actor::of(request.metadata())?;
        let r = request.into_inner();
        if matches!(actor, Actor::Person(id) if id != r.user_id) {
            return Err(crate::store::withdrawals::not_found().into());
        }
        told(self.core.cancel(r.id, r.user_id, r.remark).await?)
    }

    async fn get_history(
        &self,
        request: Request<wire::GetHistoryRequest>,
    ) -> Answer<wire::GetHistoryResponse> {
        let r = request.into_inner();
        Ok(Response::new(convert::history(self.core.story(r.id, r.user_id).await?)))
    }

    async fn list_cases(
        &self,
        request: Request<wire::ListCasesRequest>,
    ) -> Answer<wire::ListCasesResponse> {
        let r = request.into_inner();
        let limit = i64::from(if r.limit == 0 { 50 } else { r.limit });
        if !(1..=200).contains(&limit) {
            return Err(Failure::field("limit", "must be 1 to 200").into());
        }
        let before_id = if r.before_id > 0 { r.before_id } else { i64::MAX };
        let cases = self.core.questions(r.open_only, before_id, limit).await?;
        let full = i64::try_from(cases.len()).is_ok_and(|n| n == limit);
        let next_before_id = cases.last().filter(|_| full).map_or(0, Question::id);
        let cases = cases.into_iter().map(convert::question).collect();
        Ok(Response::new(wire::ListCasesResponse { cases, next_before_id }))
    }

    async fn resolve_case(&self, request: Request<wire::ResolveCaseRequest>) -> Answer<wire::Case> {
        let resolver = person(request.metadata())?;
        let r = request.into_inner();
        if r.id >= FIRST_ID {
            let noted = self.core.note(r.id, resolver, r.reason).await?;
            return Ok(Response::new(convert::difference(noted)));
        }
        let finding = match wire::Resolution::try_from(r.resolution) {
            Ok(wire::Resolution::Paid) => Finding::Paid,
            Ok(wire::Resolution::NotPaid) => Finding::NotPaid,
            Ok(wire::Resolution::AskAgain) => Finding::AskAgain,
            Ok(wire::Resolution::Unspecified) | Err(_) => {
                return Err(Failure::field("resolution", "paid, not paid or ask again").into());
            }
        };
        let (reason, third_trade_no) = (r.reason, r.third_trade_no);
        let given = Resolution { finding, resolver, reason, third_trade_no };
        Ok(Response::new(convert::case(self.core.resolve(r.id, given).await?)))
    }

    async fn cancel_payout(
        &self,
        request: Request<wire::CancelPayoutRequest>,
    ) -> Answer<wire::Withdrawal> {
        let operator = person(request.metadata())?;
        let r = request.into_inner();
        told(self.core.cancel_payout(r.id, operator, r.reason).await?)
    }

    async fn list_channels(
        &self,
        _: Request<wire::ListChannelsRequest>,
    ) -> Answer<wire::ListChannelsResponse> {
        let channels = self.core.channels().await?.into_iter().map(convert::channel).collect();
        Ok(Response::new(wire::ListChannelsResponse { channels }))
    }

    async fn pause_channel(
        &self,
        request: Request<wire::PauseChannelRequest>,
    ) -> Answer<wire::Channel> {
        let operator = person(request.metadata())?;
        let r = request.into_inner();
        self.switch(r.provider, true, operator, r.reason).await
    }

    async fn resume_channel(
        &self,
        request: Request<wire::ResumeChannelRequest>,
    ) -> Answer<wire::Channel> {
        let operator = person(request.metadata())?;
        let r = request.into_inner();
        self.switch(r.provider, false, operator, r.reason).await
    }

    async fn receive_notification(
        &self,
        request: Request<wire::ReceiveNotificationRequest>,
    ) -> Answer<wire::ReceiveNotificationResponse> {
        let (provider, incoming) = convert::incoming(request.into_inner());
        let told = self.core.receive(provider, incoming).await?;
        Ok(Response::new(convert::acknowledgement(&told)))
    }

    type StreamStatusChangesStream = BoxStream<'static, Result<wire::StatusChange, Status>>;

    async fn stream_status_changes(
        &self,
        request: Request<wire::StreamStatusChangesRequest>,
    ) -> Answer<Self::StreamStatusChangesStream> {
        let r = request.into_inner();
        Ok(Response::new(super::stream::changes(self.core.clone(), r, self.stop.clone())))
    }
}
