//! The real programs as processes: started, killed, terminated.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A program that runs until it is stopped, killed at the latest when the test is over.
pub struct Process {
    child: Child,
    /// What it said on standard output until it was ready.
    pub said: Vec<String>,
}

/// Where a program of this workspace was built: beside the one under test.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let cashout = Path::new(env!("CARGO_BIN_EXE_cashout"));
    let path = cashout.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} was not built; run `cargo test --workspace`, or `cargo build --workspace` first",
        path.display()
    );
    Ok(path)
}

/// A command of a program that sees no setting but the given ones.
pub fn command(name: &str, settings: &[(&str, String)]) -> anyhow::Result<Command> {
    let mut command = Command::new(program(name)?);
    for setting in cashout::settings::table() {
        command.env_remove(setting.name);
    }
    command.env("CASHOUT_LOG", "warn").stdin(Stdio::null());
    command.envs(settings.iter().map(|(name, value)| (*name, value.as_str())));
    Ok(command)
}

/// A port that nobody listens on. It is below those that the system gives to whoever asks for any, so no
/// other test and no connection takes it before it is used, or while the program that has it is killed.
pub fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at places far from each other.
    let begin = u16::try_from(u64::from(std::process::id()) * 7919 % u64::from(COUNT))?;
    for _ in 0..COUNT {
        let nth = begin.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind(("127.0.0.1", FIRST + nth)).is_ok() {
            return Ok(FIRST + nth);
        }
    }
    anyhow::bail!("no port is free")
}

impl Process {
    /// Starts a program and waits for its line `ready …`.
    pub fn start(
        name: &str,
        arguments: &[&str],
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        Self::spawned(command(name, settings)?.args(arguments))
    }

    /// Starts a command and waits for its line `ready …`.
    pub fn spawned(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut said = Vec::new();
        for line in lines.by_ref() {
            said.push(line?);
            if said.last().is_some_and(|line| line.starts_with("ready ")) {
                return Ok(Self { child, said });
            }
        }
        anyhow::bail!("{command:?} ended with {} after saying {said:?}", child.wait()?)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "kill -TERM: {sent}");
        Ok(())
    }

    /// Waits for the end, at most half a minute.
    pub fn ended(mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
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
