//! Seals bindings of older keys anew with the first one, so that an old key can be taken out: at start,
//! a page per transaction, beside everything else. Interrupted, it goes on at the next start.
//!
//! Must not know: what a binding says.

use cashout_common::db::Conn;
use cashout_common::writer::WriteError;
use cashout_proto::Failure;
use tokio_util::sync::CancellationToken;

use super::payees::{Payees, Sealer};
use crate::store::payees::{payees_sealed_with, put_payee};

/// Most bindings of one transaction: the writer serves others in between.
const PAGE: i64 = 200;

/// What a page came to.
struct Page {
    /// Where the next one begins.
    last: Option<(i64, i64)>,
    sealed: u64,
    /// Bindings that did not open, and stay as they are.
    closed: u64,
}

/// Seals anew until all is done or `stop`.
pub async fn run(payees: Payees, stop: CancellationToken) {
    let work = async {
        if let Err(error) = reseal(&payees).await {
            tracing::warn!(%error, "older payee keys stay in use until the next start");
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

async fn reseal(payees: &Payees) -> anyhow::Result<()> {
    let newest = payees.sealer.keys.sealing_id();
    for key_id in payees.store.payee_key_ids().await? {
        if key_id == newest {
            continue;
        }
        let (mut sealed, mut closed, mut after) = (0, 0, Some((0, 0)));
        while let Some(from) = after {
            let page = page(payees, key_id.clone(), from).await?;
            (sealed, closed, after) = (sealed + page.sealed, closed + page.closed, page.last);
        }
        tracing::info!(key_id, sealed, closed, "payee bindings sealed with the first key");
    }
    Ok(())
}

async fn page(payees: &Payees, key_id: String, after: (i64, i64)) -> Result<Page, Failure> {
    let sealer = payees.sealer.clone();
    let job = payees
        .writer
        .write(move |conn| Box::pin(async move { one_page(conn, &sealer, &key_id, after).await }));
    Ok(job.await?)
}

async fn one_page(
    conn: &mut Conn,
    sealer: &Sealer,
    key_id: &str,
    after: (i64, i64),
) -> Result<Page, WriteError> {
    let rows = payees_sealed_with(conn, key_id, after, PAGE).await?;
    let last = rows.last().map(|row| (row.user_id, row.method));
    let mut page = Page { last, sealed: 0, closed: 0 };
    for row in rows {
        match sealer.opened_or_told(&row).and_then(|payee| sealer.row(&payee)) {
            Ok(anew) => {
                put_payee(conn, &anew).await?;
                page.sealed += 1;
            }
            Err(_told) => page.closed += 1,
        }
    }
    Ok(page)
}
