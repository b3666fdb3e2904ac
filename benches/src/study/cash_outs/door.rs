//! The two doors through which a caller takes money out: the withdraw service's own API, as internal
//! services use it, and the gateway's JSON, as apps and operators do. Either way a whole cash-out is a
//! request, an approval by somebody else, and a look at it once it is paid.
//!
//! Must not know: how callers are counted.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use cashout_common::actor::ACTOR;
use cashout_proto::withdraw::v1 as pb;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use http::Method;
use serde::Deserialize;
use tonic::Request;
use tonic::transport::Channel;

use super::http::{Ask, Http};
use super::watch::Watch;

/// Who approves; nobody who takes money out.
pub const REVIEWER: i64 = 1_000_001;
/// WeChat, which the sandbox pays.
const METHOD: i32 = 1;
/// What the documents call paid.
const PAID: u64 = 5;

/// One caller's way in.
pub enum Door {
    /// Through the withdraw service.
    Grpc(WithdrawServiceClient<Channel>),
    /// Through the gateway, with a token of each person and the reviewer's last.
    Gateway(Http, Arc<[String]>),
}

/// What a caller wants to know of the gateway's documents.
#[derive(Deserialize)]
struct Document<T> {
    data: T,
}

#[derive(Deserialize)]
struct Made {
    id: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    cash_status: u64,
}

#[derive(Deserialize)]
struct Reviewed {
    result: HashMap<String, String>,
}

impl Door {
    /// Takes one minor unit out, from the request until it is seen as paid.
    pub async fn cash_out(&mut self, user: i64, key: &str, watch: &Watch) -> anyhow::Result<()> {
        match self {
            Self::Grpc(client) => whole_grpc(client, user, key, watch).await,
            Self::Gateway(http, tokens) => whole_json(http, tokens, user, key, watch).await,
        }
    }
}

async fn whole_grpc(
    client: &mut WithdrawServiceClient<Channel>,
    user_id: i64,
    key: &str,
    watch: &Watch,
) -> anyhow::Result<()> {
    let request = pb::RequestWithdrawalRequest {
        user_id,
        apply_minor: 1,
        method: METHOD,
        key: key.to_owned(),
        ..Default::default()
    };
    let answer = client.request_withdrawal(request).await.context("request")?.into_inner();
    anyhow::ensure!(!answer.replayed, "a new key was answered as an old one");
    let id = answer.withdrawal.context("no withdrawal in the answer")?.id;
    let paid = watch.end_of(id);
    let mut approval = Request::new(pb::ApproveWithdrawalRequest { id, ..Default::default() });
    approval.metadata_mut().insert(ACTOR, REVIEWER.into());
    client.approve_withdrawal(approval).await.context("approval")?;
    paid.seen().await?;
    let request = pb::GetWithdrawalRequest { id, user_id: 0 };
    let now = client.get_withdrawal(request).await.context("look")?.into_inner();
    anyhow::ensure!(now.status() == pb::Status::Paid, "{id} is {:?}", now.status());
    Ok(())
}

async fn whole_json(
    http: &mut Http,
    tokens: &[String],
    user: i64,
    key: &str,
    watch: &Watch,
) -> anyhow::Result<()> {
    let person = usize::try_from(user - 1).ok().and_then(|at| tokens.get(at));
    let token = person.context("a person's token")?;
    let reviewer = tokens.last().context("the reviewer's token")?;
    let body = format!(
        r#"{{"data":{{"attributes":{{"cash_apply_amount":"0.01","cash_type":{METHOD}}}}}}}"#
    );
    let ask = Ask { method: Method::POST, path: "/api/wallet/cash", token, key, body };
    let made: Document<Made> = http.ask(ask).await?;
    let id = made.data.id;
    let paid = watch.end_of(id.parse()?);
    let body = format!(r#"{{"ids":[{id}],"cash_status":2,"remark":""}}"#);
    let path = "/api/wallet/cash/review";
    let review = Ask { method: Method::POST, path, token: reviewer, key: "", body };
    let reviewed: Document<Reviewed> = http.ask(review).await?;
    let result = reviewed.data.result.get(&id);
    anyhow::ensure!(result.is_some_and(|r| r == "success"), "the review of {id} says {result:?}");
    paid.seen().await?;
    let path = &format!("/api/wallet/cash/{id}");
    let look = Ask { method: Method::GET, path, token, key: "", body: String::new() };
    let now: Document<Made> = http.ask(look).await?;
    let status = now.data.attributes.cash_status;
    anyhow::ensure!(status == PAID, "{id} has the status {status}");
    Ok(())
}
