//! WeChat Pay, APIv3: transfer bills that the payee confirms.
//!
//! The package a payee confirms with is told by creating a bill and by nothing else. When that answer was
//! lost, a query that finds the bill waiting sends the written attempt once more: same number, same bytes,
//! so the provider answers with the bill that is there. This is done inside the query, until the package is
//! kept. Not built: `GET /v3/certificates` (certificates come from files; new merchants
//! have the public key). Must not know: withdrawals, gRPC, SQL.

mod answers;
mod bill;
mod notice;
mod order;
mod settings;
mod signed;
pub mod table;

use std::sync::Arc;
use std::time::Duration;

use cashout_common::world::World;
use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Method;
use tokio::time::{Instant, timeout_at};

pub use order::told;
pub use settings::{Merchant, PlatformKey, Scene, belongs, signs_for};

use super::http::{Http, Reply};
use super::observe::{got, observed};
use super::written;
use crate::ports::{
    Acknowledgement, Answer, Incoming, Notice, Order, Provider, SendRequest, Unheard,
};
use answers::Asked;

/// The provider's name on a withdrawal.
pub const NAME: &str = "wechat";

/// Queries reach thirty days back; a day less, whatever the clocks.
const REMEMBERED: Duration = Duration::from_secs(29 * 86_400);
const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct Wechat {
    merchant: Arc<Merchant>,
    http: Http,
    world: World,
}

impl Wechat {
    /// Pays as that merchant.
    #[must_use]
    pub fn new(merchant: Arc<Merchant>, http: Http, world: World) -> Self {
        Self { merchant, http, world }
    }

    fn parts(&self) -> (&Merchant, &Http, &World) {
        (&self.merchant, &self.http, &self.world)
    }

    /// A call without a body, answered under the current key.
    async fn asked(&self, method: Method, target: &str) -> Result<Reply, &'static str> {
        let current = self.merchant.platform.first().ok_or("no key of WeChat Pay")?;
        signed::call(self.parts(), (method, target, &current.serial), b"").await
    }

    async fn created(&self, request: &SendRequest) -> (Answer, bool) {
        let (words, body) = match self.ours(request) {
            Ok(parts) => parts,
            Err(foreign) => return (foreign, false),
        };
        let serial = words.first().copied().unwrap_or_default();
        if self.merchant.platform_key(serial).is_none() {
            let why = "the key this attempt was written with is not configured any more";
            return (Answer::unknown(why), false);
        }
        let called = signed::call(self.parts(), (Method::POST, BILLS, serial), body).await;
        match called {
            Ok(reply) => {
                let told = (reply.status, reply.body.as_slice());
                answers::read(&self.merchant, request, Asked::Create, told)
            }
            Err(why) => (Answer::unknown(why), false),
        }
    }

    /// What is to be sent, if it is ours.
    fn ours<'a>(&self, request: &'a SendRequest) -> Result<(Vec<&'a str>, &'a [u8]), Answer> {
        written::parts(&request.body, &[&self.merchant.mch_id, &self.merchant.app_id])
    }

    async fn queried(&self, request: &SendRequest) -> Answer {
        if let Err(foreign) = self.ours(request) {
            return foreign;
        }
        let until = Instant::now() + self.http.patience();
        let number = &request.number;
        let called = self.asked(Method::GET, &format!("{BILLS}/out-bill-no/{number}")).await;
        let (answer, confirm) = match called {
            Ok(reply) => {
                let told = (reply.status, reply.body.as_slice());
                answers::read(&self.merchant, request, Asked::Query, told)
            }
            Err(why) => (Answer::unknown(why), false),
        };
        if !confirm || request.confirmation_kept {
            return answer;
        }
        // Within the time of the one call that this is to who waits: a sending must not go out later.
        match timeout_at(until, self.created(request)).await {
            Ok((with_package @ Answer::Pending { confirmation: Some(_), .. }, _)) => with_package,
            _ => answer,
        }
    }

    async fn cancelled(&self, request: &SendRequest) -> Answer {
        if let Err(foreign) = self.ours(request) {
            return foreign;
        }
        let target = format!("{BILLS}/out-bill-no/{}/cancel", request.number);
        match self.asked(Method::POST, &target).await {
            Ok(reply) => {
                let told = (reply.status, reply.body.as_slice());
                answers::read(&self.merchant, request, Asked::Cancel, told).0
            }
            Err(why) => Answer::unknown(why),
        }
    }
}

impl Provider for Wechat {
    fn check(&self, order: &Order) -> Result<(), Failure> {
        order::check(order)
    }

    fn prepare(&self, order: &Order) -> Result<Vec<u8>, Failure> {
        order::prepare(&self.merchant, order)
    }

    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let rail = self.clone();
        let call = async move { rail.created(&request).await.0 };
        observed(NAME, "send", call, Answer::outcome).boxed()
    }

    fn query(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let rail = self.clone();
        let call = async move { rail.queried(&request).await };
        observed(NAME, "query", call, Answer::outcome).boxed()
    }

    fn cancel(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let rail = self.clone();
        let call = async move { rail.cancelled(&request).await };
        observed(NAME, "cancel", call, Answer::outcome).boxed()
    }

    fn remembers(&self) -> Option<Duration> {
        Some(REMEMBERED)
    }

    fn cancels(&self) -> bool {
        true
    }

    fn balance(&self) -> BoxFuture<'static, Result<Option<i64>, String>> {
        let rail = self.clone();
        let call = async move { bill::balance(&rail).await };
        observed(NAME, "balance", call, got).boxed()
    }

    fn bill(&self, day: String) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let rail = self.clone();
        let call = async move {
            super::is_day(&day)?;
            bill::of_day(&rail, &day).await
        };
        observed(NAME, "bill", call, got).boxed()
    }

    fn notice(&self, incoming: &Incoming) -> Result<Notice, Unheard> {
        notice::read(&self.merchant, signed::now_s(&self.world), incoming)
    }

    fn acknowledge(&self, heard: bool) -> Acknowledgement {
        notice::acknowledge(heard)
    }
}
