//! Deciding on requests: approve, refuse, mark paid. Maker and checker are different people, and a
//! checker approves exactly what is paid (G10, G17).

use std::sync::Arc;

use cashout_common::number::digest;
use cashout_common::text;
use cashout_proto::{Failure, Reason};
use futures::future::join_all;

use super::effects::Going;
use super::transition::{Step, advance, illegal};
use super::{Answered, Core, replay};
use crate::domain::method::Method;
use crate::domain::status::{Event, Status, next};
use crate::domain::withdrawal::Withdrawal;
use crate::ports::Reviewed;
use crate::store::answers::Stored;
use crate::store::book::{Book, Needs};
use crate::store::withdrawals::not_found;

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Pay it. `content_digest` is what the reviewer saw; empty when not told.
    Approve {
        /// Digest of the content.
        content_digest: String,
    },
    /// Do not pay it.
    Refuse,
    /// It was paid by hand.
    MarkPaid {
        /// The number of that payment; may be empty.
        third_trade_no: String,
    },
}

/// One decision of a person.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What.
    pub verdict: Verdict,
    /// Who.
    pub reviewer: i64,
    /// Why, for the applicant.
    pub remark: String,
}

impl Decision {
    fn check(&self) -> Result<(), Failure> {
        text::free(&self.remark, 255).map_err(|rule| Failure::field("remark", rule))?;
        if let Verdict::MarkPaid { third_trade_no } = &self.verdict {
            text::free(third_trade_no, 64)
                .map_err(|rule| Failure::field("third_trade_no", rule))?;
        }
        Ok(())
    }

    /// Which decision, for the digest under a key.
    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Approve { .. } => "approve",
            Verdict::Refuse => "refuse",
            Verdict::MarkPaid { .. } => "mark_paid",
        }
    }
}

impl Core {
    /// Decides on one withdrawal and, where money moves at once, waits a moment for it.
    ///
    /// # Errors
    /// As `ApproveWithdrawal`, `RefuseWithdrawal` and `MarkPaid` document.
    pub async fn decide(
        self: &Arc<Self>,
        id: i64,
        decision: Decision,
    ) -> Result<Withdrawal, Failure> {
        decision.check()?;
        let core = self.clone();
        let approves = matches!(decision.verdict, Verdict::Approve { .. });
        let job = move |book: &mut Book| decide_one(book, &core, id, &decision);
        let decided = self.store.decide(Needs::id(id), job).await?;
        let w = decided.w.clone();
        self.finish(vec![decided]).await;
        if approves { Ok(w) } else { self.current(id).await }
    }

    /// Decides on many, each by itself, in one transaction; the results are stored under the key.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` or `IDEMPOTENCY_CONFLICT`; a refusal of one item is its result.
    pub async fn review(
        self: &Arc<Self>,
        ids: Vec<i64>,
        decision: Decision,
        key: String,
    ) -> Result<Answered, Failure> {
        let mut seen = std::collections::HashSet::new();
        let ids: Vec<i64> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        if ids.is_empty() || ids.len() > 200 {
            return Err(Failure::field("ids", "must be 1 to 200 ids"));
        }
        if !key.is_empty() {
            text::key(&key, 255).map_err(|rule| Failure::field("key", rule))?;
        }
        decision.check()?;
        let core = self.clone();
        let scope = format!("review:user:{}", decision.reviewer);
        let answer = (!key.is_empty()).then_some((scope, key));
        let needs = Needs { ids: ids.clone(), answer: answer.clone(), ..Needs::default() };
        let job = move |book: &mut Book| review_job(book, &core, &ids, &decision, answer.as_ref());
        let (answered, decided) = self.store.decide(needs, job).await?;
        self.finish(decided).await;
        Ok(answered)
    }

    /// Carries out at once what became due and has our lease; the rest is the worker's. Payouts take
    /// their time, nobody waits for them.
    pub(super) async fn finish(self: &Arc<Self>, decided: Vec<Going>) {
        let mut awaited = Vec::new();
        for going in decided.into_iter().filter(|going| going.w.due.effect.is_some()) {
            if going.w.due.lease_owner != self.instance {
                self.wake.notify_one();
            } else if going.place.is_some() {
                self.go_on(going);
            } else {
                awaited.push(self.run_now(going));
            }
        }
        join_all(awaited).await;
    }
}

fn review_job(
    book: &mut Book,
    core: &Core,
    ids: &[i64],
    decision: &Decision,
    answer: Option<&(String, String)>,
) -> Result<(Answered, Vec<Going>), Failure> {
    let listed: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    let digest =
        digest(&[&listed, decision.word().as_bytes(), decision.remark.as_bytes()]).to_vec();
    if let Some(stored) = answer.and_then(|(scope, key)| book.answer(scope, key)) {
        return Ok((replay(stored, &digest)?, Vec::new()));
    }
    let (mut results, mut decided) = (Vec::new(), Vec::with_capacity(ids.len()));
    for id in ids {
        // A refusal comes before anything is changed, so it leaves nothing to undo.
        let refused = match decide_one(book, core, *id, decision) {
            Ok(going) => {
                decided.push(going);
                None
            }
            Err(failure) => Some(failure.reason.row().name),
        };
        results.push(Reviewed { id: *id, refused });
    }
    let reply = core.replies.reviewed(&results);
    if let Some((scope, key)) = answer {
        let stored = Stored { digest, reply: reply.clone() };
        book.put_answer(scope, key, stored, core.now_us());
    }
    Ok((Answered { reply, replayed: false }, decided))
}

/// One decision inside a job: every check first, then the changes. What is approved is sent at once when
/// there is a place: its attempt is written with the approval.
fn decide_one(
    book: &mut Book,
    core: &Core,
    id: i64,
    decision: &Decision,
) -> Result<Going, Failure> {
    let mut w = book.get(id)?;
    if !w.status.visible() {
        return Err(not_found());
    }
    let event = event_of(&w, decision);
    if next(w.status, event).is_none() {
        return Err(illegal(w.status, event));
    }
    if w.user_id == decision.reviewer {
        return Err(Failure::new(Reason::SelfReview, "another person must decide on it"));
    }
    let now_us = core.now_us();
    match &decision.verdict {
        Verdict::Approve { content_digest } => {
            check_content(&w, content_digest)?;
            add_review(book, &mut w, decision.reviewer, now_us)?;
        }
        Verdict::MarkPaid { third_trade_no } => {
            check_by_hand(&w)?;
            // Who marks a request that is still in review has reviewed it.
            if w.status == Status::InReview {
                check_content(&w, "")?;
                add_review(book, &mut w, decision.reviewer, now_us)?;
            }
            w.third_trade_no.clone_from(third_trade_no);
            w.paid_at_us = now_us;
            core.lease(&mut w);
        }
        Verdict::Refuse => core.lease(&mut w),
    }
    w.decided_by = format!("user:{}", decision.reviewer);
    if !decision.remark.is_empty() || decision.verdict == Verdict::Refuse {
        w.review_remark.clone_from(&decision.remark);
    }
    let actor = w.decided_by.clone();
    advance(book, &mut w, Step::person(event, &actor, &decision.remark, now_us))?;
    let mut going = Going::inline(w);
    core.begin_payout(book, &mut going)?;
    Ok(going)
}

fn event_of(w: &Withdrawal, decision: &Decision) -> Event {
    match decision.verdict {
        // Whoever approved already is told so before this event is carried out.
        Verdict::Approve { .. } if w.reviewers + 1 < w.reviewers_required => Event::ApproveFirst,
        Verdict::Approve { .. } => Event::Approve,
        Verdict::Refuse => Event::Refuse,
        Verdict::MarkPaid { .. } => Event::MarkPaid,
    }
}

fn check_content(w: &Withdrawal, seen: &str) -> Result<(), Failure> {
    if w.content() != w.content_digest || (!seen.is_empty() && seen != w.content_digest) {
        let told = "what would be paid is not what was shown; look again";
        return Err(Failure::new(Reason::ReviewedContentChanged, told));
    }
    Ok(())
}

fn check_by_hand(w: &Withdrawal) -> Result<(), Failure> {
    if w.method != Method::Manual {
        let told = "only manual withdrawals are marked paid by hand";
        return Err(Failure::new(Reason::MethodMismatch, told));
    }
    if w.status == Status::InReview && w.reviewers_required > 1 {
        return Err(illegal(w.status, Event::MarkPaid));
    }
    Ok(())
}

fn add_review(
    book: &mut Book,
    w: &mut Withdrawal,
    reviewer: i64,
    now_us: i64,
) -> Result<(), Failure> {
    if !book.review(w, reviewer, now_us) {
        let told = "you approved it already; another person must approve it too";
        return Err(Failure::new(Reason::AlreadyReviewed, told));
    }
    w.reviewers += 1;
    Ok(())
}
