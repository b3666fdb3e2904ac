//! The checks of `verify` for the ledger: G1 to G7 of the guarantees, on one consistent snapshot. Those that go through
//! the entries one by one are in `verify_rows`.
//!
//! Every query returns a row per violation, so none when the promise holds. They read everything;
//! nothing is locked.

use std::time::Instant;

use cashout_common::db::Snapshot;
use cashout_common::on_engine;
use cashout_common::report::{Check, Report};

use super::{Store, verify_rows};

/// A check as one query: guarantee, promise, the rows it looks at, and a query that names violations.
struct Query {
    id: &'static str,
    promise: &'static str,
    rows: &'static str,
    violations: &'static str,
}

pub(super) const ENTRIES: &str = "SELECT count(*) FROM entry";
const ACCOUNTS: &str = "SELECT count(*) FROM account";
const HOLDS: &str = "SELECT count(*) FROM hold";

const QUERIES: &[Query] = &[
    Query {
        id: "G1",
        promise: "every transfer between customers sums to zero",
        rows: ENTRIES,
        violations: "SELECT 'transfer ' || e.transfer_id FROM entry e JOIN account o ON o.id = e.counter_id \
            WHERE o.user_id IS NOT NULL GROUP BY e.transfer_id \
            HAVING SUM(e.available_delta + e.frozen_delta) <> 0 OR count(*) <> 2",
    },
    Query {
        id: "G1",
        promise: "all accounts of a currency sum to zero",
        rows: ACCOUNTS,
        violations: "SELECT 'currency ' || currency FROM account_now GROUP BY currency \
            HAVING SUM(available + frozen) <> 0",
    },
    Query {
        id: "G1",
        promise: "an entry without another side moves nothing in or out",
        rows: ENTRIES,
        violations: "SELECT 'entry ' || id FROM entry WHERE counter_id IS NULL \
            AND available_delta + frozen_delta <> 0",
    },
    Query {
        id: "G2",
        promise: "no customer balance is or ever was below its overdraft limit",
        rows: ENTRIES,
        violations: "SELECT 'entry ' || id FROM entry WHERE frozen_after < 0 \
            OR available_after < -COALESCE(overdraft_limit, 0) UNION ALL \
            SELECT 'account ' || id FROM account_now WHERE user_id IS NOT NULL \
            AND (available < -overdraft_limit OR frozen < 0)",
    },
    Query {
        id: "G3",
        promise: "a balance is the sum of its entries",
        rows: ACCOUNTS,
        violations: "SELECT 'account ' || a.id FROM account_now a LEFT JOIN (SELECT account_id, \
            SUM(available_delta) AS available, SUM(frozen_delta) AS frozen \
            FROM entry GROUP BY account_id) e ON e.account_id = a.id WHERE a.user_id IS NOT NULL AND \
            (a.available <> COALESCE(e.available, 0) OR a.frozen <> COALESCE(e.frozen, 0))",
    },
    Query {
        id: "G3",
        promise: "lifetime totals are the sums of their entries",
        rows: ENTRIES,
        violations: "SELECT 'account ' || a.id FROM account_now a JOIN (SELECT account_id, \
            SUM(CASE WHEN kind IN (4, 26) THEN -(available_delta + frozen_delta) ELSE 0 END) AS withdrawn, \
            SUM(CASE WHEN kind NOT IN (4, 26, 10, 11) AND available_delta + frozen_delta > 0 \
              THEN available_delta + frozen_delta ELSE 0 END) AS income \
            FROM entry GROUP BY account_id) e ON e.account_id = a.id \
            WHERE a.withdrawn_total <> e.withdrawn OR a.income_total <> e.income",
    },
    Query {
        id: "G4",
        promise: "frozen is what open holds hold",
        rows: HOLDS,
        violations: "SELECT 'account ' || a.id FROM account_now a LEFT JOIN (SELECT account_id, \
            SUM(amount) AS held FROM hold WHERE state = 1 GROUP BY account_id) h \
            ON h.account_id = a.id WHERE a.frozen <> COALESCE(h.held, 0)",
    },
    Query {
        id: "G4",
        promise: "every hold is somebody's",
        rows: HOLDS,
        violations: "SELECT 'hold ' || h.id FROM hold h LEFT JOIN account a \
            ON a.id = h.account_id AND a.user_id IS NOT NULL WHERE a.id IS NULL",
    },
    Query {
        id: "G6",
        promise: "a hold is due while it is open and was scheduled, and then only",
        rows: HOLDS,
        violations: "SELECT 'hold ' || id FROM hold WHERE COALESCE(due_at, 0) <> \
            CASE WHEN state = 1 THEN release_at ELSE 0 END",
    },
    Query {
        id: "G6",
        promise: "a hold ends once, never for more than its amount",
        rows: HOLDS,
        violations: "SELECT 'hold ' || h.id FROM hold h LEFT JOIN (SELECT hold_id, \
            SUM(CASE WHEN frozen_delta > 0 THEN frozen_delta ELSE 0 END) AS placed, \
            SUM(CASE WHEN frozen_delta < 0 THEN -frozen_delta ELSE 0 END) AS ended, \
            count(DISTINCT transfer_id) AS commands FROM entry WHERE hold_id IS NOT NULL \
            GROUP BY hold_id) e ON e.hold_id = h.id WHERE e.hold_id IS NULL OR e.placed <> h.amount \
            OR e.ended <> h.settled + h.released \
            OR e.commands <> (CASE WHEN h.state = 1 THEN 1 ELSE 2 END) \
            OR (h.state = 1 AND h.settled + h.released <> 0) \
            OR (h.state <> 1 AND h.settled + h.released <> h.amount)",
    },
    Query {
        id: "G7",
        promise: "one key, one effect: every command's first entry carries its key and digest",
        rows: ENTRIES,
        violations: "SELECT 'entry ' || id FROM entry WHERE (id = transfer_id) <> (key IS NOT NULL) \
            OR (key IS NULL) <> (digest IS NULL) UNION ALL \
            SELECT 'key of entry ' || MIN(id) FROM entry WHERE key IS NOT NULL GROUP BY key \
            HAVING count(*) > 1 UNION ALL SELECT 'receipt of ' || r.created_at FROM receipt r \
            LEFT JOIN entry e ON e.key = r.key WHERE e.id IS NULL",
    },
];

impl Store {
    /// Runs every check on one snapshot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify(&self) -> Result<Report, sqlx::Error> {
        let mut snapshot = self.database().snapshot().await?;
        let mut report = Report::default();
        for query in QUERIES {
            report.checks.push(run(&mut snapshot, query).await?);
        }
        report.checks.push(verify_rows::chain(&mut snapshot).await?);
        report.checks.extend(verify_rows::sealed(&mut snapshot).await?);
        on_engine!(snapshot, tx => tx.rollback().await?);
        Ok(report)
    }
}

async fn run(snapshot: &mut Snapshot, query: &Query) -> Result<Check, sqlx::Error> {
    let started = Instant::now();
    let rows: i64 = on_engine!(&mut *snapshot, tx => sqlx::query_scalar(query.rows).fetch_one(&mut **tx).await?);
    let found: Vec<String> = on_engine!(&mut *snapshot, tx => sqlx::query_scalar(query.violations).fetch_all(&mut **tx).await?);
    Ok(check(query.id, query.promise, rows, found, started))
}

/// What a check found, with a few examples.
pub(super) fn check(
    id: &'static str,
    promise: &'static str,
    rows: i64,
    found: Vec<String>,
    started: Instant,
) -> Check {
    Check {
        id,
        promise,
        rows: u64::try_from(rows).unwrap_or_default(),
        violations: found.len() as u64,
        examples: found.into_iter().take(5).collect(),
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
