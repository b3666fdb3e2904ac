//! What an operator relies on: the ready line, the commands, the exit codes, the messages.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use anyhow::Context;
use sqlx::{Connection, Executor};

use crate::support::process::{Process, command};
use crate::support::web;

/// Settings of an all-in-one on free ports with a data directory.
fn settings(data: &tempfile::TempDir) -> Vec<(&'static str, String)> {
    let mut settings = vec![("CASHOUT_DATA_DIR", data.path().display().to_string())];
    for name in ["GATEWAY_LISTEN", "ACCOUNT_LISTEN", "WITHDRAW_LISTEN", "SANDBOX_LISTEN"] {
        settings.push((name, "127.0.0.1:0".to_owned()));
    }
    settings
}

fn run(arguments: &[&str], settings: &[(&str, String)]) -> anyhow::Result<Output> {
    Ok(command("cashout", settings)?.args(arguments).output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn one_line_says_where_everything_is_and_it_all_answers() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let settings = settings(&data);
    for arguments in [&[][..], &["serve"][..]] {
        let system = Process::start("cashout", arguments, &settings)?;
        let [line] = system.said.as_slice() else { anyhow::bail!("{:?}", system.said) };
        let names: Vec<&str> = line.split(' ').map(|w| w.split('=').next().unwrap_or(w)).collect();
        assert_eq!(names, ["ready", "gateway", "account", "withdraw", "sandbox"], "{line}");
        let gateway =
            line.split(' ').find_map(|w| w.strip_prefix("gateway=")).context("gateway")?;
        assert!(gateway.starts_with("http://127.0.0.1:"), "{line}");
        let token = web::token(data.path(), &web::teacher(7), now_us())?;
        let request = web::client()?.get(format!("{gateway}/sett/sett")).bearer_auth(token);
        assert_eq!(web::send(request).await?.text("/err_desc").unwrap_or_default(), "");
        system.terminate()?;
        assert!(system.ended()?.success());
    }
    Ok(())
}

fn now_us() -> i64 {
    cashout_common::clock::Clock::system().now_us()
}

#[test]
fn token_prints_a_token_and_nothing_else_and_the_key_is_private() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let settings = settings(&data);
    let printed = run(
        &[
            "token",
            "--user",
            "7",
            "--role",
            "teacher",
            "--permission",
            "cash.review",
            "--ttl",
            "5m",
        ],
        &settings,
    )?;
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert_eq!(text(&printed.stderr), "");
    let stdout = text(&printed.stdout);
    let token = stdout.strip_suffix('\n').context("one line")?;
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{token}");
    let mode = std::fs::metadata(data.path().join("dev-key"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A flag for the data directory works before and after the command.
    let other = tempfile::tempdir()?;
    let path = other.path().display().to_string();
    for arguments in [
        ["--data-dir", &path, "token", "--user", "7"],
        ["token", "--user", "7", "--data-dir", &path],
    ] {
        assert!(run(&arguments, &settings)?.status.success());
        assert!(other.path().join("dev-key").exists());
        std::fs::remove_file(other.path().join("dev-key"))?;
    }
    for bad in [&["token"][..], &["token", "--user", "07"], &["token", "--user", "7", "--ttl", "1"]]
    {
        let refused = run(bad, &settings)?;
        assert_eq!(
            (refused.status.code(), text(&refused.stdout).as_str()),
            (Some(2), ""),
            "{bad:?}"
        );
    }
    Ok(())
}

#[test]
fn all_mistakes_in_settings_are_told_at_once_and_nothing_starts() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut settings = settings(&data);
    settings.extend([
        ("ACCOUNT_LISTEN", "nowhere".to_owned()),
        ("CASH_FEE_RATE", "a little".to_owned()),
        ("CASHOUT_TIME_ZONE", "Mars/Olympus".to_owned()),
        ("JWT_SECRET", "too short".to_owned()),
    ]);
    let refused = run(&[], &settings)?;
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    for name in ["ACCOUNT_LISTEN", "CASH_FEE_RATE", "CASHOUT_TIME_ZONE", "JWT_SECRET"] {
        assert!(told.contains(name), "{name} is not in {told}");
    }
    assert!(!told.contains("too short"), "a secret was printed: {told}");
    Ok(())
}

#[test]
fn a_taken_port_is_told_with_the_name_of_its_setting() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for name in [
        "GATEWAY_LISTEN",
        "ACCOUNT_LISTEN",
        "WITHDRAW_LISTEN",
        "SANDBOX_LISTEN",
        "CASHOUT_METRICS_LISTEN",
    ] {
        let data = tempfile::tempdir()?;
        let mut settings = settings(&data);
        settings.push((name, address.clone()));
        let refused = run(&[], &settings)?;
        let told = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains(name) && told.contains(&address), "{told}");
        assert_eq!(text(&refused.stdout), "");
    }
    Ok(())
}

#[tokio::test]
async fn demo_and_verify_work_beside_a_running_system() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut settings = settings(&data);
    let system = Process::start("cashout", &[], &settings)?;
    let ready = system.said.join(" ");
    let address = |name: &str| {
        let found = ready.split(' ').find_map(|word| word.strip_prefix(name));
        found.map(str::to_owned).context("an address")
    };
    settings.push(("ACCOUNT_ADDRESS", address("account=")?));
    settings.push(("WITHDRAW_ADDRESS", address("withdraw=")?));
    let once = run(&["demo"], &settings)?;
    assert!(once.status.success(), "{}", text(&once.stderr));
    assert!(text(&once.stdout).contains("curl "), "{}", text(&once.stdout));
    assert!(run(&["demo"], &settings)?.status.success());
    let verified = run(&["verify"], &settings)?;
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified.stdout));
    let json = run(&["verify", "--json"], &settings)?;
    let report: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    let checks = report.pointer("/checks").and_then(|c| c.as_array()).context("checks")?;
    let ids: Vec<&str> = checks.iter().filter_map(|c| c.get("id")?.as_str()).collect();
    for id in ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G10", "G11", "G12", "G17"] {
        assert!(ids.contains(&id), "{id} is not in {ids:?}");
    }
    system.terminate()?;
    assert!(system.ended()?.success());
    Ok(())
}

#[tokio::test]
async fn verify_tells_clean_from_violated_from_unfinished() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut settings = settings(&data);
    assert_eq!(run(&["verify"], &settings)?.status.code(), Some(2), "there is no database yet");
    let system = Process::start("cashout", &[], &settings)?;
    let ready = system.said.join(" ");
    for (name, setting) in [("account=", "ACCOUNT_ADDRESS"), ("withdraw=", "WITHDRAW_ADDRESS")] {
        let found = ready.split(' ').find_map(|word| word.strip_prefix(name)).context(name)?;
        settings.push((setting, found.to_owned()));
    }
    assert!(run(&["demo"], &settings)?.status.success());
    system.terminate()?;
    assert!(system.ended()?.success());
    assert_eq!(run(&["verify"], &settings)?.status.code(), Some(0));
    let file = data.path().join("account.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut tampered = sqlx::SqliteConnection::connect_with(&options).await?;
    tampered.execute("UPDATE ledger_head SET last_entry_id = last_entry_id + 1").await?;
    tampered.close().await?;
    let found = run(&["verify"], &settings)?;
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stdout));
    assert!(text(&found.stdout).contains("FAIL"), "{}", text(&found.stdout));
    Ok(())
}

#[tokio::test]
async fn nothing_written_anywhere_holds_what_must_stay_private() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut settings = settings(&data);
    settings.push(("CASHOUT_LOG", "trace".to_owned()));
    settings.push(("CASHOUT_METRICS_LISTEN", "127.0.0.1:0".to_owned()));
    let log = data.path().join("log");
    let mut child = command("cashout", &settings)?;
    let child = child.stderr(std::fs::File::create(&log)?);
    let system = Process::spawned(child)?;
    let ready = system.said.join(" ");
    let word = |name: &str| {
        let found = ready.split(' ').find_map(|word| word.strip_prefix(name));
        found.map(str::to_owned).context("an address")
    };
    settings.push(("ACCOUNT_ADDRESS", word("account=")?));
    settings.push(("WITHDRAW_ADDRESS", word("withdraw=")?));
    assert!(run(&["demo"], &settings)?.status.success());
    let token = web::token(data.path(), &web::user(1), now_us())?;
    for amount in ["\"0.50\"", "\"999999.00\"", "\"nonsense\""] {
        let request = web::client()?
            .post(format!("{}/api/wallet/cash", word("gateway=")?))
            .bearer_auth(&token)
            .body(crate::support::people::cash(amount, 1));
        let answer = web::send(request.header("content-type", "application/json")).await?;
        assert!(!answer.body.contains(crate::support::people::MOBILE), "{}", answer.body);
    }
    let nowhere = format!("{}/{}", word("gateway=")?, crate::support::people::MOBILE);
    assert_eq!(web::send(web::client()?.get(nowhere)).await?.status, 404);
    let page = web::client()?.get(word("metrics=")?).send().await?.text().await?;
    system.terminate()?;
    assert!(system.ended()?.success());
    let log = std::fs::read_to_string(log)?;
    let key = std::fs::read_to_string(data.path().join("dev-key"))?;
    let signature = token.rsplit('.').next().context("a signature")?;
    for secret in ["13800000001", "13800138000", "demo-openid-1", key.trim(), signature] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!page.contains(secret), "{secret} is in the metrics");
    }
    let number = |series: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|number| number.parse::<u64>().ok())
    };
    let posted = "method=\"cashout.account.v1.AccountService/PostTransfer\",code=\"Ok\"";
    for (series, least) in [
        ("cashout_http_seconds_count{route=\"/api/wallet/cash\",status=\"422\"}", 2),
        ("cashout_http_seconds_count{route=\"-\",status=\"404\"}", 1),
        (&*format!("cashout_rpc_seconds_count{{{posted}}}"), 1),
        ("cashout_withdrawal_changes_total{event=\"request\",to=\"requested\"}", 1),
        ("cashout_ledger_batch_movements_count", 1),
        ("cashout_ledger_batch_seconds_count", 1),
        ("cashout_ledger_waiting_movements", 0),
        ("cashout_alarms_total{alarm=\"float_short\"}", 0),
    ] {
        assert!(number(series) >= Some(least), "{series} is {:?} in\n{page}", number(series));
    }
    assert!(log.contains("rpc answered"), "the log was on");
    Ok(())
}
