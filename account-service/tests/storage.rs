//! How things are stored where it matters: a counter-account's balance stands on the last entry of a batch against it and
//! nowhere else, and a hold that ends is entered into no index again.

mod support;

use account_service::store::MIGRATIONS;
use cashout_common::db::{Database, Engine, close, command};
use cashout_common::on_engine;
use cashout_proto::account::v1 as pb;
use sqlx::Connection;
use support::{Stack, credit, databases, debit, place, settle};

/// What entries tell of the account of that name, oldest first.
async fn told(url: &str, name: &str) -> anyhow::Result<Vec<i64>> {
    const SQL: &str = "SELECT e.counter_after FROM entry e JOIN account c ON c.id = e.counter_id \
        WHERE c.counter = $1 AND e.counter_after IS NOT NULL ORDER BY e.id";
    let database = Database::open(url, MIGRATIONS).await?;
    let told = on_engine!(database.readers(), p =>
        sqlx::query_scalar(SQL).bind(name).fetch_all(p).await?);
    database.close().await;
    Ok(told)
}

// One thread: the worker takes nothing while the commands of a call are handed over.
#[tokio::test]
async fn a_counter_account_is_told_once_in_a_batch_by_the_last_entry_against_it()
-> anyhow::Result<()> {
    for database in databases("told").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7, 8]).await?;
        let payout = |key: &str, amount| debit(key, 7, amount);
        let transfers =
            vec![credit("a", 7, 50), payout("b", 20), payout("c", 1_000), credit("d", 8, 5)];
        let request = pb::PostTransfersRequest { transfers, all_or_nothing: false };
        s.client.post_transfers(request).await?;
        let told = async |name| told(&database.url, name).await;
        assert_eq!(told("platform:income").await?, [-55], "{}", database.engine);
        assert_eq!(told("platform:sales").await?, [20], "what was refused is not in it");
        s.client.place_hold(place("h", 7, 10)).await?;
        s.client.settle_hold(settle("s", "h", &[4, 6])).await?;
        assert_eq!(told("payout:manual").await?, [10], "two parts, told by the second");
        s.running.stop().await;
        // Another instance knows only what is written.
        let mut s = Stack::start(&database.url).await?;
        s.client.post_transfer(credit("e", 8, 2)).await?;
        assert_eq!(told("platform:income").await?, [-55, -57], "{}", database.engine);
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_hold_that_was_never_scheduled_touches_no_index() -> anyhow::Result<()> {
    const END: &str = "UPDATE hold SET state = 3, released = amount, ended_at = 1, due_at = NULL";
    const UNTOUCHED: &str = "SELECT pg_stat_get_xact_tuples_hot_updated('hold'::regclass)";
    let Some(database) = cashout_testing::postgres("untouched").await? else { return Ok(()) };
    for (scheduled, untouched) in [(0, 3), (200_000_000_000_000_000, 0)] {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit(&format!("c{scheduled}"), 7, 100)).await?;
        for n in 0..3 {
            let hold = place(&format!("h{scheduled}-{n}"), 7, 10);
            let hold = pb::PlaceHoldRequest { release_at_us: scheduled, ..hold };
            s.client.place_hold(hold).await?;
        }
        s.running.stop().await;
        let raw = Database::open(&database.url, MIGRATIONS).await?;
        let mut conn = raw.connect().await?;
        let Engine::Postgres(c) = &mut conn else { anyhow::bail!("SQLite") };
        let mut tx = c.begin().await?;
        let only = format!("{END} WHERE release_at = {scheduled} AND state = 1");
        sqlx::query(sqlx::AssertSqlSafe(only)).execute(&mut *tx).await?;
        let found: i64 = sqlx::query_scalar(UNTOUCHED).fetch_one(&mut *tx).await?;
        assert_eq!(found, untouched, "released at {scheduled}");
        tx.rollback().await?;
        close(conn).await;
        raw.close().await;
    }
    Ok(())
}

/// One counter-account has nearly all entries, so that statistics speak for reading any other index backwards.
const LONG: &str = "INSERT INTO account VALUES (1, NULL, 'payout:rare', 'CNY', 0, 0, 0, 0), \
    (2, NULL, 'platform:income', 'CNY', 0, 0, 0, 0), (3, 7, NULL, 'CNY', 0, 0, 0, 0); \
    INSERT INTO entry WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
    SELECT i, 3, i, i, CAST(i AS TEXT), hash, 35, 1, 0, i, 0, i, 0, 1, NULL, \
    CASE i WHEN 1 THEN 1 ELSE 2 END, -i, NULL, NULL, i, hash FROM n, ledger_head; ANALYZE";
const RARE: &str = "SELECT available FROM account_now WHERE counter = 'payout:rare'";

#[tokio::test]
async fn the_balance_of_a_rare_counter_account_is_not_looked_for_in_all_of_the_history()
-> anyhow::Result<()> {
    for database in databases("rare").await? {
        let raw = Database::open(&database.url, MIGRATIONS).await?;
        let mut conn = raw.connect().await?;
        command(&mut conn, LONG).await?;
        let explain = if database.engine == "sqlite" { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
        let explain = sqlx::AssertSqlSafe(format!("{explain} {RARE}"));
        let plan: Vec<String> = match &mut conn {
            Engine::Postgres(c) => sqlx::query_scalar(explain).fetch_all(&mut *c).await?,
            Engine::Sqlite(c) => {
                let rows: Vec<(i64, i64, i64, String)> =
                    sqlx::query_as(explain).fetch_all(&mut *c).await?;
                rows.into_iter().map(|row| row.3).collect()
            }
        };
        let plan = plan.join("\n");
        assert!(plan.contains("entry_of_counter") && !plan.contains("entry_pkey"), "{plan}");
        let found: i64 =
            on_engine!(&mut conn, c => sqlx::query_scalar(RARE).fetch_one(&mut *c).await?);
        assert_eq!(found, -1, "{}", database.engine);
        close(conn).await;
        raw.close().await;
    }
    Ok(())
}
