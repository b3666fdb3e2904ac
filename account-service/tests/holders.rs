//! The person behind accounts, on both engines: profile, membership, payees.

mod support;

use cashout_proto::account::v1 as pb;
use support::{Stack, databases, reason};

fn profile(user_id: i64, username: &str, mobile: &str) -> pb::SetProfileRequest {
    let (username, mobile) = (username.to_owned(), mobile.to_owned());
    pb::SetProfileRequest { user_id, username, mobile }
}

fn wechat(payee_id: &str) -> pb::Payee {
    let method = pb::PayeeMethod::Wechat.into();
    pb::Payee {
        method,
        payee_id: payee_id.to_owned(),
        nickname: "nick".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_created_changed_and_found() -> anyhow::Result<()> {
    for database in databases("holder").await? {
        let mut s = Stack::start(&database.url).await?;
        let absent = s.client.get_holder(pb::GetHolderRequest { user_id: 7 }).await;
        assert_eq!(reason(&absent), "HOLDER_NOT_FOUND");
        let made = s.client.set_profile(profile(7, "teacher", "13800138000")).await?.into_inner();
        s.clock.advance(std::time::Duration::from_secs(1));
        let same = s.client.set_profile(profile(7, "teacher", "13800138000")).await?.into_inner();
        assert_eq!(made, same, "the same profile again changes nothing");
        let membership = pb::Membership {
            is_member: true,
            privileges: vec![pb::Privilege {
                title: "天天免邮".into(), subtitle: "免邮".into()
            }],
            saved_minor: 1_234,
        };
        let request = pb::SetMembershipRequest { user_id: 7, membership: Some(membership.clone()) };
        let holder = s.client.set_membership(request).await?.into_inner();
        assert_eq!(holder.membership, Some(membership));
        assert!(holder.updated_at_us > made.updated_at_us);
        let bind = |id: &str| pb::BindPayeeRequest { user_id: 7, payee: Some(wechat(id)) };
        s.client.bind_payee(bind("openid-1")).await?;
        let holder = s.client.bind_payee(bind("openid-2")).await?.into_inner();
        let ids: Vec<&str> = holder.payees.iter().map(|p| p.payee_id.as_str()).collect();
        assert_eq!(ids, ["openid-2"], "one per method");
        let unbind = pb::UnbindPayeeRequest { user_id: 7, method: pb::PayeeMethod::Wechat.into() };
        for _ in 0..2 {
            assert!(s.client.unbind_payee(unbind).await?.into_inner().payees.is_empty());
        }
        s.client.set_profile(profile(8, "other", "")).await?;
        let request =
            pb::BatchGetHoldersRequest { user_ids: vec![7, 99], username: "other".into() };
        let found = s.client.batch_get_holders(request).await?.into_inner().holders;
        assert_eq!(found.iter().map(|h| h.user_id).collect::<Vec<_>>(), [7, 8]);
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_profiles_and_payees_name_the_field() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("bad_holder").await?;
    let mut s = Stack::start(&database.url).await?;
    for (field, request) in [
        ("user_id", profile(0, "a", "")),
        ("username", profile(7, &"x".repeat(65), "")),
        ("username", profile(7, "a\nb", "")),
        ("mobile", profile(7, "a", "12345678901")),
        ("mobile", profile(7, "a", "+8613800138000")),
    ] {
        let refused = s.client.set_profile(request).await;
        assert!(refused.as_ref().is_err_and(|e| e.message().starts_with(field)), "{refused:?}");
    }
    s.client.set_profile(profile(7, "a", "")).await?;
    let bind = |payee| pb::BindPayeeRequest { user_id: 7, payee };
    for (field, payee) in [
        ("payee.method", None),
        ("payee.method", Some(pb::Payee { method: 9, ..wechat("x") })),
        ("payee.payee_id", Some(wechat(""))),
        ("payee.sex", Some(pb::Payee { sex: 3, ..wechat("x") })),
    ] {
        let refused = s.client.bind_payee(bind(payee)).await;
        assert!(refused.as_ref().is_err_and(|e| e.message().contains(field)), "{refused:?}");
    }
    let nobody = pb::BindPayeeRequest { user_id: 8, payee: Some(wechat("x")) };
    assert_eq!(reason(&s.client.bind_payee(nobody).await), "HOLDER_NOT_FOUND");
    s.stop_and_verify().await
}
