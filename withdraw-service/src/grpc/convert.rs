//! Where wire types stop: between messages and what the service works with.

use std::sync::Arc;

use cashout_common::text::masked_mobile;
use cashout_proto::withdraw::v1 as wire;
use cashout_proto::{Failure, Reason};
use prost::Message;

use crate::domain::status::Status;
use crate::domain::withdrawal::{Payee, Requested, Withdrawal};
use crate::ports::{Acknowledgement, Incoming, Replies, Reviewed};
use crate::service::Answered;
use crate::service::channels::Overview;
use crate::service::questions::Question;
use crate::service::quote::Quote;
use crate::service::reads::Story;
use crate::store::cases::Case;
use crate::store::differences::Difference;
use crate::store::history::Line;
use crate::store::listing::{Filter, Order};

/// Answers are stored as the messages they are.
#[derive(Debug, Clone, Copy)]
pub struct WireReplies;

impl Replies for WireReplies {
    fn requested(&self, requested: &Requested) -> Vec<u8> {
        let Requested { withdrawal: w, account, applicant } = requested;
        let binding = |p: &Payee| wire::WechatBinding {
            mp_openid: p.mp_openid.clone(),
            dev_openid: p.dev_openid.clone(),
            min_openid: p.min_openid.clone(),
            nickname: p.nickname.clone(),
            sex: p.sex,
        };
        wire::RequestWithdrawalResponse {
            withdrawal: Some(withdrawal(w.clone())),
            account: Some(wire::AccountAfter {
                available_minor: account.available_minor,
                frozen_minor: account.frozen_minor,
                locked: account.locked,
            }),
            applicant: applicant.0.as_ref().map(|holder| wire::Applicant {
                username: holder.username.clone(),
                mobile: masked_mobile(&holder.mobile),
                created_at_us: holder.created_at_us,
                updated_at_us: holder.updated_at_us,
                wechat: holder.wechat.as_ref().map(binding),
            }),
            replayed: false,
        }
        .encode_to_vec()
    }

    fn reviewed(&self, results: &[Reviewed]) -> Vec<u8> {
        let result = |r: &Reviewed| wire::ReviewResult {
            id: r.id,
            success: r.refused.is_none(),
            reason: r.refused.unwrap_or_default().to_owned(),
        };
        let results = results.iter().map(result).collect();
        wire::ReviewWithdrawalsResponse { results, replayed: false }.encode_to_vec()
    }
}

/// The message that an answer was stored as.
///
/// # Errors
/// `INTERNAL` when the stored bytes are none.
pub fn stored<M: Message + Default>(answered: &Answered) -> Result<M, Failure> {
    M::decode(answered.reply.as_slice()).map_err(|_| {
        tracing::error!("a stored answer cannot be read");
        Failure::new(Reason::Internal, "internal error")
    })
}

fn small(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A withdrawal as a message.
#[must_use]
pub fn withdrawal(w: Withdrawal) -> wire::Withdrawal {
    let w = w.into_details();
    let (hold_key, asked) = (w.hold_key(), Arc::unwrap_or_clone(w.asked));
    wire::Withdrawal {
        confirmation: w
            .confirmation
            .filter(|_| w.status == Status::Paying)
            .map(|c| wire::Confirmation { mch_id: c.mch_id, app_id: c.app_id, package: c.package }),
        payable_from_us: asked.payable_from_us,
        id: w.id,
        user_id: asked.user_id,
        cash_sn: asked.cash_sn,
        currency: asked.currency,
        apply_minor: asked.apply_minor,
        fee_minor: asked.fee_minor,
        actual_minor: asked.actual_minor,
        method: asked.method.number(),
        provider: asked.provider,
        status: small(w.status.number()),
        cash_status: w.status.cash_status(),
        pay_status: w.status.pay_status(),
        mobile: asked.mobile,
        remark: asked.remark,
        review_remark: w.review_remark,
        payee_id: asked.payee_id,
        trade_no: w.trade_no,
        third_trade_no: w.third_trade_no,
        pay_requested_at_us: w.pay_requested_at_us,
        // Paid is told only once the ledger says so too.
        paid_at_us: if w.status == Status::Paid { w.paid_at_us } else { 0 },
        created_at_us: asked.created_at_us,
        updated_at_us: w.updated_at_us,
        reviewers_required: small(asked.reviewers_required),
        reviewers: small(w.reviewers),
        content_digest: w.content_digest,
        hold_key,
    }
}

/// A line of history as a message.
#[must_use]
pub fn change(line: Line) -> wire::StatusChange {
    wire::StatusChange {
        sequence: line.id,
        withdrawal_id: line.withdrawal_id,
        user_id: line.user_id,
        from: small(line.from_status),
        to: small(line.to_status),
        event: line.event.into_owned(),
        actor: line.actor,
        reason: line.reason,
        at_us: line.at_us,
    }
}

/// A story as a message.
#[must_use]
pub fn history(story: Story) -> wire::GetHistoryResponse {
    let Story { lines, attempts, calls } = story;
    let attempts = attempts.into_iter().map(|a| wire::Attempt {
        calls: calls
            .iter()
            .filter(|call| call.number == a.number)
            .map(|call| wire::ProviderCall {
                operation: call.operation.clone(),
                outcome: call.outcome.clone(),
                detail: call.detail.clone(),
                at_us: call.at_us,
            })
            .collect(),
        trade_no: a.number,
        provider: a.provider,
        amount_minor: a.amount_minor,
        state: a.state,
        request_digest: a.digest,
        created_at_us: a.created_at_us,
    });
    let attempts = attempts.collect();
    wire::GetHistoryResponse { changes: lines.into_iter().map(change).collect(), attempts }
}

/// A case as a message.
#[must_use]
pub fn case(case: Case) -> wire::Case {
    wire::Case {
        provider: String::new(),
        trade_no: String::new(),
        id: case.id,
        withdrawal_id: case.withdrawal_id,
        kind: case.kind,
        evidence: case.evidence,
        opened_at_us: case.opened_at_us,
        resolution: case.resolution,
        resolved_by: case.resolved_by,
        resolved_at_us: case.resolved_at_us,
    }
}

/// A difference with a bill as a message.
#[must_use]
pub fn difference(difference: Difference) -> wire::Case {
    wire::Case {
        provider: difference.provider,
        trade_no: difference.number,
        id: difference.id,
        withdrawal_id: difference.withdrawal_id,
        kind: difference.kind,
        evidence: difference.evidence,
        opened_at_us: difference.first_seen_us,
        resolution: difference.resolution,
        resolved_by: difference.resolved_by,
        resolved_at_us: difference.resolved_at_us,
    }
}

/// Either as a message.
#[must_use]
pub fn question(question: Question) -> wire::Case {
    match question {
        Question::Case(found) => case(found),
        Question::Difference(found) => difference(found),
    }
}

/// A channel as a message.
#[must_use]
pub fn channel(overview: Overview) -> wire::Channel {
    let Overview { channel, queue } = overview;
    wire::Channel {
        provider: channel.provider,
        paused: channel.paused != 0,
        cause: channel.cause,
        reason: channel.reason,
        changed_by: channel.changed_by,
        changed_at_us: channel.changed_at_us,
        balance_minor: channel.balance_minor,
        balance_at_us: channel.balance_at_us,
        queued_minor: queue.minor,
        queued: queue.count,
    }
}

/// A notification as it came in, and whose it is said to be.
#[must_use]
pub fn incoming(r: wire::ReceiveNotificationRequest) -> (String, Incoming) {
    let headers = r.headers.into_iter().map(|h| (h.name.to_lowercase(), h.value)).collect();
    (r.provider, Incoming { headers, body: r.body })
}

/// What a provider is to be told.
#[must_use]
pub fn acknowledgement(told: &Acknowledgement) -> wire::ReceiveNotificationResponse {
    wire::ReceiveNotificationResponse {
        http_status: i32::from(told.status),
        content_type: told.content_type.to_owned(),
        body: told.body.to_owned(),
    }
}

/// A quote as a message.
#[must_use]
pub fn quote(quote: Quote) -> wire::QuoteResponse {
    let reasons = quote.limits.into_iter().map(|limit| wire::LimitReason {
        reason: limit.reason.row().name.to_owned(),
        message: limit.message,
        max_minor: limit.max_minor,
        lifts_at_us: limit.lifts_at_us,
    });
    wire::QuoteResponse {
        fee_minor: quote.fee_minor,
        actual_minor: quote.actual_minor,
        max_minor: quote.max_minor,
        min_minor: quote.min_minor,
        reasons: reasons.collect(),
    }
}

/// The filter of a list.
///
/// # Errors
/// `INVALID_ARGUMENT` with the fields.
pub fn filter(r: wire::ListWithdrawalsRequest) -> Result<Filter, Failure> {
    let order = match wire::Sort::try_from(r.sort) {
        Ok(wire::Sort::CreatedDesc) => Order::CreatedDesc,
        Ok(wire::Sort::CreatedAsc) => Order::CreatedAsc,
        Ok(wire::Sort::UpdatedDesc) => Order::UpdatedDesc,
        Ok(wire::Sort::UpdatedAsc) => Order::UpdatedAsc,
        Err(_) => return Err(Failure::field("sort", "no such order")),
    };
    if r.user_ids.len() > 1000 {
        return Err(Failure::field("user_ids", "must be at most 1000"));
    }
    if r.before_id > 0 && order != Order::CreatedDesc {
        return Err(Failure::field("before_id", "works with newest first only"));
    }
    let limit = i64::from(if r.limit == 0 { 20 } else { r.limit });
    if !(1..=500).contains(&limit) {
        return Err(Failure::field("limit", "must be 1 to 500"));
    }
    if r.offset < 0 {
        return Err(Failure::field("offset", "must not be negative"));
    }
    // PostgreSQL takes no NUL in a text; nothing we store has control characters.
    for (field, value) in [("cash_sn", &r.cash_sn), ("mobile", &r.mobile)] {
        cashout_common::text::free(value, 64).map_err(|rule| Failure::field(field, rule))?;
    }
    let text = |text: String| Some(text).filter(|t| !t.is_empty());
    let time = |us: i64| Some(us).filter(|us| *us != 0);
    Ok(Filter {
        user_ids: r.user_ids,
        cash_sn: text(r.cash_sn),
        cash_status: r.cash_status,
        method: r.cash_type,
        mobile: text(r.mobile),
        created_from_us: time(r.created_from_us),
        created_until_us: time(r.created_until_us),
        before_id: Some(r.before_id).filter(|id| *id > 0),
        order,
        limit,
        offset: r.offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_statuses_are_those_of_the_wire() {
        for status in Status::ALL {
            let name = format!("STATUS_{}", status.name().to_uppercase());
            let wire = wire::Status::from_str_name(&name);
            assert_eq!(wire.map(|w| w as i32), Some(small(status.number())), "{name}");
        }
    }
}
