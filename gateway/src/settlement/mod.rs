//! Document 1, `/sett/*`: the settlement of a teacher (docs/http.md section 1).
//!
//! Must not know: how balances come about; it shows what the services answer.

mod withdraw_list;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use cashout_common::money::format_fixed;
use cashout_common::number::parse_id;
use cashout_proto::account::v1::{Account, GetAccountRequest};
use cashout_proto::{Failure, Reason};
use serde::Serialize;

use crate::http::{App, Call, Family, Parameters, Refusal, answer};
use crate::json::Number;
use crate::upstream::account_of;

/// The family's part of `/openapi.json`.
pub const DESCRIPTION: &str = include_str!("description.json");

/// Both endpoints, by GET or POST.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sett/sett", get(settlement).post(settlement))
        .route("/sett/withdrawList", get(withdraw_list::show).post(withdraw_list::show))
}

#[derive(Serialize)]
struct Envelope<D> {
    code: i32,
    data: D,
}

#[derive(Serialize)]
struct Rows<T> {
    count: usize,
    ts: i64,
    items: Vec<T>,
}

/// Field order and types as documented.
#[derive(Serialize)]
struct Settlement {
    id: String,
    user_id: String,
    total_income: Number,
    total_withdraw: String,
    total_left: String,
    can_withdraw: String,
    sett_time: Option<String>,
    update_time: String,
    status: &'static str,
    lock_time: Option<String>,
}

async fn settlement(call: Call) -> Result<Response, Refusal> {
    let (_, user_id) = read(&call)?;
    let asked = GetAccountRequest { account: Some(account_of(user_id)), ..Default::default() };
    let items = match call.upstream().get_account(&call.caller, asked).await {
        Ok(found) => found.account.iter().map(|account| row(&call, account)).collect(),
        Err(failure) if failure.reason == Reason::AccountNotFound => Vec::new(),
        Err(failure) => return Err(failure.into()),
    };
    let data = Rows { count: items.len(), ts: call.now_s(), items };
    answer(Family::Settlement, &Envelope { code: 0, data })
}

fn row(call: &Call, account: &Account) -> Settlement {
    let zone = &call.app.zone;
    // Below zero, which an overdraft allows, nothing is left: 0 <= can_withdraw <= total_left.
    let left = account.available_minor.saturating_add(account.frozen_minor).max(0);
    let available = if account.locked { 0 } else { account.available_minor.clamp(0, left) };
    Settlement {
        id: account.id.to_string(),
        user_id: account.user_id.to_string(),
        total_income: Number(account.income_total_minor),
        total_withdraw: format_fixed(account.withdrawn_total_minor),
        total_left: format_fixed(left),
        can_withdraw: format_fixed(available),
        sett_time: local(call, account.last_income_at_us),
        update_time: zone.datetime(call.now_us()),
        status: if account.locked { "1" } else { "0" },
        lock_time: local(call, account.locked_at_us).filter(|_| account.locked),
    }
}

/// A local time, or null when there is none.
fn local(call: &Call, us: i64) -> Option<String> {
    (us != 0).then(|| call.app.zone.datetime(us))
}

/// What both endpoints are asked: their parameters, and whose settlement it is.
fn read(call: &Call) -> Result<(Parameters, i64), Failure> {
    if call.is_post() {
        // A read has nothing to store under a key, but a broken key is broken everywhere.
        call.idempotency_key()?;
    }
    let parameters = call.parameters()?;
    let user_id = teacher(call, &parameters)?;
    Ok((parameters, user_id))
}

/// The teacher a request is about: teachers and admins may ask, teachers only about themselves.
fn teacher(call: &Call, parameters: &Parameters) -> Result<i64, Failure> {
    let denied = |message: &str| Err(Failure::new(Reason::PermissionDenied, message));
    if !call.who.is_teacher() && !call.who.is_admin() {
        return denied("this is for teachers");
    }
    let id = match parameters.filled("id")? {
        None => call.who.user_id,
        Some(text) => parse_id(text).ok_or_else(|| Failure::field("id", "must be a user id"))?,
    };
    if id != call.who.user_id && !call.who.is_admin() {
        return denied("a teacher may ask only about themself");
    }
    Ok(id)
}
