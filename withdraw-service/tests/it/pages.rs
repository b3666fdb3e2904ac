//! `verify` reads cash-outs page by page, and finds what is wrong on every one of them.

use anyhow::ensure;
use cashout_testing::databases;
use futures::{StreamExt, TryStreamExt, stream};
use withdraw_service::{ExpectedHolds, verify};

use crate::harness::{Service, wechat};
use crate::store::{count, execute, unlock};

/// More than a page has.
const MANY: i64 = 1005;

#[tokio::test]
async fn verify_looks_at_every_page() -> anyhow::Result<()> {
    for database in databases("pages").await? {
        let engine = database.engine;
        let service = Service::fresh(&database).await?;
        let asked = (0..MANY).map(|n| service.ask(wechat(1, &format!("key{n}"))));
        let asked = stream::iter(asked).buffer_unordered(64).map_err(anyhow::Error::new);
        asked.try_for_each(|_| async { Ok(()) }).await?;
        service.finish().await?;
        let holds = ExpectedHolds::open(&database.url).await?;
        ensure!(holds.after(i64::MIN).await?.1 == Some(1000), "{engine}: a page ends there");
        ensure!(holds.after(1000).await?.0.len() == 5, "{engine}: and the next has the others");
        holds.close().await;
        let lines = count(&database.url, "SELECT count(*) FROM history").await?;
        unlock(&database).await?;
        for change in [
            // The first of a page, its last, the first of the next and the last of all.
            "UPDATE withdrawal SET payee_id = 'mallory' WHERE id IN (1, 1000, 1001, 1005)",
            "UPDATE withdrawal_state SET status = 6 WHERE id IN (1, 1005)",
            // A withdrawal before all others, which nobody asked for; a history of nobody after all others.
            "UPDATE withdrawal SET id = -1 WHERE id = 2; UPDATE withdrawal_state SET id = -1 WHERE id = 2",
            "INSERT INTO history SELECT max(id) + 2, 9999, 7, 0, 1, 'request', 'x', '', 0 FROM history",
        ] {
            execute(&database.url, change).await?;
        }
        let report = verify(&database.url).await?;
        let check = |id| report.checks.iter().find(|check| check.id == id);
        let found = |id| check(id).map(|check| (check.rows, check.violations));
        ensure!(found("G10") == Some((u64::try_from(MANY)?, 4)), "{engine}: {report}");
        // Beside those two: one without a history, two histories of nobody, a gap, a last line that was never given. The
        // two lines of the one that has gone are walked by nobody, nor is the added one.
        ensure!(found("G11") == Some((u64::try_from(lines)? - 2, 7)), "{engine}: {report}");
    }
    Ok(())
}
