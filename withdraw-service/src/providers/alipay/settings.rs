//! As which application we pay by Alipay: ids, certificates of both sides, the words of every payout.
//!
//! Certificates rotate without a stop: all of Alipay's that are named here verify. Must not know: calls,
//! orders.

use cashout_common::local::Zone;
use cashout_common::settings::Values;
use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::{PrivateKey, PublicKey};
use reqwest::Url;

use crate::providers::http;
use crate::providers::settings::{file, id, list, report, words};
use crate::providers::wechat::{belongs, signs_for};

/// The one path that Alipay answers at, and the simulator too.
const GATEWAY: &str = "/gateway.do";
/// The time zone of everything at Alipay.
const CHINA: &str = "Asia/Shanghai";

/// A certificate of Alipay, by the SN that answers name.
#[derive(Debug)]
pub struct Signer {
    /// `alipay_cert_sn`.
    pub sn: String,
    /// Its key.
    pub key: PublicKey,
    /// It, to compare a new one with.
    pub certificate: Certificate,
}

/// The application. Its key never prints itself.
#[derive(Debug)]
pub struct Application {
    /// Alipay's gateway.
    pub url: Url,
    /// `app_id`.
    pub app_id: String,
    /// Signs what we send.
    pub key: PrivateKey,
    /// `app_cert_sn`.
    pub cert_sn: String,
    /// Until when that certificate is valid, seconds since 1970.
    pub valid_until_s: i64,
    /// At least one.
    pub signers: Vec<Signer>,
    /// Those that stood behind them in their files: who may have issued a new one.
    pub issuers: Vec<Certificate>,
    /// Alipay's roots: whom a new certificate of Alipay must come from.
    pub roots: Vec<Certificate>,
    /// `alipay_root_cert_sn`.
    pub root_sn: String,
    /// Our own account; empty when its balance is not asked for.
    pub user_id: String,
    /// `order_title`.
    pub title: String,
    /// `transfer_scene_name`; empty for none.
    pub scene_name: String,
    /// `transfer_scene_report_infos`: type and content.
    pub scene_report: Vec<(String, String)>,
    /// The local time of Alipay.
    pub zone: Zone,
}

impl Application {
    /// Reads the settings; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let url = values.read("ALIPAY_URL", |text| {
            let url = http::address(text)?;
            let right = url.path() == GATEWAY && url.query().is_none();
            if right {
                Ok(url)
            } else {
                Err(format!("its path must be {GATEWAY}, without a query"))
            }
        });
        let app_id = values.read("ALIPAY_APP_ID", |text| id(text, 32));
        let key = values.read("ALIPAY_APP_KEY_FILE", |path| file(path, PrivateKey::read));
        let certificate = values.read("ALIPAY_APP_CERT_FILE", |path| file(path, Certificate::read));
        let signers = values.read("ALIPAY_CERT_FILES", |text| {
            let signers = list(text, ',', |path| file(path, signer))?;
            if signers.is_empty() { Err("must name a file".to_owned()) } else { Ok(split(signers)) }
        });
        let roots = values.read("ALIPAY_ROOT_CERT_FILE", |path| {
            let roots = file(path, Certificate::read_all)?;
            let any = !alipay_root_sn(&roots).is_empty();
            if any { Ok(roots) } else { Err("must have an RSA certificate".to_owned()) }
        });
        let user_id = values.read("ALIPAY_USER_ID", |text| {
            let right = text.is_empty() || is_user_id(text);
            if right { Ok(text.to_owned()) } else { Err("must be 2088 and 12 digits".to_owned()) }
        });
        let title = values.read("ALIPAY_TITLE", |text| words(text, 1, 128));
        let scene_name = values.read("ALIPAY_SCENE_NAME", |text| words(text, 0, 64));
        let scene_report = values.read("ALIPAY_SCENE_REPORT", |text| report(text, (64, 256)));
        // Not a setting of its own: it cannot be another one.
        let zone = values.read("ALIPAY_PROVIDER", |_| Zone::named(CHINA));
        let (key, certificate, roots) = (key?, certificate?, roots?);
        let (signers, issuers) = signers?;
        if !belongs(&key, &certificate) {
            let rule = "must be the certificate of ALIPAY_APP_KEY_FILE";
            values.mistake("ALIPAY_APP_CERT_FILE", rule);
        }
        let cert_sn = certificate.alipay_sn();
        if signers.iter().any(|s| s.sn == cert_sn || signs_for(&key, &s.key)) {
            // Whoever has our key could answer and notify in Alipay's name.
            let rule = "must be Alipay's certificates, not the application's own";
            values.mistake("ALIPAY_CERT_FILES", rule);
        }
        Some(Self {
            url: url?,
            app_id: app_id?,
            key,
            cert_sn,
            valid_until_s: certificate.validity_s().1,
            signers,
            issuers,
            root_sn: alipay_root_sn(&roots),
            roots,
            user_id: user_id?,
            title: title?,
            scene_name: scene_name?,
            scene_report: scene_report?,
            zone: zone?,
        })
    }
}

/// The first certificate of a file is Alipay's own; the others are those it comes from.
fn signer(text: &str) -> Result<(Signer, Vec<Certificate>), rails::Wrong> {
    let own = Certificate::read(text)?;
    let signer = Signer { sn: own.alipay_sn(), key: own.public_key()?, certificate: own };
    Ok((signer, Certificate::read_all(text)?.into_iter().skip(1).collect()))
}

fn split(files: Vec<(Signer, Vec<Certificate>)>) -> (Vec<Signer>, Vec<Certificate>) {
    let (signers, issuers): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    (signers, issuers.into_iter().flatten().collect())
}

/// Whether it is an account number at Alipay.
#[must_use]
pub fn is_user_id(text: &str) -> bool {
    text.len() == 16 && text.starts_with("2088") && text.bytes().all(|b| b.is_ascii_digit())
}
