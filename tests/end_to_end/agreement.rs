//! What `verify` says of the two services together (guarantee G12), however many pages they take.

use anyhow::{Context, ensure};
use cashout::verify;
use cashout_common::db::{Database, Engine};
use cashout_proto::withdraw::v1::RequestWithdrawalRequest;
use futures::{StreamExt, TryStreamExt, stream};
use withdraw_service::ExpectedHolds;

use crate::support::every_engine;
use crate::support::people::{MANUAL, MOBILE};

const PERSON: i64 = 7;
/// More than a page has.
const MANY: u64 = 1005;

/// Changes the ledger behind its back.
async fn tamper(url: &str, sql: &str) -> anyhow::Result<()> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    let migrations = account_service::store::MIGRATIONS;
    match Database::open(url, migrations).await?.connect().await? {
        Engine::Sqlite(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
        Engine::Postgres(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
    }
    Ok(())
}

#[tokio::test]
async fn cash_outs_and_holds_are_compared_on_every_page() -> anyhow::Result<()> {
    for stack in every_engine("agreement", &[]).await? {
        stack.rich(PERSON, 100_000).await?;
        let client = stack.cash_outs()?;
        let asked = (0..MANY).map(|n| {
            let (mut client, key) = (client.clone(), format!("key{n}"));
            let asked = RequestWithdrawalRequest {
                user_id: PERSON,
                apply_minor: 1,
                method: MANUAL,
                mobile: MOBILE.to_owned(),
                key,
                ..Default::default()
            };
            async move { client.request_withdrawal(asked).await }
        });
        let asked = stream::iter(asked).buffer_unordered(64).map_err(anyhow::Error::new);
        asked.try_for_each(|_| async { Ok(()) }).await?;
        stack.verified().await?;
        let cash_outs = ExpectedHolds::open(stack.withdraw_url()).await?;
        let first = cash_outs.after(0).await?.0.into_iter().next().context("the first")?;
        let last = cash_outs.after(1000).await?.0.pop().context("one of another page")?;
        cash_outs.close().await;
        let (first, last) = (first.hold_key, last.hold_key);
        let columns = "account_id, amount, kind, state, settled, released, release_at, created_at, ended_at, due_at";
        for change in [
            format!("UPDATE hold SET amount = 2 WHERE key IN ('{first}', '{last}')"),
            // Nobody's, before and after all others.
            format!("INSERT INTO hold SELECT 2001, 'cash:', {columns} FROM hold WHERE id = 1"),
            format!("INSERT INTO hold SELECT 2002, 'cash:x', {columns} FROM hold WHERE id = 1"),
        ] {
            tamper(stack.account_url(), &change).await?;
        }
        let report = verify(stack.account_url(), stack.withdraw_url()).await?;
        let found = report.checks.iter().find(|check| check.id == "G12").context("G12")?;
        let rows = MANY + 2;
        ensure!((found.rows, found.violations) == (rows, 4), "{}: {report}", stack.engine());
        let told = found.examples.join("\n");
        let another =
            |key: &str| format!("{key}: the hold is another person's or of another amount");
        let orphan = |key: &str| format!("{key}: a hold without a cash-out");
        for wrong in [another(&first), another(&last), orphan("cash:"), orphan("cash:x")] {
            ensure!(told.contains(&wrong), "{}: {wrong} is not in {told}", stack.engine());
        }
    }
    Ok(())
}
