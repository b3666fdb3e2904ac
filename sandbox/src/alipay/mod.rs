//! The simulated Alipay's gateway: methods to calls. What each does is in `transfer` and `account`, how
//! it is verified and signed in `door`.

pub mod account;
pub mod door;
pub mod notice;
mod rules;
mod transfer;

use std::sync::Arc;

use serde_json::Value;

use crate::books::Heard;
use crate::faults::{Operation, Trouble};
use crate::payout::Provider;
use crate::sim::{Act, Call, Said, Sim, Speech};
use crate::wechat::body_digest;
use crate::wire::Answer;

use door::{Request, Speaker, text, verify};

/// Answers whatever comes to `/gateway.do`.
pub async fn answer(sim: &Arc<Sim>, query: &str, content_type: &str, body: &[u8]) -> Answer {
    let given = door::all(query, content_type, body);
    let speaker = Speaker::new(sim, &given);
    // What the merchant writes down and sends again unchanged: the rest has a time in it.
    let body_digest = body_digest(text(&given, "biz_content").as_bytes());
    let request = match verify(sim, &given) {
        Ok(request) => request,
        Err(said) => return unheard(sim, body_digest, &speaker, said).await,
    };
    match prepared(sim, &request).await {
        Ok(Ok((operation, number, payee, act))) => {
            let provider = Provider::Alipay;
            let call = Call { provider, operation, number, payee, body_digest };
            sim.answer(call, &speaker, act).await
        }
        Ok(Err(said)) => unheard(sim, body_digest, &speaker, said).await,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a call was not answered");
            Answer::page(500)
        }
    }
}

type Prepared = (Operation, String, String, Act);

async fn prepared(sim: &Arc<Sim>, request: &Request) -> anyhow::Result<Result<Prepared, Said>> {
    let biz = &request.biz;
    let nobody = String::new;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Ok(match request.method.as_str() {
        "alipay.fund.trans.uni.transfer" => {
            let (number, payee) = (word(&biz["out_biz_no"]), word(&biz["payee_info"]["identity"]));
            (Operation::Create, number, payee, transfer::create(sim, biz))
        }
        "alipay.fund.trans.common.query" => {
            let (number, third_no) = match transfer::asked_about(biz) {
                Ok(found) => found,
                Err(said) => return Ok(Err(said)),
            };
            let number = if third_no.is_empty() {
                number
            } else {
                sim.store.number_of(Provider::Alipay, &third_no).await?
            };
            (Operation::Query, number, nobody(), transfer::query(sim))
        }
        "alipay.fund.account.query" => {
            (Operation::Balance, nobody(), nobody(), account::balance(biz))
        }
        "alipay.data.dataservice.bill.downloadurl.query" => {
            let said = account::bill(sim, biz).await?;
            (Operation::Bill, nobody(), nobody(), Box::new(move |_, _| said))
        }
        _ => {
            let said = account::certificate(sim, biz);
            (Operation::Certificates, nobody(), nobody(), Box::new(move |_, _| said))
        }
    }))
}

/// Answers what changes nothing, and writes down that it was heard.
async fn unheard(sim: &Sim, body_digest: String, speaker: &Speaker, said: Said) -> Answer {
    let heard = Heard {
        provider: Provider::Alipay,
        operation: "refused",
        number: String::new(),
        body_digest,
        faults: String::new(),
    };
    let outcome = said.outcome.clone();
    if sim.store.act(sim.now_us(), heard, Box::new(move |_| ((), outcome))).await.is_err() {
        return Answer::page(500);
    }
    speaker.seal(said, &Trouble::default())
}
