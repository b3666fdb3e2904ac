//! Lists of withdrawals by the contract's filters. The text is built of our own constants; every value
//! is bound. What people must not see yet (status before the hold) is never listed.

use cashout_common::db::Readers;
use cashout_common::on_engine;
use sqlx::{AssertSqlSafe, Error};

use super::withdrawals::{Row, all, columns, select};
use crate::domain::status::Status;
use crate::domain::withdrawal::Withdrawal;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    CreatedDesc,
    /// Oldest first.
    CreatedAsc,
    /// Changed last first.
    UpdatedDesc,
    /// Changed first first.
    UpdatedAsc,
}

/// What to list; `None` and empty mean no filter.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // Named as in the proto message ListWithdrawalsRequest.
pub struct Filter {
    pub user_ids: Vec<i64>,
    pub cash_sn: Option<String>,
    pub cash_status: Option<i32>,
    pub method: Option<i32>,
    pub mobile: Option<String>,
    pub created_from_us: Option<i64>,
    pub created_until_us: Option<i64>,
    pub before_id: Option<i64>,
    pub order: Order,
    pub limit: i64,
    pub offset: i64,
}

enum Value {
    Int(i64),
    Text(String),
}

/// Conditions and the values they bind.
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn of(filter: &Filter) -> Self {
        let statuses: Vec<String> = Status::ALL
            .iter()
            .filter(|s| s.visible() && filter.cash_status.is_none_or(|c| s.cash_status() == c))
            .map(|s| s.number().to_string())
            .collect();
        // An unknown cash_status matches nothing; 0 is no status.
        let statuses = if statuses.is_empty() { "0".to_owned() } else { statuses.join(", ") };
        let mut made = Self { text: format!("WHERE w.status IN ({statuses})"), values: Vec::new() };
        if !filter.user_ids.is_empty() {
            let first = made.values.len() + 1;
            let list: Vec<String> =
                (first..first + filter.user_ids.len()).map(|n| format!("${n}")).collect();
            made.text.push_str(&format!(" AND w.user_id IN ({})", list.join(", ")));
            made.values.extend(filter.user_ids.iter().map(|id| Value::Int(*id)));
        }
        made.text_is("w.cash_sn =", filter.cash_sn.as_ref());
        made.text_is("w.mobile =", filter.mobile.as_ref());
        made.int_is("w.method =", filter.method.map(i64::from));
        made.int_is("w.created_at_us >=", filter.created_from_us);
        made.int_is("w.created_at_us <=", filter.created_until_us);
        made
    }

    fn text_is(&mut self, condition: &'static str, value: Option<&String>) {
        if let Some(value) = value {
            self.values.push(Value::Text(value.clone()));
            self.text.push_str(&format!(" AND {condition} ${}", self.values.len()));
        }
    }

    fn int_is(&mut self, condition: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.values.push(Value::Int(value));
            self.text.push_str(&format!(" AND {condition} ${}", self.values.len()));
        }
    }
}

macro_rules! bind_all {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Int(number) => query.bind(*number),
                Value::Text(text) => query.bind(text.clone()),
            };
        }
        query
    }};
}

/// One page and how many match in all (without the cursor).
///
/// # Errors
/// The database's.
pub async fn list(readers: &Readers, filter: &Filter) -> Result<(Vec<Withdrawal>, i64), Error> {
    let mut conditions = Conditions::of(filter);
    let count = format!("SELECT count(*) FROM withdrawal_now w {}", conditions.text);
    let total: i64 = on_engine!(readers, p =>
        bind_all!(sqlx::query_scalar(AssertSqlSafe(count)), &conditions.values)
            .fetch_one(p).await?);
    conditions.int_is("w.id <", filter.before_id);
    let order = match filter.order {
        // The writer gives ids and times in the same order, unless a clock was set back.
        Order::CreatedDesc if filter.before_id.is_some() => "w.id DESC",
        Order::CreatedDesc => "w.created_at_us DESC, w.id DESC",
        Order::CreatedAsc => "w.created_at_us, w.id",
        Order::UpdatedDesc => "w.updated_at_us DESC, w.id DESC",
        Order::UpdatedAsc => "w.updated_at_us, w.id",
    };
    let (limit, offset) = (filter.limit, filter.offset);
    let (text, head) = (&conditions.text, select!(""));
    let page = format!("{head}{text} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
    let rows = on_engine!(readers, p =>
        bind_all!(sqlx::query_as::<_, Row>(AssertSqlSafe(page)), &conditions.values)
            .fetch_all(p).await?);
    Ok((all(rows)?, total))
}
