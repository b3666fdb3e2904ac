//! Storing where a person is paid. The texts are sealed before they come here and opened after they
//! left (`service::payees`). Writes run as jobs of the group writer.
//!
//! Must not know: keys, or anything that a binding says.

use cashout_common::db::Conn;
use cashout_common::on_engine;
use cashout_common::writer::WriteError;
use sqlx::FromRow;

use super::{Store, fetch_list};

/// A binding as stored: every text is sealed.
#[derive(Debug, Clone, FromRow)]
pub struct PayeeRow {
    /// Who.
    pub user_id: i64,
    /// 1 WeChat, 2 Alipay.
    pub method: i64,
    /// The id money is sent to.
    pub payee_id: Vec<u8>,
    /// The name the provider checks.
    pub real_name: Vec<u8>,
    /// WeChat's ids per app.
    pub mp_openid: Vec<u8>,
    /// See `mp_openid`.
    pub dev_openid: Vec<u8>,
    /// See `mp_openid`.
    pub min_openid: Vec<u8>,
    /// As shown.
    pub nickname: Vec<u8>,
    /// 0 unknown, 1 male, 2 female.
    pub sex: i64,
    /// When it was bound.
    pub bound_at: i64,
    /// Which key sealed the texts.
    pub key_id: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT user_id, method, payee_id, real_name, mp_openid, dev_openid, min_openid, \
             nickname, sex, bound_at, key_id FROM payee WHERE ",
            $rest
        )
    };
}

pub(super) use select;

const ONE: &str = select!("user_id = $1 AND method = $2");
// Walks payee_by_key: an old key's rows, in pages.
const SEALED_WITH: &str =
    select!("key_id = $1 AND (user_id, method) > ($2, $3) ORDER BY user_id, method LIMIT $4");
// One step along payee_by_key: asked again from each answer, it costs one search per key in use and
// not one per row.
const NEXT_KEY: &str = "SELECT min(key_id) FROM payee WHERE key_id > $1";
const PUT: &str = "INSERT INTO payee (user_id, method, payee_id, real_name, mp_openid, dev_openid, \
    min_openid, nickname, sex, bound_at, key_id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
    ON CONFLICT (user_id, method) DO UPDATE SET payee_id = $3, real_name = $4, mp_openid = $5, \
    dev_openid = $6, min_openid = $7, nickname = $8, sex = $9, bound_at = $10, key_id = $11";
const REMOVE: &str = "DELETE FROM payee WHERE user_id = $1 AND method = $2";

impl Store {
    /// All bindings of these people, by person and method.
    ///
    /// # Errors
    /// When the database does not answer; so for every function here.
    pub async fn payees(&self, ids: &[i64]) -> Result<Vec<PayeeRow>, sqlx::Error> {
        let readers = self.database().readers();
        let mut rows: Vec<PayeeRow> =
            fetch_list!(readers, p => p, PayeeRow, select!("user_id"), ids)?;
        rows.sort_by_key(|row| (row.user_id, row.method));
        Ok(rows)
    }

    /// Ids of all keys that bindings are sealed with, in order.
    ///
    /// # Errors
    /// See above.
    pub async fn payee_key_ids(&self) -> Result<Vec<String>, sqlx::Error> {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned().unwrap_or_default();
            let next: Option<String> = on_engine!(self.database().readers(), p =>
                sqlx::query_scalar(NEXT_KEY).bind(after).fetch_one(p).await?);
            match next {
                Some(id) => found.push(id),
                None => return Ok(found),
            }
        }
    }
}

/// One binding, as the transaction sees it.
///
/// # Errors
/// When the database does not answer; so for every function here.
pub async fn payee(
    conn: &mut Conn,
    user_id: i64,
    method: i64,
) -> Result<Option<PayeeRow>, WriteError> {
    Ok(on_engine!(conn, c => sqlx::query_as(ONE).bind(user_id).bind(method)
        .fetch_optional(&mut *c).await?))
}

/// Up to `limit` bindings that this key sealed, after a person and method.
///
/// # Errors
/// See [`payee`].
pub async fn payees_sealed_with(
    conn: &mut Conn,
    key_id: &str,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<PayeeRow>, WriteError> {
    Ok(on_engine!(conn, c => sqlx::query_as(SEALED_WITH).bind(key_id).bind(after.0).bind(after.1)
        .bind(limit).fetch_all(&mut *c).await?))
}

/// Stores a binding in place of the one of the same person and method.
///
/// # Errors
/// See [`payee`].
pub async fn put_payee(conn: &mut Conn, row: &PayeeRow) -> Result<(), WriteError> {
    on_engine!(conn, c => sqlx::query(PUT).bind(row.user_id).bind(row.method).bind(&row.payee_id)
        .bind(&row.real_name).bind(&row.mp_openid).bind(&row.dev_openid).bind(&row.min_openid)
        .bind(&row.nickname).bind(row.sex).bind(row.bound_at).bind(&row.key_id)
        .execute(&mut *c).await.map(drop)?);
    Ok(())
}

/// Removes a binding, if there is one.
///
/// # Errors
/// See [`payee`].
pub async fn remove_payee(conn: &mut Conn, user_id: i64, method: i64) -> Result<(), WriteError> {
    on_engine!(conn, c => sqlx::query(REMOVE).bind(user_id).bind(method)
        .execute(&mut *c).await.map(drop)?);
    Ok(())
}
