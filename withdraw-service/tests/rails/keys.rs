//! Keys and certificates of both sides, made once for all tests, and settings that name their files.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::settings::{SHARED, Setting, Values};
use cashout_common::world::World;
use rails::key::PrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    SerialNumber, date_time_ymd,
};
use withdraw_service::SETTINGS;
use withdraw_service::providers::Channels;
use withdraw_service::providers::alipay::Alipay;
use withdraw_service::providers::http::{Http, Patience};
use withdraw_service::providers::wechat::Wechat;

/// 2026-03-03 12:00:00 in Shanghai.
pub const NOON_US: i64 = 1_772_510_400_000_000;
/// The same in seconds.
pub const NOON_S: i64 = NOON_US / 1_000_000;
/// The merchant's APIv3 keys: the current one, then the one before.
pub const API_KEYS: [&str; 2] =
    ["aaaabbbbccccddddeeeeffff00001111", "11110000ffffeeeeddddccccbbbbaaaa"];
/// How long a call may take, unless a test says otherwise.
const WAIT: Duration = Duration::from_millis(600);
/// Id of WeChat Pay's public key.
pub const PUB_KEY_ID: &str = "PUB_KEY_ID_0119000000012025010100000000000001";
pub const MCH_ID: &str = "1900000001";
pub const APP_ID: &str = "wx0000000000000001";
pub const ALIPAY_APP_ID: &str = "2021000000000001";

/// A certificate and its key.
pub struct Certified {
    pub key: PrivateKey,
    pub pem: String,
}

/// Everything there is.
pub struct Keys {
    pub merchant: Certified,
    pub platform: PrivateKey,
    pub platform_cert: Certified,
    pub stranger: PrivateKey,
    pub app: Certified,
    pub alipay: Certified,
    pub alipay_next: Certified,
    /// Issued by the application's own certificate, which may issue nothing.
    pub alipay_false: Certified,
    pub issuer_pem: String,
    /// Of the authority that certifies merchants: another one, under the same root.
    pub sister: Certified,
    pub sister_issuer_pem: String,
    /// Of Alipay, valid until the midnight (UTC) after [`NOON_US`].
    pub alipay_brief: Certified,
    /// The issuer again, valid no longer than that.
    pub issuer_brief_pem: String,
    /// The application's key certified once more, and another key under the number of its certificate.
    app_again_pem: String,
    app_twin: Certified,
    directory: tempfile::TempDir,
}

type Made = Result<Keys, String>;

/// The keys of this run.
pub fn keys() -> anyhow::Result<&'static Keys> {
    static KEYS: OnceLock<Made> = OnceLock::new();
    let made = KEYS.get_or_init(|| Keys::make().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

struct Maker {
    params: CertificateParams,
    pair: KeyPair,
    key: PrivateKey,
}

fn maker(name: &str, serial: u64, authority: bool) -> anyhow::Result<Maker> {
    let key = PrivateKey::generate()?;
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&key.to_pem(), &PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    Ok(Maker { params, pair, key })
}

fn issued(name: &str, serial: u64, by: &Issuer<'_, KeyPair>) -> anyhow::Result<Certified> {
    let Maker { params, pair, key } = maker(name, serial, false)?;
    Ok(Certified { pem: params.signed_by(&pair, by)?.pem(), key })
}

/// Valid until the midnight (UTC) after [`NOON_US`].
fn brief(mut made: Maker) -> Maker {
    made.params.not_after = date_time_ymd(2026, 3, 4);
    made
}

impl Keys {
    fn make() -> anyhow::Result<Self> {
        let root = maker("root", 1, true)?;
        let root_pem = root.params.self_signed(&root.pair)?.pem();
        let root = Issuer::new(root.params, root.pair);
        let between = maker("issuer", 2, true)?;
        let issuer_pem = between.params.signed_by(&between.pair, &root)?.pem();
        let brief_params = brief(maker("issuer", 9, true)?).params;
        let issuer_brief_pem = brief_params.signed_by(&between.pair, &root)?.pem();
        let merchants = maker("merchants", 7, true)?;
        let sister_issuer_pem = merchants.params.signed_by(&merchants.pair, &root)?.pem();
        let between = Issuer::new(between.params, between.pair);
        let merchants = Issuer::new(merchants.params, merchants.pair);
        let app = maker("application", 3, false)?;
        let app_pem = app.params.signed_by(&app.pair, &between)?.pem();
        let again = maker("application", 10, false)?.params;
        let app_again_pem = again.signed_by(&app.pair, &between)?.pem();
        let Maker { params, pair, key } = brief(maker("alipay", 11, false)?);
        let alipay_brief = Certified { pem: params.signed_by(&pair, &between)?.pem(), key };
        let no_authority = Issuer::new(app.params, app.pair);
        let keys = Self {
            merchant: issued("merchant", 0x1DDE_55AD_98ED_71D6, &between)?,
            platform: PrivateKey::generate()?,
            platform_cert: issued("platform", 0x5157_F09E_FDC0_96DE, &between)?,
            stranger: PrivateKey::generate()?,
            alipay: issued("alipay", 4, &between)?,
            alipay_next: issued("alipay", 5, &between)?,
            alipay_false: issued("alipay", 6, &no_authority)?,
            app: Certified { key: app.key, pem: app_pem },
            issuer_pem,
            sister: issued("a merchant", 8, &merchants)?,
            sister_issuer_pem,
            alipay_brief,
            issuer_brief_pem,
            app_again_pem,
            app_twin: issued("application", 3, &between)?,
            directory: tempfile::tempdir()?,
        };
        keys.write(&root_pem)?;
        Ok(keys)
    }

    fn write(&self, root_pem: &str) -> anyhow::Result<()> {
        let (platform, merchant) = (self.platform.public()?, self.merchant.key.public()?);
        let (platform, merchant) = (platform.to_pem(), merchant.to_pem());
        let (alipay, both) = (&self.alipay.pem, format!("{}{}", self.alipay.pem, self.issuer_pem));
        for (name, text) in [
            ("merchant_key.pem", self.merchant.key.to_pem().as_str()),
            ("merchant_cert.pem", &self.merchant.pem),
            ("merchant_public.pem", &merchant),
            ("platform_key.pem", &platform),
            ("platform_cert.pem", &self.platform_cert.pem),
            ("api_key", &format!("{}\n", API_KEYS[0])),
            ("api_key_before", API_KEYS[1]),
            ("app_key.pem", &self.app.key.to_pem()),
            ("app_cert.pem", &self.app.pem),
            ("app_again.pem", &self.app_again_pem),
            ("app_twin.pem", &self.app_twin.pem),
            ("alipay_cert.pem", alipay),
            ("alipay_chain.pem", &both),
            ("root_cert.pem", root_pem),
        ] {
            std::fs::write(self.directory.path().join(name), text)?;
        }
        Ok(())
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Settings of both rails, with their peer at `url`.
    pub fn settings(&self, url: &str) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.path(name).display().to_string();
        vec![
            ("WECHAT_PROVIDER", "wechat".to_owned()),
            ("WECHAT_URL", url.to_owned()),
            ("WECHAT_MCH_ID", MCH_ID.to_owned()),
            ("WECHAT_APP_ID", APP_ID.to_owned()),
            ("WECHAT_MERCHANT_KEY_FILE", file("merchant_key.pem")),
            ("WECHAT_MERCHANT_CERT_FILE", file("merchant_cert.pem")),
            ("WECHAT_PUBLIC_KEYS", format!("{PUB_KEY_ID}={}", file("platform_key.pem"))),
            ("WECHAT_PLATFORM_CERT_FILES", file("platform_cert.pem")),
            ("WECHAT_API_KEY_FILES", format!("{},{}", file("api_key"), file("api_key_before"))),
            ("WECHAT_SCENE_REPORT", "岗位类型=讲师;报酬说明=课程收入".to_owned()),
            ("WECHAT_PERCEPTION", "劳务报酬".to_owned()),
            ("WECHAT_NOTIFY_URL", "https://pay.example.com/notify/wechat".to_owned()),
            ("ALIPAY_PROVIDER", "alipay".to_owned()),
            ("ALIPAY_URL", format!("{url}/gateway.do")),
            ("ALIPAY_APP_ID", ALIPAY_APP_ID.to_owned()),
            ("ALIPAY_APP_KEY_FILE", file("app_key.pem")),
            ("ALIPAY_APP_CERT_FILE", file("app_cert.pem")),
            ("ALIPAY_CERT_FILES", file("alipay_cert.pem")),
            ("ALIPAY_ROOT_CERT_FILE", file("root_cert.pem")),
            ("ALIPAY_USER_ID", "2088000000000001".to_owned()),
            ("ALIPAY_SCENE_NAME", "佣金报酬".to_owned()),
            ("ALIPAY_SCENE_REPORT", "佣金报酬说明=课程收入".to_owned()),
        ]
    }
}

/// Reads settings; a later value of the same name wins.
pub fn channels(set: &[(&'static str, String)]) -> anyhow::Result<Channels> {
    let table: Vec<Setting> = SHARED.iter().chain(SETTINGS).copied().collect();
    let set: Vec<(&'static str, &str)> = set.iter().rev().map(|(n, v)| (*n, v.as_str())).collect();
    let mut values = Values::given(&table, &set);
    let channels = Channels::read(&mut values);
    Ok(values.finish(channels)?)
}

/// Both rails with their peer at `url`, at noon, by a set clock and seeded chance.
pub struct Rails {
    pub wechat: Wechat,
    pub alipay: Alipay,
    pub clock: Clock,
}

/// Both rails as the settings of [`Keys::settings`] make them.
pub fn rails(url: &str) -> anyhow::Result<Rails> {
    rails_of(&channels(&keys()?.settings(url))?)
}

/// Both rails of given channels.
pub fn rails_of(channels: &Channels) -> anyhow::Result<Rails> {
    let clock = Clock::set_at(NOON_US);
    let world = World { clock: clock.clone(), random: Random::seeded(1) };
    rails_in(channels, (world, clock), WAIT)
}

/// Both rails of given channels in a world, waiting so long for everything.
pub fn rails_in(
    channels: &Channels,
    (world, clock): (World, Clock),
    wait: Duration,
) -> anyhow::Result<Rails> {
    let patience = Patience { connect: wait, read: wait, call: wait, bill: wait };
    let http = Http::new(patience, false).map_err(anyhow::Error::msg)?;
    let none = || anyhow::anyhow!("not configured");
    let merchant = channels.merchant.clone().ok_or_else(none)?;
    let application = channels.application.clone().ok_or_else(none)?;
    Ok(Rails {
        wechat: Wechat::new(merchant, http.clone(), world.clone()),
        alipay: Alipay::new(application, http, world),
        clock,
    })
}
