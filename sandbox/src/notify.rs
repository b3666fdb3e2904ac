//! Time passing: payouts that change by themselves, and notifications that are sent and sent again until
//! they are heard. Must not know: what a notification says.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::books::{Heard, Notification};
use crate::faults::{Fault, Kind, Operation, Trouble};
use crate::payout::{Payout, Provider};
use crate::sim::{Call, Sim, locked};
use crate::{alipay, wechat};

/// How long a merchant may take to answer; WeChat Pay's limit.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// One notification on its way.
#[derive(Debug, Clone)]
pub struct Letter {
    /// On this machine.
    pub url: String,
    /// Of the body.
    pub content_type: &'static str,
    /// Besides the content's type.
    pub headers: Vec<(&'static str, String)>,
    /// The content.
    pub body: Vec<u8>,
}

/// Goes on until it is stopped.
pub async fn run(sim: Arc<Sim>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let next = match pass(&sim).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the sandbox's books");
                Some(sim.now_us().saturating_add(1_000_000))
            }
        };
        let ahead_us = sim.now_us().saturating_sub(sim.world.clock.now_us());
        let due = async {
            match next {
                Some(next) => sim.world.clock.sleep_until(next.saturating_sub(ahead_us)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = sim.wake.notified() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Does what is due now; says when something is due next.
async fn pass(sim: &Arc<Sim>) -> anyhow::Result<Option<i64>> {
    let now_us = sim.now_us();
    for (provider, number) in sim.store.due_payouts(now_us).await? {
        // Opening its page is enough: what is due happens then.
        let heard = Heard {
            provider,
            operation: "",
            number,
            body_digest: String::new(),
            faults: String::new(),
        };
        sim.store.act(now_us, heard, Box::new(|_| ((), String::new()))).await?;
    }
    let due = sim.store.due_notifications(now_us).await?;
    let sent = due.into_iter().map(|one| tried(sim, one));
    // All at once: a merchant that is slow with one does not delay the others.
    for done in futures::future::join_all(sent).await {
        sim.store.put_notification(done?).await?;
    }
    sim.store.next_due_us().await
}

/// Sends one, and says what became of it.
async fn tried(sim: &Arc<Sim>, mut one: Notification) -> anyhow::Result<Notification> {
    let payout = sim.store.find(one.provider, &one.number).await?;
    let Some(payout) = payout else {
        one.due_at_us = None;
        return Ok(one);
    };
    let call = Call {
        provider: one.provider,
        operation: Operation::Notify,
        number: one.number.clone(),
        payee: payout.payee.clone(),
        body_digest: String::new(),
    };
    let trouble = sim.trouble(&call).await?;
    if trouble.has(Kind::Withhold) {
        (one.due_at_us, one.outcome) = (None, "withheld".to_owned());
        return Ok(one);
    }
    if let Some(later) = trouble.find(Kind::Reorder) {
        let later_us = i64::from(later.seconds.max(1)) * 1_000_000;
        (one.due_at_us, one.outcome) = (Some(sim.now_us() + later_us), "put off".to_owned());
        return Ok(one);
    }
    let Some(letter) = letter(sim, &one, &payout, &trouble)? else {
        (one.due_at_us, one.outcome) = (None, "nowhere to send it".to_owned());
        return Ok(one);
    };
    if trouble.has(Kind::Probe) && one.provider == Provider::Wechat {
        post(sim, wechat::notice::probe(letter.clone()), one.provider).await;
    }
    let (mut heard, mut outcome) = post(sim, letter.clone(), one.provider).await;
    if trouble.has(Kind::Duplicate) {
        (heard, outcome) = post(sim, letter, one.provider).await;
    }
    one.tries += 1;
    let tries = usize::try_from(one.tries).unwrap_or(usize::MAX);
    let pause_s = sim.pauses_s.get(tries.saturating_sub(1)).copied().filter(|_| !heard);
    one.due_at_us = pause_s.map(|s| sim.now_us().saturating_add(s.saturating_mul(1_000_000)));
    one.outcome = outcome;
    Ok(one)
}

fn letter(
    sim: &Arc<Sim>,
    one: &Notification,
    payout: &Payout,
    trouble: &Trouble,
) -> anyhow::Result<Option<Letter>> {
    match one.provider {
        Provider::Wechat => wechat::notice::letter(sim, one, payout, trouble),
        Provider::Alipay => alipay::notice::letter(sim, one, payout, trouble),
    }
}

/// Sends a letter; whether it was heard, and what was said.
async fn post(sim: &Sim, letter: Letter, provider: Provider) -> (bool, String) {
    let mut request = sim.client.post(&letter.url).header("content-type", letter.content_type);
    for (name, value) in letter.headers {
        request = request.header(name, value);
    }
    let answer = match request.body(letter.body).send().await {
        Ok(answer) => answer,
        Err(error) => return (false, if error.is_timeout() { "late" } else { "no answer" }.into()),
    };
    let status = answer.status().as_u16();
    let text = answer.bytes().await.unwrap_or_default();
    let heard = match provider {
        Provider::Wechat => wechat::notice::heard(status),
        Provider::Alipay => alipay::notice::heard(status, &text),
    };
    (heard, format!("HTTP {status}"))
}

/// Makes one due at once, with a fault of its own if one is given.
///
/// # Errors
/// When the books cannot be read or written.
pub async fn again(sim: &Sim, one: Notification, fault: Option<Fault>) -> anyhow::Result<()> {
    if let Some(mut fault) = fault {
        fault.operation = Operation::Notify;
        one.provider.word().clone_into(&mut fault.provider);
        fault.matching.clone_from(&one.number);
        fault.times = Some(1);
        locked(&sim.faults).add(fault);
    }
    let due = Notification { due_at_us: Some(sim.now_us()), ..one };
    sim.store.put_notification(due).await?;
    sim.wake.notify_one();
    Ok(())
}
