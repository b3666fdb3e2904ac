//! A provider in this process, for trying out and for tests. It behaves as a script in the payee's id
//! says, and keeps books of its own: they survive a crash and are an independent witness of what was
//! paid.
//!
//! | the payee's id contains | what happens |
//! |---|---|
//! | `unknown-paid` | pays, but the answer to the sending is lost; a query says paid |
//! | `unknown-refused` | refuses, but the answer to the sending is lost; a query says refused |
//! | `delay-3s` (or `delay`: 1 s) | pending for that long by the clock, then paid |
//! | `waver` | never an outcome: answers pending and unknown in turn |
//! | `refuse` | refuses at once |
//! | `lost` | the first sending never arrives: a query says not found, the second sending pays |
//! | `silent` | never answers, neither sendings nor queries |
//! | anything else | pays at once |
//!
//! The same number with the same bytes is the same payout; with other bytes nothing is done and the
//! answer says nothing about the first one. Must not know: withdrawals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cashout_common::clock::{Clock, SECOND_US};
use cashout_common::number::{digest, hex};
use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::told::Told;
use crate::ports::{Answer, Order, Provider, SendRequest};
use crate::store::Store;
use crate::store::book::{Book, Needs};
use crate::store::sandbox::{self, Payout};

/// The provider's name on a withdrawal.
pub const NAME: &str = "sandbox";

/// The provider.
pub struct Sandbox {
    store: Store,
    clock: Clock,
    /// What a wavering payout was last said to be: pending, or unknown.
    wavered: Arc<AtomicBool>,
}

/// What a payee's id asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Pay,
    UnknownPaid,
    UnknownRefused,
    Delay { us: i64 },
    Waver,
    Refuse,
    Lost,
    Silent,
}

impl Script {
    fn of(payee_id: &str) -> Self {
        let has = |word: &str| payee_id.contains(word);
        if has("unknown-paid") {
            Self::UnknownPaid
        } else if has("unknown-refused") {
            Self::UnknownRefused
        } else if let Some((_, rest)) = payee_id.split_once("delay") {
            let seconds = rest.strip_prefix('-').and_then(|r| r.split_once('s'));
            let seconds: Option<i64> = seconds.and_then(|(n, _)| n.parse().ok());
            Self::Delay { us: seconds.unwrap_or(1).clamp(0, 86_400) * SECOND_US }
        } else if has("waver") {
            Self::Waver
        } else if has("refuse") {
            Self::Refuse
        } else if has("lost") {
            Self::Lost
        } else if has("silent") {
            Self::Silent
        } else {
            Self::Pay
        }
    }

    /// How the first sending is booked.
    const fn state(self) -> &'static str {
        match self {
            Self::Pay | Self::UnknownPaid => "paid",
            Self::UnknownRefused | Self::Refuse => "refused",
            Self::Delay { .. } | Self::Waver => "pending",
            Self::Lost => "lost",
            Self::Silent => "silent",
        }
    }
}

impl Sandbox {
    /// A sandbox with its books in `store`.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, wavered: Arc::default() }
    }
}

impl Provider for Sandbox {
    fn prepare(&self, order: &Order) -> Result<Vec<u8>, Failure> {
        let Order { number, payee_id, payee_name, amount_minor, currency } = order;
        let lines = [
            format!("number={number}"),
            format!("payee_id={payee_id}"),
            format!("payee_name={payee_name}"),
            format!("amount_minor={amount_minor}"),
            format!("currency={currency}"),
        ];
        Ok(lines.join("\n").into_bytes())
    }

    fn send(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let (store, now_us) = (self.store.clone(), self.clock.now_us());
        async move {
            let needs = Needs { new_payout: Some(request.number.clone()), ..Needs::default() };
            let booked = store.decide(needs, move |books| Ok(book(books, &request, now_us))).await;
            booked.unwrap_or_else(|failure| unknown(&failure.to_string()))
        }
        .boxed()
        .then(answer_or_silence)
        .boxed()
    }

    fn query(&self, request: SendRequest) -> BoxFuture<'static, Answer> {
        let number = request.number;
        let (store, now_us) = (self.store.clone(), self.clock.now_us());
        let wavered = self.wavered.clone();
        async move {
            match sandbox::find(store.readers(), &number).await {
                Err(_) => unknown("the sandbox's books cannot be read"),
                Ok(None) => Answer::NotFound,
                Ok(Some(payout)) if payout.state == "pending" && payout.due_at_us <= now_us => {
                    let needs = Needs { payout: Some(number.clone()), ..Needs::default() };
                    let paid = store.decide(needs, move |books| {
                        set_paid(books, &number);
                        Ok(())
                    });
                    match paid.await {
                        Ok(()) => Answer::Paid { third_trade_no: payout.third_trade_no },
                        Err(failure) => unknown(&failure.to_string()),
                    }
                }
                Ok(Some(payout)) if Script::of(&payout.payee_id) == Script::Waver => {
                    let pending = wavered.fetch_xor(true, Ordering::Relaxed);
                    if pending { Answer::pending() } else { unknown("not now") }
                }
                Ok(Some(payout)) => answered(&payout),
            }
        }
        .boxed()
        .then(answer_or_silence)
        .boxed()
    }
}

/// What a written attempt asks for; `None` when it is not as `prepare` writes it.
#[must_use]
pub fn told(attempt: &[u8]) -> Option<Told> {
    let mut lines = std::str::from_utf8(attempt).ok()?.split('\n');
    let mut line = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix('=');
    let (number, payee_id) = (line("number")?.to_owned(), line("payee_id")?.to_owned());
    line("payee_name")?;
    let amount_minor = line("amount_minor")?.parse().ok()?;
    line("currency")?;
    lines.next().is_none().then_some(Told { number, payee_id, amount_minor })
}

const SILENCE: &str = "silence";

/// A silent payee's calls never end; the caller's patience does.
async fn answer_or_silence(answer: Answer) -> Answer {
    if answer == unknown(SILENCE) {
        std::future::pending::<()>().await;
    }
    answer
}

fn unknown(why: &str) -> Answer {
    Answer::Unknown { why: why.to_owned() }
}

/// Books that a payout was made after all.
fn set_paid(books: &mut Book, number: &str) {
    let open = |p: &Payout| matches!(p.state.as_str(), "pending" | "lost");
    if let Some(payout) = books.payout(number).filter(open) {
        books.put_payout(Payout { state: "paid".to_owned(), ..payout });
    }
}

/// Books a sending; what is booked already decides what the same bytes are told.
fn book(books: &mut Book, request: &SendRequest, now_us: i64) -> Answer {
    let script = Script::of(&request.payee_id);
    if let Some(known) = books.payout(&request.number) {
        if known.digest != request.digest {
            return unknown("this number came with another request before");
        }
        if known.state == "lost" {
            set_paid(books, &known.number);
            return Answer::Paid { third_trade_no: known.third_trade_no };
        }
        return answered(&known);
    }
    let due_at_us = match script {
        Script::Delay { us } => now_us.saturating_add(us),
        Script::Waver => i64::MAX,
        _ => now_us,
    };
    let payout = Payout {
        third_trade_no: third_trade_no(&request.number),
        number: request.number.clone(),
        digest: request.digest.clone(),
        payee_id: request.payee_id.clone(),
        amount_minor: request.amount_minor,
        state: script.state().to_owned(),
        due_at_us,
        created_at_us: now_us,
    };
    let answer = match script {
        Script::UnknownPaid | Script::UnknownRefused | Script::Lost => unknown("connection lost"),
        _ => answered(&payout),
    };
    books.put_payout(payout);
    answer
}

/// What the books say.
fn answered(payout: &Payout) -> Answer {
    match payout.state.as_str() {
        "paid" => Answer::Paid { third_trade_no: payout.third_trade_no.clone() },
        "refused" => Answer::Refused {
            code: "PAYEE_REFUSED".to_owned(),
            message: "the payee's account cannot receive money".to_owned(),
        },
        "pending" => Answer::pending(),
        "lost" => Answer::NotFound,
        _ => unknown(SILENCE),
    }
}

/// The sandbox's own number: made of ours, so that it is unique and reads the same after a restart.
fn third_trade_no(number: &str) -> String {
    let hash = hex(&digest(&[b"sandbox", number.as_bytes()]));
    format!("SB{}", hash.get(..24).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payees_id_is_the_script() {
        for (payee_id, script) in [
            ("alice@example", Script::Pay),
            ("x-refuse", Script::Refuse),
            ("unknown-refused", Script::UnknownRefused),
            ("unknown-paid", Script::UnknownPaid),
            ("delay-3s", Script::Delay { us: 3_000_000 }),
            ("a-delay", Script::Delay { us: 1_000_000 }),
            ("delay-99999999999999999999s", Script::Delay { us: 1_000_000 }),
            ("lost-1", Script::Lost),
            ("wavers", Script::Waver),
            ("silent", Script::Silent),
        ] {
            assert_eq!(Script::of(payee_id), script, "{payee_id}");
        }
    }
}
