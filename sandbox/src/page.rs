//! The page at `/`: what the simulated providers have in their books, for a person. It refers to nothing
//! outside itself. Must not know: how anything got there.

use cashout_common::money::format_fixed;
use serde_json::Value;

use crate::payout::PROVIDERS;
use crate::sim::{Sim, locked};
use crate::wire::Answer;

/// How many rows of each kind are shown.
const ROWS: i64 = 50;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"5\"><title>cashout sandbox</title><style>\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:72rem;color:#223}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #dde;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.warn{color:#a40}code{background:#eef}\
</style></head><body><h1>cashout sandbox</h1><p class=\"warn\">Simulated WeChat Pay and Alipay: \
nobody receives money.</p>";

const HINTS: &str = "<h2>Try</h2><p>A payee id that contains <code>refuse</code>, \
<code>wrong-name</code>, <code>delay-10s</code>, <code>unknown-paid</code>, \
<code>unknown-refused</code>, <code>lost</code>, <code>silent</code>, <code>confirm</code> or \
<code>poor</code> does what it says. More over HTTP: <code>POST /sandbox/faults</code>, \
<code>/sandbox/clock</code>, <code>/sandbox/balance</code>, \
<code>/sandbox/payouts/{number}/confirm</code>; <code>GET /sandbox/books</code>, \
<code>/sandbox/requests</code>.</p></body></html>";

/// The page.
pub async fn answer(sim: &Sim) -> Answer {
    match page(sim).await {
        Ok(page) => {
            let mut answer = Answer::new(200, "text/html; charset=utf-8", page);
            let policy = "default-src 'none'; style-src 'unsafe-inline'".to_owned();
            answer.headers.push(("content-security-policy", policy));
            answer
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the page was not made");
            Answer::page(500)
        }
    }
}

async fn page(sim: &Sim) -> anyhow::Result<String> {
    let mut page = HEAD.to_owned();
    page += &format!("<p>Its clock: {}</p>", sim.zone.datetime(sim.now_us()));
    page += "<h2>Balances</h2><table><tr><th>provider<th>free<th>set aside</tr>";
    for provider in PROVIDERS {
        let funds = sim.store.funds(provider).await?;
        let (free, aside) = (format_fixed(funds.available_minor), format_fixed(funds.locked_minor));
        let name = provider.word();
        page += &format!("<tr><td>{name}<td class=n>{free}<td class=n>{aside}</tr>");
    }
    page += "</table><h2>Payouts</h2>";
    page += &payouts(sim, &sim.store.newest(ROWS).await?);
    page += "<h2>Notifications</h2>";
    page += &notifications(sim, &sim.store.newest_notifications(ROWS).await?);
    page += "<h2>Faults</h2>";
    page += &faults(sim);
    Ok(page + HINTS)
}

fn payouts(sim: &Sim, rows: &[Value]) -> String {
    let mut table = "<table><tr><th>at<th>provider<th>number<th>payee<th>amount<th>state\
                     <th>times paid</tr>"
        .to_owned();
    for row in rows {
        let at = sim.zone.datetime(row["created_at_us"].as_i64().unwrap_or(0));
        let amount = format_fixed(row["amount_minor"].as_i64().unwrap_or(0));
        let state = [shown(&row["state"]), shown(&row["fail_reason"])].join(" ");
        table += &format!(
            "<tr><td>{at}<td>{}<td>{}<td>{}<td class=n>{amount}<td>{state}<td class=n>{}</tr>",
            shown(&row["provider"]),
            shown(&row["number"]),
            shown(&row["payee"]),
            shown(&row["times_paid"]),
        );
    }
    table + "</table>"
}

fn notifications(sim: &Sim, rows: &[Value]) -> String {
    let mut table =
        "<table><tr><th>at<th>provider<th>number<th>says<th>tries<th>outcome</tr>".to_owned();
    for row in rows {
        let at = sim.zone.datetime(row["created_at_us"].as_i64().unwrap_or(0));
        table += &format!(
            "<tr><td>{at}<td>{}<td>{}<td>{}<td class=n>{}<td>{}</tr>",
            shown(&row["provider"]),
            shown(&row["number"]),
            shown(&row["state"]),
            shown(&row["tries"]),
            shown(&row["outcome"]),
        );
    }
    table + "</table>"
}

fn faults(sim: &Sim) -> String {
    let all = locked(&sim.faults).all().to_vec();
    if all.is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let one = |fault| serde_json::to_string(fault).unwrap_or_default();
    let items: Vec<String> =
        all.iter().map(|fault| format!("<li><code>{}</code></li>", escaped(&one(fault)))).collect();
    format!("<ul>{}</ul>", items.join(""))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Text that is not markup: a payee's id is anybody's text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
