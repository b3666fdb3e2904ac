//! The control API under `/sandbox/`: faults, balance, clock, payouts, books. It has no key: the listener
//! is of this machine alone, and a browser's page of another origin is refused.
//!
//! | | |
//! |---|---|
//! | `GET /sandbox/books` | payouts, totals, funds; `provider`, `number`, `after`, `limit` |
//! | `GET /sandbox/requests`, `changes`, `notifications`, `flows` | the same filters |
//! | `GET`, `POST`, `DELETE /sandbox/faults` | see [`crate::faults::Fault`] |
//! | `POST /sandbox/balance` | `{"provider", "amount_minor"}`: what is free from now on |
//! | `POST /sandbox/flows` | `{"provider", "number", "amount_minor"}`: money that nobody asked for |
//! | `GET`, `POST /sandbox/clock` | `{"ahead_s"}` or `{"advance_s"}` |
//! | `POST /sandbox/payouts/{number}/confirm` | also `expire`, `cancel`, `fail`, `refund`, `notify` |
//! | `POST /sandbox/settings` | `{"wechat_by_certificate", "alipay_by_next", "alipay_notify_url"}` |

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::books::{Flow, Heard};
use crate::config::loopback_url;
use crate::faults::Fault;
use crate::notify;
use crate::payout::{PROVIDERS, Provider};
use crate::sim::{Sim, locked};
use crate::store::listing::Wanted;
use crate::wechat::body_digest;
use crate::wire::Answer;

/// Names of settings in the books.
pub const AHEAD: &str = "ahead_us";
/// Whether notifications of WeChat Pay are signed by the certificate's key.
pub const BY_CERTIFICATE: &str = "wechat_by_certificate";
/// Whether Alipay signs with its next certificate.
pub const BY_NEXT: &str = "alipay_by_next";

/// Most rows of one answer.
const ROWS: i64 = 10_000;

/// Why a command was not carried out.
enum Refusal {
    /// The command is wrong.
    Wrong(String),
    /// There is no such thing.
    Unknown,
    /// The books cannot be read or written.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::Wrong(why.into())
}

/// Answers a command.
pub async fn answer(
    sim: &Arc<Sim>,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    // A page of somebody else's in the same browser must not move this machine's books.
    if headers.contains_key("origin") {
        return Answer::json(403, &json!({ "error": "not from a page" }));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let done = match (method.as_str(), parts.as_slice()) {
        ("GET", ["books"]) => books(sim, query).await,
        ("GET", ["faults"]) => Ok(faults(sim)),
        ("DELETE", ["faults"]) => {
            locked(&sim.faults).clear();
            Ok(faults(sim))
        }
        ("GET", ["clock"]) => Ok(clock(sim)),
        ("GET", [list]) => listed(sim, list, query).await,
        ("POST", parts) => match read(body) {
            Ok(body) => posted(sim, parts, &body).await,
            Err(refusal) => Err(refusal),
        },
        _ => Err(Refusal::Unknown),
    };
    match done {
        Ok(value) => Answer::json(200, &value),
        Err(Refusal::Wrong(why)) => Answer::json(400, &json!({ "error": why })),
        Err(Refusal::Unknown) => Answer::json(404, &json!({ "error": "there is no such thing" })),
        Err(Refusal::Broken(error)) => {
            tracing::error!(error = format!("{error:#}"), "a command was not carried out");
            Answer::json(500, &json!({ "error": "the books cannot be read or written" }))
        }
    }
}

fn read(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))
}

async fn posted(sim: &Arc<Sim>, parts: &[&str], body: &Value) -> Result<Value, Refusal> {
    match parts {
        ["faults"] => {
            let fault: Fault =
                serde_json::from_value(body.clone()).map_err(|error| wrong(error.to_string()))?;
            if !fault.provider.is_empty() && Provider::named(&fault.provider).is_none() {
                return Err(wrong("provider: must be wechat or alipay"));
            }
            let mut all = locked(&sim.faults);
            all.add(fault);
            // Not the list: a long run scripts thousands.
            Ok(json!({ "scripted": all.all().len() }))
        }
        ["balance"] => balance(sim, body).await,
        ["flows"] => flow(sim, body).await,
        ["clock"] => set_clock(sim, body).await,
        ["settings"] => set(sim, body).await,
        ["payouts", number, "notify"] => told_again(sim, number, body).await,
        ["payouts", number, act] => acted(sim, number, act, body).await,
        _ => Err(Refusal::Unknown),
    }
}

fn wanted(query: &str) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted { limit: 1000, ..Wanted::default() };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let number = || value.parse::<i64>().map_err(|_| wrong(format!("{name}: an integer")));
        match name.as_ref() {
            "provider" => wanted.provider = value.into_owned(),
            "number" => wanted.number = value.into_owned(),
            "after" => wanted.after = number()?,
            "limit" => wanted.limit = number()?.clamp(1, ROWS),
            _ => return Err(wrong(format!("{name}: there is no such filter"))),
        }
    }
    Ok(wanted)
}

async fn books(sim: &Sim, query: &str) -> Result<Value, Refusal> {
    let payouts = sim.store.list_payouts(&wanted(query)?).await?;
    let mut funds = json!({});
    for provider in PROVIDERS {
        funds[provider.word()] = told_funds(sim, provider).await?;
    }
    let totals = sim.store.totals().await?;
    Ok(json!({ "payouts": payouts, "totals": totals, "funds": funds, "now_us": sim.now_us() }))
}

async fn told_funds(sim: &Sim, provider: Provider) -> anyhow::Result<Value> {
    let funds = sim.store.funds(provider).await?;
    let (available, locked) = (funds.available_minor, funds.locked_minor);
    Ok(json!({ "available_minor": available, "locked_minor": locked }))
}

async fn listed(sim: &Sim, list: &str, query: &str) -> Result<Value, Refusal> {
    let wanted = wanted(query)?;
    let rows = match list {
        "requests" => sim.store.list_requests(&wanted).await?,
        "changes" => sim.store.list_changes(&wanted).await?,
        "notifications" => sim.store.list_notifications(&wanted).await?,
        "flows" => sim.store.list_flows(&wanted).await?,
        _ => return Err(Refusal::Unknown),
    };
    Ok(json!({ list: rows }))
}

fn faults(sim: &Sim) -> Value {
    json!({ "faults": locked(&sim.faults).all() })
}

fn clock(sim: &Sim) -> Value {
    let ahead_us = sim.ahead_us.load(Ordering::Relaxed);
    let now = sim.zone.rfc3339(sim.now_us());
    json!({ "now": now, "now_us": sim.now_us(), "ahead_s": ahead_us / 1_000_000 })
}

async fn set_clock(sim: &Sim, body: &Value) -> Result<Value, Refusal> {
    let us = |name: &str| body[name].as_i64().and_then(|s| s.checked_mul(1_000_000));
    let ahead_us = match (us("ahead_s"), us("advance_s")) {
        (Some(ahead), None) => ahead,
        (None, Some(by)) => sim.ahead_us.load(Ordering::Relaxed).saturating_add(by),
        _ => return Err(wrong("ahead_s or advance_s: an integer")),
    };
    sim.store.set(AHEAD, ahead_us.to_string()).await?;
    sim.set_ahead(ahead_us);
    Ok(clock(sim))
}

async fn set(sim: &Sim, body: &Value) -> Result<Value, Refusal> {
    for (name, to) in [(BY_CERTIFICATE, &sim.by_certificate), (BY_NEXT, &sim.by_next)] {
        if let Some(on) = body[name].as_bool() {
            sim.store.set(name, on.to_string()).await?;
            to.store(on, Ordering::Relaxed);
        }
    }
    if let Some(url) = body["alipay_notify_url"].as_str() {
        if !url.is_empty() && !loopback_url(url) {
            return Err(wrong("alipay_notify_url: must be http:// on this machine"));
        }
        url.clone_into(&mut locked(&sim.alipay_notify));
    }
    Ok(json!({
        BY_CERTIFICATE: sim.by_certificate.load(Ordering::Relaxed),
        BY_NEXT: sim.by_next.load(Ordering::Relaxed),
        "alipay_notify_url": *locked(&sim.alipay_notify),
    }))
}

fn provider(body: &Value) -> Result<Provider, Refusal> {
    let named = body["provider"].as_str().and_then(Provider::named);
    named.ok_or_else(|| wrong("provider: must be wechat or alipay"))
}

async fn moved(
    sim: &Sim,
    provider: Provider,
    number: &str,
    amount_minor: i64,
    note: &str,
) -> Result<Value, Refusal> {
    let flow = Flow {
        id: 0,
        provider,
        at_us: sim.now_us(),
        number: number.to_owned(),
        third_no: sim.random_hex::<14>(),
        amount_minor,
        balance_minor: 0,
        note: note.to_owned(),
    };
    sim.store.move_money(flow).await?;
    Ok(told_funds(sim, provider).await?)
}

async fn balance(sim: &Sim, body: &Value) -> Result<Value, Refusal> {
    let provider = provider(body)?;
    let amount = body["amount_minor"].as_i64().filter(|amount| *amount >= 0);
    let amount = amount.ok_or_else(|| wrong("amount_minor: an integer, 0 or more"))?;
    let more = amount.saturating_sub(sim.store.funds(provider).await?.available_minor);
    moved(sim, provider, "", more, "top-up").await
}

async fn flow(sim: &Sim, body: &Value) -> Result<Value, Refusal> {
    let provider = provider(body)?;
    let amount = body["amount_minor"].as_i64().filter(|amount| *amount != 0);
    let amount = amount.ok_or_else(|| wrong("amount_minor: an integer, not 0"))?;
    moved(sim, provider, body["number"].as_str().unwrap_or_default(), amount, "other").await
}

/// The payout of a number, wherever it is.
async fn place(sim: &Sim, number: &str) -> Result<Provider, Refusal> {
    for provider in PROVIDERS {
        if sim.store.find(provider, number).await?.is_some() {
            return Ok(provider);
        }
    }
    Err(Refusal::Unknown)
}

async fn acted(sim: &Sim, number: &str, act: &str, body: &Value) -> Result<Value, Refusal> {
    let operation = ["confirm", "expire", "cancel", "fail", "refund"];
    let operation = operation.into_iter().find(|known| *known == act).ok_or(Refusal::Unknown)?;
    let heard = Heard {
        provider: place(sim, number).await?,
        operation,
        number: number.to_owned(),
        body_digest: body_digest(b""),
        faults: "by hand".to_owned(),
    };
    let code = body["code"].as_str().unwrap_or("OTHER_FAIL_REASON_TYPE").to_owned();
    let job = Box::new(move |page: &mut crate::books::Page| {
        let now_us = page.now_us;
        let done = page.payout.as_mut().map(|payout| {
            let done = match operation {
                "confirm" => payout.confirm(now_us),
                "expire" => payout.expire(now_us),
                "cancel" => payout.cancel(now_us),
                "fail" => payout.end_as_failed(&code, now_us),
                _ => payout.refund(&code, now_us),
            };
            payout.advance(now_us);
            (done, payout.state.word())
        });
        (done, done.map_or("", |(_, state)| state).to_owned())
    });
    let done = sim.store.act(sim.now_us(), heard, job).await?;
    sim.wake.notify_one();
    match done {
        Some((true, state)) => Ok(json!({ "number": number, "state": state })),
        Some((false, state)) => Err(wrong(format!("it is {state}: that cannot be done any more"))),
        None => Err(Refusal::Unknown),
    }
}

/// Sends the last notification about a payout once more, if wanted with a fault.
async fn told_again(sim: &Sim, number: &str, body: &Value) -> Result<Value, Refusal> {
    let fault = match body {
        Value::Object(fields) if fields.is_empty() => None,
        fault => {
            Some(serde_json::from_value(fault.clone()).map_err(|error| wrong(error.to_string()))?)
        }
    };
    let provider = place(sim, number).await?;
    let last = sim.store.last_notification(provider, number).await?;
    let last = last.ok_or_else(|| wrong("it has not ended: nothing is told about it yet"))?;
    let id = last.id.clone();
    notify::again(sim, last, fault).await?;
    Ok(json!({ "id": id }))
}
