//! Statements of an account with a long history: what a page costs at the start and deep inside, by
//! cursor, by time and counted; and what a full export costs in time and memory.
//!
//! Every page is checked for what it must show. Must not know: how a statement is read.

use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_proto::account::v1 as pb;

use super::filling::Filled;
use super::finding::{Finding, Number, ratio};
use super::people::person;
use super::{Bench, Shown};
use crate::load::Client;
use crate::process::reading::memory;
use crate::summary::median;

const ROWS: i32 = 20;
/// Pages of one kind that are read at most, and for how long: a page that counts a million entries is
/// not read as often.
const PAGES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(3);
/// First pages that are not counted: connections open, plans are made.
const WARM_UP: usize = 5;
/// Between two looks at the service's memory during an export.
const LOOK: Duration = Duration::from_millis(5);

const DEEP: Number = Number::Hundredths(150);
const EXPORT_MEMORY: Number = Number::Kib(16 * 1024);

/// A page that is asked for, and the newest entry that it must show.
#[derive(Debug, Clone)]
enum Page {
    /// By cursor: below this entry id; 0 is the start.
    Scan { after_id: i64, span: (i64, i64), newest: i64 },
    /// By number, with the count of all that match.
    Counted { page: i32, span: (i64, i64), newest: i64, total: i64 },
}

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let filled = Filled::make(bench, "studystatements", 1, bench.entries).await?;
    let mut client = filled.client()?;
    let all = i64::try_from(bench.entries)?;
    // All entries were made within minutes, so the middle fifth of that time plays the part of a day.
    let (from, until) = (all * 2 / 5, all * 3 / 5);
    let span = (made(&mut client, from).await?, made(&mut client, until).await?);
    let newest = newest_before(&mut client, span.1, until).await?;
    let matching = newest - oldest_since(&mut client, span.0, from).await? + 1;
    let (middle, open) = (all / 2, (0, 0));
    let deep_page = i32::try_from(middle / i64::from(ROWS))?;
    let deep_newest = all - i64::from(deep_page - 1) * i64::from(ROWS);

    let mut shown = Shown::default();
    let scan = |after_id, span, newest| Page::Scan { after_id, span, newest };
    let counted = |page, span, newest, total| Page::Counted { page, span, newest, total };
    let last = i64::from(ROWS) + 1;
    let first = pages(&mut client, scan(0, open, all)).await?;
    shown.findings.push(found("by cursor, first page", first));
    for (what, page, base) in [
        ("by cursor, in the middle", scan(middle, open, middle - 1), Some(first)),
        ("by cursor, the last page", scan(last, open, last - 1), Some(first)),
        ("by cursor, a span of time in the middle", scan(0, span, newest), Some(first)),
        ("counted, first page", counted(1, open, all, all), None),
        ("counted, in the middle", counted(deep_page, open, deep_newest, all), None),
        ("counted, a span of time in the middle", counted(1, span, newest, matching), None),
    ] {
        let took_us = pages(&mut client, page).await.context(what)?;
        shown.findings.push(found(what, took_us));
        if let Some(base) = base {
            let cost = ratio(took_us, base);
            shown.findings.push(Finding::new(format!("{what}, × first page"), cost).at_most(DEEP));
        }
    }
    let whole = pb::StreamEntriesRequest { catch_up_only: true, ..Default::default() };
    let of_account = pb::StreamEntriesRequest { account: Some(person(1)), ..whole.clone() };
    for (what, request) in [("of the whole ledger", whole), ("of the account", of_account)] {
        export(&filled, what, request, bench.entries, &mut shown).await?;
    }
    drop(client);
    filled.end(bench.engine, 0, &mut shown).await?;
    Ok(shown)
}

fn found(what: &str, took_us: u64) -> Finding {
    Finding::new(format!("{what} of {ROWS} rows, p50"), Number::Us(took_us))
}

/// When an entry was made, UTC microseconds.
async fn made(client: &mut Client, id: i64) -> anyhow::Result<i64> {
    let answer = client.get_entry(pb::GetEntryRequest { id, user_id: 0 }).await?;
    Ok(answer.into_inner().created_at_us)
}

/// The newest entry made before that time: at or below `id`, whose time it is. Entries of one batch
/// share their time.
async fn newest_before(client: &mut Client, us: i64, mut id: i64) -> anyhow::Result<i64> {
    while made(client, id).await? >= us {
        id -= 1;
    }
    Ok(id)
}

/// The oldest entry made at or after that time: at or below `id`, whose time it is.
async fn oldest_since(client: &mut Client, us: i64, mut id: i64) -> anyhow::Result<i64> {
    while id > 1 && made(client, id - 1).await? >= us {
        id -= 1;
    }
    Ok(id)
}

/// Reads the same page again and again; tells the median, microseconds.
async fn pages(client: &mut Client, page: Page) -> anyhow::Result<u64> {
    let mut took_us = Vec::with_capacity(PAGES);
    let until = Instant::now() + PATIENCE;
    for number in 0..PAGES + WARM_UP {
        let began = Instant::now();
        read(client, &page).await?;
        let us = u64::try_from(began.elapsed().as_micros())?;
        if number >= WARM_UP {
            took_us.push(us);
            if Instant::now() > until {
                break;
            }
        }
    }
    Ok(median(took_us))
}

async fn read(client: &mut Client, page: &Page) -> anyhow::Result<()> {
    let filter = |(from_us, until_us)| {
        let account = Some(person(1));
        Some(pb::StatementFilter { account, from_us, until_us, ..Default::default() })
    };
    let (entries, newest) = match *page {
        Page::Scan { after_id, span, newest } => {
            let filter = filter(span);
            let request =
                pb::ScanStatementRequest { filter, after_id, oldest_first: false, limit: ROWS };
            (client.scan_statement(request).await?.into_inner().entries, newest)
        }
        Page::Counted { page, span, newest, total } => {
            let filter = filter(span);
            let request = pb::ListStatementRequest { filter, page, page_size: ROWS };
            let answer = client.list_statement(request).await?.into_inner();
            anyhow::ensure!(answer.total == total, "counted {} instead of {total}", answer.total);
            (answer.entries, newest)
        }
    };
    let ids = entries.iter().map(|entry| entry.id);
    let expected = (newest - i64::from(ROWS) + 1..=newest).rev();
    anyhow::ensure!(ids.eq(expected), "{page:?} shows other entries");
    Ok(())
}

/// Reads a whole history as a stream, and looks at the service's memory meanwhile.
async fn export(
    filled: &Filled,
    what: &str,
    request: pb::StreamEntriesRequest,
    entries: u64,
    shown: &mut Shown,
) -> anyhow::Result<()> {
    let pid = filled.process.pid();
    let before_kib = memory(pid).resident_kib;
    let began = Instant::now();
    let reading = tokio::spawn(exported(filled.client()?, request));
    let mut most_kib = before_kib;
    while !reading.is_finished() {
        most_kib = most_kib.max(memory(pid).resident_kib);
        tokio::time::sleep(LOOK).await;
    }
    let count = reading.await??;
    let took_us = u64::try_from(began.elapsed().as_micros())?;
    let rate = (count * 1_000_000).checked_div(took_us).unwrap_or_default();
    let grown = Number::Kib(most_kib - before_kib);
    let found = |of: &str, number| Finding::new(format!("export {what}, {of}"), number);
    shown.findings.extend([
        found("entries", Number::PerSecond(rate)),
        found("memory before", Number::Kib(before_kib)),
        found("memory grown by at most", grown).at_most(EXPORT_MEMORY),
    ]);
    shown.checks.push(format!("the export {what} had {count} of {entries} entries, in order"));
    if count != entries {
        shown.faults.push(format!("the export {what} had {count} of {entries} entries"));
    }
    Ok(())
}

/// How many entries the stream has; they must come in the order of the one account's history.
async fn exported(mut client: Client, request: pb::StreamEntriesRequest) -> anyhow::Result<u64> {
    let mut entries = client.stream_entries(request).await?.into_inner();
    let mut count = 0;
    while let Some(entry) = entries.message().await? {
        count += 1;
        anyhow::ensure!(entry.seq == count, "entry {} came as number {count}", entry.seq);
        let sum = entry.available_after_minor;
        anyhow::ensure!(sum == count, "the balance after {count} entries of 1 is {sum}");
    }
    Ok(u64::try_from(count)?)
}
