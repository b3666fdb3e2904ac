//! The engine a run is on, with a fresh database for whoever asks. Nothing outlives this value.
//!
//! Must not know: tables, or who uses a database.

mod binaries;
mod server;
mod store;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tempfile::TempDir;

use crate::process::reading;
use server::Server;

/// Writes that the probe of the disk makes.
const PROBES: usize = 100;

/// Which engine is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite, in files.
    Sqlite,
    /// A throw-away PostgreSQL server.
    Postgres,
}

/// What a reader has to know of the engine.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// As it calls itself.
    pub version: String,
    /// What makes an answered commit last, as the engine tells.
    pub durability: String,
    /// The file system it writes to.
    pub file_system: String,
    /// What one durable write of 8 KiB takes there, median, microseconds.
    pub sync_us: u64,
}

/// The engine of a run.
pub struct Engine {
    /// What to tell about it.
    pub description: Description,
    directory: TempDir,
    server: Option<Server>,
}

impl Engine {
    /// Starts what the engine needs, with its files below `parent`.
    pub async fn start(kind: Kind, parent: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?;
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Server::start(parent)?),
        };
        if let Some(server) = &server {
            store::run_in(&server.url("postgres")).await?;
        }
        let description = describe(directory.path(), server.as_ref()).await?;
        let durability = &description.durability;
        // Refused here, before an hour of figures that nobody could use.
        anyhow::ensure!(!durability.contains("off"), "commits would not last: {durability}");
        Ok(Self { description, directory, server })
    }

    /// The address of a new, empty database. Names are plain letters and digits.
    pub async fn fresh(&self, name: &str) -> anyhow::Result<String> {
        match &self.server {
            None => Ok(format!("sqlite://{}/{name}.db", self.directory.path().display())),
            Some(server) => {
                store::create(&server.url("postgres"), name).await?;
                Ok(server.url(name))
            }
        }
    }

    /// Removes a database whose service has ended.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        match &self.server {
            None => {
                for ending in ["", "-wal", "-shm"] {
                    let path = self.directory.path().join(format!("{name}.db{ending}"));
                    // A clean end leaves no second and third file.
                    let _ = std::fs::remove_file(path);
                }
                Ok(())
            }
            Some(server) => store::remove(&server.url("postgres"), name).await,
        }
    }

    /// Bytes of a database on disk, its indexes included, when all that was committed is in its files.
    pub async fn bytes(&self, name: &str) -> anyhow::Result<u64> {
        match &self.server {
            None => {
                let path = self.directory.path().join(format!("{name}.db"));
                store::fold(&path).await?;
                Ok(std::fs::metadata(&path)?.len())
            }
            Some(server) => store::bytes(&server.url("postgres"), name).await,
        }
    }

    /// CPU time that a database server of its own has used, microseconds.
    pub fn cpu_us(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| reading::family_cpu_us(server.pid))
    }
}

async fn describe(path: &Path, server: Option<&Server>) -> anyhow::Result<Description> {
    let sync_us = sync_us(path).context("probing the disk")?;
    let file_system = file_system(path);
    let (engine, version, durability) = match server {
        None => {
            // Settings of connections cannot be asked for from outside; both services open theirs so.
            let durability = "journal_mode=wal, synchronous=full";
            ("sqlite", store::sqlite_version().await?, durability.to_owned())
        }
        Some(server) => {
            let (version, durability) = store::postgres(&server.url("postgres")).await?;
            ("postgres", version, durability)
        }
    };
    Ok(Description { engine, version, durability, file_system, sync_us })
}

/// What the kernel calls the file system below a path: the longest mount point that contains it.
fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    });
    let found = mounts.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    found.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// A file system that forgets, or a disk that lies, shows as a write that takes no time.
fn sync_us(directory: &Path) -> std::io::Result<u64> {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile_in(directory)?;
    let block = [7; 8192];
    let mut took: Vec<Duration> = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let median = took.get(PROBES / 2).copied().unwrap_or_default();
    Ok(u64::try_from(median.as_micros()).unwrap_or(u64::MAX))
}
