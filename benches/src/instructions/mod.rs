//! The guard of the hot path: counts the instructions of fixed work under valgrind and compares them with
//! those that were written down. Seconds differ from machine to machine and minute to minute;
//! instructions do not, so a regression shows in CI.
//!
//! Must not know: what the work is.

mod work;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use anyhow::Context;

pub use work::Work;

/// How much more than written down is still the same, per mille: allocators and the order in which
/// threads wake differ a little.
const TOLERANCE_PERMILLE: u64 = 50;
/// What is written down, beside this crate's source.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");

/// Counts every work; with `update` writes the counts down, otherwise compares.
///
/// # Errors
/// When a work takes more instructions than written down, or cannot be counted.
pub fn guard(update: bool) -> anyhow::Result<()> {
    anyhow::ensure!(!cfg!(debug_assertions), "instructions are counted with --release");
    let written: BTreeMap<String, u64> = match std::fs::read_to_string(WRITTEN) {
        Ok(text) => toml::from_str(&text).context(WRITTEN)?,
        Err(_) if update => BTreeMap::new(),
        Err(error) => return Err(error).context(WRITTEN),
    };
    let mut text = String::from(
        "# Instructions per operation, counted under valgrind; see src/instructions.\n\
         # Brought up to date by `cargo run --release -p bench -- instructions --update`.\n",
    );
    let mut worse = Vec::new();
    for (name, work) in Work::ALL {
        let counted = each(name, work)?;
        let known = written.get(name).copied();
        println!("{name:<14} {counted:>8} instructions, written down {}", told(known));
        writeln!(text, "{name} = {counted}")?;
        if known.is_none_or(|known| exceeds(counted, known)) {
            worse.push(name);
        }
    }
    if update {
        return std::fs::write(WRITTEN, text).context(WRITTEN);
    }
    anyhow::ensure!(
        worse.is_empty(),
        "these take more than was written down: {}",
        worse.join(", ")
    );
    Ok(())
}

fn told(known: Option<u64>) -> String {
    known.map_or_else(|| "nowhere".to_owned(), |known| known.to_string())
}

fn exceeds(counted: u64, known: u64) -> bool {
    counted * 1000 > known * (1000 + TOLERANCE_PERMILLE)
}

/// Instructions of one operation: what twice as many take more, so that starting does not count.
fn each(name: &str, work: Work) -> anyhow::Result<u64> {
    let operations = work.operations();
    let (once, twice) = (count(name, operations)?, count(name, 2 * operations)?);
    Ok(twice.saturating_sub(once) / u64::try_from(operations)?)
}

/// Instructions of one process that does the work so often.
fn count(name: &str, operations: usize) -> anyhow::Result<u64> {
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["work", name, &operations.to_string()])
        .output()
        .context("counting needs valgrind")?;
    let said = String::from_utf8_lossy(&counted.stderr);
    anyhow::ensure!(counted.status.success(), "{name} failed: {said}");
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = line.with_context(|| format!("valgrind counted nothing: {said}"))?;
    Ok(number.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_is_the_same_and_a_twentieth_is_the_limit() {
        for (counted, known, more) in
            [(1000, 1000, false), (1050, 1000, false), (1051, 1000, true), (10, 1000, false)]
        {
            assert_eq!(exceeds(counted, known), more, "{counted} of {known}");
        }
    }

    #[test]
    fn every_work_can_be_done() -> anyhow::Result<()> {
        for (name, work) in Work::ALL {
            assert_eq!(Work::named(name), Some(work));
            work.run(4).with_context(|| name)?;
        }
        Ok(())
    }
}
