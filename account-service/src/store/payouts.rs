//! What left to a counter-account, by the hold it left from: for a comparison with who paid it out.
//! Must not know: who pays, or any cash-out.

use cashout_common::on_engine;

use super::Store;

/// What left from one hold.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FoundPayout {
    /// The hold's key; the command's own when there was no hold.
    pub key: String,
    /// How much, minor units.
    pub amount_minor: i64,
    /// When, the last time.
    pub at_us: i64,
}

/// Reads all entries since then: it runs beside the service, not in it.
const SINCE: &str = "SELECT COALESCE(h.key, e.key, '') AS key, \
    CAST(-SUM(e.available_delta + e.frozen_delta) AS BIGINT) AS amount_minor, \
    MAX(e.created_at) AS at_us FROM entry e JOIN account c ON c.id = e.counter_id \
    LEFT JOIN hold h ON h.id = e.hold_id \
    WHERE c.counter = $1 AND c.currency = $2 AND e.created_at >= $3 \
    GROUP BY COALESCE(h.key, e.key, '')";

impl Store {
    /// Everything that left to a counter-account since a moment.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn paid_out(
        &self,
        counter: &str,
        currency: &str,
        since_us: i64,
    ) -> Result<Vec<FoundPayout>, sqlx::Error> {
        on_engine!(self.database().readers(), p => sqlx::query_as(SINCE)
            .bind(counter).bind(currency).bind(since_us).fetch_all(p).await)
    }
}
