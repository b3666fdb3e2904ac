//! Loading what a batch of commands touches, in a few statements however long the batch is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashout_common::db::Conn;
use cashout_common::on_engine;

use super::fetch_list;
use super::rows::{AccountRow, EntryRow, HoldRow, account_columns, entry_select, hold_columns};
use crate::domain::{
    Account, Book, Command, Currency, Entries, Entry, Head, Hold, Owner, Recorded, Which,
};

type Loaded<T> = Result<T, sqlx::Error>;

/// The head row.
///
/// # Errors
/// When the database does not answer.
pub async fn head(conn: &mut Conn) -> Loaded<Head> {
    const SQL: &str = "SELECT version, last_entry_id, last_account_id, last_hold_id, last_time_us, \
                       hash FROM ledger_head WHERE id = 1";
    let row: (i64, i64, i64, i64, i64, Vec<u8>) =
        on_engine!(conn, c => sqlx::query_as(SQL).fetch_one(&mut *c).await?);
    Ok(Head {
        version: row.0,
        last_entry_id: row.1,
        last_account_id: row.2,
        last_hold_id: row.3,
        last_time_us: row.4,
        hash: row.5.try_into().unwrap_or_default(),
    })
}

/// Loads into `book` what `commands` touch and it does not have yet.
///
/// # Errors
/// When the database does not answer.
pub async fn touched(conn: &mut Conn, book: &mut Book, commands: &[Command]) -> Loaded<()> {
    let mut holds: Vec<&str> =
        commands.iter().filter_map(Command::hold).map(AsRef::as_ref).collect();
    holds.retain(|key| !book.has_hold(key));
    load_holds(conn, book, &holds).await?;

    let mut ids = BTreeSet::new();
    let mut people: BTreeSet<(i64, Currency)> = BTreeSet::new();
    let held = commands.iter().filter_map(Command::hold).filter_map(|key| book.hold(key));
    let held = held.map(|hold| Which::Id(hold.account_id));
    // Nearly all are remembered, so only those that are not are collected.
    for which in commands.iter().flat_map(Command::accounts).chain(held) {
        match which {
            Which::Id(id) if book.account(id).is_none() => drop(ids.insert(id)),
            Which::Person(user, currency) if !book.has_owner(&Owner::Person(user), currency) => {
                people.insert((user, currency));
            }
            Which::Id(_) | Which::Person(..) => {}
        }
    }
    load_accounts(conn, book, &ids.into_iter().collect::<Vec<_>>()).await?;
    load_people(conn, book, people).await?;
    // Last, because the currencies are those of the accounts.
    load_counters(conn, book, commands).await
}

/// Whether the book has everything that these commands touch and they change balances and holds only:
/// then nothing has to be read for them, and one statement writes what they change.
#[must_use]
pub fn at_hand(book: &Book, commands: &[Command]) -> bool {
    let plain = |command: &Command| match command {
        Command::Post(_)
        | Command::PostAll(_)
        | Command::Place { .. }
        | Command::Settle { .. }
        | Command::Release { .. } => true,
        Command::Open { .. }
        | Command::Adjust { .. }
        | Command::Abandon { .. }
        | Command::SetLock { .. }
        | Command::SetOverdraft { .. } => false,
    };
    let there = |command: &Command| {
        let held = command.hold().map(|key| book.hold(key));
        let held = held.map(|hold| hold.and_then(|hold| book.account(hold.account_id)));
        if held.is_some_and(|account| account.is_none()) {
            return false;
        }
        let mut currencies = held.flatten().map(|account| account.currency).into_iter();
        let mut accounts = command.accounts().map(|which| book.currency_of(&which));
        let counted =
            |currency| command.counters().all(|name| book.counter(name, currency).is_some());
        currencies.all(counted) && accounts.all(|currency| currency.is_some_and(counted))
    };
    commands.iter().all(|command| plain(command) && there(command))
}

/// Loads what is stored under the keys of `commands`.
///
/// # Errors
/// When the database does not answer.
pub async fn known(conn: &mut Conn, book: &mut Book, commands: &[Command]) -> Loaded<()> {
    let keys: BTreeSet<&str> = commands.iter().flat_map(Command::keys).map(|k| &*k.text).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    if keys.is_empty() {
        return Ok(());
    }
    // The entries of a command have consecutive ids, the keyed one first; there are at most nine.
    let rows = fetch_list!(conn, c => &mut *c, EntryRow, concat!(entry_select!(),
        "JOIN entry k ON k.id = e.transfer_id AND e.id >= k.id AND e.id < k.id + 16 WHERE k.key"), &keys)?;
    let mut by_key: BTreeMap<i64, Entries> = BTreeMap::new();
    for row in rows {
        let entry = Arc::new(Entry::from(row));
        by_key.entry(entry.transfer_id).or_default().push(entry);
    }
    let held: BTreeSet<&str> =
        by_key.values().flatten().filter_map(|e| e.hold.as_ref()).map(|(_, key)| &**key).collect();
    let held: Vec<&str> = held.into_iter().filter(|key| !book.has_hold(key)).collect();
    load_holds(conn, book, &held).await?;
    for (_, mut entries) in by_key {
        entries.sort_by_key(|e| e.id);
        let Some((key, digest)) = entries.first().and_then(|e| e.key.clone()) else { continue };
        let hold =
            entries.iter().find_map(|e| e.hold.as_ref()).and_then(|(_, hold)| book.hold(hold));
        // A placement answers the hold as it was then; an ending is the hold's last word anyway.
        let hold = hold.map(|h| Arc::new(if h.key == key { h.as_placed() } else { h.clone() }));
        book.load_known(key, Recorded { digest, entries, hold, account: None });
    }
    load_receipts(conn, book, &keys).await
}

/// Whether anything is stored under one of these keys.
///
/// # Errors
/// When the database does not answer.
pub async fn any_known(conn: &mut Conn, keys: &[&str]) -> Loaded<bool> {
    if keys.is_empty() {
        return Ok(false);
    }
    type Row = (i64,);
    let found = fetch_list!(conn, c => &mut *c, Row, "SELECT id FROM entry WHERE key", keys)?;
    Ok(!found.is_empty())
}

async fn load_receipts(conn: &mut Conn, book: &mut Book, keys: &[&str]) -> Loaded<()> {
    type Row = (String, Vec<u8>, String);
    let rows = fetch_list!(conn, c => &mut *c, Row,
        "SELECT key, digest, reply FROM receipt WHERE key", keys)?;
    for (key, digest, reply) in rows {
        let account =
            super::write::receipt_account(&reply).map_err(|e| sqlx::Error::Decode(e.into()))?;
        let digest = digest.try_into().unwrap_or_default();
        let account = Some(Box::new(account));
        let recorded = Recorded { digest, entries: Entries::new(), hold: None, account };
        book.load_known(Arc::from(key), recorded);
    }
    Ok(())
}

async fn load_holds(conn: &mut Conn, book: &mut Book, keys: &[&str]) -> Loaded<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let rows = fetch_list!(conn, c => &mut *c, HoldRow,
        concat!("SELECT ", hold_columns!(), " FROM hold h WHERE h.key"), keys)?;
    for key in keys {
        book.load_hold(Arc::from(*key), None);
    }
    for row in rows {
        let hold = Hold::from(row);
        book.load_hold(hold.key.clone(), Some(hold));
    }
    Ok(())
}

async fn load_accounts(conn: &mut Conn, book: &mut Book, ids: &[i64]) -> Loaded<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = fetch_list!(conn, c => &mut *c, AccountRow,
        concat!("SELECT ", account_columns!(), " FROM account_now a WHERE a.id"), ids)?;
    rows.into_iter().for_each(|row| book.load_account(Account::from(row)));
    Ok(())
}

async fn load_people(
    conn: &mut Conn,
    book: &mut Book,
    people: BTreeSet<(i64, Currency)>,
) -> Loaded<()> {
    if people.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<i64> = people.iter().map(|(user, _)| *user).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let rows = fetch_list!(conn, c => &mut *c, AccountRow,
        concat!("SELECT ", account_columns!(), " FROM account_now a WHERE a.user_id"), &ids)?;
    for row in rows {
        let account = Account::from(row);
        if book.account(account.id).is_none() {
            book.load_account(account);
        }
    }
    for (user, currency) in people {
        book.load_absent(&Owner::Person(user), currency);
    }
    Ok(())
}

async fn load_counters(conn: &mut Conn, book: &mut Book, commands: &[Command]) -> Loaded<()> {
    let mut wanted: BTreeSet<(Arc<str>, Currency)> = BTreeSet::new();
    for command in commands {
        let own = command.accounts().filter_map(|which| match which {
            Which::Id(id) => book.account(id).map(|a| a.currency),
            Which::Person(_, currency) => Some(currency),
        });
        let held =
            command.hold().and_then(|key| book.hold(key)).and_then(|h| book.account(h.account_id));
        for currency in own.chain(held.map(|a| a.currency)) {
            let unknown = command.counters().filter(|name| !book.has_counter(name, currency));
            wanted.extend(unknown.map(|name| (Arc::from(name), currency)));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| &**name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let rows = fetch_list!(conn, c => &mut *c, AccountRow,
        concat!("SELECT ", account_columns!(), " FROM account_now a WHERE a.counter"), &names)?;
    for row in rows {
        let account = Account::from(row);
        if book.account(account.id).is_none() {
            book.load_account(account);
        }
    }
    for (name, currency) in wanted {
        book.load_absent(&Owner::Counter(name), currency);
    }
    Ok(())
}
