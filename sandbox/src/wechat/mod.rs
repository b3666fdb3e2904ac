//! The simulated WeChat Pay, APIv3: routes to calls. What each call does is in `transfer` and
//! `account`, how it is verified and signed in `door`.

pub mod account;
pub mod door;
pub mod notice;
mod rules;
mod transfer;

use std::sync::Arc;

use cashout_common::number::hex;
use rails::certificate::sha1_hex;
use serde_json::Value;

use crate::books::Heard;
use crate::faults::{Operation, Trouble};
use crate::payout::Provider;
use crate::sim::{Act, Call, Said, Sim, Speech};
use crate::wire::Answer;

use door::{Request, Speaker, refused, verify};

const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";

/// What a path asks for.
enum Asked {
    Create,
    ByNumber(String),
    ByThirdNo(String),
    Cancel(String),
    Certificates,
    Balance(String),
    FundFlow,
    Download,
}

fn asked(request: &Request) -> Option<Asked> {
    let path = request.uri.path();
    let posts = request.method == "POST";
    if path == BILLS {
        return posts.then_some(Asked::Create);
    }
    if let Some(rest) = path.strip_prefix(BILLS) {
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        return match parts.as_slice() {
            ["out-bill-no", number] if !posts => Some(Asked::ByNumber((*number).to_owned())),
            ["out-bill-no", number, "cancel"] if posts => Some(Asked::Cancel((*number).to_owned())),
            ["transfer-bill-no", number] if !posts => Some(Asked::ByThirdNo((*number).to_owned())),
            _ => None,
        };
    }
    if posts {
        return None;
    }
    if let Some(account) = path.strip_prefix("/v3/merchant/fund/balance/") {
        return Some(Asked::Balance(account.to_owned()));
    }
    match path {
        "/v3/certificates" => Some(Asked::Certificates),
        "/v3/bill/fundflowbill" => Some(Asked::FundFlow),
        "/v3/billdownload/file" => Some(Asked::Download),
        _ => None,
    }
}

/// SHA-256 of what was sent, hex.
#[must_use]
pub fn body_digest(body: &[u8]) -> String {
    hex(&cashout_common::number::digest(&[body]))
}

/// Answers whatever comes to `/v3`.
pub async fn answer(sim: &Arc<Sim>, request: Request) -> Answer {
    let speaker = Speaker::new(sim, &request);
    if let Err(said) = verify(sim, &request) {
        return unheard(sim, &request, &speaker, said).await;
    }
    let Some(asked) = asked(&request) else {
        return unheard(sim, &request, &speaker, refused(404, "RESOURCE_NOT_EXISTS", "")).await;
    };
    if matches!(asked, Asked::Download) {
        return account::download(sim, &request, &speaker);
    }
    if door::identity(sim, &request).is_none() {
        let said = refused(400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误");
        return unheard(sim, &request, &speaker, said).await;
    }
    let (operation, number, payee, act) = match prepared(sim, &request, asked).await {
        Ok(prepared) => prepared,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a call was not answered");
            return Answer::page(500);
        }
    };
    let provider = Provider::Wechat;
    let body_digest = body_digest(&request.body);
    let call = Call { provider, operation, number, payee, body_digest };
    sim.answer(call, &speaker, act).await
}

type Prepared = (Operation, String, String, Act);

async fn prepared(sim: &Arc<Sim>, request: &Request, asked: Asked) -> anyhow::Result<Prepared> {
    let nobody = String::new;
    Ok(match asked {
        Asked::Create => {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let number = rules::number(&body["out_bill_no"]).unwrap_or_default();
            let payee = body["openid"].as_str().unwrap_or_default().to_owned();
            (Operation::Create, number, payee, transfer::create(sim, request, &body))
        }
        Asked::ByNumber(number) => (Operation::Query, number, nobody(), transfer::query(sim)),
        Asked::ByThirdNo(third_no) => {
            let number = sim.store.number_of(Provider::Wechat, &third_no).await?;
            (Operation::Query, number, nobody(), transfer::query(sim))
        }
        Asked::Cancel(number) => (Operation::Cancel, number, nobody(), transfer::cancel(sim)),
        Asked::Balance(name) => (Operation::Balance, nobody(), nobody(), account::balance(&name)),
        Asked::FundFlow => {
            let said = account::fund_flow(sim, request).await?;
            (Operation::Bill, nobody(), nobody(), Box::new(move |_, _| said))
        }
        Asked::Certificates | Asked::Download => {
            let said = account::certificates(sim);
            (Operation::Certificates, nobody(), nobody(), Box::new(move |_, _| said))
        }
    })
}

/// Answers what changes nothing, and writes down that it was heard.
async fn unheard(sim: &Sim, request: &Request, speaker: &Speaker, said: Said) -> Answer {
    let heard = Heard {
        provider: Provider::Wechat,
        operation: "refused",
        number: String::new(),
        body_digest: body_digest(&request.body),
        faults: String::new(),
    };
    let outcome = said.outcome.clone();
    if sim.store.act(sim.now_us(), heard, Box::new(move |_| ((), outcome))).await.is_err() {
        return Answer::page(500);
    }
    speaker.seal(said, &Trouble::default())
}

/// The hash of a bill.
fn bill_hash(bill: &[u8]) -> String {
    sha1_hex(bill)
}
