//! WeChat Pay, APIv3: transfer bills that the payee confirms.
//!
//! The package a payee confirms with is told by creating a bill and by nothing else. When that answer was
//! lost, a query that finds the bill waiting says so, and no more: whoever asked notes another sending of
//! the written attempt before it is made. Same number, same bytes, so the provider answers with the bill
//! that is there. Not built: `GET /v3/certificates` (certificates come from files; new merchants have the
//! public key). Must not know: withdrawals, gRPC, SQL.

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

    async fn created(&self, request: &SendRequest) -> Answer {
        let (words, body) = match self.ours(request) {
            Ok(parts) => parts,
            Err(foreign) => return foreign,
        };
        let serial = words.first().copied().unwrap_or_default();
        if self.merchant.platform_key(serial).is_none() {
            let why = "the key this attempt was written with is not configured any more";
            return Answer::unknown(why);
        }
        let called = signed::call(self.parts(), (Method::POST, BILLS, serial), body).await;
        self.read(request, Asked::Create, called)
    }

    /// What came of a call.
    fn read(
        &self,
        request: &SendRequest,
        asked: Asked,
        called: Result<Reply, &'static str>,
    ) -> Answer {
        match called {
            Ok(reply) => {
                let told = (reply.status, reply.body.as_slice());
                answers::read(&self.merchant, request, asked, told)
            }
            Err(why) => Answer::unknown(why),
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
        let target = format!("{BILLS}/out-bill-no/{}", request.number);
        let called = self.asked(Method::GET, &target).await;
        self.read(request, Asked::Query, called)
    }

    async fn cancelled(&self, request: &SendRequest) -> Answer {
        if let Err(foreign) = self.ours(request) {
            return foreign;
        }
        let target = format!("{BILLS}/out-bill-no/{}/cancel", request.number);
        let called = self.asked(Method::POST, &target).await;
        self.read(request, Asked::Cancel, called)
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
        let call = async move { rail.created(&request).await };
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
