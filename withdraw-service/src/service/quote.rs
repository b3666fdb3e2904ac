//! What a request made now would cost and be allowed, and every rule that keeps it down. Nothing is
//! reserved: the request itself is counted when it is written.

use cashout_common::money::format_fixed;
use cashout_common::writer::database_failure;
use cashout_proto::{Failure, Reason};

use super::Core;
use super::declined::declined;
use super::request::{channel_disabled, payee};
use crate::domain::method::Method;
use crate::store::withdrawals;

/// One rule and how far it lets a person go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// The most it alone allows now.
    pub max_minor: i64,
    /// When it lifts by itself; 0 when it does not.
    pub lifts_at_us: i64,
}

/// An answer to "what if".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What would be kept.
    pub fee_minor: i64,
    /// What would arrive.
    pub actual_minor: i64,
    /// The most a request may take.
    pub max_minor: i64,
    /// The least a request may take.
    pub min_minor: i64,
    /// What stops this request or keeps the maximum down, strongest first.
    pub limits: Vec<Limit>,
}

impl Core {
    /// Quotes a request of `apply_minor` (0: only the limits).
    ///
    /// # Errors
    /// `METHOD_UNKNOWN`, `INVALID_ARGUMENT`, or a part of the system does not answer.
    pub async fn quote(
        &self,
        user_id: i64,
        apply_minor: i64,
        method: i32,
    ) -> Result<Quote, Failure> {
        if apply_minor < 0 {
            return Err(Failure::field("apply_minor", "must not be negative"));
        }
        let method = Method::from_number(method)
            .ok_or_else(|| Failure::new(Reason::MethodUnknown, "no such cash-out method"))?;
        let mut limits = self.limits(user_id, method).await?;
        limits.sort_by_key(|limit| limit.max_minor);
        let lowest = limits.first().map_or(0, |limit| limit.max_minor);
        let max_minor = if lowest < self.policy.min_minor { 0 } else { lowest };
        let fee_minor = self.policy.fee_minor(apply_minor).unwrap_or(0);
        let bar = apply_minor.max(self.policy.max_minor);
        limits.retain(|limit| limit.max_minor < bar || limit.max_minor == lowest);
        if apply_minor > 0 && (apply_minor < self.policy.min_minor || apply_minor <= fee_minor) {
            let least = format_fixed(self.policy.min_minor);
            let message = format!("must be at least {least} and more than the fee");
            let limit = Limit { reason: Reason::AmountLimit, message, max_minor, lifts_at_us: 0 };
            limits.insert(0, limit);
        }
        let actual_minor = apply_minor.saturating_sub(fee_minor).max(0);
        let min_minor = self.policy.min_minor;
        Ok(Quote { fee_minor, actual_minor, max_minor, min_minor, limits })
    }

    /// Every rule, whether it is in the way or not.
    async fn limits(&self, user_id: i64, method: Method) -> Result<Vec<Limit>, Failure> {
        let mut limits = Vec::new();
        let mut add = |reason, message: &str, max_minor, lifts_at_us| {
            limits.push(Limit { reason, message: message.to_owned(), max_minor, lifts_at_us });
        };
        let now_us = self.now_us();
        if self.providers.for_method(method).is_none() {
            let off = channel_disabled();
            add(off.reason, &off.message, 0, 0);
        } else if method != Method::Manual {
            let holder = self.ledger.holder(user_id).await?;
            if let Err(unbound) = payee(method, holder.as_ref()) {
                add(unbound.reason, &unbound.message, 0, 0);
            }
        }
        let today_us = self.zone.day_start_us(now_us);
        let usage = withdrawals::usage_now(self.store.readers(), user_id, today_us).await;
        let usage = usage.map_err(|e| database_failure(&e))?;
        let again_us = self.policy.next_request_us(usage.last_us);
        if usage.last_us != 0 && now_us < again_us {
            add(Reason::IntervalLimit, "it is too soon after the last request", 0, again_us);
        }
        let left_minor = self.policy.daily_left_minor(usage.day_minor);
        // A day lasts at most 25 hours, so 26 hours on is in the next one.
        let tomorrow_us = self.zone.day_start_us(today_us.saturating_add(26 * 3_600_000_000));
        add(Reason::DailyLimit, "the sum of a day is limited", left_minor, tomorrow_us);
        let balance = self.ledger.balance(user_id).await?;
        if balance.is_some_and(|b| b.locked) {
            let locked = declined(Reason::AccountLocked);
            add(locked.reason, &locked.message, 0, 0);
        }
        let available_minor = balance.map_or(0, |b| b.available_minor.max(0));
        add(Reason::InsufficientFunds, "not more than is available", available_minor, 0);
        add(Reason::AmountLimit, "one request is limited", self.policy.max_minor, 0);
        Ok(limits)
    }
}
