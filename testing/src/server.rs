//! The PostgreSQL server of this test process: the one that `TEST_POSTGRES_URL` names, else a
//! throw-away one of our own, started at first use.
//!
//! The throw-away server must not outlive the tests, not even after `kill -9`: a shell starts it, then
//! reads from a pipe whose other end only this process holds. However this process ends, the pipe
//! closes, and the shell stops the server and removes its directory.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::binaries;

/// Of an address, or of why there is none.
type Address = Result<Option<&'static str>, String>;

/// Our end of the pipes; never written to, never closed by us.
static PIPES: Mutex<Vec<ChildStdin>> = Mutex::new(Vec::new());

/// The address of the server's database `postgres`; `None` when this machine has no PostgreSQL.
/// Blocks while a throw-away server starts, at the first call only.
pub fn address() -> Address {
    static ADDRESS: OnceLock<Result<Option<String>, String>> = OnceLock::new();
    let known = ADDRESS.get_or_init(|| match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) if !url.is_empty() => Ok(Some(url)),
        _ => match binaries::newest() {
            Some(bin) => start(&bin).map(Some).map_err(|error| format!("{error:#}")),
            None => Ok(None),
        },
    });
    known.as_ref().map(Option::as_deref).map_err(Clone::clone)
}

/// The server refuses to run as root, so then it runs as somebody who is not.
struct Person {
    user: u32,
    group: u32,
}

fn start(bin: &Path) -> anyhow::Result<String> {
    let directory = tempfile::Builder::new().prefix("cashout-pg-").tempdir()?;
    let person = person_for(directory.path())?;
    if let Some(person) = &person {
        chown(directory.path(), Some(person.user), Some(person.group))?;
    }
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700))?;
    let made = run_as(person.as_ref(), &bin.join("initdb"))
        .args(["--auth=trust", "--username=cashout", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg("--pgdata=data")
        .current_dir(directory.path())
        .output()?;
    if !made.status.success() {
        anyhow::bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    }
    // From here on the shell owns the directory.
    let directory = directory.keep();
    let mut shell = watched(person.as_ref(), bin, &directory)?;
    let pipe = shell.stdin.take();
    PIPES.lock().map_err(|_| anyhow::anyhow!("a start failed before"))?.extend(pipe);
    await_socket(&mut shell, &directory)?;
    Ok(format!("postgres://cashout@localhost/postgres?host={}", directory.display()))
}

/// Starts the server under a shell that stops it when our end of its standard input closes.
fn watched(person: Option<&Person>, bin: &Path, directory: &Path) -> anyhow::Result<Child> {
    // SIGQUIT ends the server at once, without a checkpoint that nobody would read.
    const WATCH: &str = r#"
        "$1" -D data -k "$PWD" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
            -c full_page_writes=off -c max_connections=400 >log 2>&1 </dev/null &
        server=$!
        read -r _
        kill -QUIT "$server"
        wait "$server"
        rm -rf "$PWD"
    "#;
    Ok(run_as(person, Path::new("/bin/sh"))
        .args(["-c", WATCH, "sh"])
        .arg(bin.join("postgres"))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches the tests; the shell hears of it by its pipe.
        .process_group(0)
        .spawn()?)
}

fn await_socket(shell: &mut Child, directory: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let ready = std::fs::read_to_string(directory.join("data/postmaster.pid"))
            .is_ok_and(|pid| pid.lines().last().is_some_and(|line| line.trim() == "ready"));
        if ready {
            return Ok(());
        }
        if Instant::now() > deadline || shell.try_wait()?.is_some() {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            anyhow::bail!("the throw-away server did not start: {log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run_as(person: Option<&Person>, program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(Person { user, group }) = person {
        command.uid(*user).gid(*group);
    }
    command
}

/// `None` when we are not root. A file that we just made tells who we are.
fn person_for(made_by_us: &Path) -> anyhow::Result<Option<Person>> {
    if std::fs::metadata(made_by_us)?.uid() != 0 {
        return Ok(None);
    }
    let people = std::fs::read_to_string("/etc/passwd")?;
    let named = |name: &str| {
        let line = people.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let user = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Person { user, group })
    };
    let person = named("postgres").or_else(|| named("nobody"));
    person
        .map(Some)
        .ok_or_else(|| anyhow::anyhow!("we are root, and nobody else is there to run it"))
}
