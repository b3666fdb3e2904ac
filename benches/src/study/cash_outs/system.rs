//! The systems that carry out whole cash-outs, a process for each service: ours (account service,
//! withdraw service) and the textbook (ledger, cash-outs), each with a gateway before it, which is the same
//! program. Both get people with money.
//!
//! Must not know: how they are driven.

use std::sync::Arc;

use anyhow::Context;
use cashout_common::number::hex;
use cashout_common::peer;
use cashout_common::random::Random;
use cashout_proto::account::v1 as account;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::transport::{Channel, Endpoint};

use super::door::REVIEWER;
use super::http::token;
use super::round;
use super::watch::Watch;
use crate::engine::Engine;
use crate::load::{Client, FUNDS, connect, prepare};
use crate::process::Process;
use crate::process::reading::{Memory, memory};
use crate::study::probe::{ACCOUNT, WITHDRAW, ready, serving};
use crate::study::programs::{ANY_PORT, account as account_service, started};

/// People who take money out.
pub const PEOPLE: i64 = 1000;
/// Callers at a time while people are prepared.
const SETUP: usize = 64;

/// A process of a system.
pub struct Part {
    /// Its name in tables.
    pub name: &'static str,
    /// The process.
    pub process: Process,
    /// Its memory when it was ready, and nobody had asked it anything.
    pub at_rest: Memory,
}

impl Part {
    fn new(name: &'static str, process: Process) -> Self {
        let at_rest = memory(process.pid());
        Self { name, process, at_rest }
    }
}

/// A running system.
pub struct System {
    /// Its processes: the ledger, the cash-outs, the gateway.
    pub parts: Vec<Part>,
    /// Connections to the ledger.
    pub ledger: Vec<Client>,
    /// Sees what is paid.
    pub watch: Arc<Watch>,
    /// Tokens of all people in their order, then the reviewer's.
    pub tokens: Arc<[String]>,
    databases: [(String, String); 2],
}

impl System {
    /// Ours, on fresh databases named after `name`.
    pub async fn ours(engine: &Engine, name: &str, seed: u64) -> anyhow::Result<Self> {
        let databases = fresh(engine, name).await?;
        let [(_, ledger_url), (_, url)] = &databases;
        let ledger = account_service(ANY_PORT, ledger_url)?;
        let withdraw = withdraw(url, &ledger.address)?;
        let (gateway, tokens) = guarded(&ledger.address, &withdraw.address)?;
        serving(&ledger.address, ACCOUNT).await?;
        serving(&withdraw.address, WITHDRAW).await?;
        ready(&gateway.address).await?;
        let (at_ledger, at_cash_outs) = (ledger.address.clone(), withdraw.address.clone());
        let parts = vec![
            Part::new("account-service", ledger),
            Part::new("withdraw-service", withdraw),
            Part::new("gateway", gateway),
        ];
        let clients = connect(&at_ledger, SETUP).await?;
        prepare(&clients, PEOPLE, FUNDS, seed).await?;
        bind(&clients).await?;
        let watch = Watch::start(follower(&at_cash_outs)?).await?;
        Ok(Self { parts, ledger: clients, watch: Arc::new(watch), tokens, databases })
    }

    /// A textbook, the careful one or the plain, on fresh databases named after `name`.
    pub async fn textbook(
        engine: &Engine,
        name: &str,
        seed: u64,
        careful: bool,
    ) -> anyhow::Result<Self> {
        let databases = fresh(engine, name).await?;
        let [(_, ledger_url), (_, url)] = &databases;
        let own = std::env::current_exe()?;
        let start =
            |arguments: &[&str]| tokio::task::block_in_place(|| Process::start(&own, arguments));
        let ledger = start(&["baseline", "--listen", ANY_PORT, "--database-url", ledger_url])?;
        let people = PEOPLE.to_string();
        let mut words = vec!["baseline-cash-outs", "--listen", ANY_PORT, "--database-url", url];
        words.extend(["--ledger", ledger.address.as_str()]);
        if careful {
            words.extend(["--people", people.as_str()]);
        }
        let cash_outs = start(&words)?;
        let (gateway, tokens) = guarded(&ledger.address, &cash_outs.address)?;
        ready(&gateway.address).await?;
        let clients = connect(&ledger.address, SETUP).await?;
        prepare(&clients, PEOPLE, FUNDS, seed).await?;
        let watch = Watch::start(follower(&cash_outs.address)?).await?;
        let parts = vec![
            Part::new("textbook ledger", ledger),
            Part::new("textbook cash-outs", cash_outs),
            Part::new("gateway", gateway),
        ];
        Ok(Self { parts, ledger: clients, watch: Arc::new(watch), tokens, databases })
    }

    /// Where a service of it listens, by its place.
    pub fn address(&self, part: usize) -> anyhow::Result<&str> {
        Ok(&self.parts.get(part).context("a part of the system")?.process.address)
    }

    /// Ends its processes, the ones in front first. Tells the names and the addresses of its
    /// databases: the ledger's, then the cash-outs'.
    pub async fn end(self) -> anyhow::Result<[(String, String); 2]> {
        // The follower's stream would keep the service waiting.
        drop((self.watch, self.ledger));
        for part in self.parts.into_iter().rev() {
            part.process.end().await.context(part.name)?;
        }
        Ok(self.databases)
    }
}

/// The withdraw service on a database.
pub fn withdraw(url: &str, ledger: &str) -> anyhow::Result<Process> {
    let flags = vec![
        ("--withdraw-listen", ANY_PORT.to_owned()),
        ("--withdraw-database-url", url.to_owned()),
        ("--account-address", ledger.to_owned()),
        ("--wechat-provider", "sandbox".to_owned()),
        ("--alipay-provider", "sandbox".to_owned()),
        // As many as callers, like the textbook's.
        ("--payouts-at-once", round::IN_FLIGHT.to_string()),
    ];
    started("withdraw-service", &flags)
}

/// A gateway before two services, with a secret of this run that nobody else knows, and the tokens made with it.
fn guarded(ledger: &str, cash_outs: &str) -> anyhow::Result<(Process, Arc<[String]>)> {
    let secret = hex(&Random::from_os().bytes::<32>());
    let people = (1..=PEOPLE).map(|user| token(&secret, user, "user"));
    let reviewer = token(&secret, REVIEWER, "admin");
    let tokens = people.chain([reviewer]).collect::<anyhow::Result<_>>()?;
    Ok((gateway(ledger, cash_outs, &secret)?, tokens))
}

/// The gateway before both services.
pub fn gateway(ledger: &str, withdraw: &str, secret: &str) -> anyhow::Result<Process> {
    let flags = vec![
        ("--gateway-listen", ANY_PORT.to_owned()),
        ("--account-address", ledger.to_owned()),
        ("--withdraw-address", withdraw.to_owned()),
        ("--jwt-secret", secret.to_owned()),
    ];
    started("gateway", &flags)
}

/// A connection for the follower: its one call lasts as long as the study, so no call has a deadline.
fn follower(address: &str) -> anyhow::Result<WithdrawServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(address.to_owned())?;
    Ok(WithdrawServiceClient::new(endpoint.connect_with_connector_lazy(peer::connector())))
}

async fn fresh(engine: &Engine, name: &str) -> anyhow::Result<[(String, String); 2]> {
    let (ledger, cash_outs) = (format!("{name}ledger"), format!("{name}cashouts"));
    let urls = (engine.fresh(&ledger).await?, engine.fresh(&cash_outs).await?);
    Ok([(ledger, urls.0), (cash_outs, urls.1)])
}

/// Gives everybody a profile and a place where the sandbox pays at once.
async fn bind(clients: &[Client]) -> anyhow::Result<()> {
    let people: Vec<(i64, Client)> = (1..=PEOPLE).zip(clients.iter().cycle().cloned()).collect();
    let work = people.into_iter().map(|(user_id, mut client)| async move {
        let username = format!("user{user_id}");
        let profile = account::SetProfileRequest { user_id, username, mobile: String::new() };
        client.set_profile(profile).await?;
        let payee_id = format!("payee{user_id}");
        let payee = account::Payee {
            method: account::PayeeMethod::Wechat.into(),
            mp_openid: payee_id.clone(),
            payee_id,
            ..Default::default()
        };
        client.bind_payee(account::BindPayeeRequest { user_id, payee: Some(payee) }).await?;
        anyhow::Ok(())
    });
    stream::iter(work).buffer_unordered(SETUP).try_collect::<()>().await.context("binding payees")
}
