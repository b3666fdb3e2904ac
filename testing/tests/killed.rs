//! A throw-away server does not outlive the process that started it, however that process ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

const VICTIM: &str = "CASHOUT_TEST_VICTIM";

#[test]
fn a_server_is_gone_after_its_process_was_killed() -> anyhow::Result<()> {
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--exact", "a_process_that_is_killed", "--nocapture"])
        .env(VICTIM, "1")
        .env_remove("TEST_POSTGRES_URL")
        .env_remove("CI")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let told = BufReader::new(victim.stdout.take().context("its output")?)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("directory=").map(|(_, told)| told.to_owned()));
    victim.kill()?;
    victim.wait()?;
    let directory = told.context("the victim told nothing")?;
    if directory == "none" {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while Path::new(&directory).exists() {
        anyhow::ensure!(Instant::now() < deadline, "{directory} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Does nothing unless the test above runs it.
#[tokio::test]
async fn a_process_that_is_killed() -> anyhow::Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let database = cashout_testing::postgres("victim").await?;
    let directory = database.as_ref().and_then(|d| d.url.split_once("?host=")).map(|(_, d)| d);
    println!("directory={}", directory.unwrap_or("none"));
    std::io::stdout().flush()?;
    // Ends when the one who watches dies first.
    std::io::stdin().lines().for_each(drop);
    Ok(())
}
