//! Databases for tests are fresh, separate, and gone afterwards.

use anyhow::Context;
use sqlx::{Connection, Executor};

#[tokio::test]
async fn every_engine_gives_a_fresh_database_of_its_own() -> anyhow::Result<()> {
    for engine in [0, 1] {
        let (one, other) = (
            cashout_testing::databases("fresh").await?,
            cashout_testing::databases("fresh").await?,
        );
        let (Some(one), Some(other)) = (one.get(engine), other.get(engine)) else {
            continue;
        };
        assert_ne!(one.url, other.url);
        for database in [one, other] {
            run(database, "CREATE TABLE only_once (id BIGINT PRIMARY KEY)").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_while_somebody_is_connected() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("gone").await?;
    let file = database.url.strip_prefix("sqlite://").context("an address")?.to_owned();
    run(&database, "CREATE TABLE t (id INTEGER)").await?;
    assert!(std::path::Path::new(&file).exists());
    drop(database);
    assert!(!std::path::Path::new(&file).exists());

    let Some(database) = cashout_testing::postgres("gone").await? else { return Ok(()) };
    let url = database.url.clone();
    let mut still_here = sqlx::PgConnection::connect(&url).await?;
    drop(database);
    assert!(still_here.execute("SELECT 1").await.is_err());
    assert!(sqlx::PgConnection::connect(&url).await.is_err());
    Ok(())
}

#[tokio::test]
async fn many_databases_can_be_made_at_once() -> anyhow::Result<()> {
    let mut making = tokio::task::JoinSet::new();
    for number in 0..8 {
        making.spawn(async move {
            let database = cashout_testing::postgres(&format!("Many {number} – at once!")).await?;
            match database {
                Some(database) => run(&database, "CREATE TABLE t (id BIGINT)").await,
                None => anyhow::Ok(()),
            }
        });
    }
    while let Some(made) = making.join_next().await {
        made??;
    }
    Ok(())
}

async fn run(database: &cashout_testing::TestDatabase, sql: &'static str) -> anyhow::Result<()> {
    if database.engine == "sqlite" {
        let options: sqlx::sqlite::SqliteConnectOptions = database.url.parse()?;
        let options = options.create_if_missing(true);
        sqlx::SqliteConnection::connect_with(&options).await?.execute(sql).await?;
    } else {
        sqlx::PgConnection::connect(&database.url).await?.execute(sql).await?;
    }
    Ok(())
}
