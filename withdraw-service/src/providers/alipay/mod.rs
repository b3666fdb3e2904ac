//! Alipay: single transfers to Alipay accounts, in certificate mode.
//!
//! A written attempt is the exact `biz_content`; time and signature around it are new in every sending.
//! Must not know: withdrawals, gRPC, SQL.

mod answers;
mod bill;
mod certificates;
mod notice;
mod order;
mod settings;
mod signed;
pub mod table;

use std::sync::Arc;

use cashout_common::world::World;
use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;

pub use order::told;
pub use settings::{Application, Signer};

use super::http::Http;
use super::observe::{got, observed};
use super::written;
use crate::ports::{
    Acknowledgement, Answer, Incoming, Notice, Order, Provider, SendRequest, Unheard,
};
use certificates::Later;

/// The provider's name on a withdrawal.
pub const NAME: &str = "alipay";

const TRANSFER: &str = "alipay.fund.trans.uni.transfer";
const QUERY: &str = "alipay.fund.trans.common.query";

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct Alipay {
    application: Arc<Application>,
    http: Http,
    world: World,
    later: Later,
}

impl Alipay {
    /// Pays as that application.
    #[must_use]
    pub fn new(application: Arc<Application>, http: Http, world: World) -> Self {
        Self { application, http, world, later: Later::default() }
    }

    async fn sent(&self, request: &SendRequest) -> Answer {
        let (_, content) = match written::parts(&request.body, &[&self.application.app_id]) {
            Ok(parts) => parts,
            Err(foreign) => return foreign,
        };
        match signed::call(self, TRANSFER, content).await {
            Ok(node) => answers::sent(request, &node),
            Err(why) => Answer::unknown(why),
        }
    }

    async fn queried(&self, request: &SendRequest) -> Answer {
        if let Err(foreign) = written::parts(&request.body, &[&self.application.app_id]) {
            return foreign;
        }
        let content = order::query(&request.number);
        match signed::call(self, QUERY, content.as_bytes()).await {
            Ok(node) => answers::asked(request, &node),
            Err(why) => Answer::unknown(why),
        }
    }
}

impl Provider for Alipay {
    fn check(&self, order: &Order) -> Result<(), Failure> {
        order::check(order)
    }

    fn prepare(&self, order: &Order) -> Result<Vec<u8>, Failure> {
        order::prepare(&self.application, order)
    }

    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let rail = self.clone();
        let call = async move { rail.sent(&request).await };
        observed(NAME, "send", call, Answer::outcome).boxed()
    }

    fn query(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let rail = self.clone();
        let call = async move { rail.queried(&request).await };
        observed(NAME, "query", call, Answer::outcome).boxed()
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
        notice::read(self, incoming)
    }

    fn acknowledge(&self, heard: bool) -> Acknowledgement {
        notice::acknowledge(heard)
    }
}
