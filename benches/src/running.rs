//! One server in one scenario, from its start to its end: rounds, what follows them in an open loop,
//! and the checks of what it leaves behind. Must not know: the others, or whose turn it is.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::check::{Money, verify};
use crate::comparison::{Disk, Effort, Subject};
use crate::engine::Engine;
use crate::load::scenario::{Act, Scenario};
use crate::load::seen::Moved;
use crate::load::{Client, connect, prepare};
use crate::measure::{Round, round};
use crate::pressure::{Pressure, press};
use crate::raw::Raw;
use crate::target::{Server, Target};

/// Who is measured, with what was measured so far.
pub struct Running<'a> {
    scenario: &'a Scenario,
    engine: &'a Engine,
    target: Target,
    who: Who,
    /// Bytes of the database before the load.
    bytes: u64,
    rounds: Vec<Round>,
    pressure: Option<Pressure>,
}

enum Who {
    /// A process, its clients and its part of the scenario.
    Served(Server, Vec<Client>, (Act, usize)),
    /// Writers in this process.
    Raw(Raw),
}

/// Those who are measured in a scenario; with a build beside ours, nobody else.
pub fn targets(scenario: &Scenario, engine: &Engine, beside: Option<&Path>) -> Vec<Target> {
    if beside.is_some() {
        return vec![Target::Ours, Target::Beside];
    }
    let mut targets = vec![Target::Ours, Target::Baseline];
    if scenario.alike {
        targets.push(Target::Alike);
    }
    if scenario.echo {
        targets.push(Target::Echo);
    }
    if scenario.raw {
        targets.push(Target::RawOne);
        // SQLite has one writer.
        if engine.description.engine == "postgres" {
            targets.push(Target::RawTwo);
        }
    }
    targets
}

impl<'a> Running<'a> {
    /// Starts it on a fresh database, with everybody's account open and funded.
    pub async fn start(
        scenario: &'a Scenario,
        (target, beside): (Target, Option<&Path>),
        number: usize,
        engine: &'a Engine,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let people = scenario.population(target).people();
        let who = if matches!(target, Target::RawOne | Target::RawTwo) {
            Who::Raw(Raw::start(target, engine, number, people).await?)
        } else {
            let of_baseline = target == Target::Baseline;
            let ours = (scenario.act, scenario.in_flight);
            let part = if of_baseline { scenario.baseline } else { ours };
            let server = Server::start(target, beside, engine, number, people).await?;
            let clients = connect(&server.process.address, part.1).await?;
            let funds = scenario.funds();
            // The baseline has opened the accounts itself.
            if target.real() || (of_baseline && funds > 0) {
                prepare(&clients, people, funds, seed).await?;
            }
            Who::Served(server, clients, part)
        };
        let bytes = match who.database() {
            Some(name) => engine.bytes(name).await?,
            None => 0,
        };
        Ok(Self { scenario, engine, target, who, bytes, rounds: vec![], pressure: None })
    }

    /// Its turn in a round.
    pub async fn round(&mut self, (seed, length): (u64, Duration)) -> anyhow::Result<()> {
        let population = self.scenario.population(self.target);
        let how = (seed, length);
        let round = match &mut self.who {
            Who::Raw(raw) => raw.round(self.engine, &population, how).await?,
            Who::Served(server, clients, part) => {
                round(server, clients, self.engine, *part, &population, how).await?
            }
        };
        self.rounds.push(round);
        Ok(())
    }

    /// What follows the rounds, if anything does.
    pub async fn press(&mut self, effort: Effort) -> anyhow::Result<()> {
        if let (Some(open), Who::Served(server, ..)) = (self.scenario.open, &self.who) {
            let peaks = self.rounds.iter().map(|r| r.per_second).collect();
            let window = Duration::from_millis(effort.round_ms * u64::from(effort.rounds));
            let population = self.scenario.population(self.target);
            let how = (peaks, effort.seed, window);
            self.pressure = Some(press(server, self.engine, open, &population, how).await?);
        }
        Ok(())
    }

    /// Ends it, checks what it leaves behind, and removes that.
    pub async fn end(self) -> anyhow::Result<Subject> {
        let Self { scenario, engine, target, who, bytes, rounds, pressure } = self;
        let pressed = pressure.iter().map(|p| p.moved);
        let moved: Moved = rounds.iter().map(|r| r.moved).chain(pressed).sum();
        let written = rounds.iter().map(|r| r.written).sum::<u64>()
            + pressure.as_ref().map_or(0, |p| p.answered);
        let (mut subject, left) = match who {
            Who::Raw(raw) => {
                let name = raw.database.clone();
                let money = Some(raw.end(moved).await?);
                (Subject { money, ..Subject::default() }, Some((name, None)))
            }
            Who::Served(server, clients, _) => {
                let at_rest = server.at_rest;
                let mut money = None;
                if target != Target::Echo {
                    let people = scenario.population(target).people();
                    money = Some(Money::count(&clients, people, scenario.funds(), moved).await?);
                }
                drop(clients);
                let left = server.end().await?.map(|left| (left.name, Some(left.url)));
                (Subject { at_rest, money, ..Subject::default() }, left)
            }
        };
        if let Some((name, url)) = left {
            let after = engine.bytes(&name).await?;
            subject.disk = Some(Disk { before: bytes, after, written });
            // Another build may keep other tables; its money is counted all the same.
            if let Some(url) = url.filter(|_| target.real() && target != Target::Beside) {
                subject.verified = Some(verify(&url).await.context("verifying the ledger")?);
            }
            engine.remove(&name).await?;
        }
        Ok(Subject { target, rounds, pressure, ..subject })
    }
}

impl Who {
    fn database(&self) -> Option<&str> {
        match self {
            Self::Served(server, ..) => server.database(),
            Self::Raw(raw) => Some(&raw.database),
        }
    }
}
