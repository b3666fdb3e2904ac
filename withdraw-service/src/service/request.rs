//! Requesting a cash-out: checks in the documented order (docs/http.md section 3), one job that
//! counts and inserts without races, then the hold. A key that is known wins over every check.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::money::{MAX_MINOR, format_fixed};
use cashout_common::number::{MAX_ID, digest};
use cashout_common::text;
use cashout_common::writer::database_failure;
use cashout_proto::{Failure, FieldViolation, Reason};
use futures::FutureExt;
use futures::future::{Either, select};

use super::declined::{affordable, declined};
use super::effects::{Ended, Going};
use super::payout::order;
use super::{Answered, Core, INLINE_WAIT, replay, same_request, transition};
use crate::domain::method::Method;
use crate::domain::numbers::cash_sn;
use crate::domain::status::{Effect, Status};
use crate::domain::withdrawal::{Applicant, Asked, Details, Due, Holder, Payee, Withdrawal};
use crate::ports::Balance;
use crate::store::answers;
use crate::store::book::{Book, Needs};

/// A request as it came.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Named as in the proto message RequestWithdrawalRequest.
pub struct Request {
    pub user_id: i64,
    pub apply_minor: i64,
    pub method: i32,
    pub mobile: String,
    pub remark: String,
    pub key: String,
    pub variant: String,
}

/// A request that nothing was found against yet, with what was read to find out.
struct Draft {
    w: Withdrawal,
    applicant: Applicant,
    balance: Option<Balance>,
}

/// Under which scope a person's answers are stored.
#[must_use]
pub fn scope(user_id: i64) -> String {
    format!("request:user:{user_id}")
}

/// What the job found or did.
enum Begun {
    /// Somebody began it under this key and may still be at it.
    Going(Withdrawal),
    /// Inserted, with a lease for us.
    New(Withdrawal),
}

impl Request {
    fn digest(&self) -> Vec<u8> {
        digest(&[
            &self.user_id.to_be_bytes(),
            &self.apply_minor.to_be_bytes(),
            &self.method.to_be_bytes(),
            self.mobile.as_bytes(),
            self.remark.as_bytes(),
            self.variant.as_bytes(),
        ])
        .to_vec()
    }

    /// What must be right before the key can be looked up.
    fn check_identity(&self) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        if !(1..=MAX_ID).contains(&self.user_id) {
            wrong.push(violation("user_id", "must be an id".to_owned()));
        }
        if !self.key.is_empty()
            && let Err(rule) = text::key(&self.key, 255)
        {
            wrong.push(violation("key", rule));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::fields(wrong)) }
    }

    fn check_fields(&self) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        if !(1..=MAX_MINOR).contains(&self.apply_minor) {
            wrong.push(violation("apply_minor", "must be more than 0".to_owned()));
        }
        let needed = self.method == Method::Manual.number();
        if (needed || !self.mobile.is_empty())
            && let Err(rule) = text::mobile(&self.mobile)
        {
            wrong.push(violation("mobile", rule));
        }
        if let Err(rule) = text::free(&self.remark, 255) {
            wrong.push(violation("remark", rule));
        }
        // Neither stored nor shown, so it may hold anything.
        if self.variant.chars().count() > 255 {
            wrong.push(violation("variant", "must be at most 255 characters".to_owned()));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::fields(wrong)) }
    }
}

fn violation(field: &str, rule: String) -> FieldViolation {
    FieldViolation { field: field.to_owned(), rule }
}

fn amount_limit(rule: String) -> Failure {
    let fields = vec![violation("apply_minor", rule.clone())];
    Failure { fields, ..Failure::new(Reason::AmountLimit, rule) }
}

impl Core {
    /// Requests a cash-out and waits until its money is frozen.
    ///
    /// # Errors
    /// As `RequestWithdrawal` documents. `UNAVAILABLE` when the ledger's answer is not known yet: the
    /// same key asks again.
    pub async fn request(self: &Arc<Self>, request: Request) -> Result<Answered, Failure> {
        request.check_identity()?;
        let digest = request.digest();
        // Both at once, but a key that is known is not kept waiting for the ledger.
        let known = Box::pin(self.known(&request));
        let draft = Box::pin(self.drafted(&request));
        let draft = match select(known, draft).await {
            Either::Left((known, draft)) => match known? {
                Some(going) => return self.join(going, &digest).boxed().await,
                None => draft.await,
            },
            Either::Right((draft, known)) => match known.await? {
                Some(going) => return self.join(going, &digest).boxed().await,
                None => draft,
            },
        };
        let Draft { w, applicant, balance } = draft?;
        let key = (!w.request_key.is_empty()).then(|| (w.user_id, w.request_key.clone()));
        let day_start_us = self.zone.day_start_us(self.now_us());
        let needs =
            Needs { request: key, usage: Some((w.user_id, day_start_us)), ..Needs::default() };
        let core = self.clone();
        let job = move |book: &mut Book| begin(book, &core, w.clone(), balance);
        match self.store.decide(needs, job).await? {
            Begun::Going(w) => self.join(w, &digest).boxed().await,
            Begun::New(w) => {
                let going = Going { applicant: Some(applicant), ..Going::inline(w) };
                self.run_now(going).await.map_or_else(|| Err(still_going()), told)
            }
        }
    }

    /// What was requested under the same key before.
    async fn known(&self, request: &Request) -> Result<Option<Withdrawal>, Failure> {
        if request.key.is_empty() {
            return Ok(None);
        }
        self.store.requested(request.user_id, &request.key).await
    }

    async fn answered(
        &self,
        user_id: i64,
        key: &str,
        digest: &[u8],
    ) -> Result<Option<Answered>, Failure> {
        let stored = answers::find(self.store.readers(), &scope(user_id), key).await;
        let stored = stored.map_err(|e| database_failure(&e))?;
        stored.map(|stored| replay(stored, digest)).transpose()
    }

    /// Everything about a request that does not depend on other requests.
    async fn drafted(&self, r: &Request) -> Result<Draft, Failure> {
        r.check_fields()?;
        let (min, max) = (self.policy.min_minor, self.policy.max_minor);
        if r.apply_minor < min || r.apply_minor > max {
            let (min, max) = (format_fixed(min), format_fixed(max));
            return Err(amount_limit(format!("must be {min} to {max}")));
        }
        let fee_minor = self.policy.fee_minor(r.apply_minor).unwrap_or(i64::MAX);
        let actual_minor = r.apply_minor.saturating_sub(fee_minor);
        if actual_minor <= 0 {
            return Err(amount_limit("nothing would be left after the fee".to_owned()));
        }
        let method = Method::from_number(r.method)
            .ok_or_else(|| Failure::new(Reason::MethodUnknown, "no such cash-out method"))?;
        let provider = self.providers.for_method(method).ok_or_else(channel_disabled)?.to_owned();
        let (holder, balance) = self.ledger.asker(r.user_id).await?;
        let payee = payee(method, holder.as_ref())?;
        let mut w = Withdrawal::from(Details {
            id: 0,
            asked: Arc::new(Asked {
                cash_sn: String::new(),
                user_id: r.user_id,
                currency: "CNY".to_owned(),
                apply_minor: r.apply_minor,
                fee_minor,
                actual_minor,
                method,
                provider,
                mobile: r.mobile.clone(),
                payee_id: payee.payee_id,
                payee_name: payee.real_name,
                remark: r.remark.clone(),
                reviewers_required: self.policy.reviewers_required(r.apply_minor),
                created_at_us: 0,
                payable_from_us: payee.payable_from_us,
                request_digest: r.digest(),
            }),
            review_remark: String::new(),
            status: Status::Requested,
            version: 0,
            content_digest: String::new(),
            reviewers: 0,
            trade_no: String::new(),
            third_trade_no: String::new(),
            pay_requested_at_us: 0,
            paid_at_us: 0,
            updated_at_us: 0,
            decided_by: String::new(),
            unknown_since_us: 0,
            confirmation: None,
            due: Due { effect: Some(Effect::PlaceHold), ..Due::default() },
            request_key: r.key.clone(),
        });
        self.check_order(&w)?;
        self.lease(&mut w);
        Ok(Draft { w, applicant: holder.into(), balance })
    }

    /// Whether the provider could be asked to pay it at all; manual payouts are asked of nobody.
    fn check_order(&self, w: &Withdrawal) -> Result<(), Failure> {
        let Some(provider) = self.providers.named(&w.provider) else { return Ok(()) };
        // It has no number yet; every number of ours looks like this one.
        provider.check(&order(w, "202001010000000000T1AAAA".to_owned()))
    }

    /// Goes on with a request that was begun under the same key, or waits for who is at it.
    async fn join(self: &Arc<Self>, going: Withdrawal, digest: &[u8]) -> Result<Answered, Failure> {
        same_request(&going.request_digest, digest)?;
        let (user, key, id) = (going.user_id, going.request_key.clone(), going.id);
        if going.status == Status::Requested
            && let Some(w) = self.taken(id).await?
        {
            match self.run_now(Going::inline(w)).await {
                // Somebody was faster after all: theirs is the answer.
                Some(Ended::Stale) => {}
                Some(ended) => return told(ended),
                None => return Err(still_going()),
            }
        }
        let mut changes = self.store.changes();
        let wait = async {
            loop {
                if let Some(answered) = self.answered(user, &key, digest).await? {
                    return Ok(answered);
                }
                if self.current(id).await?.status == Status::Declined {
                    return Err(self.why_declined(id).await?);
                }
                // Other instances' commits are only seen by asking.
                let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
            }
        };
        tokio::time::timeout(INLINE_WAIT, wait).await.unwrap_or_else(|_| Err(still_going()))
    }

    /// Takes over a request nobody is working on.
    async fn taken(self: &Arc<Self>, id: i64) -> Result<Option<Withdrawal>, Failure> {
        let core = self.clone();
        let job = move |book: &mut Book| {
            let mut w = book.get(id)?;
            if w.status != Status::Requested || core.leased(&w.due) {
                return Ok(None);
            }
            core.lease(&mut w);
            book.save(w.status, &mut w)?;
            Ok(Some(w))
        };
        self.store.decide(Needs::id(id), job).await
    }

    /// The refusal that the first caller under a key was told, for another one who waited with them.
    async fn why_declined(&self, id: i64) -> Result<Failure, Failure> {
        let lines = self.changes_after(0, id, 10).await?;
        let reason = lines.last().and_then(|line| Reason::from_name(&line.reason));
        Ok(declined(reason.unwrap_or(Reason::Unavailable)))
    }
}

fn told(ended: Ended) -> Result<Answered, Failure> {
    match ended {
        Ended::Requested(reply) => Ok(Answered { reply, replayed: false }),
        Ended::Declined(failure) => Err(failure),
        Ended::Applied | Ended::GoesOn(_) | Ended::Postponed | Ended::Stale => Err(still_going()),
    }
}

fn still_going() -> Failure {
    let told = "the money is not frozen yet; ask again with the same key";
    Failure::new(Reason::Unavailable, told)
}

/// The refusal of a method that is switched off.
pub(super) fn channel_disabled() -> Failure {
    Failure::new(Reason::ChannelDisabled, "this method is switched off")
}

/// Where a method pays this person. Manual: to the mobile number of the request.
pub(super) fn payee(method: Method, holder: Option<&Holder>) -> Result<Payee, Failure> {
    let bound = |payee: Option<&Payee>, reason, told: &str| {
        let payee = payee.filter(|p| !p.payee_id.is_empty()).cloned();
        payee.ok_or_else(|| Failure::new(reason, told))
    };
    match method {
        Method::Manual => Ok(Payee::default()),
        Method::Wechat => bound(
            holder.and_then(|h| h.wechat.as_ref()),
            Reason::WechatNotBound,
            "bind a WeChat account first",
        ),
        Method::Alipay => bound(
            holder.and_then(|h| h.alipay.as_ref()),
            Reason::AlipayNotBound,
            "bind an Alipay account first",
        ),
    }
}

/// The job: known key, interval, sum of the day, balance, insert. Jobs are decided one after another, so 64
/// requests at a time are counted so too. A key has an answer only if it has a withdrawal.
fn begin(
    book: &mut Book,
    core: &Core,
    mut w: Withdrawal,
    balance: Option<Balance>,
) -> Result<Begun, Failure> {
    if let Some(going) = book.requested(w.user_id, &w.request_key) {
        return Ok(Begun::Going(going));
    }
    let now_us = core.now_us();
    let usage = book.usage(w.user_id);
    let lifts_at_us = core.policy.next_request_us(usage.last_us);
    if usage.last_us != 0 && now_us < lifts_at_us {
        let told = "it is too soon after the last request";
        return Err(Failure::new(Reason::IntervalLimit, told).with("lifts_at_us", lifts_at_us));
    }
    let left_minor = core.policy.daily_left_minor(usage.day_minor);
    if w.apply_minor > left_minor {
        let told = format!("over the limit of the day: {} is left", format_fixed(left_minor));
        return Err(Failure::new(Reason::DailyLimit, told).with("left_minor", left_minor));
    }
    affordable(balance, w.apply_minor)?;
    let asked = Arc::make_mut(&mut w.asked);
    asked.cash_sn = cash_sn(&core.zone.compact_date(now_us), &core.world.random);
    asked.created_at_us = now_us;
    w.content_digest = w.content();
    w.updated_at_us = now_us;
    w.due.next_run_at_us = w.due.lease_until_us;
    book.insert(&mut w);
    transition::born(book, &w, &format!("user:{}", w.user_id));
    Ok(Begun::New(w))
}
