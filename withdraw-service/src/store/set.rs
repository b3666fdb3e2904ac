//! Many rows as the source `d` of one statement, so that a batch of any size takes few statements. The
//! statement stands once: PostgreSQL takes an array per column, SQLite the rows themselves.
//!
//! Must not know: any table.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cashout_common::db::{Conn, Engine};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Error, FromRow, Sqlite};

use super::arrays::{columns, parameters, source};

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

/// From how many parts on a batch is mixed, see [`run_all`].
const MIXED: usize = 7;

/// A statement over a source `d` of `N` columns.
pub(super) struct Statement<const N: usize> {
    kinds: [Kind; N],
    names: String,
    then: String,
    postgres: Arc<str>,
    sqlite: [String; SIZES.len()],
}

/// A statement with its rows.
pub(super) struct Part<'c> {
    kinds: &'static [Kind],
    names: &'static str,
    then: &'static str,
    sqlite: &'static [String],
    cells: Vec<Cell<'c>>,
    rare: bool,
}

impl<const N: usize> Statement<N> {
    /// `then` follows the definition of `d`: `INSERT … SELECT … FROM d`, `UPDATE … FROM d`, `SELECT …`.
    pub(super) fn new(columns: [(&str, Kind); N], then: &str) -> Self {
        let names = columns.map(|(name, _)| name).join(", ");
        let kinds = columns.map(|(_, kind)| kind);
        let postgres = format!("WITH {} {then}", source(&names, &kinds, 1, "")).into();
        let row = format!("({})", ["?"; N].join(", "));
        let sqlite = SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            format!("WITH d ({names}) AS (VALUES {rows}) {then}")
        });
        Self { kinds, names, then: then.to_owned(), postgres, sqlite }
    }

    /// It with its rows, to be run with others.
    pub(super) fn over<'c>(&'static self, rows: impl Iterator<Item = [Cell<'c>; N]>) -> Part<'c> {
        Part {
            kinds: &self.kinds,
            names: &self.names,
            then: &self.then,
            sqlite: &self.sqlite,
            cells: rows.flatten().collect(),
            rare: false,
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
                let mut arguments = PgArguments::default();
                columns(&mut arguments, &self.kinds, rows.as_flattened())?;
                let query = sqlx::query_with(AssertSqlSafe(self.postgres.clone()), arguments);
                query.fetch_all(&mut *c).await?.iter().map(R::from_row).collect()
            }
            Engine::Sqlite(c) => {
                let mut all = Vec::new();
                for (sql, cells) in in_sizes(&self.sqlite, N, rows.as_flattened()) {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for cell in cells {
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
}

impl Part<'_> {
    /// A part that few batches have, so that those without it carry nothing for it.
    pub(super) fn rarely(self) -> Self {
        Self { rare: true, ..self }
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.cells.len() / self.kinds.len()
    }
}

/// Runs statements in this order, on PostgreSQL as one; gives how many rows those of `parts` touched.
/// None of them may look at what another one of them writes.
///
/// On PostgreSQL it can stop itself, without a transaction around it: told how many rows are `certain`, it
/// does nothing at all (0) when the first part, which has one row, touches none; and with any other number
/// it fails and leaves nothing.
///
/// # Errors
/// The database's.
pub(super) async fn run_all(
    conn: &mut Conn,
    parts: Vec<Part<'_>>,
    uncounted: Vec<Part<'_>>,
    certain: Option<usize>,
) -> Result<u64, Error> {
    let counted = parts.into_iter().map(|part| (part, true));
    let mut parts: Vec<(Part<'_>, bool)> =
        counted.chain(uncounted.into_iter().map(|part| (part, false))).collect();
    let filled = parts.iter().filter(|(part, _)| !part.cells.is_empty()).count();
    if filled == 0 {
        return Ok(0);
    }
    // Each choice of parts is a statement that has to be planned once; what is mixed takes all usual ones.
    let mixed = filled >= MIXED;
    parts.retain(|(part, _)| !part.cells.is_empty() || (mixed && !part.rare));
    match conn {
        Engine::Postgres(c) => {
            let mut arguments = PgArguments::default();
            for (part, _) in &parts {
                columns(&mut arguments, part.kinds, &part.cells)?;
            }
            if let Some(certain) = certain {
                let certain = i64::try_from(certain).unwrap_or(i64::MAX);
                arguments.add(certain).map_err(Error::Encode)?;
            }
            let sql = text_of(&parts, certain.is_some());
            let touched: i64 =
                sqlx::query_scalar_with(AssertSqlSafe(sql), arguments).fetch_one(&mut *c).await?;
            Ok(u64::try_from(touched).unwrap_or_default())
        }
        Engine::Sqlite(c) => {
            let mut touched = 0;
            for (part, counts_it) in &parts {
                for (sql, cells) in in_sizes(part.sqlite, part.kinds.len(), &part.cells) {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for cell in cells {
                        query = value(query, *cell);
                    }
                    let rows = query.execute(&mut *c).await?.rows_affected();
                    touched += if *counts_it { rows } else { 0 };
                }
            }
            Ok(touched)
        }
    }
}

/// A choice of parts: where each keeps its text and whether it is counted, and whether the statement stops itself.
type Choice = (Vec<(usize, bool)>, bool);

/// The text of every choice that was run, made once.
static TEXTS: LazyLock<Mutex<HashMap<Choice, Arc<str>>>> = LazyLock::new(Mutex::default);

fn text_of(parts: &[(Part<'_>, bool)], stops: bool) -> Arc<str> {
    let choice = parts.iter().map(|(part, counted)| (part.then.as_ptr().addr(), *counted));
    let choice = (choice.collect(), stops);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    texts.entry(choice).or_insert_with(|| text(parts, stops).into()).clone()
}

/// All parts as one statement on PostgreSQL, which gives how many rows the counted ones touched.
fn text(parts: &[(Part<'_>, bool)], stops: bool) -> String {
    let (mut sql, mut counted) = (String::from("WITH "), Vec::new());
    let mut next = 1;
    for (n, (part, counts_it)) in parts.iter().enumerate() {
        // So the first one is also carried out first.
        let only = if stops && n > 0 { FIRST_TOUCHED } else { "" };
        let source = source(part.names, part.kinds, next, only);
        sql.push_str(&format!("p{n} AS (WITH {source} {} RETURNING 1), ", part.then));
        if *counts_it {
            counted.push(format!("SELECT 1 FROM p{n}"));
        }
        next += parameters(part.kinds);
    }
    // One sum over all: PostgreSQL prepares each that stands by itself anew for every run.
    let counted = counted.join(" UNION ALL ");
    sql.push_str(&format!("touched AS (SELECT count(*) AS n FROM ({counted}) AS parts) "));
    sql.push_str(&if stops {
        // A division by zero: an expression has no other way to fail.
        format!("SELECT CASE WHEN n IN (0, ${next}) THEN n ELSE 1 / (n - n) END FROM touched")
    } else {
        "SELECT n FROM touched".to_owned()
    });
    sql
}

/// Nothing unless the first of several parts touched its row.
const FIRST_TOUCHED: &str = " WHERE EXISTS (SELECT 1 FROM p0)";

/// Rows of `width` cells in parts, each with the statement of its size.
fn in_sizes<'s, 'r, 'c>(
    statements: &'s [String],
    width: usize,
    mut cells: &'r [Cell<'c>],
) -> Vec<(&'s str, &'r [Cell<'c>])> {
    let mut parts = Vec::new();
    for (size, sql) in SIZES.iter().zip(statements) {
        while let Some((part, rest)) = cells.split_at_checked(size * width)
            && !part.is_empty()
        {
            parts.push((sql.as_str(), part));
            cells = rest;
        }
    }
    parts
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
