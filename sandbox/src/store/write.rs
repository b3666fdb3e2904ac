//! Writing the books inside one transaction. Must not know: who asked.

use cashout_common::number::{digest, hex};
use cashout_common::writer::WriteError;
use sqlx::{Row, SqliteConnection};

use super::rows::payout_of;
use crate::books::{Flow, Funds, Heard, Notification, Page};
use crate::payout::{Change, Payout, Provider, State};

/// What a merchant begins with: ten million yuan.
const BEGINS_WITH_MINOR: i64 = 1_000_000_000;

/// What a merchant has.
pub async fn funds(conn: &mut SqliteConnection, provider: Provider) -> Result<Funds, sqlx::Error> {
    let sql = "SELECT available_minor, locked_minor FROM funds WHERE provider = $1";
    let row = sqlx::query(sql).bind(provider.word()).fetch_optional(conn).await?;
    let Some(row) = row else {
        return Ok(Funds { available_minor: BEGINS_WITH_MINOR, locked_minor: 0 });
    };
    Ok(Funds {
        available_minor: row.try_get("available_minor")?,
        locked_minor: row.try_get("locked_minor")?,
    })
}

/// The payout of a number, as it was last written.
pub async fn payout(
    conn: &mut SqliteConnection,
    provider: Provider,
    number: &str,
) -> Result<Option<Payout>, sqlx::Error> {
    let sql = "SELECT * FROM payouts WHERE provider = $1 AND number = $2";
    let row = sqlx::query(sql).bind(provider.word()).bind(number).fetch_optional(conn).await?;
    row.map(|row| payout_of(&row)).transpose()
}

/// Writes what became of a page.
pub async fn save(
    conn: &mut SqliteConnection,
    page: &Page,
    provider: Provider,
) -> Result<(), WriteError> {
    if let Some(payout) = &page.payout {
        put_payout(conn, payout).await?;
        for change in &page.changes {
            put_change(conn, payout, change).await?;
        }
        for ending in page.endings() {
            put_notification(conn, &notification(payout, ending.to, page.now_us)).await?;
        }
    }
    put_funds(conn, provider, page.funds).await?;
    for flow in &page.flows {
        put_flow(conn, flow).await?;
    }
    Ok(())
}

fn notification(payout: &Payout, state: State, now_us: i64) -> Notification {
    let (provider, number) = (payout.provider.word(), payout.number.as_bytes());
    let hash = hex(&digest(&[provider.as_bytes(), number, state.word().as_bytes()]));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    Notification {
        id: [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"),
        provider: payout.provider,
        number: payout.number.clone(),
        state,
        created_at_us: now_us,
        due_at_us: Some(now_us),
        tries: 0,
        outcome: String::new(),
    }
}

async fn put_payout(conn: &mut SqliteConnection, payout: &Payout) -> Result<(), WriteError> {
    let sql = "INSERT INTO payouts (provider, number, third_no, digest, amount_minor, payee, name, \
               terms, state, fail_reason, pending_us, confirm_us, paying_us, fails, due_at_us, \
               created_at_us, updated_at_us, paid_at_us, times_paid) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
               $18, $19) ON CONFLICT (provider, number) DO UPDATE SET state = excluded.state, \
               fail_reason = excluded.fail_reason, due_at_us = excluded.due_at_us, \
               updated_at_us = excluded.updated_at_us, paid_at_us = excluded.paid_at_us, \
               times_paid = excluded.times_paid";
    let put = sqlx::query(sql)
        .bind(payout.provider.word())
        .bind(&payout.number)
        .bind(&payout.third_no)
        .bind(&payout.digest)
        .bind(payout.amount_minor)
        .bind(&payout.payee)
        .bind(&payout.name)
        .bind(payout.terms.to_string())
        .bind(payout.state.word())
        .bind(&payout.fail_reason)
        .bind(payout.plan.pending_us)
        .bind(payout.plan.confirm_us)
        .bind(payout.plan.paying_us)
        .bind(&payout.plan.fails)
        .bind(payout.due_at_us)
        .bind(payout.created_at_us)
        .bind(payout.updated_at_us)
        .bind(payout.paid_at_us)
        .bind(payout.times_paid);
    put.execute(conn).await?;
    Ok(())
}

async fn put_change(
    conn: &mut SqliteConnection,
    payout: &Payout,
    change: &Change,
) -> Result<(), WriteError> {
    let sql = "INSERT INTO changes (provider, number, at_us, from_state, to_state) \
               VALUES ($1, $2, $3, $4, $5)";
    let put = sqlx::query(sql)
        .bind(payout.provider.word())
        .bind(&payout.number)
        .bind(change.at_us)
        .bind(change.from.map_or("", State::word))
        .bind(change.to.word());
    put.execute(conn).await?;
    Ok(())
}

/// Writes that a request was heard.
pub async fn hear(
    conn: &mut SqliteConnection,
    now_us: i64,
    heard: &Heard,
    outcome: &str,
) -> Result<(), WriteError> {
    let sql = "INSERT INTO requests (at_us, provider, operation, number, body_digest, outcome, \
               faults) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let put = sqlx::query(sql)
        .bind(now_us)
        .bind(heard.provider.word())
        .bind(heard.operation)
        .bind(&heard.number)
        .bind(&heard.body_digest)
        .bind(outcome)
        .bind(&heard.faults);
    put.execute(conn).await?;
    Ok(())
}

/// Writes what a merchant has.
pub async fn put_funds(
    conn: &mut SqliteConnection,
    provider: Provider,
    funds: Funds,
) -> Result<(), WriteError> {
    let sql = "INSERT INTO funds (provider, available_minor, locked_minor) VALUES ($1, $2, $3) \
               ON CONFLICT (provider) DO UPDATE SET available_minor = excluded.available_minor, \
               locked_minor = excluded.locked_minor";
    let put = sqlx::query(sql).bind(provider.word());
    put.bind(funds.available_minor).bind(funds.locked_minor).execute(conn).await?;
    Ok(())
}

/// Writes a movement of money.
pub async fn put_flow(conn: &mut SqliteConnection, flow: &Flow) -> Result<(), WriteError> {
    let sql = "INSERT INTO flows (provider, at_us, number, third_no, amount_minor, balance_minor, \
               note) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let put = sqlx::query(sql)
        .bind(flow.provider.word())
        .bind(flow.at_us)
        .bind(&flow.number)
        .bind(&flow.third_no)
        .bind(flow.amount_minor)
        .bind(flow.balance_minor)
        .bind(&flow.note);
    put.execute(conn).await?;
    Ok(())
}

/// Writes a notification and what became of it.
pub async fn put_notification(
    conn: &mut SqliteConnection,
    one: &Notification,
) -> Result<(), WriteError> {
    let sql = "INSERT INTO notifications (id, provider, number, state, created_at_us, due_at_us, \
               tries, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE \
               SET due_at_us = excluded.due_at_us, tries = excluded.tries, \
               outcome = excluded.outcome";
    let put = sqlx::query(sql)
        .bind(&one.id)
        .bind(one.provider.word())
        .bind(&one.number)
        .bind(one.state.word())
        .bind(one.created_at_us)
        .bind(one.due_at_us)
        .bind(one.tries)
        .bind(&one.outcome);
    put.execute(conn).await?;
    Ok(())
}
