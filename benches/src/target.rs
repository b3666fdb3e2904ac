//! A server under test: the real service, the baseline or the echo, each in a process of its own, and
//! the database that is its own. Must not know: what is asked of it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::engine::Engine;
use crate::process::Process;
use crate::process::reading::{Memory, memory};
use crate::study::programs::payee_key;

/// Who is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The account service, as it is shipped.
    #[default]
    Ours,
    /// Another of it, with the same load spread over accounts alike.
    Alike,
    /// Another build of it.
    Beside,
    /// The textbook service.
    Baseline,
    /// No database at all.
    Echo,
    /// No service at all: one connection that writes batches.
    RawOne,
    /// The same with two connections.
    RawTwo,
}

impl Target {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Alike => "ours, accounts alike",
            Self::Beside => "ours, the build beside",
            Self::Baseline => "baseline",
            Self::Echo => "echo",
            Self::RawOne => "raw, 1 connection",
            Self::RawTwo => "raw, 2 connections",
        }
    }

    /// Whether it is the real service.
    pub fn real(self) -> bool {
        matches!(self, Self::Ours | Self::Alike | Self::Beside)
    }

    /// As databases call it: plain letters.
    pub fn database(self) -> &'static str {
        match self {
            Self::Alike => "alike",
            Self::Beside => "beside",
            Self::RawOne => "rawone",
            Self::RawTwo => "rawtwo",
            served => served.name(),
        }
    }
}

/// One that runs.
pub struct Server {
    /// Which.
    pub target: Target,
    /// Its process.
    pub process: Process,
    /// Its memory before anybody asked anything.
    pub at_rest: Memory,
    database: Option<(String, String)>,
}

impl Server {
    /// Starts it on a fresh database; `number` tells databases of one run apart, `beside` is the program of the
    /// build that ours is compared with. The baseline opens the accounts of `people` before it is ready, the others
    /// are asked to.
    pub async fn start(
        target: Target,
        beside: Option<&Path>,
        engine: &Engine,
        number: usize,
        people: i64,
    ) -> anyhow::Result<Self> {
        let database = if target == Target::Echo {
            None
        } else {
            let name = format!("bench{number}{}", target.database());
            let url = engine.fresh(&name).await?;
            Some((name, url))
        };
        let url = database.as_ref().map_or("", |(_, url)| url);
        let listen = "127.0.0.1:0";
        let process = match target {
            Target::Ours | Target::Alike | Target::Beside => {
                let key = payee_key()?;
                let own = service()?;
                let other = beside.filter(|_| target == Target::Beside);
                let arguments = [
                    "--account-listen",
                    listen,
                    "--account-database-url",
                    url,
                    "--account-payee-key-files",
                    &key,
                ];
                Process::start(other.unwrap_or(&own), &arguments)?
            }
            Target::Baseline => {
                let people = people.to_string();
                let arguments =
                    ["baseline", "--listen", listen, "--database-url", url, "--people", &people];
                Process::start(&std::env::current_exe()?, &arguments)?
            }
            Target::Echo => {
                Process::start(&std::env::current_exe()?, &["echo", "--listen", listen])?
            }
            Target::RawOne | Target::RawTwo => anyhow::bail!("raw writes have no server"),
        };
        let at_rest = memory(process.pid());
        Ok(Self { target, process, at_rest, database })
    }

    /// The name of its database in the engine, if it has one.
    pub fn database(&self) -> Option<&str> {
        self.database.as_ref().map(|(name, _)| name.as_str())
    }

    /// Ends the process; tells the address of the database it leaves behind.
    pub async fn end(self) -> anyhow::Result<Option<Left>> {
        self.process.end().await.with_context(|| self.target.name())?;
        Ok(self.database.map(|(name, url)| Left { name, url }))
    }
}

/// A database whose service has ended.
pub struct Left {
    /// Its name in the engine.
    pub name: String,
    /// Its address.
    pub url: String,
}

/// The program of another build of the real service, wherever this process goes. Never the file that ours is built to,
/// which would be compared with itself.
pub fn other(program: &Path) -> anyhow::Result<PathBuf> {
    let whole = program.canonicalize().with_context(|| program.display().to_string())?;
    let ours = std::env::current_exe()?.with_file_name("account-service");
    let same = ours.canonicalize().is_ok_and(|ours| ours == whole);
    anyhow::ensure!(whole.is_file() && !same, "{} is no other build's program", program.display());
    Ok(whole)
}

/// The real service's program: built beside this one.
pub fn service() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("account-service");
    let advice = "was not built; run `cargo build --release -p account-service`";
    anyhow::ensure!(path.exists(), "{} {advice}", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_is_another_file() -> anyhow::Result<()> {
        let here = std::env::current_exe()?;
        assert_eq!(other(&here)?, here.canonicalize()?);
        let nowhere = here.with_file_name("no-such-program");
        for wrong in [nowhere.as_path(), Path::new("/"), Path::new("")] {
            assert!(other(wrong).is_err(), "{}", wrong.display());
        }
        Ok(())
    }
}
