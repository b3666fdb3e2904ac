//! `cashout reconcile`: real cash-outs on a real ledger against bills in the providers' formats, each
//! kind of difference once, on both engines; again and again.

mod bills;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use cashout::{Asked, reconcile};
use cashout_common::actor::Actor;
use cashout_common::clock::Clock;
use cashout_common::db::{Database, Engine};
use cashout_common::random::Random;
use cashout_common::world::World;
use cashout_proto::withdraw::v1 as withdraw;
use cashout_proto::{Failure, Reason};
use withdraw::Status;
use withdraw_service::reconcile::{Day, Report, Source};
use withdraw_service::store::{MIGRATIONS, differences};

use crate::support::people::{ALIPAY, WECHAT};
use crate::support::process::command;
use crate::support::web::admin;
use crate::support::{Stack, every_engine_in, one_in};
use bills::{Row, alipay, wechat};

/// 2020-03-03 12:00:00 in China.
const NOON_US: i64 = 1_583_208_000_000_000;
/// The morning after, when bills are ready.
const MORNING_US: i64 = NOON_US + 21 * 3_600_000_000;
const DAY: &str = "2020-03-03";

fn world() -> World {
    World { clock: Clock::set_at(NOON_US), random: Random::from_os() }
}

/// Changes the withdraw service's database behind its back.
async fn tamper(url: &str, sql: &str) -> anyhow::Result<()> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    match Database::open(url, MIGRATIONS).await?.connect().await? {
        Engine::Sqlite(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
        Engine::Postgres(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
    }
    Ok(())
}

/// Takes the locks off attempts, which are never changed.
async fn unlock(url: &str) -> anyhow::Result<()> {
    let locks = if url.starts_with("sqlite") {
        "DROP TRIGGER attempt_no_update; DROP TRIGGER attempt_ends_once; \
         DROP TRIGGER withdrawal_no_update"
    } else {
        "ALTER TABLE attempt DISABLE TRIGGER USER; ALTER TABLE withdrawal DISABLE TRIGGER USER"
    };
    tamper(url, locks).await
}

/// Cash-outs of 4.00 by one method, one person each, with the scripts given; their numbers. From then on
/// they are the real provider's, which `verify` would find: these tests end without it.
async fn paid(
    stack: &Stack,
    method: i32,
    name: &str,
    scripts: &[&str],
) -> anyhow::Result<Vec<String>> {
    let mut numbers = Vec::new();
    for (person, script) in (1_i64..).zip(scripts) {
        stack.rich(person, 1_000).await?;
        stack.bound(person, &format!("{script}-{person}")).await?;
        let id = stack.requested(person, "4", method).await?;
        stack.reviewed(&admin(9_999), id, 2).await?;
        let status = match *script {
            "refuse" => Status::Failed,
            "silent" => Status::Unknown,
            _ => Status::Paid,
        };
        numbers.push(stack.until(id, status).await?.trade_no);
    }
    unlock(stack.withdraw_url()).await?;
    for table in ["attempt", "withdrawal"] {
        let sql = format!("UPDATE {table} SET provider = '{name}' WHERE provider = 'sandbox'");
        tamper(stack.withdraw_url(), &sql).await?;
    }
    Ok(numbers)
}

fn asked(source: Source, bill: Vec<u8>) -> Asked {
    Asked { source, bill, day: None, account: None }
}

async fn compared(stack: &Stack, asked: &Asked, clock: &Clock) -> anyhow::Result<Report> {
    reconcile(stack.account_url(), stack.withdraw_url(), asked, clock).await
}

/// Kind by number.
fn kinds(report: &Report) -> BTreeMap<String, String> {
    report.differences.iter().map(|told| (told.number.clone(), told.kind.clone())).collect()
}

#[tokio::test]
async fn a_day_on_which_everything_fits_is_clean() -> anyhow::Result<()> {
    for (source, method) in [(Source::Wechat, WECHAT), (Source::Alipay, ALIPAY)] {
        let write = if source == Source::Wechat { wechat } else { alipay };
        for stack in every_engine_in("fits", &[], world).await? {
            let scripts = ["pays", "refuse", "pays"];
            let numbers = paid(&stack, method, source.name(), &scripts).await?;
            let bill = write(&[
                Row::out(&numbers[0], 400),
                Row::out(&numbers[2], 400),
                Row::fee(10),
                Row::top_up(100_000),
            ]);
            let report = compared(&stack, &asked(source, bill), &Clock::set_at(MORNING_US)).await?;
            anyhow::ensure!(report.clean() && report.differences.is_empty(), "{report}");
            assert_eq!((report.day.as_str(), report.lines), (DAY, 4));
            assert_eq!((report.matched.count, report.matched.amount_minor), (2, 800));
            assert_eq!((report.settled.count, report.settled.amount_minor), (2, 800));
            assert_eq!((report.spend.count, report.spend.amount_minor), (3, 810));
            assert_eq!((report.income.count, report.income.amount_minor), (1, 100_000));
            let listed: Vec<&str> = report.listed.iter().map(|listed| listed.kind).collect();
            assert_eq!(listed, ["fee", "top_up"]);
        }
    }
    Ok(())
}

/// The day's bill with one line wrong for each kind, and what each is found as.
fn everything_wrong(numbers: &[String]) -> (Vec<Row>, BTreeMap<String, String>) {
    let [fine, missing, other, twice, returned, failed, unknown, unsettled, unpaid, ledger] =
        std::array::from_fn(|at| numbers[at].as_str());
    let rows = vec![
        Row::out(fine, 400),
        Row::out(other, 401),
        Row::out(twice, 400),
        Row::out(twice, 400),
        Row::out(returned, 400),
        Row::back(returned, 400),
        Row::out(failed, 400),
        Row::out(unknown, 400),
        Row::out(unsettled, 400),
        Row::out(ledger, 399),
        Row::out("NOBODY1", 77),
    ];
    let hold = format!("cash:{}", unpaid.split('T').next().unwrap_or_default());
    let expected = [
        (missing, "paid_not_in_bill"),
        (other, "amount_differs"),
        (twice, "paid_twice"),
        (returned, "returned"),
        (failed, "in_bill_not_paid"),
        (unknown, "in_bill_not_paid"),
        (unsettled, "paid_not_settled"),
        (&hold, "settled_not_paid"),
        (ledger, "ledger_amount_differs"),
        ("NOBODY1", "in_bill_not_ours"),
    ];
    (rows, expected.map(|(number, kind)| (number.to_owned(), kind.to_owned())).into())
}

const SCRIPTS: [&str; 10] =
    ["pays", "pays", "pays", "pays", "pays", "refuse", "silent", "refuse", "pays", "pays"];

#[tokio::test]
async fn each_kind_is_found_once_found_again_older_and_gone_when_it_is_gone() -> anyhow::Result<()>
{
    for stack in every_engine_in("wrong", &[], world).await? {
        let url = stack.withdraw_url();
        let numbers = paid(&stack, WECHAT, "wechat", &SCRIPTS).await?;
        let attempt =
            |number: &str, set: &str| format!("UPDATE attempt SET {set} WHERE number = '{number}'");
        tamper(url, &attempt(&numbers[7], "state = 'paid'")).await?;
        let paid_at = format!(
            "UPDATE withdrawal_state SET paid_at_us = {NOON_US} WHERE trade_no = '{}'",
            numbers[7]
        );
        tamper(url, &paid_at).await?;
        tamper(url, &attempt(&numbers[8], "state = 'failed'")).await?;
        tamper(url, &attempt(&numbers[9], "amount_minor = 399")).await?;

        let (rows, expected) = everything_wrong(&numbers);
        let clock = Clock::set_at(MORNING_US);
        let first = compared(&stack, &asked(Source::Wechat, wechat(&rows)), &clock).await?;
        assert_eq!(kinds(&first), expected, "{first}");
        assert!(!first.clean() && first.differences.iter().all(|told| told.age_s == 0));
        assert_eq!(first.counts.get("in_bill_not_paid"), Some(&2));

        clock.advance(Duration::from_secs(3_600));
        let again = compared(&stack, &asked(Source::Wechat, wechat(&rows)), &clock).await?;
        let ids =
            |report: &Report| -> Vec<i64> { report.differences.iter().map(|t| t.id).collect() };
        assert_eq!(ids(&again), ids(&first), "the same cases");
        assert!(again.differences.iter().all(|told| told.age_s == 3_600), "{again}");
        assert_eq!(again.vanished, 0);

        // What is right the next time has vanished, and nothing else.
        let late = rows.iter().filter(|row| row.number != "NOBODY1");
        let late: Vec<Row> = late.cloned().chain([Row::out(&numbers[1], 400)]).collect();
        let third = compared(&stack, &asked(Source::Wechat, wechat(&late)), &clock).await?;
        assert_eq!(third.vanished, 2, "{third}");
        assert_eq!(third.differences.len(), expected.len() - 2);
        let fourth = compared(&stack, &asked(Source::Wechat, wechat(&rows)), &clock).await?;
        assert_eq!(kinds(&fourth), expected, "what had vanished is open again");
        let balance = stack.balance(2).await?;
        assert_eq!(balance, (600, 0), "nothing is moved");
    }
    Ok(())
}

#[tokio::test]
async fn a_person_explains_a_difference_and_it_stays_explained() -> anyhow::Result<()> {
    for stack in every_engine_in("noted", &[], world).await? {
        let numbers = paid(&stack, ALIPAY, "alipay", &["pays"]).await?;
        let clock = Clock::set_at(MORNING_US);
        let bill = |foreign| alipay(&[Row::out(&numbers[0], 400), Row::out("NOBODY1", foreign)]);
        let found = compared(&stack, &asked(Source::Alipay, bill(77)), &clock).await?;
        let id = found.differences.first().context("one difference")?.id;
        assert!(id >= differences::FIRST_ID && found.differences.len() == 1);

        let mut cash_outs = stack.cash_outs()?;
        let listed = async |open_only| -> anyhow::Result<Vec<withdraw::Case>> {
            let asked = withdraw::ListCasesRequest { open_only, ..Default::default() };
            Ok(stack.cash_outs()?.list_cases(asked).await?.into_inner().cases)
        };
        let open = listed(true).await?;
        let shown = open.first().context("a case")?;
        assert_eq!((open.len(), shown.id, shown.provider.as_str()), (1, id, "alipay"));
        assert_eq!((shown.kind.as_str(), shown.trade_no.as_str()), ("in_bill_not_ours", "NOBODY1"));
        for (which, reason, expected) in [
            (id, "", Some(Reason::InvalidArgument)),
            (id, "the shop's own", None),
            (id, "again", Some(Reason::CaseAlreadyResolved)),
            (id + 1, "nothing", Some(Reason::CaseNotFound)),
        ] {
            let given = withdraw::ResolveCaseRequest {
                id: which,
                reason: reason.to_owned(),
                ..Default::default()
            };
            let mut request = tonic::Request::new(given);
            Actor::Person(9).write(request.metadata_mut());
            let told = cash_outs.resolve_case(request).await;
            let told = told.err().map(|status| Failure::from_status(&status).reason);
            assert_eq!(told, expected, "{which} {reason}");
        }
        let kept = listed(false).await?;
        let kept = kept.first().context("still there")?;
        assert_eq!((kept.resolution.as_str(), kept.resolved_by.as_str()), ("noted", "user:9"));
        assert!(listed(true).await?.is_empty());

        let again = compared(&stack, &asked(Source::Alipay, bill(77)), &clock).await?;
        assert!(again.clean() && again.differences.len() == 1, "explained: {again}");
        let other = compared(&stack, &asked(Source::Alipay, bill(78)), &clock).await?;
        assert!(!other.clean(), "another amount is not explained: {other}");
        assert_eq!(other.differences.first().map(|told| told.id), Some(id));
    }
    Ok(())
}

#[tokio::test]
async fn a_bill_of_another_day_merchant_or_shape_is_refused_and_nothing_is_recorded()
-> anyhow::Result<()> {
    let stack = one_in("foreign", &[], world()).await?;
    let numbers = paid(&stack, WECHAT, "wechat", &["pays", "pays", "pays"]).await?;
    let rows: Vec<Row> = numbers.iter().map(|number| Row::out(number, 400)).collect();
    let strangers: Vec<Row> = (1..4).map(|n| Row::out(&format!("STRANGER{n}"), 400)).collect();
    let good = wechat(&rows);
    let next = Some(Day::read("2020-03-04").map_err(anyhow::Error::msg)?);
    let from = |source, bill, day| Asked { day, ..asked(source, bill) };
    let (wechat_source, alipay_source) = (Source::Wechat, Source::Alipay);
    let other =
        Asked { account: Some("2088999999990156".into()), ..asked(alipay_source, alipay(&[])) };
    let cases: Vec<(Asked, i64, &str)> = vec![
        (
            from(wechat_source, good.clone(), next),
            MORNING_US + 86_400_000_000,
            "line 2 of the bill",
        ),
        (from(wechat_source, good.clone(), None), NOON_US, "the day 2020-03-03 is not over"),
        (from(wechat_source, wechat(&[]), None), MORNING_US, "say it with --date"),
        (from(wechat_source, wechat(&strangers), None), MORNING_US, "another merchant's?"),
        (from(wechat_source, good[..good.len() / 2].to_vec(), None), MORNING_US, "the bill"),
        (from(wechat_source, alipay(&rows), None), MORNING_US, "the bill"),
        (from(alipay_source, good, None), MORNING_US, "the bill"),
        (from(alipay_source, alipay(&rows), next), MORNING_US * 2, "not of the day 2020-03-04"),
        (other, MORNING_US, "of another account"),
    ];
    for (asked, now_us, told) in cases {
        let said = compared(&stack, &asked, &Clock::set_at(now_us)).await;
        let said = said.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(said.contains(told), "{told}: {said}");
    }
    let database = Database::open_read_only(stack.withdraw_url()).await?;
    assert!(differences::list(database.readers(), false, i64::MAX, 50).await?.is_empty());
    database.close().await;
    Ok(())
}

/// Lines of a long bill; more than any statement or transaction takes at once.
const LONG: i64 = 5_000;

#[tokio::test]
async fn a_long_bill_is_compared_part_by_part() -> anyhow::Result<()> {
    for stack in every_engine_in("long", &[], world).await? {
        let numbers = paid(&stack, WECHAT, "wechat", &["pays"]).await?;
        let more = format!(
            "INSERT INTO attempt SELECT 'L' || n, withdrawal_id, provider, payee_id, 400, body, \
             digest, 'paid', created_at_us FROM attempt, (WITH RECURSIVE s(n) AS (SELECT 1 \
             UNION ALL SELECT n + 1 FROM s WHERE n < {LONG}) SELECT n FROM s) AS many"
        );
        tamper(stack.withdraw_url(), &more).await?;
        let mut rows: Vec<Row> = (1..=LONG).map(|n| Row::out(&format!("L{n}"), 400)).collect();
        let clock = Clock::set_at(MORNING_US);
        let found = compared(&stack, &asked(Source::Wechat, wechat(&rows)), &clock).await?;
        let count = u64::try_from(LONG)?;
        assert_eq!((found.lines, found.matched.count), (count, count));
        // Of one cash-out, all of them; and the one that is really its own is in no bill.
        let expected = [("paid_not_in_bill", 1), ("paid_twice", 1)];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(found.counts, expected.into());
        rows.push(Row::out(&numbers[0], 400));
        let again = compared(&stack, &asked(Source::Wechat, wechat(&rows)), &clock).await?;
        assert_eq!((again.matched.count, again.vanished), (count + 1, 1));
    }
    Ok(())
}

#[tokio::test]
async fn the_command_tells_clean_from_different_from_unfinished() -> anyhow::Result<()> {
    let stack = one_in("command", &[], world()).await?;
    let numbers = paid(&stack, WECHAT, "wechat", &["pays"]).await?;
    let data = tempfile::tempdir()?;
    let settings = vec![
        ("CASHOUT_DATA_DIR", data.path().display().to_string()),
        ("ACCOUNT_DATABASE_URL", stack.account_url().to_owned()),
        ("WITHDRAW_DATABASE_URL", stack.withdraw_url().to_owned()),
    ];
    let file = data.path().join("bill");
    let run = |bill: &[u8], more: &[&str]| -> anyhow::Result<(Option<i32>, String, String)> {
        std::fs::write(&file, bill)?;
        let path = file.display().to_string();
        let fixed = ["reconcile", "--provider", "wechat", "--bill", &path];
        let done = command("cashout", &settings)?.args(fixed).args(more).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((done.status.code(), text(done.stdout), text(done.stderr)))
    };
    let good = wechat(&[Row::out(&numbers[0], 400)]);
    let (code, said, errors) = run(&good, &[])?;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("matched") && said.ends_with("clean\n"), "{said}");

    let (code, said, _) = run(&wechat(&[Row::out(&numbers[0], 500)]), &["--json"])?;
    assert_eq!(code, Some(1), "{said}");
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let told = |pointer: &str| report.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(told("/counts/amount_differs"), 1);
    assert_eq!(told("/differences/0/ours_minor"), 400);
    assert_eq!(told("/differences/0/theirs_minor"), 500);
    assert_eq!(told("/differences/0/number"), numbers[0].as_str());
    assert!(told("/differences/0/age_s").is_number());

    let (code, said, errors) = run(b"\x1F\x8Bnonsense", &[])?;
    assert_eq!((code, said.as_str()), (Some(2), ""), "{errors}");
    assert!(errors.contains("the gzip is broken or cut off"), "{errors}");
    let (code, _, errors) = run(&good, &["--date", "2020-03-04"])?;
    assert_eq!(code, Some(2), "{errors}");
    let (code, _, errors) = run(&good, &["--date", "yesterday"])?;
    assert!(code == Some(2) && errors.contains("2020-03-03"), "{errors}");
    Ok(())
}
