//! One cash-out: seeing it, and taking it back. Another person's is not found, like one that does not
//! exist.

use axum::response::Response;
use cashout_proto::withdraw::v1::{CancelWithdrawalRequest, GetWithdrawalRequest};
use cashout_proto::{Failure, Reason};

use super::answered;
use super::document::{Document, cash};
use super::include::{Include, Related};
use crate::http::{Call, Refusal};
use crate::identity::Permission;

/// `GET /api/wallet/cash/{id}`.
pub(super) async fn show(call: Call) -> Result<Response, Refusal> {
    let id = call.path_id(Reason::WithdrawalNotFound)?;
    let include = Include::read(&call.query)?.unwrap_or_default();
    let everybody = call.who.may(Permission::CashViewList);
    let user_id = if everybody { 0 } else { call.who.user_id };
    let asked = GetWithdrawalRequest { id, user_id };
    let found = call.upstream().get_withdrawal(&call.caller, asked).await.map_err(missing)?;
    let related = Related::of(&call, include, std::iter::once(found.user_id)).await?;
    let mut resource = cash(&found, call.who.user_id, &call.app.zone);
    resource.relationships = related.relationships(found.user_id);
    answered(&Document::of(resource, related.included()), false)
}

/// `DELETE /api/wallet/cash/{id}`: the owner takes the request back while it is in review.
pub(super) async fn cancel(call: Call) -> Result<Response, Refusal> {
    let id = call.path_id(Reason::WithdrawalNotFound)?;
    let remark = String::new();
    let asked = CancelWithdrawalRequest { id, user_id: call.who.user_id, remark };
    let done = call.upstream().cancel_withdrawal(&call.caller, asked).await.map_err(missing)?;
    answered(&Document::of(cash(&done, call.who.user_id, &call.app.zone), Vec::new()), false)
}

/// One text for every way not to exist, so that nobody can tell them apart.
fn missing(failure: Failure) -> Failure {
    if failure.reason == Reason::WithdrawalNotFound {
        return Failure::new(Reason::WithdrawalNotFound, "there is no such object");
    }
    failure
}
