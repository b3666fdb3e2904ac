//! The guarantees of this service, checked on a consistent snapshot: G7 to G11, G15, G17; and in `holds` what the
//! ledger should hold for each withdrawal, so that both sides can be matched (G12).

pub mod holds;
mod rows;
mod stories;

use std::time::{Duration, Instant};

use cashout_common::db::Database;
use cashout_common::report::{Check, Report};

use crate::store::rules::{Found, looked_at};
use crate::store::verification as store;
use rows::Seen;
use stories::Stories;

/// So many violations are told in words.
const EXAMPLES: usize = 5;

/// Checks the guarantees of this service.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify(database_url: &str) -> anyhow::Result<Report> {
    let database = Database::open_read_only(database_url).await?;
    let checks = checks(&database).await;
    database.close().await;
    Ok(Report { checks: checks? })
}

async fn checks(database: &Database) -> anyhow::Result<Vec<Check>> {
    let mut snapshot = database.snapshot().await?;
    let (found, looked) = looked_at(&mut snapshot).await?;
    let mut stories = Stories::begun();
    let mut after = Some(i64::MIN);
    while let Some(id) = after {
        let started = Instant::now();
        let page = store::page(&mut snapshot, id).await?;
        stories.walks.took_since(started);
        stories.look(&page);
        after = page.until;
    }
    let (mut asked, started) = (Seen::begun(), Instant::now());
    store::attempts(&mut snapshot, |row| rows::asked(&mut asked, &row)).await?;
    asked.took_since(started);
    let (mut heard, started) = (Seen::begun(), Instant::now());
    store::notifications(&mut snapshot, |row| rows::heard(&mut heard, &row)).await?;
    heard.took_since(started);
    store::end(snapshot).await?;
    let Stories { contents, walks, reviewers } = stories;
    let ruled = |id, promise, looked| ruled(&found, id, promise, looked);
    Ok(vec![
        ruled("G7", "one key, one request", looked.keys),
        ruled("G8", "never pays twice", looked.calls),
        ruled("G9", "never returns what may still be paid", looked.returned),
        asked.part_of(contents.part_of(ruled("G10", "what is paid is what was approved", 0))),
        walks.part_of(ruled("G11", "every withdrawal walks legal edges", 0)),
        heard.part_of(ruled("G15", "notifications are hints", looked.notifications)),
        reviewers.part_of(ruled(
            "G17",
            "reviewers differ from the applicant and each other",
            looked.reviews,
        )),
    ])
}

/// What the rules of a guarantee found among so many rows.
fn ruled(found: &[Found], id: &'static str, promise: &'static str, looked: i64) -> Check {
    let rules = || found.iter().filter(|rule| rule.guarantee == id);
    Check {
        id,
        promise,
        rows: u64::try_from(looked).unwrap_or_default(),
        violations: rules().map(|rule| rule.violations).sum(),
        examples: rules().flat_map(|rule| rule.examples.clone()).take(EXAMPLES).collect(),
        ms: millis(rules().map(|rule| rule.took).sum()),
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
