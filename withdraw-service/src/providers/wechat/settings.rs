//! As which merchant we pay by WeChat: numbers, keys of both sides, and the words of every payout.
//!
//! Keys rotate without a stop: several keys of WeChat Pay and several APIv3 keys are good at a time.
//! Must not know: calls, orders.

use cashout_common::settings::Values;
use rails::certificate::Certificate;
use rails::key::{PrivateKey, PublicKey};
use rails::seal::ApiKey;
use reqwest::Url;

use crate::providers::http;
use crate::providers::settings::{file, id, list, report, words};

/// Ids of public keys begin with this.
const KEY_ID: &str = "PUB_KEY_ID_";

/// A key of WeChat Pay, by the serial that signatures name.
#[derive(Debug)]
pub struct PlatformKey {
    /// `PUB_KEY_ID_…`, or the serial number of a platform certificate, upper-case hex.
    pub serial: String,
    /// The key itself.
    pub key: PublicKey,
}

impl PlatformKey {
    /// The setting that names it.
    fn setting(&self) -> &'static str {
        let id = self.serial.starts_with(KEY_ID);
        if id { "WECHAT_PUBLIC_KEYS" } else { "WECHAT_PLATFORM_CERT_FILES" }
    }
}

/// What is the same in every payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// `transfer_scene_id`.
    pub id: String,
    /// `user_recv_perception`; empty for the default.
    pub perception: String,
    /// `transfer_scene_report_infos`: type and content.
    pub report: Vec<(String, String)>,
    /// `transfer_remark`.
    pub remark: String,
    /// `notify_url`; empty for none.
    pub notify_url: String,
}

/// The merchant. Its keys never print themselves.
#[derive(Debug)]
pub struct Merchant {
    /// Where WeChat Pay answers.
    pub url: Url,
    /// `mchid`.
    pub mch_id: String,
    /// `appid`.
    pub app_id: String,
    /// Signs what we send.
    pub key: PrivateKey,
    /// Serial number of the certificate of that key.
    pub serial: String,
    /// Until when that certificate is valid, seconds since 1970.
    pub valid_until_s: i64,
    /// At least one; the first one encrypts.
    pub platform: Vec<PlatformKey>,
    /// At least one.
    pub api_keys: Vec<ApiKey>,
    /// The words of every payout.
    pub scene: Scene,
}

impl Merchant {
    /// Reads the settings; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let url = values.read("WECHAT_URL", address);
        let mch_id = values.read("WECHAT_MCH_ID", |text| id(text, 32));
        let app_id = values.read("WECHAT_APP_ID", |text| id(text, 32));
        let key = values.read("WECHAT_MERCHANT_KEY_FILE", |path| file(path, PrivateKey::read));
        let certificate =
            values.read("WECHAT_MERCHANT_CERT_FILE", |path| file(path, Certificate::read));
        let platform = read_platform(values);
        let api_keys = values.read("WECHAT_API_KEY_FILES", |text| {
            let keys = list(text, ',', |path| file(path, ApiKey::read))?;
            if keys.is_empty() { Err("must name at least one file".to_owned()) } else { Ok(keys) }
        });
        let scene = read_scene(values);
        let (key, certificate) = (key?, certificate?);
        if !belongs(&key, &certificate) {
            let rule = "must be the certificate of WECHAT_MERCHANT_KEY_FILE";
            values.mistake("WECHAT_MERCHANT_CERT_FILE", rule);
        }
        let (serial, platform) = (certificate.serial_hex(), platform?);
        if let Some(own) = platform.iter().find(|p| p.serial == serial || signs_for(&key, &p.key)) {
            // Whoever has our key could answer and notify in WeChat Pay's name.
            values.mistake(own.setting(), "must be WeChat Pay's, not the merchant's own");
        }
        Some(Self {
            url: url?,
            mch_id: mch_id?,
            app_id: app_id?,
            key,
            serial,
            valid_until_s: certificate.validity_s().1,
            platform,
            api_keys: api_keys?,
            scene: scene?,
        })
    }

    /// The key of WeChat Pay with that serial.
    #[must_use]
    pub fn platform_key(&self, serial: &str) -> Option<&PublicKey> {
        self.platform.iter().find(|known| known.serial == serial).map(|known| &known.key)
    }
}

/// Whether the certificate is of that key.
pub fn belongs(key: &PrivateKey, certificate: &Certificate) -> bool {
    certificate.public_key().is_ok_and(|public| signs_for(key, &public))
}

/// Whether the two are halves of one key: what one signs, the other verifies.
pub fn signs_for(key: &PrivateKey, public: &PublicKey) -> bool {
    let text = b"a certificate of this key";
    key.sign(text).is_ok_and(|signature| public.verifies(text, &signature))
}

fn address(text: &str) -> Result<Url, String> {
    let url = http::address(text)?;
    let bare = url.path() == "/" && url.query().is_none();
    if bare { Ok(url) } else { Err("must have no path".to_owned()) }
}

fn read_platform(values: &mut Values) -> Option<Vec<PlatformKey>> {
    let keys = values.read("WECHAT_PUBLIC_KEYS", |text| {
        list(text, ',', |pair| {
            let rule = "must be PUB_KEY_ID_x=FILE,PUB_KEY_ID_y=FILE";
            let (serial, path) = pair.split_once('=').ok_or(rule)?;
            if !serial.trim().starts_with(KEY_ID) {
                return Err(rule.to_owned());
            }
            let key = file(path.trim(), PublicKey::read)?;
            Ok(PlatformKey { serial: id(serial.trim(), 64)?, key })
        })
    });
    let certificates = values.read("WECHAT_PLATFORM_CERT_FILES", |text| {
        list(text, ',', |path| {
            let read = |text: &str| {
                let certificate = Certificate::read(text)?;
                Ok((certificate.serial_hex(), certificate.public_key()?))
            };
            let (serial, key) = file(path, read)?;
            Ok(PlatformKey { serial, key })
        })
    });
    let mut all = keys?;
    all.extend(certificates?);
    let mut serials: Vec<&str> = all.iter().map(|known| known.serial.as_str()).collect();
    serials.sort_unstable();
    if serials.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
        values.mistake("WECHAT_PUBLIC_KEYS", "must name every key once");
        return None;
    }
    if all.is_empty() {
        let rule = "must name a key, unless WECHAT_PLATFORM_CERT_FILES names a certificate";
        values.mistake("WECHAT_PUBLIC_KEYS", rule);
        return None;
    }
    Some(all)
}

fn read_scene(values: &mut Values) -> Option<Scene> {
    let id = values.read("WECHAT_SCENE_ID", |text| id(text, 36));
    let report = values.read("WECHAT_SCENE_REPORT", |text| match report(text, (15, 32))? {
        none if none.is_empty() => Err("must say what the scene reports".to_owned()),
        some => Ok(some),
    });
    let perception = values.read("WECHAT_PERCEPTION", |text| words(text, 0, 32));
    let remark = values.read("WECHAT_REMARK", |text| words(text, 1, 32));
    let notify_url = values.read("WECHAT_NOTIFY_URL", |text| {
        if text.is_empty() {
            return Ok(String::new());
        }
        let url = http::address(text)?;
        if url.query().is_some() || text.len() > 256 {
            return Err("must be short and have no query".to_owned());
        }
        // The gateway would hand them to the other provider's adapter, which hears nothing of them.
        if url.path().trim_end_matches('/').ends_with("/alipay") {
            return Err("must be the address for WeChat Pay, not the one for Alipay".to_owned());
        }
        Ok(text.to_owned())
    });
    Some(Scene {
        id: id?,
        perception: perception?,
        report: report?,
        remark: remark?,
        notify_url: notify_url?,
    })
}
