//! The simulator: what both providers share. Every call passes [`Sim::answer`]: what goes wrong with it,
//! what it does to the books, what is said, and only then how it is said.
//!
//! Must not know: any provider's protocol.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cashout_common::local::Zone;
use cashout_common::world::World;
use serde_json::Value;
use tokio::sync::Notify;

use crate::books::{Heard, Page};
use crate::faults::{Fault, Faults, Kind, Operation, Trouble};
use crate::keys::Keys;
use crate::payout::{Plan, Provider};
use crate::script;
use crate::store::Store;
use crate::wire::{Answer, Ending};

/// A file that can be fetched for a while.
#[derive(Debug, Clone)]
pub struct Download {
    /// What is fetched.
    pub content: Vec<u8>,
    /// Virtual time.
    pub until_us: i64,
}

/// The running simulator.
#[derive(Debug)]
pub struct Sim {
    /// Its books.
    pub store: Store,
    /// Its keys.
    pub keys: Keys,
    /// Time and chance.
    pub world: World,
    /// Where it listens.
    pub address: SocketAddr,
    /// China.
    pub zone: Zone,
    /// How long a payee takes to confirm; `None`: until told to.
    pub confirm_us: Option<i64>,
    /// Pauses before a notification is repeated, seconds.
    pub pauses_s: Vec<i64>,
    /// Woken when something may have become due.
    pub wake: Notify,
    /// Sends notifications.
    pub client: reqwest::Client,
    /// Whether notifications of WeChat Pay are signed by the certificate's key.
    pub by_certificate: AtomicBool,
    /// Whether Alipay signs with its next certificate.
    pub by_next: AtomicBool,
    /// Where Alipay notifies; nowhere when empty.
    pub alipay_notify: Mutex<String>,
    /// How far the virtual clock is ahead.
    pub ahead_us: AtomicI64,
    /// What goes wrong.
    pub faults: Mutex<Faults>,
    /// What can be fetched, by token.
    pub downloads: Mutex<HashMap<String, Download>>,
}

/// A lock that a panic elsewhere does not make useless.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call that was heard and is properly signed.
#[derive(Debug, Clone)]
pub struct Call {
    /// By whom.
    pub provider: Provider,
    /// What is asked.
    pub operation: Operation,
    /// The merchant's number; empty when it is about none.
    pub number: String,
    /// The payee's id, when the call says it.
    pub payee: String,
    /// SHA-256 of what was sent, hex.
    pub body_digest: String,
}

/// What is said, before anybody says how.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// HTTP status.
    pub status: u16,
    /// The content.
    pub body: Value,
    /// What it was, in a word for the books.
    pub outcome: String,
}

/// How a provider says things.
pub trait Speech: Send + Sync {
    /// The words for something that goes wrong on purpose.
    fn wrong(&self, fault: &Fault) -> Said;
    /// Envelope and signature.
    fn seal(&self, said: Said, trouble: &Trouble) -> Answer;
}

/// What a call does to the books, and what is said to that.
pub type Act = Box<dyn FnOnce(&mut Page, &Trouble) -> Said + Send>;

/// Nothing is booked.
const BEFORE: &[Kind] = &[
    Kind::LoseRequest,
    Kind::SystemError,
    Kind::Error,
    Kind::Unlisted,
    Kind::RateLimit,
    Kind::Http,
];
/// Said instead, after booking.
const INSTEAD: &[Kind] =
    &[Kind::SystemErrorAfter, Kind::ErrorAfter, Kind::HttpAfter, Kind::NotFound];

impl Sim {
    /// Virtual time, UTC microseconds.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.world.clock.now_us().saturating_add(self.ahead_us.load(Ordering::Relaxed))
    }

    /// `N` random bytes in hex.
    #[must_use]
    pub fn random_hex<const N: usize>(&self) -> String {
        cashout_common::number::hex(&self.world.random.bytes::<N>())
    }

    /// What goes wrong with a call about a number and a payee.
    pub async fn trouble(&self, call: &Call) -> anyhow::Result<Trouble> {
        let mut payee = call.payee.clone();
        if payee.is_empty() && !call.number.is_empty() {
            let known = self.store.find(call.provider, &call.number).await?;
            payee = known.map(|payout| payout.payee).unwrap_or_default();
        }
        let word = call.operation.word();
        let heard = if script::counts(&payee) {
            self.store.times_heard(call.provider, word, &call.number).await?
        } else {
            0
        };
        let names = [call.number.as_str(), payee.as_str()];
        let mut trouble =
            locked(&self.faults).take(call.provider, call.operation, &names, &self.world.random);
        trouble.0.extend(script::trouble(&payee, call.operation, heard).0);
        Ok(trouble)
    }

    /// What becomes of a payout with these troubles.
    #[must_use]
    pub fn plan(&self, trouble: &Trouble, fails: &str) -> Plan {
        let us = |kind| trouble.find(kind).map_or(0, |f| i64::from(f.seconds) * 1_000_000);
        let code = trouble.find(Kind::Fail).map(|fault| match fault.code.as_str() {
            "" => fails.to_owned(),
            code => code.to_owned(),
        });
        Plan {
            pending_us: us(Kind::Pending),
            confirm_us: self.confirm_us.filter(|_| !trouble.has(Kind::Confirm)),
            paying_us: us(Kind::Late),
            fails: code.unwrap_or_default(),
        }
    }

    /// Answers a call.
    pub async fn answer(&self, call: Call, speech: &dyn Speech, act: Act) -> Answer {
        match self.answered(call, speech, act).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "a call was not answered");
                Answer::page(500)
            }
        }
    }

    async fn answered(&self, call: Call, speech: &dyn Speech, act: Act) -> anyhow::Result<Answer> {
        let trouble = self.trouble(&call).await?;
        self.wait(&trouble, Kind::Delay).await;
        let heard = Heard {
            provider: call.provider,
            operation: call.operation.word(),
            number: call.number,
            body_digest: call.body_digest,
            faults: words(&trouble),
        };
        let early = trouble.first(BEFORE).cloned();
        let struck = trouble.clone();
        let before = early.as_ref().map(|fault| speech.wrong(fault));
        let act = Box::new(move |page: &mut Page| {
            let said = before.unwrap_or_else(|| act(page, &struck));
            let outcome = said.outcome.clone();
            (said, outcome)
        });
        let mut said = self.store.act(self.now_us(), heard, act).await?;
        self.wake.notify_one();
        if trouble.has(Kind::Silent) {
            std::future::pending::<()>().await;
        }
        self.wait(&trouble, Kind::DelayReply).await;
        let instead = early.or_else(|| trouble.first(INSTEAD).cloned());
        if let Some(fault) = &instead {
            if matches!(fault.fault, Kind::Http | Kind::HttpAfter) {
                return Ok(Answer::page(if fault.status == 0 { 503 } else { fault.status }));
            }
            said = speech.wrong(fault);
        }
        let mut answer = speech.seal(said, &trouble);
        answer.ending = ending(&trouble);
        Ok(answer)
    }

    async fn wait(&self, trouble: &Trouble, kind: Kind) {
        if let Some(fault) = trouble.find(kind) {
            let until = self.world.clock.now_us().saturating_add(i64::from(fault.ms) * 1000);
            self.world.clock.sleep_until(until).await;
        }
    }
}

fn ending(trouble: &Trouble) -> Ending {
    for (kind, ending) in [
        (Kind::LoseRequest, Ending::Cut),
        (Kind::LoseReply, Ending::Cut),
        (Kind::Garbage, Ending::Garbage),
        (Kind::Truncated, Ending::Half),
    ] {
        if trouble.has(kind) {
            return ending;
        }
    }
    Ending::Whole
}

/// The words of all faults, for the books.
fn words(trouble: &Trouble) -> String {
    let word = |fault: &Fault| match serde_json::to_value(fault.fault) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    };
    trouble.0.iter().map(word).collect::<Vec<_>>().join(",")
}
