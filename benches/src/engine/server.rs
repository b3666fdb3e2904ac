//! A throw-away PostgreSQL server that keeps what it has answered: fsync, synchronous commits and full
//! page writes are on, as in production.
//!
//! A shell starts it, then reads from a pipe whose other end only this process holds. However this
//! process ends, the pipe closes, and the shell stops the server and removes its directory.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::binaries;

/// What differs from the defaults besides durability, which is said although it is the default: room
/// in memory, checkpoints too rare to hit one side of a comparison only, and files of the log that are
/// used again instead of made anew, as on a server that has run for a while (see `store::run_in`).
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=1GB",
    "min_wal_size=4GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "max_connections=100",
];

/// A running server, stopped with this value.
pub struct Server {
    /// Of its first process.
    pub pid: u32,
    directory: PathBuf,
    shell: Child,
}

impl Server {
    /// Makes and starts one below `parent`.
    pub fn start(parent: &Path) -> anyhow::Result<Self> {
        let binaries = binaries::newest().context("this machine has no PostgreSQL server")?;
        let directory = tempfile::Builder::new().prefix("bench-pg-").tempdir_in(parent)?;
        let person = person_for(directory.path())?;
        if let Some((user, group)) = person {
            chown(directory.path(), Some(user), Some(group))?;
        }
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700))?;
        let made = run_as(person, &binaries.join("initdb"))
            .args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C"])
            .arg("--pgdata=data")
            .current_dir(directory.path())
            .output()?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        anyhow::ensure!(made.status.success(), "initdb failed: {said}");
        // From here on the shell owns the directory.
        let directory = directory.keep();
        let shell = watched(person, &binaries, &directory)?;
        let mut server = Self { pid: 0, directory, shell };
        server.pid = server.ready()?;
        Ok(server)
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://bench@localhost/{database}?host={}", self.directory.display())
    }

    /// Waits until it takes connections; tells its process.
    fn ready(&mut self) -> anyhow::Result<u32> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let file = std::fs::read_to_string(self.directory.join("data/postmaster.pid"));
            let file = file.unwrap_or_default();
            if file.lines().last().is_some_and(|line| line.trim() == "ready") {
                return file.lines().next().unwrap_or_default().parse().context("its process");
            }
            if Instant::now() > deadline || self.shell.try_wait()?.is_some() {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                anyhow::bail!("the throw-away server did not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing the pipe is the sign to stop.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Starts the server under a shell that stops it when our end of its standard input closes.
fn watched(person: Option<(u32, u32)>, binaries: &Path, directory: &Path) -> anyhow::Result<Child> {
    const WATCH: &str = r#"
        program=$1
        shift
        "$program" -D data -k "$PWD" "$@" >log 2>&1 </dev/null &
        server=$!
        read -r _
        kill -QUIT "$server"
        wait "$server"
        rm -rf "$PWD"
    "#;
    Ok(run_as(person, Path::new("/bin/sh"))
        .args(["-c", WATCH, "sh"])
        .arg(binaries.join("postgres"))
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches us; the shell hears of it by its pipe.
        .process_group(0)
        .spawn()?)
}

fn run_as(person: Option<(u32, u32)>, program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = person {
        command.uid(user).gid(group);
    }
    command
}

/// The server refuses to run as root, so then it runs as somebody who is not. A directory that we just
/// made tells who we are.
fn person_for(made_by_us: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    if std::fs::metadata(made_by_us)?.uid() != 0 {
        return Ok(None);
    }
    let people = std::fs::read_to_string("/etc/passwd")?;
    let named = |name: &str| {
        let line = people.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let person = named("postgres").or_else(|| named("nobody"));
    person.map(Some).context("we are root, and nobody else is there to run it")
}
