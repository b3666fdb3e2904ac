//! What the tables themselves refuse, and that `verify` finds what somebody changed behind our back.

use anyhow::ensure;
use cashout_common::clock::Clock;
use cashout_common::db::{Database, Engine};
use cashout_common::on_engine;
use cashout_proto::withdraw::v1::Status;
use cashout_testing::{TestDatabase, databases};
use withdraw_service::ports::{Answer, Order, Provider, SendRequest};
use withdraw_service::providers::sandbox::Sandbox;
use withdraw_service::service::payout::body_digest;
use withdraw_service::store::book::{Book, Needs};
use withdraw_service::store::{MIGRATIONS, Store};
use withdraw_service::verify;

use crate::harness::{BOB, NOON_US, Service};

/// Changes a database behind the service's back.
pub async fn execute(url: &str, sql: &'static str) -> anyhow::Result<()> {
    match Database::open(url, MIGRATIONS).await?.connect().await? {
        Engine::Sqlite(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
        Engine::Postgres(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
    }
    Ok(())
}

/// What a query counts.
pub async fn count(url: &str, sql: &'static str) -> anyhow::Result<i64> {
    Ok(match Database::open(url, MIGRATIONS).await?.connect().await? {
        Engine::Sqlite(mut c) => sqlx::query_scalar(sql).fetch_one(&mut c).await?,
        Engine::Postgres(mut c) => sqlx::query_scalar(sql).fetch_one(&mut c).await?,
    })
}

/// Takes the locks off what is never changed, as somebody could who has the database.
pub async fn unlock(database: &TestDatabase) -> anyhow::Result<()> {
    let locks = match database.engine {
        "sqlite" => {
            "DROP TRIGGER withdrawal_no_delete; DROP TRIGGER withdrawal_no_update; \
             DROP TRIGGER withdrawal_key_is_freed_only; \
             DROP TRIGGER withdrawal_state_no_delete; DROP TRIGGER history_no_update; DROP TRIGGER notification_no_update; \
             DROP TRIGGER attempt_no_update; DROP TRIGGER attempt_ends_once; \
             DROP TRIGGER attempt_no_delete; DROP TRIGGER provider_call_no_update; \
             DROP TRIGGER provider_call_answered_once; DROP TRIGGER provider_call_no_delete"
        }
        _ => {
            "ALTER TABLE withdrawal DISABLE TRIGGER USER; \
             ALTER TABLE withdrawal_state DISABLE TRIGGER USER; \
             ALTER TABLE history DISABLE TRIGGER USER; \
             ALTER TABLE notification DISABLE TRIGGER USER; \
             ALTER TABLE attempt DISABLE TRIGGER USER; \
             ALTER TABLE provider_call DISABLE TRIGGER USER"
        }
    };
    execute(&database.url, locks).await
}

#[tokio::test]
async fn what_was_recorded_is_never_changed_and_told_once() -> anyhow::Result<()> {
    const ALWAYS: [&str; 26] = [
        "UPDATE withdrawal SET request_key = 'another'",
        "DELETE FROM withdrawal",
        "DELETE FROM withdrawal_state",
        "UPDATE withdrawal SET apply_minor = 1, actual_minor = 1",
        "UPDATE withdrawal SET payee_id = 'x'",
        "UPDATE withdrawal SET user_id = 8, request_key = NULL",
        "UPDATE withdrawal SET provider = provider",
        "UPDATE history SET reason = 'x'",
        "DELETE FROM history",
        "UPDATE attempt SET number = 'x'",
        "UPDATE attempt SET withdrawal_id = withdrawal_id",
        "UPDATE attempt SET provider = 'x'",
        "UPDATE attempt SET payee_id = 'x'",
        "UPDATE attempt SET amount_minor = 1",
        "UPDATE attempt SET body = body",
        "UPDATE attempt SET digest = 'x', state = 'failed'",
        "UPDATE attempt SET created_at_us = 0",
        "UPDATE attempt SET state = 'live'",
        "UPDATE attempt SET state = 'failed'",
        "DELETE FROM attempt",
        "UPDATE provider_call SET id = id + 1",
        "UPDATE provider_call SET number = number",
        "UPDATE provider_call SET operation = 'query'",
        "UPDATE provider_call SET at_us = 0",
        "UPDATE provider_call SET outcome = 'refused', detail = 'x'",
        "DELETE FROM provider_call",
    ];
    const POSTGRES: [&str; 5] = [
        "TRUNCATE history",
        "TRUNCATE attempt CASCADE",
        "TRUNCATE provider_call",
        "TRUNCATE notification",
        "TRUNCATE channel_change",
    ];
    for database in databases("recorded").await? {
        let service = Service::fresh(&database).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paid).await?;
        service.finish().await?;
        let more: &[&str] = if database.engine == "postgres" { &POSTGRES } else { &[] };
        for forbidden in ALWAYS.iter().chain(more) {
            let done = execute(&database.url, forbidden).await;
            let told = done.err().map(|error| error.to_string()).unwrap_or_default();
            ensure!(told.contains("never changed"), "{}: {forbidden}: {told}", database.engine);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_tables_refuse_what_must_never_be() -> anyhow::Result<()> {
    for database in databases("tables").await? {
        let service = Service::fresh(&database).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paid).await?;
        let url = service.config.database_url.clone();
        service.finish().await?;
        unlock(&database).await?;
        execute(&url, "UPDATE attempt SET state = 'live'").await?;
        for forbidden in [
            "UPDATE withdrawal SET fee_minor = 1",
            "UPDATE withdrawal SET actual_minor = 0, fee_minor = apply_minor",
            "UPDATE withdrawal SET fee_minor = -1, actual_minor = apply_minor + 1",
            "INSERT INTO attempt SELECT 'second', withdrawal_id, provider, payee_id, amount_minor, body, digest, 'live', 0 FROM attempt",
            "INSERT INTO attempt SELECT * FROM attempt",
            "INSERT INTO review SELECT * FROM review",
            "INSERT INTO channel VALUES ('x', 1, '', '', '', 0, 0, 0)",
            "INSERT INTO channel VALUES ('x', 0, 'operator', '', '', 0, 0, 0)",
            "INSERT INTO channel VALUES ('x', 1, 'whim', '', '', 0, 0, 0)",
            "INSERT INTO notification VALUES ('x', 'y', 'z', '', NULL, '', '', 'believed', 0)",
            "INSERT INTO stream_head VALUES (2, 0, 1)",
        ] {
            ensure!(execute(&url, forbidden).await.is_err(), "{}: {forbidden}", database.engine);
        }
    }
    Ok(())
}

#[tokio::test]
async fn verify_finds_what_was_changed_behind_our_back() -> anyhow::Result<()> {
    let changes = [
        ("G10", "UPDATE attempt SET amount_minor = 999"),
        ("G10", "UPDATE attempt SET body = digest"),
        ("G10", "UPDATE withdrawal SET payee_id = 'mallory'"),
        ("G11", "UPDATE withdrawal_state SET status = 6"),
        ("G11", "UPDATE stream_head SET last_sequence = 99"),
        ("G11", "DELETE FROM stream_head"),
        ("G11", "UPDATE history SET user_id = 8 WHERE id = 2"),
        (
            "G11",
            "INSERT INTO history SELECT 7, 1, 7, 13, 15, 'released', 'x', '', 0 FROM stream_head",
        ),
        ("G17", "UPDATE review SET reviewer = 7"),
        ("G17", "DELETE FROM review"),
    ];
    for (guarantee, change) in changes {
        for database in databases("tampered").await? {
            let service = Service::fresh(&database).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            service.until(w.id, Status::Paid).await?;
            let url = service.config.database_url.clone();
            service.finish().await?;
            let change = match database.engine {
                // BYTEA takes no text as it is.
                "postgres" if change.contains("body") => "UPDATE attempt SET body = 'x'::bytea",
                "sqlite" if change.contains("body") => "UPDATE attempt SET body = x'00'",
                _ => change,
            };
            unlock(&database).await?;
            execute(&url, change).await?;
            let report = verify(&url).await?;
            let found = report.checks.iter().any(|c| c.id == guarantee && c.violations > 0);
            ensure!(found, "{} {change}: {report}", database.engine);
        }
    }
    Ok(())
}

/// Has the only attempt say something else in its bytes, with the digest that fits them.
async fn rewrite(url: &str, from: &str, to: &str) -> anyhow::Result<()> {
    const READ: &str = "SELECT body FROM attempt";
    const WRITE: &str = "UPDATE attempt SET body = $1, digest = $2";
    let changed = |body: Vec<u8>| -> anyhow::Result<(Vec<u8>, String)> {
        let body = String::from_utf8(body)?;
        ensure!(body.contains(from), "{body}");
        let body = body.replace(from, to).into_bytes();
        let digest = body_digest(&body);
        Ok((body, digest))
    };
    let mut conn = Database::open(url, MIGRATIONS).await?.connect().await?;
    on_engine!(&mut conn, c => {
        let (body, digest) = changed(sqlx::query_scalar(READ).fetch_one(&mut *c).await?)?;
        sqlx::query(WRITE).bind(body).bind(digest).execute(&mut *c).await?;
    });
    Ok(())
}

#[tokio::test]
async fn verify_finds_bytes_that_ask_for_something_else_than_was_approved() -> anyhow::Result<()> {
    let cases = [
        ("number=", "number=X", "another number"),
        ("payee_id=alice", "payee_id=mallory", "pays somebody else"),
        ("amount_minor=1000", "amount_minor=1001", "pays another amount"),
        ("currency=", "money=", "cannot be read"),
    ];
    for (from, to, told) in cases {
        for database in databases("rewritten").await? {
            let service = Service::fresh(&database).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            service.until(w.id, Status::Paid).await?;
            service.finish().await?;
            ensure!(rewrite(&database.url, from, to).await.is_err(), "it can be changed");
            unlock(&database).await?;
            rewrite(&database.url, from, to).await?;
            let report = verify(&database.url).await?;
            let found: Vec<_> = report.checks.iter().filter(|c| c.violations > 0).collect();
            let [only] = found.as_slice() else { anyhow::bail!("{from}: {report}") };
            ensure!((only.id, only.violations) == ("G10", 1), "{report}");
            ensure!(only.examples.iter().all(|example| example.contains(told)), "{report}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_was_learned_of_an_older_version_is_of_no_use_though_the_status_is_the_same()
-> anyhow::Result<()> {
    for database in databases("versions").await? {
        let service = Service::fresh(&database).await?;
        let id = service.request(1000).await?.id;
        service.stop().await;
        let store = Store::open(&database.url).await?;
        let told = store.decide(Needs::id(id), move |book: &mut Book| {
            let claimed = book.get(id)?;
            let before = book.unchanged(&claimed)?.is_some();
            // Another worker's pause: a new version in the same status.
            let mut paused = claimed.clone();
            paused.due.tries += 1;
            book.save(claimed.status, &mut paused)?;
            let late = book.unchanged(&claimed)?.is_some();
            Ok((before, late, book.unchanged(&paused)?.is_some()))
        });
        ensure!(told.await.map_err(anyhow::Error::new)? == (true, false, true));
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn the_sandbox_pays_a_number_once_and_keeps_its_books() -> anyhow::Result<()> {
    for database in databases("sandbox").await? {
        let request = |payee_id: &str, amount_minor| {
            let order = Order {
                number: "N1".to_owned(),
                payee_id: payee_id.to_owned(),
                payee_name: String::new(),
                amount_minor,
                currency: "CNY".to_owned(),
            };
            (order, payee_id.to_owned(), amount_minor)
        };
        let asked = || SendRequest {
            number: "N1".to_owned(),
            payee_id: "alice".to_owned(),
            amount_minor: 100,
            body: Vec::new(),
            digest: String::new(),
        };
        let sent = |provider: &Sandbox, (order, payee_id, amount_minor): (Order, String, i64)| {
            let body = provider.prepare(&order).unwrap_or_default();
            let (number, digest) = (order.number, body_digest(&body));
            provider.send(SendRequest { number, payee_id, amount_minor, body, digest })
        };
        let store = Store::open(&database.url).await?;
        let provider = Sandbox::new(store, Clock::set_at(NOON_US));
        ensure!(provider.query(asked()).await == Answer::NotFound);
        let first = sent(&provider, request("alice", 100)).await;
        ensure!(matches!(first, Answer::Paid { .. }));
        ensure!(sent(&provider, request("alice", 100)).await == first);
        for other in [request("alice", 101), request("mallory", 100), request("refuse", 100)] {
            let told = sent(&provider, other).await;
            ensure!(matches!(told, Answer::Unknown { .. }), "{told:?} says something of N1");
        }
        // Another process with the same books.
        let again = Sandbox::new(Store::open(&database.url).await?, Clock::set_at(NOON_US));
        ensure!(again.query(asked()).await == first);
    }
    Ok(())
}
