//! Many rows as the source `d` of one statement, so that a batch of any size takes few statements. The
//! statement stands once: PostgreSQL takes an array per column, SQLite the rows themselves.
//!
//! Must not know: any table.

use cashout_common::db::{Conn, Engine};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Error, FromRow, Postgres, Sqlite};

/// What a column of a source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number.
    Int,
    /// Words.
    Text,
    /// Words or nothing.
    MaybeText,
    /// A number or nothing.
    MaybeInt,
    /// Bytes.
    Bytes,
}

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    /// Of a column of numbers.
    Int(i64),
    /// Of a column of words.
    Text(&'a str),
    /// Of a column of words or nothing.
    MaybeText(Option<&'a str>),
    /// Of a column of numbers or nothing.
    MaybeInt(Option<i64>),
    /// Of a column of bytes.
    Bytes(&'a [u8]),
}

/// Rows of one statement on SQLite, so that their texts stay few: SQLite compiles each once.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// A statement over a source `d` of `N` columns.
pub(super) struct Statement<const N: usize> {
    kinds: [Kind; N],
    postgres: String,
    sqlite: [String; SIZES.len()],
}

impl<const N: usize> Statement<N> {
    /// `then` follows the definition of `d`: `INSERT … SELECT … FROM d`, `UPDATE … FROM d`, `SELECT …`.
    pub(super) fn new(columns: [(&str, Kind); N], then: &str) -> Self {
        let names = columns.map(|(name, _)| name).join(", ");
        let arrays: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| {
                let array = match kind {
                    Kind::Int | Kind::MaybeInt => "bigint[]",
                    Kind::Text | Kind::MaybeText => "text[]",
                    Kind::Bytes => "bytea[]",
                };
                format!("${}::{array}", at + 1)
            })
            .collect();
        let postgres =
            format!("WITH d ({names}) AS (SELECT * FROM unnest({})) {then}", arrays.join(", "));
        let row = format!("({})", ["?"; N].join(", "));
        let sqlite = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            format!("WITH d ({names}) AS (VALUES {rows}) {then}")
        });
        Self { kinds: columns.map(|(_, kind)| kind), postgres, sqlite }
    }

    /// Runs it over `rows`; gives how many rows of the database it touched.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn run(&self, conn: &mut Conn, rows: &[[Cell<'_>; N]]) -> Result<u64, Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        match conn {
            Engine::Postgres(c) => {
                let query = sqlx::query(AssertSqlSafe(self.postgres.as_str()));
                Ok(self.arrays(query, rows).execute(&mut *c).await?.rows_affected())
            }
            Engine::Sqlite(c) => {
                let mut touched = 0;
                for (sql, rows) in self.parts(rows) {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for cell in rows.iter().flatten() {
                        query = value(query, *cell);
                    }
                    touched += query.execute(&mut *c).await?.rows_affected();
                }
                Ok(touched)
            }
        }
    }

    /// Runs it over `rows` and reads what it gives.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn fetch<R>(
        &self,
        conn: &mut Conn,
        rows: &[[Cell<'_>; N]],
    ) -> Result<Vec<R>, Error>
    where
        R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match conn {
            Engine::Postgres(c) => {
                let query = sqlx::query(AssertSqlSafe(self.postgres.as_str()));
                let found = self.arrays(query, rows).fetch_all(&mut *c).await?;
                found.iter().map(R::from_row).collect()
            }
            Engine::Sqlite(c) => {
                let mut all = Vec::new();
                for (sql, rows) in self.parts(rows) {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for cell in rows.iter().flatten() {
                        query = value(query, *cell);
                    }
                    for row in &query.fetch_all(&mut *c).await? {
                        all.push(R::from_row(row)?);
                    }
                }
                Ok(all)
            }
        }
    }

    fn arrays<'q>(
        &self,
        mut query: sqlx::query::Query<'q, Postgres, PgArguments>,
        rows: &[[Cell<'q>; N]],
    ) -> sqlx::query::Query<'q, Postgres, PgArguments> {
        for (at, kind) in self.kinds.iter().enumerate() {
            let column = rows.iter().filter_map(|row| row.get(at));
            query = match kind {
                Kind::Int => query.bind(column.filter_map(|c| c.int()).collect::<Vec<i64>>()),
                Kind::MaybeInt => query.bind(column.map(|c| c.int()).collect::<Vec<Option<i64>>>()),
                Kind::Text => query.bind(column.filter_map(|c| c.text()).collect::<Vec<&str>>()),
                Kind::MaybeText => {
                    query.bind(column.map(|c| c.text()).collect::<Vec<Option<&str>>>())
                }
                Kind::Bytes => query.bind(column.filter_map(|c| c.bytes()).collect::<Vec<&[u8]>>()),
            };
        }
        query
    }

    /// The rows in parts, each with the statement of its size.
    fn parts<'s, 'r, 'c>(
        &'s self,
        mut rows: &'r [[Cell<'c>; N]],
    ) -> Vec<(&'s str, &'r [[Cell<'c>; N]])> {
        let mut parts = Vec::new();
        for (size, sql) in SIZES.iter().zip(&self.sqlite) {
            while let Some((part, rest)) = rows.split_at_checked(*size) {
                parts.push((sql.as_str(), part));
                rows = rest;
            }
        }
        parts
    }
}

impl<'a> Cell<'a> {
    fn int(self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(n),
            Self::MaybeInt(n) => n,
            _ => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::MaybeText(text) => text,
            _ => None,
        }
    }

    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

type Bound<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

fn value<'q>(query: Bound<'q>, cell: Cell<'q>) -> Bound<'q> {
    match cell {
        Cell::Int(n) => query.bind(n),
        Cell::Text(text) => query.bind(text),
        Cell::MaybeText(text) => query.bind(text),
        Cell::MaybeInt(n) => query.bind(n),
        Cell::Bytes(bytes) => query.bind(bytes),
    }
}
