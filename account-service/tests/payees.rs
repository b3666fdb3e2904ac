//! Where people are paid, on both engines: sealed at rest, opened with the right keys only, and a new
//! place for money waits.

mod support;

use account_service::store::Store;
use base64::Engine as _;
use cashout_common::db::{Conn, Engine};
use cashout_common::on_engine;
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::PayeeMethod::{Alipay, Wechat};
use support::payees::{CANARIES, bind, canary, known, named, payees};
use support::{COOLING, Stack, databases, reason};
use tonic::Request;

/// All that an engine stores, as bytes: SQLite's files, or PostgreSQL's rows with their columns in hex.
async fn stored(url: &str) -> anyhow::Result<Vec<u8>> {
    if let Some(file) = url.strip_prefix("sqlite://") {
        let mut bytes = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            bytes.extend(std::fs::read(format!("{file}{suffix}")).unwrap_or_default());
        }
        return Ok(bytes);
    }
    let mut rows: Vec<String> = Vec::new();
    if let Engine::Postgres(mut c) = connected(url).await? {
        for sql in ["SELECT payee::text FROM payee", "SELECT holder::text FROM holder"] {
            rows.extend(sqlx::query_scalar::<_, String>(sql).fetch_all(&mut c).await?);
        }
    }
    Ok(rows.concat().into_bytes())
}

async fn connected(url: &str) -> anyhow::Result<Conn> {
    Ok(Store::open(url).await?.database().connect().await?)
}

async fn execute(url: &str, sql: &'static str) -> anyhow::Result<u64> {
    Ok(match connected(url).await? {
        Engine::Sqlite(mut c) => sqlx::raw_sql(sql).execute(&mut c).await?.rows_affected(),
        Engine::Postgres(mut c) => sqlx::raw_sql(sql).execute(&mut c).await?.rows_affected(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_binding_says_can_be_read_in_the_database() -> anyhow::Result<()> {
    for database in databases("sealed").await? {
        let mut s = Stack::start(&database.url).await?;
        known(&mut s, &[7]).await?;
        for method in [Wechat, Alipay] {
            s.client.bind_payee(bind(7, canary(method))).await?;
        }
        let while_running = stored(&database.url).await?;
        s.client.unbind_payee(pb::UnbindPayeeRequest { user_id: 7, method: 1 }).await?;
        let found = payees(&mut s, 7).await?;
        let payee_id = found.first().map(|payee| payee.payee_id.as_str());
        assert_eq!(payee_id, Some(CANARIES[0]), "it is there for whoever has the key");
        s.stop_and_verify().await?;
        for bytes in [while_running, stored(&database.url).await?] {
            let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
            assert!(has(b"visible-name-7"), "the search finds what is not sealed");
            for text in CANARIES {
                let hex = cashout_common::number::hex(text.as_bytes());
                let base64 = base64::engine::general_purpose::STANDARD.encode(text);
                for form in [text, &hex, &hex.to_uppercase(), &base64] {
                    assert!(!has(form.as_bytes()), "{text} on {}", database.engine);
                }
            }
        }
    }
    Ok(())
}

/// What somebody who can write to the database may try, each on the binding of 7 by WeChat.
const TAMPERED: [(&str, &str); 8] = [
    (
        "another person's payee",
        "UPDATE payee SET payee_id = (SELECT o.payee_id FROM payee o WHERE o.user_id = 8 AND o.method = 1) \
         WHERE user_id = 7 AND method = 1",
    ),
    (
        "another method's payee",
        "UPDATE payee SET payee_id = (SELECT o.payee_id FROM payee o WHERE o.user_id = 7 AND o.method = 2) \
         WHERE user_id = 7 AND method = 1",
    ),
    (
        "another field's text",
        "UPDATE payee SET payee_id = mp_openid WHERE user_id = 7 AND method = 1",
    ),
    (
        "a whole row of another person",
        "UPDATE payee SET (payee_id, real_name, mp_openid, dev_openid, min_openid, nickname, bound_at) = \
         (SELECT o.payee_id, o.real_name, o.mp_openid, o.dev_openid, o.min_openid, o.nickname, o.bound_at \
         FROM payee o WHERE o.user_id = 8 AND o.method = 1) WHERE user_id = 7 AND method = 1",
    ),
    (
        "an earlier time of binding",
        "UPDATE payee SET bound_at = bound_at - 86400000000 WHERE user_id = 7 AND method = 1",
    ),
    (
        "a text that is cut",
        "UPDATE payee SET payee_id = substr(payee_id, 1, 20) WHERE user_id = 7 AND method = 1",
    ),
    (
        "no text",
        "UPDATE payee SET real_name = substr(real_name, 1, 0) WHERE user_id = 7 AND method = 1",
    ),
    (
        "another key's id",
        "UPDATE payee SET key_id = 'ffffffffffffffff' WHERE user_id = 7 AND method = 1",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_was_tampered_with_is_refused_and_can_be_bound_anew() -> anyhow::Result<()> {
    for database in databases("tampered").await? {
        let mut s = Stack::start(&database.url).await?;
        known(&mut s, &[7, 8]).await?;
        for (what, sql) in TAMPERED {
            for user_id in [7, 8] {
                for method in [Wechat, Alipay] {
                    s.client.bind_payee(bind(user_id, canary(method))).await?;
                }
            }
            assert_eq!(execute(&database.url, sql).await?, 1, "{what}");
            refused(&mut s, what).await?;
            // Bound again it is new, though it names the same place as before the damage.
            s.clock.advance(COOLING * 2);
            s.client.bind_payee(bind(7, canary(Wechat))).await?;
            let healed = payees(&mut s, 7).await?;
            assert_eq!(healed.len(), 2, "{what}");
            assert_eq!(healed[0].bound_at_us, s.clock.now_us(), "{what}");
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_with_one_byte_changed_is_refused() -> anyhow::Result<()> {
    const READ: &str = "SELECT payee_id FROM payee WHERE user_id = 7 AND method = 1";
    const WRITE: &str = "UPDATE payee SET payee_id = $1 WHERE user_id = 7 AND method = 1";
    for database in databases("one_byte").await? {
        let mut s = Stack::start(&database.url).await?;
        known(&mut s, &[7]).await?;
        for method in [Wechat, Alipay] {
            s.client.bind_payee(bind(7, canary(method))).await?;
        }
        let mut conn = connected(&database.url).await?;
        let sealed: Vec<u8> =
            on_engine!(&mut conn, c => sqlx::query_scalar(READ).fetch_one(&mut *c).await?);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            on_engine!(&mut conn, c => sqlx::query(WRITE).bind(changed).execute(&mut *c).await
                .map(drop)?);
            refused(&mut s, &format!("byte {at}")).await?;
        }
        on_engine!(&mut conn, c => sqlx::query(WRITE).bind(sealed).execute(&mut *c).await
            .map(drop)?);
        assert_eq!(payees(&mut s, 7).await?.len(), 2, "as it was, it opens");
        s.stop_and_verify().await?;
    }
    Ok(())
}

/// What decides about money fails and says nothing; what shows people goes on without the binding.
async fn refused(s: &mut Stack, what: &str) -> anyhow::Result<()> {
    let answer = payees(s, 7).await;
    assert_eq!(reason(&answer), "INTERNAL", "{what}");
    let told = answer.err().map(|status| format!("{status:?}")).unwrap_or_default();
    assert!(!CANARIES.iter().any(|text| told.contains(text)), "{what}: {told}");
    let asked = pb::BatchGetHoldersRequest { user_ids: vec![7], username: String::new() };
    let found = s.client.batch_get_holders(asked).await?.into_inner().holders;
    let methods: Vec<i32> = found[0].payees.iter().map(|payee| payee.method).collect();
    assert_eq!(methods, [2], "{what}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_new_place_for_money_waits() -> anyhow::Result<()> {
    for database in databases("cooling").await? {
        let mut s = Stack::start(&database.url).await?;
        known(&mut s, &[7]).await?;
        let nick = |payee: pb::Payee| pb::Payee { nickname: "new nick".to_owned(), ..payee };
        let unbind = || pb::UnbindPayeeRequest { user_id: 7, method: 2 };
        let mut bound_at_us = 0;
        for (payee, anew) in [
            (Some(named(Alipay, "2088000000000001", "张三")), true),
            (Some(named(Alipay, "2088000000000001", "张三")), false),
            (Some(nick(named(Alipay, "2088000000000001", "张三"))), false),
            (Some(named(Alipay, "2088000000000001", "李四")), true),
            (Some(named(Alipay, "2088000000000002", "李四")), true),
            // There and back is new too.
            (Some(named(Alipay, "2088000000000001", "张三")), true),
            (None, false),
            (Some(named(Alipay, "2088000000000001", "张三")), true),
        ] {
            s.clock.advance(COOLING / 3);
            let Some(payee) = payee else {
                assert!(s.client.unbind_payee(unbind()).await?.into_inner().payees.is_empty());
                continue;
            };
            let asked = bind(7, pb::Payee { payable_from_us: 1, bound_at_us: 1, ..payee });
            let holder = s.client.bind_payee(asked).await?.into_inner();
            if anew {
                bound_at_us = s.clock.now_us();
            }
            let payable_from_us = bound_at_us + i64::try_from(COOLING.as_micros())?;
            let times = holder.payees.iter().map(|p| (p.bound_at_us, p.payable_from_us));
            assert_eq!(times.collect::<Vec<_>>(), [(bound_at_us, payable_from_us)]);
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_checked_by_method_and_never_repeated_back() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("payee_ids").await?;
    let mut s = Stack::start(&database.url).await?;
    known(&mut s, &[7]).await?;
    let long = "x".repeat(65);
    for (field, payee) in [
        ("payee.payee_id", named(Wechat, "", "")),
        ("payee.payee_id", named(Wechat, "open id", "")),
        ("payee.payee_id", named(Wechat, "canary@x.cn", "")),
        ("payee.payee_id", named(Wechat, &long, "")),
        ("payee.payee_id", named(Alipay, "", "")),
        ("payee.payee_id", named(Alipay, "20880000000001", "canary")),
        ("payee.payee_id", named(Alipay, "canary@", "canary")),
        ("payee.real_name", named(Alipay, "canary@example.com", "")),
        ("payee.real_name", named(Alipay, "13800138000", "  ")),
        ("payee.real_name", named(Alipay, "2088000000000001", "canary\n")),
        ("payee.mp_openid", pb::Payee { mp_openid: "canary/".into(), ..canary(Wechat) }),
        ("payee.dev_openid", pb::Payee { dev_openid: "canary ".into(), ..canary(Wechat) }),
        ("payee.min_openid", pb::Payee { min_openid: long.clone(), ..canary(Wechat) }),
    ] {
        let refused = s.client.bind_payee(bind(7, payee)).await;
        assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{field}");
        let told = refused.err().map(|status| format!("{status:?}")).unwrap_or_default();
        assert!(told.contains(field) && !told.contains("canary"), "{field}: {told}");
    }
    for payee in [
        named(Wechat, "o-MYE42l80oelYMDE34nYD456Xoy", ""),
        named(Wechat, "unknown-paid-7", "张三"),
        named(Alipay, "2088000000000001", ""),
        named(Alipay, "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5", ""),
        named(Alipay, "ann@example.com", "安"),
        named(Alipay, "13800138000", "安"),
    ] {
        s.client.bind_payee(bind(7, payee)).await?;
    }
    s.stop_and_verify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_or_a_service_binds_and_nobody_unclear() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("payee_actor").await?;
    let mut s = Stack::start(&database.url).await?;
    known(&mut s, &[7]).await?;
    for (actor, expected) in [
        (None, ""),
        (Some("7"), ""),
        (Some("0"), "NOT_AUTHENTICATED"),
        (Some("x"), "NOT_AUTHENTICATED"),
    ] {
        let mut request = Request::new(bind(7, canary(Wechat)));
        let mut other = Request::new(pb::UnbindPayeeRequest { user_id: 7, method: 1 });
        if let Some(actor) = actor {
            request.metadata_mut().insert(cashout_common::actor::ACTOR, actor.parse()?);
            other.metadata_mut().insert(cashout_common::actor::ACTOR, actor.parse()?);
        }
        assert_eq!(reason(&s.client.bind_payee(request).await), expected, "{actor:?}");
        assert_eq!(reason(&s.client.unbind_payee(other).await), expected, "{actor:?}");
    }
    s.stop_and_verify().await
}
