//! Queries over lists: `= ANY($1)` on PostgreSQL, `IN (json_each)` on SQLite. Must not know: any table.

/// How many are asked for in one statement.
pub(crate) const CHUNK: usize = 1_000;

/// Runs a query over a list, part by part.
macro_rules! by_list {
    ($readers:expr, $list:expr, $sqlite:expr, $postgres:expr) => {{
        let mut found = Vec::new();
        for part in $list.chunks($crate::store::list::CHUNK) {
            found.extend(match $readers {
                cashout_common::db::Engine::Sqlite(p) => {
                    let list = serde_json::json!(part).to_string();
                    sqlx::query_as($sqlite).bind(list).fetch_all(p).await?
                }
                cashout_common::db::Engine::Postgres(p) => {
                    sqlx::query_as($postgres).bind(part).fetch_all(p).await?
                }
            });
        }
        Ok(found)
    }};
}
pub(crate) use by_list;
