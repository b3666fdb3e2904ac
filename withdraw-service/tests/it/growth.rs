//! What a cash-out makes the database read does not grow with how many there were before it.

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{RequestWithdrawalRequest, Status};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{Connection, PgConnection};

use crate::harness::{BOB, Service, config, wechat};

/// Carries out so many whole cash-outs, of a person each; gives how many rows and index entries
/// PostgreSQL read for one of them, by its own count. `None` when this machine has no PostgreSQL.
async fn read_for_each(n: i64) -> anyhow::Result<Option<i64>> {
    let Some(database) = cashout_testing::postgres(&format!("growth{n}")).await? else {
        return Ok(None);
    };
    let service = Service::with(config(&database)?).await?;
    let people = (1000..).take(usize::try_from(n)?);
    stream::iter(people.map(|user_id| whole(&service, user_id)))
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    // A connection that ends has told everything it counted.
    service.stop().await;
    let mut conn = PgConnection::connect(&database.url).await?;
    let sql = "SELECT CAST((SELECT sum(seq_tup_read) FROM pg_stat_user_tables) \
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) AS BIGINT)";
    let read: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(Some(read.checked_div(n).context("none")?))
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
    let (Some(few), Some(many)) = (read_for_each(40).await?, read_for_each(400).await?) else {
        return Ok(());
    };
    ensure!(many * 2 <= few * 3, "{few} rows for each of 40, {many} for each of 400");
    Ok(())
}
