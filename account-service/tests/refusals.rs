//! Bad input over gRPC: every broken rule is told with its field, and nothing is changed.

mod support;

use cashout_proto::account::v1 as pb;
use support::{Stack, between, credit, databases, person, reason, release};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_names_the_field_and_changes_nothing() -> anyhow::Result<()> {
    for database in databases("bad_input").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let base = || credit("k", 7, 1);
        let far = 253_402_300_799_000_001;
        let cases: Vec<(&str, pb::PostTransferRequest)> = vec![
            ("key", pb::PostTransferRequest { key: String::new(), ..base() }),
            ("key", pb::PostTransferRequest { key: "x".repeat(129), ..base() }),
            ("key", pb::PostTransferRequest { key: "a\nb".to_owned(), ..base() }),
            ("key", pb::PostTransferRequest { key: "键".to_owned(), ..base() }),
            ("amount_minor", pb::PostTransferRequest { amount_minor: 0, ..base() }),
            ("amount_minor", pb::PostTransferRequest { amount_minor: -1, ..base() }),
            ("amount_minor", pb::PostTransferRequest { amount_minor: i64::MIN, ..base() }),
            ("amount_minor", pb::PostTransferRequest { amount_minor: 1 << 53, ..base() }),
            ("kind", pb::PostTransferRequest { kind: 0, ..base() }),
            ("kind", pb::PostTransferRequest { kind: 99, ..base() }),
            ("movement", pb::PostTransferRequest { movement: None, ..base() }),
            ("facts.note", with_note("x".repeat(256))),
            ("facts.note", with_note("a\0b".to_owned())),
            ("credit.account", with_credit(pb::Credit::default())),
            (
                "credit.account.user_id",
                with_credit(pb::Credit { account: Some(person(0)), ..Default::default() }),
            ),
            (
                "credit.account.user_id",
                with_credit(pb::Credit { account: Some(person(1 << 53)), ..Default::default() }),
            ),
            (
                "credit.counter_account",
                with_credit(pb::Credit {
                    account: Some(person(7)),
                    counter_account: "A b".to_owned(),
                    ..Default::default()
                }),
            ),
            (
                "credit.frozen_until_us",
                with_credit(pb::Credit {
                    account: Some(person(7)),
                    frozen_until_us: -1,
                    ..Default::default()
                }),
            ),
            (
                "credit.frozen_until_us",
                with_credit(pb::Credit {
                    account: Some(person(7)),
                    frozen_until_us: far,
                    ..Default::default()
                }),
            ),
            ("between.to", between("k", 7, 7, 1)),
        ];
        for (field, request) in cases {
            let refused = s.client.post_transfer(request.clone()).await;
            let status = refused.err().ok_or_else(|| anyhow::anyhow!("accepted {request:?}"))?;
            let failure = cashout_proto::Failure::from_status(&status);
            assert_eq!(failure.reason.row().name, "INVALID_ARGUMENT", "{request:?}");
            assert!(failure.fields.iter().any(|f| f.field == field), "{field}: {failure:?}");
        }
        for (kind, expected) in [
            (pb::EntryKind::Purchase, "KIND_MISMATCH"),
            (pb::EntryKind::Withdrawal, "KIND_MISMATCH"),
        ] {
            let request = pb::PostTransferRequest { kind: kind.into(), ..base() };
            assert_eq!(reason(&s.client.post_transfer(request).await), expected);
        }
        assert_eq!(reason(&s.client.post_transfer(credit("k", 9, 1)).await), "ACCOUNT_NOT_FOUND");
        assert_eq!(reason(&s.client.release_hold(release("r", "none")).await), "HOLD_NOT_FOUND");
        assert_eq!(s.account(7).await?.last_seq, 0);
        s.stop_and_verify().await?;
    }
    Ok(())
}

fn with_note(note: String) -> pb::PostTransferRequest {
    pb::PostTransferRequest {
        facts: Some(pb::Facts { note, ..Default::default() }.into()),
        ..credit("k", 7, 1)
    }
}

fn with_credit(credit_to: pb::Credit) -> pb::PostTransferRequest {
    let movement = Some(pb::post_transfer_request::Movement::Credit(credit_to));
    pb::PostTransferRequest { movement, ..credit("k", 7, 1) }
}
