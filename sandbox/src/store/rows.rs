//! Rows of the books as values. Must not know: how they are found.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::books::{Flow, Notification};
use crate::payout::{Payout, Plan, Provider, State};

/// A word in the books that is none of ours.
fn strange(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "no such word".into() }
}

/// Whose row it is.
///
/// # Errors
/// When it is nobody's.
pub fn provider_of(row: &SqliteRow) -> Result<Provider, sqlx::Error> {
    Provider::named(row.try_get("provider")?).ok_or_else(|| strange("provider"))
}

fn state_of(row: &SqliteRow) -> Result<State, sqlx::Error> {
    State::named(row.try_get("state")?).ok_or_else(|| strange("state"))
}

/// One row of payouts.
///
/// # Errors
/// When a column is not what it should be.
pub fn payout_of(row: &SqliteRow) -> Result<Payout, sqlx::Error> {
    let terms: &str = row.try_get("terms")?;
    Ok(Payout {
        provider: provider_of(row)?,
        number: row.try_get("number")?,
        third_no: row.try_get("third_no")?,
        digest: row.try_get("digest")?,
        amount_minor: row.try_get("amount_minor")?,
        payee: row.try_get("payee")?,
        name: row.try_get("name")?,
        terms: serde_json::from_str(terms).map_err(|_| strange("terms"))?,
        state: state_of(row)?,
        fail_reason: row.try_get("fail_reason")?,
        plan: Plan {
            pending_us: row.try_get("pending_us")?,
            confirm_us: row.try_get("confirm_us")?,
            paying_us: row.try_get("paying_us")?,
            fails: row.try_get("fails")?,
        },
        due_at_us: row.try_get("due_at_us")?,
        created_at_us: row.try_get("created_at_us")?,
        updated_at_us: row.try_get("updated_at_us")?,
        paid_at_us: row.try_get("paid_at_us")?,
        times_paid: row.try_get("times_paid")?,
        changes: Vec::new(),
    })
}

/// One row of flows.
///
/// # Errors
/// When a column is not what it should be.
pub fn flow_of(row: &SqliteRow) -> anyhow::Result<Flow> {
    Ok(Flow {
        id: row.try_get("id")?,
        provider: provider_of(row)?,
        at_us: row.try_get("at_us")?,
        number: row.try_get("number")?,
        third_no: row.try_get("third_no")?,
        amount_minor: row.try_get("amount_minor")?,
        balance_minor: row.try_get("balance_minor")?,
        note: row.try_get("note")?,
    })
}

/// One row of notifications.
///
/// # Errors
/// When a column is not what it should be.
pub fn notification_of(row: &SqliteRow) -> anyhow::Result<Notification> {
    Ok(Notification {
        id: row.try_get("id")?,
        provider: provider_of(row)?,
        number: row.try_get("number")?,
        state: state_of(row)?,
        created_at_us: row.try_get("created_at_us")?,
        due_at_us: row.try_get("due_at_us")?,
        tries: row.try_get("tries")?,
        outcome: row.try_get("outcome")?,
    })
}
