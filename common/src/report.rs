//! What `verify` finds: one line per check of guarantees G1 to G17. Must not know: the checks.

use serde::Serialize;

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The guarantee, e.g. `G1`.
    pub id: &'static str,
    /// What it promises, in a few words.
    pub promise: &'static str,
    /// Rows looked at.
    pub rows: u64,
    /// Violations found: 0 when the promise holds.
    pub violations: u64,
    /// The first few violations, in words, without personal data.
    pub examples: Vec<String>,
    /// How long it took, milliseconds.
    pub ms: u64,
}

/// All checks of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// In the order they ran.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether every promise holds.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.checks.iter().all(|c| c.violations == 0)
    }

    /// Adds the checks of another report.
    pub fn extend(&mut self, other: Report) {
        self.checks.extend(other.checks);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for check in &self.checks {
            let verdict = if check.violations == 0 { "ok  " } else { "FAIL" };
            let Check { id, promise, rows, violations, ms, .. } = check;
            writeln!(
                f,
                "{verdict} {id:<4} {promise}: {rows} rows, {violations} violations, {ms} ms"
            )?;
            for example in &check.examples {
                writeln!(f, "          {example}")?;
            }
        }
        Ok(())
    }
}
