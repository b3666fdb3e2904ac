//! What a cash-out makes the database read does not grow with how many there were before it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{RequestWithdrawalRequest, Status};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{Connection, PgConnection};

use crate::harness::{BOB, Service, config, wechat};

/// After how many cash-outs the tables are analysed.
const WARM: i64 = 100;

/// Carries out so many whole cash-outs, of a person each; gives how many index entries PostgreSQL read for
/// one of them, by its own count (the writer's connection reads by index alone), and where it read most.
/// `None` when this machine has no PostgreSQL.
async fn read_for_each(n: i64) -> anyhow::Result<Option<(i64, String)>> {
    let Some(database) = cashout_testing::postgres(&format!("growth{n}")).await? else {
        return Ok(None);
    };
    let service = Service::with(config(&database)?).await?;
    // What PostgreSQL learns of the tables must not lead to plans that read them whole as they grow. (Of ten
    // rows it rightly reads all, until it learns of more.)
    let mut conn = PgConnection::connect(&database.url).await?;
    for (at, people) in [(0..WARM), (WARM..n)].into_iter().enumerate() {
        let people = people.map(|person| whole(&service, 1000 + person));
        stream::iter(people).buffer_unordered(8).try_collect::<()>().await?;
        if at == 0 {
            sqlx::raw_sql("ANALYZE").execute(&mut conn).await?;
        }
    }
    // A connection that has ended has told everything it counted. Its server process ends after it.
    service.stop().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut conn).await? > 0 {
        ensure!(Instant::now() < deadline, "connections of a service that has stopped do not end");
    }
    let sql = "SELECT CAST(sum(idx_tup_read) AS BIGINT) FROM pg_stat_user_indexes";
    let read: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await?;
    let sql = "SELECT string_agg(name || ' ' || read, ', ') FROM (SELECT indexrelname AS name, \
        idx_tup_read AS read FROM pg_stat_user_indexes ORDER BY 2 DESC LIMIT 6) AS most";
    let most: String = sqlx::query_scalar(sql).fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(Some((read.checked_div(n).context("none")?, most)))
}

async fn whole(service: &Service, user_id: i64) -> anyhow::Result<()> {
    service.ledger.person(user_id, 1_000_000, &format!("payee{user_id}"));
    let asked = RequestWithdrawalRequest { user_id, ..wechat(100, &format!("key{user_id}")) };
    let (w, _) = service.ask(asked).await.map_err(anyhow::Error::new)?;
    service.approve(w.id, BOB).await.map_err(anyhow::Error::new)?;
    service.until(w.id, Status::Paid).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_read_for_a_cash_out_does_not_grow_with_their_number() -> anyhow::Result<()> {
    let (few, many) = (read_for_each(WARM).await?, read_for_each(400).await?);
    let (Some((few, _)), Some((many, most))) = (few, many) else { return Ok(()) };
    ensure!(many * 2 <= few * 3, "{few} rows for each of {WARM}, {many} for each of 400: {most}");
    Ok(())
}
