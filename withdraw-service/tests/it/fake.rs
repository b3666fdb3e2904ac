//! A provider that answers what a test says, remembers what it was asked, and reads notifications in a
//! form of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use withdraw_service::Other;
use withdraw_service::domain::method::Method;
use withdraw_service::ports::{
    Acknowledgement, Answer, Confirmation, Incoming, Notice, Order, Provider, Repair, SendRequest,
    Unheard,
};

/// One call: what was done with which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub what: &'static str,
    pub number: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Script {
    sends: VecDeque<Answer>,
    queries: VecDeque<Answer>,
    balance: Option<Result<Option<i64>, String>>,
    asked: Vec<Asked>,
    unpreparable: bool,
    preparing: Option<(Clock, Duration)>,
    remembers: Option<Duration>,
}

/// The provider. Once its script is used up it pays what is sent and knows no number.
#[derive(Debug, Default)]
pub struct Fake {
    script: Mutex<Script>,
    /// While true, sendings are not answered.
    pub hang: watch::Sender<bool>,
}

impl Fake {
    /// A provider with the answers to its first sendings and questions.
    pub fn new(sends: &[Answer], queries: &[Answer]) -> Arc<Self> {
        let fake = Self::default();
        fake.then(sends, queries);
        Arc::new(fake)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it answers next.
    pub fn then(&self, sends: &[Answer], queries: &[Answer]) {
        let mut script = self.script();
        script.sends.extend(sends.iter().cloned());
        script.queries.extend(queries.iter().cloned());
    }

    /// The same instead of what was left to say.
    pub fn instead(&self, sends: &[Answer], queries: &[Answer]) {
        let mut script = self.script();
        script.sends.clear();
        script.queries.clear();
        drop(script);
        self.then(sends, queries);
    }

    /// What it says is there to pay with.
    pub fn has(&self, balance: Result<Option<i64>, String>) {
        self.script().balance = Some(balance);
    }

    /// Whether it can make requests of orders.
    pub fn cannot_prepare(&self, unpreparable: bool) {
        self.script().unpreparable = unpreparable;
    }

    /// How long it takes to make a request of an order, by that clock.
    pub fn prepares_slowly(&self, clock: &Clock, takes: Duration) {
        self.script().preparing = Some((clock.clone(), takes));
    }

    /// How long after a sending it can be asked about it.
    pub fn remembers_for(&self, time: Duration) {
        self.script().remembers = Some(time);
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script().asked.clone()
    }

    /// How often it was asked to do that.
    pub fn count(&self, what: &str) -> usize {
        self.script().asked.iter().filter(|asked| asked.what == what).count()
    }

    /// It as the provider of a method.
    pub fn for_method(self: &Arc<Self>, name: &'static str, method: Method) -> Other {
        Other { name, method, provider: self.clone() }
    }

    fn note(&self, what: &'static str, request: SendRequest) -> MutexGuard<'_, Script> {
        let mut script = self.script();
        script.asked.push(Asked { what, number: request.number, body: request.body });
        script
    }
}

/// Paid for certain.
pub fn paid() -> Answer {
    Answer::Paid { third_trade_no: "P1".to_owned() }
}

/// Refused for good, says the provider's record.
pub fn refused() -> Answer {
    Answer::Refused { code: "CLOSED".to_owned(), message: "closed".to_owned() }
}

/// The sending was turned down because of the payee.
pub fn rejected() -> Answer {
    Answer::Rejected { code: "PAYEE_NOT_EXIST".to_owned(), message: "no such payee".to_owned() }
}

/// Somebody has to repair something.
pub fn blocked(repair: Repair) -> Answer {
    Answer::Blocked { code: "NOT_NOW".to_owned(), message: "not now".to_owned(), repair }
}

/// The answer was lost.
pub fn lost() -> Answer {
    Answer::unknown("lost")
}

/// Waits for the payee's word.
pub fn to_confirm() -> Answer {
    let confirmation = Confirmation {
        mch_id: "1900000001".to_owned(),
        app_id: "wx01".to_owned(),
        package: "affffddafdfafddffda==".to_owned(),
    };
    Answer::Pending {
        third_trade_no: "P1".to_owned(),
        state: "WAIT_USER_CONFIRM".to_owned(),
        confirmation: Some(confirmation),
    }
}

/// The same, but what the payee confirms with is not told.
pub fn waiting() -> Answer {
    Answer::Waiting { third_trade_no: "P1".to_owned() }
}

impl Provider for Fake {
    fn check(&self, order: &Order) -> Result<(), Failure> {
        if order.amount_minor < 10 {
            return Err(Failure::field("apply_minor", "this provider pays 0.10 at least"));
        }
        Ok(())
    }

    fn prepare(&self, order: &Order) -> Result<Vec<u8>, Failure> {
        let script = self.script();
        if script.unpreparable {
            return Err(Failure::field("payee_name", "is required here"));
        }
        if let Some((clock, takes)) = &script.preparing {
            clock.advance(*takes);
        }
        // In WeChat Pay's form, so that `verify` can read it.
        let (number, payee_id) = (&order.number, &order.payee_id);
        let body = serde_json::json!({
            "out_bill_no": number, "openid": payee_id, "transfer_amount": order.amount_minor,
        });
        Ok(format!("M1 A1 K1\n{body}").into_bytes())
    }

    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let answer = self.note("send", request).sends.pop_front().unwrap_or_else(paid);
        let mut hang = self.hang.subscribe();
        async move {
            let _ = hang.wait_for(|hang| !hang).await;
            answer
        }
        .boxed()
    }

    fn query(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let answer = self.note("query", request).queries.pop_front();
        std::future::ready(answer.unwrap_or(Answer::NotFound)).boxed()
    }

    fn remembers(&self) -> Option<Duration> {
        self.script().remembers
    }

    fn cancel(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        drop(self.note("cancel", request));
        std::future::ready(Answer::pending()).boxed()
    }

    fn cancels(&self) -> bool {
        true
    }

    fn balance(&self) -> BoxFuture<'static, Result<Option<i64>, String>> {
        let balance = self.script().balance.clone().unwrap_or(Ok(None));
        std::future::ready(balance).boxed()
    }

    /// `id number state amount payee`, with a header that says how it is signed.
    fn notice(&self, incoming: &Incoming) -> Result<Notice, Unheard> {
        let signed = incoming.headers.iter().find(|(name, _)| name == "signed");
        match signed.map(|(_, value)| value.as_str()) {
            Some("well") => {}
            Some("foreign") => return Err(Unheard::Foreign { why: "another merchant" }),
            Some("irrelevant") => return Err(Unheard::Irrelevant),
            Some("probe") => return Err(Unheard::Probe),
            Some("fatal") => panic!("a notification that the adapter fails over"),
            _ => return Err(Unheard::Forged { why: "not signed" }),
        }
        let text = String::from_utf8_lossy(&incoming.body).into_owned();
        let mut words = text.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Ok(Notice {
            id: word(),
            number: word(),
            state: word(),
            amount_minor: word().parse().ok(),
            payee_id: Some(word()).filter(|payee| !payee.is_empty()),
        })
    }

    fn acknowledge(&self, heard: bool) -> Acknowledgement {
        match heard {
            true => Acknowledgement { status: 200, content_type: "text/plain", body: "success" },
            false => Acknowledgement { status: 401, content_type: "", body: "" },
        }
    }
}
