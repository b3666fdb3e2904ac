//! The rails' settings: what is missing or does not fit is told by the setting's name, never by content.

use withdraw_service::Channel;

use crate::keys::{API_KEYS, channels, keys};

#[test]
fn both_rails_are_off_until_they_are_switched_on() -> anyhow::Result<()> {
    let none = channels(&[])?;
    assert_eq!((none.wechat, none.alipay), (Channel::Off, Channel::Off));
    assert!(none.merchant.is_none() && none.application.is_none());
    // Switched off again, what is configured still answers for what was sent.
    let mut set = keys()?.settings("http://127.0.0.1:9");
    set.push(("WECHAT_PROVIDER", "off".to_owned()));
    set.push(("ALIPAY_PROVIDER", "sandbox".to_owned()));
    let off = channels(&set)?;
    assert_eq!((off.wechat, off.alipay), (Channel::Off, Channel::Sandbox));
    assert!(off.merchant.is_some() && off.application.is_some());
    Ok(())
}

#[test]
fn a_rail_that_is_switched_on_tells_everything_it_misses() {
    let on = [("WECHAT_PROVIDER", "wechat".to_owned()), ("ALIPAY_PROVIDER", "alipay".to_owned())];
    let told = channels(&on).err().map(|error| error.to_string()).unwrap_or_default();
    for name in [
        "WECHAT_MCH_ID",
        "WECHAT_APP_ID",
        "WECHAT_MERCHANT_KEY_FILE",
        "WECHAT_MERCHANT_CERT_FILE",
        "WECHAT_PUBLIC_KEYS",
        "WECHAT_API_KEY_FILES",
        "WECHAT_SCENE_REPORT",
        "ALIPAY_APP_ID",
        "ALIPAY_APP_KEY_FILE",
        "ALIPAY_APP_CERT_FILE",
        "ALIPAY_CERT_FILES",
        "ALIPAY_ROOT_CERT_FILE",
    ] {
        assert!(told.contains(&format!("{name}: ")), "{name} is missing in:\n{told}");
    }
}

#[test]
fn every_wrong_value_is_told_with_its_setting() -> anyhow::Result<()> {
    let keys = keys()?;
    let file = |name: &str| keys.path(name).display().to_string();
    let twice = format!("PUB_KEY_ID_1={0},PUB_KEY_ID_1={0}", file("platform_key.pem"));
    let cases: Vec<(&'static str, String)> = vec![
        ("WECHAT_PROVIDER", "alipay".into()),
        ("WECHAT_URL", "http://api.mch.weixin.qq.com".into()),
        ("WECHAT_URL", "https://api.mch.weixin.qq.com/v3".into()),
        ("WECHAT_MCH_ID", "19 00".into()),
        ("WECHAT_MERCHANT_KEY_FILE", file("merchant_cert.pem")),
        ("WECHAT_MERCHANT_KEY_FILE", file("none.pem")),
        ("WECHAT_MERCHANT_CERT_FILE", file("app_cert.pem")),
        ("WECHAT_MERCHANT_CERT_FILE", file("platform_key.pem")),
        ("WECHAT_PUBLIC_KEYS", file("platform_key.pem")),
        ("WECHAT_PUBLIC_KEYS", format!("PUB_KEY_ID_1={}", file("merchant_cert.pem"))),
        ("WECHAT_PUBLIC_KEYS", twice),
        ("WECHAT_PUBLIC_KEYS", format!("PUB_KEY_ID_1={}", file("merchant_public.pem"))),
        ("WECHAT_PLATFORM_CERT_FILES", file("platform_key.pem")),
        ("WECHAT_PLATFORM_CERT_FILES", file("merchant_cert.pem")),
        ("WECHAT_API_KEY_FILES", file("merchant_key.pem")),
        ("WECHAT_SCENE_REPORT", "岗位类型".into()),
        ("WECHAT_REMARK", "提".repeat(33)),
        ("WECHAT_NOTIFY_URL", "http://pay.example.com/notify".into()),
        ("WECHAT_NOTIFY_URL", "https://pay.example.com/notify?a=1".into()),
        ("WECHAT_NOTIFY_URL", "https://pay.example.com/notify/alipay".into()),
        ("WECHAT_NOTIFY_URL", "https://pay.example.com/x/notify/alipay/".into()),
        ("ALIPAY_PROVIDER", "wechat".into()),
        ("ALIPAY_URL", "https://openapi.alipay.com".into()),
        ("ALIPAY_URL", "https://openapi.alipay.com/gateway".into()),
        ("ALIPAY_URL", "http://127.0.0.1:9/x/gateway.do".into()),
        ("ALIPAY_URL", "https://openapi.alipay.com/gateway.do?a=1".into()),
        ("ALIPAY_APP_KEY_FILE", file("app_cert.pem")),
        ("ALIPAY_APP_CERT_FILE", file("merchant_cert.pem")),
        ("ALIPAY_CERT_FILES", String::new()),
        ("ALIPAY_CERT_FILES", file("app_key.pem")),
        // Our own: the very one, the key certified again, the number of it.
        ("ALIPAY_CERT_FILES", file("app_cert.pem")),
        ("ALIPAY_CERT_FILES", format!("{},{}", file("alipay_cert.pem"), file("app_again.pem"))),
        ("ALIPAY_CERT_FILES", file("app_twin.pem")),
        ("ALIPAY_ROOT_CERT_FILE", file("app_key.pem")),
        ("ALIPAY_USER_ID", "2088".into()),
        ("ALIPAY_TITLE", String::new()),
    ];
    for (name, value) in cases {
        let mut set = keys.settings("http://127.0.0.1:9");
        set.push((name, value.clone()));
        let told = channels(&set).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.starts_with(&format!("{name}: ")), "{name}={value}: {told}");
        assert_eq!(told.lines().count(), 1, "{name}={value}: {told}");
        assert!(no_key(&told)?, "{told}");
    }
    Ok(())
}

#[test]
fn nothing_of_a_key_is_printed() -> anyhow::Result<()> {
    let channels = channels(&keys()?.settings("http://127.0.0.1:9"))?;
    assert!(no_key(&format!("{channels:?} {channels:#?}"))?);
    Ok(())
}

/// Whether no line of a key file stands in a text.
fn no_key(text: &str) -> anyhow::Result<bool> {
    let keys = keys()?;
    let pems = [keys.merchant.key.to_pem(), keys.app.key.to_pem()];
    let lines = pems.iter().flat_map(|pem| pem.lines()).chain(API_KEYS);
    Ok(lines.filter(|line| line.len() > 16 && !line.starts_with('-')).all(|l| !text.contains(l)))
}
