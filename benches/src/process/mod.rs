//! A program of ours as a process: started, told to end, never left behind. Must not know: what it does.

pub mod reading;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How long a program may take to end; it drains first.
const END: Duration = Duration::from_secs(30);

/// A running program.
pub struct Process {
    child: Child,
    /// Where it listens, as it said.
    pub address: String,
}

impl Process {
    /// Starts a program and waits for its line `ready <name>=<address>`. Only warnings are logged: a
    /// line per call would be measured along.
    pub fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env("CASHOUT_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let output = child.stdout.take().context("its output")?;
        let mut process = Self { child, address: String::new() };
        for line in BufReader::new(output).lines() {
            if let Some((_, address)) = line?.strip_prefix("ready ").and_then(|l| l.split_once('='))
            {
                address.clone_into(&mut process.address);
                return Ok(process);
            }
        }
        anyhow::bail!("{} ended with {}", program.display(), process.child.wait()?)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Tells it to end, and waits until it has.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        anyhow::ensure!(told.success(), "kill -TERM: {told}");
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "a server ended with {status}");
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "a server does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
