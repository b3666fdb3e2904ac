//! Tables that only some scenarios or runs have something for: reads, open loops, disk, two builds. Must not know: how
//! anything is measured.

use std::fmt::Write;

use crate::comparison::{Comparison, Subject};
use crate::measure::Reads;
use crate::summary::{cpu, hundredths, median, mib, shown, time, within_95};
use crate::target::Target;

/// Reads that went on beside writes. Both are closed loops that share the machine, so a server may
/// serve more of one by serving less of the other: neither column means anything alone.
pub fn reads(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    let mut rows = all(comparisons).filter(|(_, subject)| !seen(subject).is_empty()).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "| scenario | server | reads per second | p50 | p99 | most | writes per second \
         | reads and writes, × baseline |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
    for (comparison, subject) in rows {
        let seen = seen(subject);
        let middle = |of: fn(&Reads) -> u64| median(seen.iter().map(|r| of(r)).collect());
        let below = comparison.of(Target::Baseline).map_or(0, both);
        let times = (both(subject) * 100).checked_div(below);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            comparison.scenario,
            subject.target.name(),
            middle(|r| r.per_second),
            time(middle(|r| r.p50_us)),
            time(middle(|r| r.p99_us)),
            time(middle(|r| r.max_us)),
            subject.median(|r| r.per_second),
            times.map_or_else(|| "–".to_owned(), hundredths),
        )?;
    }
    writeln!(out)
}

fn seen(subject: &Subject) -> Vec<&Reads> {
    subject.rounds.iter().filter_map(|r| r.reads.as_ref()).collect()
}

/// Reads and writes per second together.
fn both(subject: &Subject) -> u64 {
    subject.median(|r| r.per_second + r.reads.as_ref().map_or(0, |reads| reads.per_second))
}

/// Names those whose latency is too long for their rounds: what was in flight at both ends of a round
/// weighs too much in it.
pub fn short_rounds(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    let short = |subject: &Subject| subject.median(|r| u64::from(r.p50_us * 2 > r.window_us)) > 0;
    let short: Vec<String> = all(comparisons)
        .filter(|(_, subject)| short(subject))
        .map(|(comparison, s)| format!("{}, {}", comparison.scenario, s.target.name()))
        .collect();
    if !short.is_empty() {
        writeln!(out, "**Rounds too short for the latency; ask for more seconds:**")?;
        writeln!(out, "{}.\n", short.join("; "))?;
    }
    Ok(())
}

/// What ours has of another build's, turn by turn: of throughput more is better, of all else less.
pub fn builds(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    writeln!(
        out,
        "| scenario | throughput, × the build beside (true median, 95 of 100) | p50 | p99 | service CPU per movement \
         | all CPU |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|")?;
    for comparison in comparisons {
        let ratio = |of| comparison.ratio(of, Target::Ours, Target::Beside);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            comparison.scenario,
            within_95(ratio(|r| r.per_second)),
            within_95(ratio(|r| r.p50_us)),
            shown(ratio(|r| r.p99_us)),
            within_95(ratio(|r| r.cost.service_cpu_ns)),
            within_95(ratio(|r| r.cost.all_ns())),
        )?;
    }
    writeln!(out)
}

/// Arrivals that did not wait for answers.
pub fn pressure(out: &mut String, comparisons: &[Comparison]) -> std::fmt::Result {
    let pressed = |(comparison, subject): (&Comparison, &Subject)| {
        let pressure = subject.pressure.clone()?;
        Some((comparison.scenario, subject.target.name(), pressure))
    };
    let mut rows = all(comparisons).filter_map(pressed).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "| scenario | server | arrivals at | due per second | sent per second | answered | refused \
         | told when to come again | failed | not sent | p50 | p99 of the median second | p99 of all | most \
         | refused: p50 | p99 | CPU µs per answer: service | database | client | latency back after | memory MiB, peak |"
    )?;
    writeln!(out, "|---|---|---|{}", "--:|".repeat(18))?;
    for (scenario, who, pressure) in rows {
        for stretch in &pressure.stretches {
            let last = pressure.stretches.last().is_some_and(|last| last.name == stretch.name);
            let back = pressure.back_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
            let back = if last { back } else { String::new() };
            let refused = |us| if stretch.refused > 0 { time(us) } else { "–".to_owned() };
            writeln!(
                out,
                "| {scenario} | {who} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} \
                 | {} | {} | {} | {} | {} | {} | {back} | {} |",
                stretch.name,
                stretch.due_per_second,
                stretch.sent_per_second,
                stretch.answered,
                stretch.refused,
                stretch.told_when,
                stretch.failed,
                stretch.not_sent,
                time(stretch.p50_us),
                time(stretch.p99_of_a_second_us),
                time(stretch.p99_us),
                time(stretch.max_us),
                refused(stretch.refused_p50_us),
                refused(stretch.refused_p99_us),
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
    for (comparison, subject) in all(comparisons) {
        let Some(disk) = subject.disk else { continue };
        let each = disk.each().map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {each} |",
            comparison.scenario,
            subject.target.name(),
            disk.written,
            mib(disk.before / 1024),
            mib(disk.after / 1024),
        )?;
    }
    writeln!(out)
}

fn all(comparisons: &[Comparison]) -> impl Iterator<Item = (&Comparison, &Subject)> {
    comparisons.iter().flat_map(|c| c.subjects.iter().map(move |subject| (c, subject)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Round;

    fn told(target: Target, p50_us: u64, reads: Option<u64>) -> Subject {
        let reads = reads.map(|per_second| Reads { per_second, ..Reads::default() });
        let round = Round { per_second: 100, p50_us, window_us: 1000, reads, ..Round::default() };
        Subject { target, rounds: vec![round], ..Subject::default() }
    }

    #[test]
    fn reads_are_told_together_with_the_writes_beside_them() -> std::fmt::Result {
        let subjects = vec![told(Target::Ours, 1, Some(500)), told(Target::Baseline, 1, Some(100))];
        let some = Comparison { scenario: "reads-256", in_flight: 2, subjects };
        let mut out = String::new();
        reads(&mut out, &[some])?;
        assert!(out.contains("| reads-256 | ours | 500 |") && out.contains("| 3.00 |"), "{out}");
        let subjects = vec![told(Target::Ours, 1, None)];
        let none = Comparison { scenario: "credit-1", in_flight: 1, subjects };
        let mut out = String::new();
        reads(&mut out, &[none])?;
        assert_eq!(out, "");
        Ok(())
    }

    #[test]
    fn ours_is_told_as_a_part_of_the_build_beside() -> std::fmt::Result {
        let subjects = vec![told(Target::Ours, 3, None), told(Target::Beside, 2, None)];
        let comparison = Comparison { scenario: "credit-256", in_flight: 2, subjects };
        let mut out = String::new();
        builds(&mut out, &[comparison])?;
        assert!(
            out.contains(
                "| credit-256 | **1.000** (too few rounds) | **1.500** (too few rounds) |"
            ),
            "{out}"
        );
        Ok(())
    }

    #[test]
    fn rounds_that_are_too_short_are_told() -> std::fmt::Result {
        let subjects = vec![told(Target::Ours, 500, None), told(Target::Baseline, 501, None)];
        let comparison = Comparison { scenario: "credit-1", in_flight: 1, subjects };
        let mut out = String::new();
        short_rounds(&mut out, &[comparison])?;
        assert!(out.contains("\ncredit-1, baseline.\n"), "{out}");
        Ok(())
    }
}
