//! Queries that find nothing as long as the guarantees hold. The database does the looking, so that a check takes no
//! memory however much there is to look at.
//!
//! Must not know: what is right; the rules are in `payout_rules` and `record_rules`.

use std::time::{Duration, Instant};

use cashout_common::db::Snapshot;
use cashout_common::on_engine;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Error};

use super::payout_rules::{
    never_pays_twice, never_returns_what_may_be_paid, notifications_are_hints, returned,
};
use super::record_rules::{
    is_told_whole, no_line_is_missing, one_effect_each, reviewers_are_others,
};

/// So many of what breaks a rule are told in words.
const EXAMPLES: usize = 5;

/// What must never be found.
pub(super) struct Rule {
    pub(super) guarantee: &'static str,
    /// What kind of thing is found.
    pub(super) noun: &'static str,
    /// What is wrong with each thing found.
    pub(super) told: &'static str,
    /// Gives a word for each thing that breaks the rule.
    pub(super) sql: String,
}

/// How a rule was broken, if it was.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which guarantee it belongs to.
    pub guarantee: &'static str,
    /// How often.
    pub violations: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
    /// How long the look took.
    pub took: Duration,
}

/// How many rows the rules look at.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub struct Looked {
    /// Keys that are written down.
    pub keys: i64,
    /// Calls to providers.
    pub calls: i64,
    /// Withdrawals whose money returned.
    pub returned: i64,
    /// Notifications.
    pub notifications: i64,
    /// Approvals.
    pub reviews: i64,
}

/// What every rule found, and how much was looked at.
///
/// # Errors
/// The database's.
pub async fn looked_at(tx: &mut Snapshot) -> Result<(Vec<Found>, Looked), Error> {
    let mut found = Vec::new();
    let rules = [
        one_effect_each(),
        never_pays_twice(),
        never_returns_what_may_be_paid(),
        is_told_whole(),
        no_line_is_missing(),
        notifications_are_hints(),
        reviewers_are_others(),
    ];
    for rule in rules.into_iter().flatten() {
        found.push(look(tx, rule).await?);
    }
    let sql = format!(
        "SELECT (SELECT count(*) FROM answer) AS keys, (SELECT count(*) FROM provider_call) AS calls, \
         ({}) AS returned, (SELECT count(*) FROM notification) AS notifications, \
         (SELECT count(*) FROM review) AS reviews",
        returned()
    );
    let looked = on_engine!(&mut *tx, c =>
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut **c).await?);
    Ok((found, looked))
}

async fn look(tx: &mut Snapshot, rule: Rule) -> Result<Found, Error> {
    let Rule { guarantee, noun, told, sql } = rule;
    let started = Instant::now();
    let (mut violations, mut examples) = (0, Vec::new());
    on_engine!(tx, c => {
        let mut rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch(&mut **c);
        while let Some(about) = rows.try_next().await? {
            let about: String = about;
            violations += 1;
            if examples.len() < EXAMPLES {
                examples.push(format!("{noun} {about}: {told}"));
            }
        }
    });
    Ok(Found { guarantee, violations, examples, took: started.elapsed() })
}
