//! The settings of the real rails, and how their values are read: keys come from files, once, at start.
//!
//! A mistake names the setting and the rule, never what stands in a file. Must not know: protocols.

use cashout_common::settings::Setting;

/// Who pays by WeChat, and as which merchant.
pub const WECHAT: &[Setting] = &[
    Setting::new(
        "WECHAT_PROVIDER",
        "off",
        "Who pays by WeChat: `wechat` (WeChat Pay), `sandbox` (in this process, pays nobody) or `off`.",
    ),
    Setting::new(
        "WECHAT_URL",
        "https://api.mch.weixin.qq.com",
        "Where WeChat Pay answers, without a path; http only on loopback.",
    ),
    Setting::new("WECHAT_MCH_ID", "", "Merchant number at WeChat Pay (mchid)."),
    Setting::new("WECHAT_APP_ID", "", "App the payees' openids belong to, bound to the merchant."),
    Setting::new(
        "WECHAT_MERCHANT_KEY_FILE",
        "",
        "File with the merchant's API private key (apiclient_key.pem).",
    ),
    Setting::new(
        "WECHAT_MERCHANT_CERT_FILE",
        "",
        "File with the merchant's API certificate (apiclient_cert.pem), of the same key.",
    ),
    Setting::new(
        "WECHAT_PUBLIC_KEYS",
        "",
        "WeChat Pay public keys, `PUB_KEY_ID_x=FILE`, separated by commas. The first one encrypts, all \
         verify.",
    ),
    Setting::new(
        "WECHAT_PLATFORM_CERT_FILES",
        "",
        "Files with platform certificates, separated by commas: of a merchant that is not yet, or only \
         just, on the public key.",
    ),
    Setting::new(
        "WECHAT_API_KEY_FILES",
        "",
        "Files with APIv3 keys (32 letters and digits), separated by commas. The current one first; the \
         others are still accepted.",
    ),
    Setting::new(
        "WECHAT_SCENE_ID",
        "1005",
        "Transfer scene that the merchant platform has enabled, e.g. 1005 for earned commissions.",
    ),
    Setting::new(
        "WECHAT_SCENE_REPORT",
        "",
        "What the scene must report, `info_type=info_content`, separated by semicolons; e.g. \
         `岗位类型=讲师;报酬说明=课程收入`.",
    ),
    Setting::new(
        "WECHAT_PERCEPTION",
        "",
        "What the payee is shown as the reason, one of the scene's fixed words; empty for its default.",
    ),
    Setting::new("WECHAT_REMARK", "提现", "Remark of every payout, 1 to 32 characters."),
    Setting::new(
        "WECHAT_NOTIFY_URL",
        "",
        "Public https address of the gateway's `/notify/wechat`; empty for none: results are then only \
         asked for.",
    ),
];

/// Who pays by Alipay, and as which application.
pub const ALIPAY: &[Setting] = &[
    Setting::new(
        "ALIPAY_PROVIDER",
        "off",
        "Who pays by Alipay: `alipay` (Alipay), `sandbox` (in this process, pays nobody) or `off`.",
    ),
    Setting::new(
        "ALIPAY_URL",
        "https://openapi.alipay.com/gateway.do",
        "Alipay's gateway; http only on loopback.",
    ),
    Setting::new("ALIPAY_APP_ID", "", "Application at Alipay (app_id)."),
    Setting::new("ALIPAY_APP_KEY_FILE", "", "File with the application's private key."),
    Setting::new(
        "ALIPAY_APP_CERT_FILE",
        "",
        "File with the application's certificate (appCertPublicKey), of the same key.",
    ),
    Setting::new(
        "ALIPAY_CERT_FILES",
        "",
        "Files with Alipay's certificates (alipayCertPublicKey), separated by commas: all verify.",
    ),
    Setting::new(
        "ALIPAY_ROOT_CERT_FILE",
        "",
        "File with Alipay's root certificates (alipayRootCert.crt).",
    ),
    Setting::new(
        "ALIPAY_USER_ID",
        "",
        "Our own account at Alipay (2088…), to ask for its balance; empty: the balance is not watched.",
    ),
    Setting::new("ALIPAY_TITLE", "提现", "Title of every payout, 1 to 128 characters."),
    Setting::new(
        "ALIPAY_SCENE_NAME",
        "",
        "Transfer scene of newer merchants, e.g. 佣金报酬; empty for none.",
    ),
    Setting::new(
        "ALIPAY_SCENE_REPORT",
        "",
        "What the scene must report, `info_type=info_content`, separated by semicolons.",
    ),
];

/// Reads a text of `least` to `most` characters without control characters.
///
/// # Errors
/// The rule, when it is broken.
pub fn words(text: &str, least: usize, most: usize) -> Result<String, String> {
    let count = text.chars().count();
    if (least..=most).contains(&count) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("must have {least} to {most} characters"))
}

/// Reads an id of 1 to `most` ASCII letters, digits, `_` and `-`.
///
/// # Errors
/// The rule, when it is broken.
pub fn id(text: &str, most: usize) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain && (1..=most).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("must be 1 to {most} letters, digits, _ and -"))
}

/// Reads what is separated by `separator`; empty gives nothing.
///
/// # Errors
/// The first one that `one` refuses.
pub fn list<T>(
    text: &str,
    separator: char,
    one: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(separator).map(|part| one(part.trim())).collect()
}

/// Reads `info_type=info_content;…`, the types and contents at most that long.
///
/// # Errors
/// The rule, when it is broken.
pub fn report(text: &str, longest: (usize, usize)) -> Result<Vec<(String, String)>, String> {
    list(text, ';', |pair| {
        let rule = "must be info_type=info_content;info_type=info_content".to_owned();
        let (name, content) = pair.split_once('=').ok_or(rule)?;
        Ok((words(name.trim(), 1, longest.0)?, words(content.trim(), 1, longest.1)?))
    })
}

/// Reads a file with `read`, which tells what it is not.
///
/// # Errors
/// When it cannot be read or is not that. The path is told, the content is not.
pub fn file<T>(path: &str, read: impl Fn(&str) -> Result<T, rails::Wrong>) -> Result<T, String> {
    if path.is_empty() {
        return Err("must be a file".to_owned());
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {path}: {}", error.kind()))?;
    read(text.trim()).map_err(|wrong| format!("{path}: {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_reports_read_as_written() {
        let report_of = |text| report(text, (15, 32));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(report_of(""), Ok(vec![]));
        let two = vec![pair("岗位类型", "讲师"), pair("报酬说明", "课程=收入")];
        assert_eq!(report_of("岗位类型=讲师; 报酬说明 = 课程=收入"), Ok(two));
        for wrong in
            ["岗位类型", "=x", "x=", "a=b;", "a=b;;c=d", "一二三四五六七八九十一二三四五六=x"]
        {
            assert!(report_of(wrong).is_err(), "{wrong}");
        }
        assert!(words("a\nb", 1, 9).is_err() && id("a b", 9).is_err() && id("", 9).is_err());
    }

    #[test]
    fn a_file_that_is_wrong_is_named_and_not_shown() {
        let refuse = |_: &str| Err::<(), _>(rails::Wrong("not a key"));
        let told = file("Cargo.toml", refuse).err().unwrap_or_default();
        assert_eq!(told, "Cargo.toml: not a key");
        assert!(file("", refuse).is_err());
        let told = file("no/such/file", refuse).err().unwrap_or_default();
        assert!(told.starts_with("cannot read no/such/file"), "{told}");
    }
}
