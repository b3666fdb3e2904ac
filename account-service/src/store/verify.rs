//! The checks of `verify` for the ledger: G1 to G7 of the guarantees, on one consistent snapshot.
//!
//! Every query returns a row per violation, so none when the promise holds. They read everything;
//! nothing is locked.

use std::time::Instant;

use cashout_common::db::Snapshot;
use cashout_common::number::digest;
use cashout_common::on_engine;
use cashout_common::report::{Check, Report};

use super::Store;
use super::rows::{EntryRow, entries_of};
use crate::domain::{Account, Entry, Hash, Owner};

/// A check as one query: guarantee, promise, the rows it looks at, and a query that names violations.
struct Query {
    id: &'static str,
    promise: &'static str,
    rows: &'static str,
    violations: &'static str,
}

const ENTRIES: &str = "SELECT count(*) FROM entry";
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
        promise: "a counter-account's balance is the other side of its entries",
        rows: ACCOUNTS,
        violations: "SELECT 'account ' || a.id FROM account a LEFT JOIN (SELECT counter_id, \
            SUM(available_delta + frozen_delta) AS moved FROM entry GROUP BY counter_id) e \
            ON e.counter_id = a.id WHERE a.counter IS NOT NULL \
            AND a.balance + COALESCE(e.moved, 0) <> 0",
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
        promise: "a person's money is nowhere but in their entries",
        rows: ACCOUNTS,
        violations: "SELECT 'account ' || id FROM account WHERE user_id IS NOT NULL AND balance <> 0",
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

const PAGE: &str = concat!(
    entries_of!(
        "(SELECT * FROM entry WHERE (account_id, seq) > ($1, $2) ORDER BY account_id, seq LIMIT 5000)"
    ),
    "ORDER BY e.account_id, e.seq"
);

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
        report.checks.push(chain(&mut snapshot).await?);
        report.checks.push(dense(&mut snapshot).await?);
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

/// G5: the hashes are recomputed from the rows, so an edited, inserted or reordered row shows.
async fn chain(snapshot: &mut Snapshot) -> Result<Check, sqlx::Error> {
    let started = Instant::now();
    let (mut rows, mut found) = (0_i64, Vec::new());
    let mut last: Option<Entry> = None;
    loop {
        let (account, seq) = last.as_ref().map_or((0, 0), |e| (e.account_id, e.seq));
        let page: Vec<EntryRow> = on_engine!(&mut *snapshot, tx => sqlx::query_as(PAGE)
            .bind(account).bind(seq).fetch_all(&mut **tx).await?);
        if page.is_empty() {
            break;
        }
        for entry in page.into_iter().map(Entry::from) {
            rows += 1;
            let before = last.as_ref().filter(|e| e.account_id == entry.account_id);
            if !links(before, &entry) {
                found.push(format!("entry {}", entry.id));
            }
            last = Some(entry);
        }
    }
    // An entry of an account that does not exist would be in nobody's chain.
    let all: i64 =
        on_engine!(&mut *snapshot, tx => sqlx::query_scalar(ENTRIES).fetch_one(&mut **tx).await?);
    if all != rows {
        found.push(format!("{} entries of no account", all - rows));
    }
    Ok(check("G5", "the statement is an unbroken chain", rows, found, started))
}

/// Whether an entry follows from the one before it: position, hash, and the state it leaves, which is
/// computed anew by the rule that appended it.
fn links(before: Option<&Entry>, entry: &Entry) -> bool {
    let zero: Hash = [0; 32];
    let (seq, hash) = before.map_or((0, &zero), |e| (e.seq, &e.hash));
    let mut then = Account::new(0, Owner::Person(0), entry.currency, 0);
    if let Some(before) = before {
        then.available = before.available_after;
        then.frozen = before.frozen_after;
        then.income_total = before.income_total;
        then.withdrawn_total = before.withdrawn_total;
        then.last_income_at = before.last_income_at;
    }
    let (available, frozen) = (entry.available_delta, entry.frozen_delta);
    then.carry(entry.kind, available, frozen, entry.created_at).is_ok()
        && entry.available_after == then.available
        && entry.frozen_after == then.frozen
        && entry.income_total == then.income_total
        && entry.withdrawn_total == then.withdrawn_total
        && entry.last_income_at == then.last_income_at
        && entry.seq == seq + 1
        && entry.hash == entry.hash_after(hash)
}

/// G5: ids are dense up to the head, and the hashes of all entries make up the head's, so a deleted or
/// edited row shows even at the end of everything.
async fn dense(snapshot: &mut Snapshot) -> Result<Check, sqlx::Error> {
    const HEAD: &str = "SELECT last_entry_id, hash FROM ledger_head WHERE id = 1";
    const PAGE: &str = "SELECT id, hash FROM entry WHERE id > $1 ORDER BY id LIMIT 10000";
    let started = Instant::now();
    let (head, sealed): (i64, Vec<u8>) =
        on_engine!(&mut *snapshot, tx => sqlx::query_as(HEAD).fetch_one(&mut **tx).await?);
    let (mut newest, mut rows, mut hash, mut found) = (0, 0, Hash::default(), Vec::new());
    loop {
        let page: Vec<(i64, Vec<u8>)> = on_engine!(&mut *snapshot, tx =>
            sqlx::query_as(PAGE).bind(newest).fetch_all(&mut **tx).await?);
        if page.is_empty() {
            break;
        }
        for (id, own) in page {
            if id != newest + 1 {
                found.push(format!("entry {id} after entry {newest}"));
            }
            let own: Hash = own.try_into().unwrap_or_default();
            (newest, rows, hash) = (id, rows + 1, digest(&[&hash, &own]));
        }
    }
    let sealed: Hash = sealed.try_into().unwrap_or_default();
    if head != newest || hash != sealed {
        found.push(format!("the newest entry is {newest}, the head says {head} and another hash"));
    }
    Ok(check("G5", "entries are dense and sealed up to the head", rows, found, started))
}

fn check(
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
