//! Storing the person behind accounts; where they are paid is stored by `payees`. Writes run as jobs of
//! the group writer.

use cashout_common::db::Conn;
use cashout_common::on_engine;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use sqlx::FromRow;

use super::{Store, fetch_list};

/// A person as stored.
#[derive(Debug, Clone, FromRow)]
pub struct HolderRow {
    /// Who.
    pub user_id: i64,
    /// As shown.
    pub username: String,
    /// Full number.
    pub mobile: String,
    /// 0 or 1.
    pub is_member: i64,
    /// Money saved as a member, minor units.
    pub saved_minor: i64,
    /// JSON list of [title, subtitle].
    pub privileges: String,
    /// First seen.
    pub created_at: i64,
    /// Last changed.
    pub updated_at: i64,
}

/// What the documents show of a member.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Whether the person is one.
    pub is_member: bool,
    /// Title and subtitle.
    pub privileges: Vec<(String, String)>,
    /// Minor units.
    pub saved_minor: i64,
}

const PROFILE: &str = "INSERT INTO holder VALUES ($1, $2, $3, 0, 0, '[]', $4, $4) \
    ON CONFLICT (user_id) DO UPDATE SET username = $2, mobile = $3, updated_at = $4 \
    WHERE holder.username <> $2 OR holder.mobile <> $3";
const MEMBERSHIP: &str = "UPDATE holder SET is_member = $2, saved_minor = $3, privileges = $4, \
    updated_at = $5 WHERE user_id = $1";
const TOUCH: &str = "UPDATE holder SET updated_at = $2 WHERE user_id = $1";

/// Persons under a condition.
macro_rules! of {
    ($rest:literal) => {
        concat!(
            "SELECT user_id, username, mobile, is_member, saved_minor, privileges, created_at, \
             updated_at FROM holder WHERE ",
            $rest
        )
    };
}
pub(super) use of;

impl Store {
    /// Holders by id and by exact user name; those that do not exist are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holders(
        &self,
        ids: &[i64],
        username: &str,
    ) -> Result<Vec<HolderRow>, sqlx::Error> {
        let readers = self.database().readers();
        let mut rows: Vec<HolderRow> =
            fetch_list!(readers, p => p, HolderRow, of!("user_id"), ids)?;
        if !username.is_empty() {
            const NAMED: &str = of!("username = $1 ORDER BY user_id LIMIT 1000");
            let named: Vec<HolderRow> =
                on_engine!(readers, p => sqlx::query_as(NAMED).bind(username).fetch_all(p).await?);
            rows.extend(named.into_iter().filter(|n| !ids.contains(&n.user_id)));
        }
        Ok(rows)
    }
}

/// Creates or replaces a profile; the same one again changes nothing.
///
/// # Errors
/// When the database does not answer; so for every write here.
pub async fn set_profile(
    conn: &mut Conn,
    user_id: i64,
    username: &str,
    mobile: &str,
    now_us: i64,
) -> Result<(), WriteError> {
    on_engine!(conn, c => sqlx::query(PROFILE).bind(user_id).bind(username).bind(mobile).bind(now_us)
        .execute(&mut *c).await.map(drop)?);
    Ok(())
}

/// Replaces a membership.
///
/// # Errors
/// `HOLDER_NOT_FOUND` when there is no such person.
pub async fn set_membership(
    conn: &mut Conn,
    user_id: i64,
    membership: &Membership,
    now_us: i64,
) -> Result<(), WriteError> {
    let privileges = super::json_list(&membership.privileges);
    let done = on_engine!(conn, c => sqlx::query(MEMBERSHIP).bind(user_id).bind(i64::from(membership.is_member))
        .bind(membership.saved_minor).bind(privileges).bind(now_us)
        .execute(&mut *c).await.map(|r| r.rows_affected())?);
    found(done)
}

/// Notes that something of a person changed.
///
/// # Errors
/// `HOLDER_NOT_FOUND` when there is no such person.
pub async fn touch(conn: &mut Conn, user_id: i64, now_us: i64) -> Result<(), WriteError> {
    let done = on_engine!(conn, c => sqlx::query(TOUCH).bind(user_id).bind(now_us)
        .execute(&mut *c).await.map(|r| r.rows_affected())?);
    found(done)
}

fn found(rows: u64) -> Result<(), WriteError> {
    if rows == 0 {
        return Err(Failure::new(Reason::HolderNotFound, "there is no such person").into());
    }
    Ok(())
}
