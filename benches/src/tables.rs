//! Tables that only some scenarios have something for: reads, open loops, disk. Must not know: how
//! anything is measured.

use std::fmt::Write;

use crate::comparison::{Comparison, Subject};
use crate::measure::Reads;
use crate::summary::{cpu, median, mib, time};

/// Reads that went on beside writes.
pub fn reads(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    let rows = all(comparisons).filter_map(|(scenario, subject)| {
        let seen: Option<Vec<&Reads>> = subject.rounds.iter().map(|r| r.reads.as_ref()).collect();
        Some((scenario, subject, seen.filter(|seen| !seen.is_empty())?))
    });
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "| scenario | server | reads per second | p50 | p99 | most | writes per second |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|")?;
    for (scenario, subject, seen) in rows {
        let middle = |of: fn(&Reads) -> u64| median(seen.iter().map(|r| of(r)).collect());
        writeln!(
            out,
            "| {scenario} | {} | {} | {} | {} | {} | {} |",
            subject.target.name(),
            middle(|r| r.per_second),
            time(middle(|r| r.p50_us)),
            time(middle(|r| r.p99_us)),
            time(middle(|r| r.max_us)),
            subject.median(|r| r.per_second),
        )?;
    }
    writeln!(out)
}

/// Arrivals that did not wait for answers.
pub fn pressure(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    let pressed = |(scenario, subject): (_, &'_ Subject)| {
        let pressure = subject.pressure.clone()?;
        Some((scenario, subject.target.name(), pressure))
    };
    let mut rows = all(comparisons).filter_map(pressed).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "| scenario | server | arrivals at | due per second | sent per second | answered | refused \
         | told when to come again | failed | not sent | p50 | p99 | most \
         | CPU µs per answer: service | database | client | latency back after | memory MiB, peak |"
    )?;
    writeln!(out, "|---|---|---|{}", "--:|".repeat(15))?;
    for (scenario, who, pressure) in rows {
        for stretch in &pressure.stretches {
            let last = pressure.stretches.last().is_some_and(|last| last.name == stretch.name);
            let back = pressure.back_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
            let back = if last { back } else { String::new() };
            writeln!(
                out,
                "| {scenario} | {who} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} \
                 | {} | {} | {} | {back} | {} |",
                stretch.name,
                stretch.due_per_second,
                stretch.sent_per_second,
                stretch.answered,
                stretch.refused,
                stretch.told_when,
                stretch.failed,
                stretch.not_sent,
                time(stretch.p50_us),
                time(stretch.p99_us),
                time(stretch.max_us),
                cpu(stretch.cost.service_cpu_ns),
                cpu(stretch.cost.database_cpu_ns),
                cpu(stretch.cost.client_cpu_ns),
                if last { mib(pressure.memory.peak_kib) } else { String::new() },
            )?;
        }
    }
    writeln!(out)
}

/// What a movement leaves on disk, indexes included.
pub fn disk(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    writeln!(
        out,
        "| scenario | server | movements | database MiB before | after | bytes per movement |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|")?;
    for (scenario, subject) in all(comparisons) {
        let Some(disk) = subject.disk else { continue };
        let each = disk.each().map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
        writeln!(
            out,
            "| {scenario} | {} | {} | {} | {} | {each} |",
            subject.target.name(),
            disk.written,
            mib(disk.before / 1024),
            mib(disk.after / 1024),
        )?;
    }
    writeln!(out)
}

fn all(comparisons: &[Comparison]) -> impl Iterator<Item = (&'static str, &Subject)> {
    comparisons.iter().flat_map(|c| c.subjects.iter().map(|subject| (c.scenario, subject)))
}
