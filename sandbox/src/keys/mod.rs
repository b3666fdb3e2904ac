//! The key directory: everything that a merchant gets from the two providers, made up at the first
//! start, and the keys of the providers themselves.
//!
//! It works with nothing but keys that it made itself: every certificate says so, and every key has to
//! fit one. A directory that holds anything else is refused, so no production key ever comes in here.

mod issue;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use cashout_common::random::Random;
use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::{PrivateKey, PublicKey};
use rails::seal::ApiKey;

use issue::{Authority, elliptic_root};

/// What every certificate of ours says its organisation is.
pub const MARK: &str = "cashout sandbox";
/// The merchant at the simulated WeChat Pay.
pub const MCHID: &str = "1900000001";
/// The app of that merchant.
pub const WECHAT_APP_ID: &str = "wx0000000000000001";
/// The app at the simulated Alipay.
pub const ALIPAY_APP_ID: &str = "2021000000000001";
/// The user id of the merchant at the simulated Alipay.
pub const ALIPAY_USER_ID: &str = "2088000000000001";

/// One identity of a provider: what it signs with, and what a merchant knows it by.
#[derive(Debug)]
pub struct Identity {
    /// Signs.
    pub key: PrivateKey,
    /// `PUB_KEY_ID_…`, a serial number, or an Alipay SN.
    pub serial: String,
    /// The certificate, as PEM; empty for a bare public key.
    pub certificate: String,
}

/// The simulated WeChat Pay's side of the keys.
#[derive(Debug)]
pub struct Wechat {
    /// Serial number of the merchant's certificate.
    pub merchant_serial: String,
    /// Verifies the merchant, and encrypts names for them.
    pub merchant: PublicKey,
    /// The platform's public key.
    pub public_key: Identity,
    /// The platform's certificate.
    pub certificate: Identity,
    /// Seals notifications and certificates.
    pub api_key: ApiKey,
}

/// The simulated Alipay's side of the keys.
#[derive(Debug)]
pub struct Alipay {
    /// SN of the app's certificate.
    pub app_sn: String,
    /// Verifies the app.
    pub app: PublicKey,
    /// SN of the root file.
    pub root_sn: String,
    /// What it signs with.
    pub current: Identity,
    /// What it will sign with after a change of certificates: from the same roots, not yet known.
    pub next: Identity,
}

/// Everything in a key directory.
#[derive(Debug)]
pub struct Keys {
    /// Where the files are.
    pub directory: PathBuf,
    /// The simulated WeChat Pay's.
    pub wechat: Wechat,
    /// The simulated Alipay's.
    pub alipay: Alipay,
}

/// Opens a key directory and makes what is not there yet.
///
/// # Errors
/// When it cannot be read or written, or holds a key that was not made here.
pub fn prepare(directory: &Path) -> anyhow::Result<Keys> {
    type Make = fn(&Path, &Random) -> anyhow::Result<()>;
    let random = Random::from_os();
    let made = |part: &str, make: Make| -> anyhow::Result<()> {
        if directory.join(part).exists() {
            return Ok(());
        }
        // All of it or nothing: a start that is killed leaves a draft that nobody reads.
        let draft = directory.join(format!("draft-{:016x}", random.below(u64::MAX)));
        make(&draft, &random)?;
        Ok(fs::rename(draft, directory.join(part))?)
    };
    // Making keys is what a first start waits for.
    std::thread::scope(|scope| {
        let wechat = scope.spawn(|| made("wechat", make_wechat));
        made("alipay", make_alipay)?;
        wechat.join().map_err(|_| anyhow!("no keys were made"))?
    })?;
    open(directory).with_context(|| format!("the sandbox's keys in {}", directory.display()))
}

fn make_wechat(directory: &Path, random: &Random) -> anyhow::Result<()> {
    let authority = Authority::new("Pay Root CA", random, None)?;
    let merchant = authority.issue(MCHID, random)?;
    let platform = authority.issue("Pay Platform", random)?;
    let public = PrivateKey::generate()?;
    let id = format!("PUB_KEY_ID_0{MCHID}{:022}", random.below(10_000_000_000));
    let alphabet: Vec<u8> = (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').collect();
    let character = |byte: &u8| char::from(alphabet[usize::from(*byte) % alphabet.len()]);
    let api_key: String = random.bytes::<32>().iter().map(character).collect();
    for (name, text) in [
        ("merchant_key.pem", &merchant.key),
        ("merchant_cert.pem", &merchant.certificate),
        ("platform_public_key.pem", &public.public()?.to_pem()),
        ("platform_private_key.pem", &public.to_pem()),
        ("platform_key_id", &id),
        ("platform_cert.pem", &platform.certificate),
        ("platform_cert_key.pem", &platform.key),
        ("api_v3_key", &api_key),
    ] {
        write(directory, name, text)?;
    }
    Ok(())
}

fn make_alipay(directory: &Path, random: &Random) -> anyhow::Result<()> {
    let root = Authority::new("Root Authority R1", random, None)?;
    let authority = Authority::new("Class 1 Authority", random, Some(&root))?;
    let app = authority.issue(ALIPAY_APP_ID, random)?;
    let alipay = authority.issue("Payments", random)?;
    let next = authority.issue("Payments, next year", random)?;
    // With an empty line between two, as in the real file: some clients take it apart there.
    let roots = [root.certificate(), &elliptic_root(random)?, authority.certificate()].join("\n");
    for (name, text) in [
        ("app_key.pem", &app.key),
        ("app_cert.pem", &app.certificate),
        ("alipay_key.pem", &alipay.key),
        ("alipay_cert.pem", &alipay.certificate),
        ("alipay_next_key.pem", &next.key),
        ("alipay_next_cert.pem", &next.certificate),
        ("root_cert.pem", &roots),
    ] {
        write(directory, name, text)?;
    }
    Ok(())
}

fn private(directory: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Writes a file for its owner alone.
fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    private(directory)?;
    let path = directory.join(name);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// Reads one file of a directory; a mistake names the file.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn text(&self, name: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.0.join(name)).with_context(|| name.to_owned())
    }

    fn key(&self, name: &str) -> anyhow::Result<PrivateKey> {
        PrivateKey::read(&self.text(name)?).with_context(|| name.to_owned())
    }

    /// A certificate that was made here.
    fn certificate(&self, name: &str) -> anyhow::Result<(Certificate, String)> {
        let text = self.text(name)?;
        made_here(&text).with_context(|| name.to_owned())?;
        let certificate = Certificate::read(&text).with_context(|| name.to_owned())?;
        Ok((certificate, text))
    }

    /// A certificate that was made here, with its key.
    fn identity(&self, name: &str, key: &str) -> anyhow::Result<(Certificate, Identity)> {
        let (certificate, text) = self.certificate(name)?;
        let private = self.key(key)?;
        ensure!(fits(&private, &certificate)?, "{key} is not the key of {name}");
        let serial = certificate.serial_hex();
        Ok((certificate, Identity { key: private, serial, certificate: text }))
    }
}

/// Every certificate of the text says that it was made here, and by whom we made too.
fn made_here(text: &str) -> anyhow::Result<()> {
    let blocks = x509_cert::Certificate::load_pem_chain(text.as_bytes())?;
    ensure!(!blocks.is_empty(), "there is no certificate");
    for block in blocks {
        let names = [block.tbs_certificate().issuer(), block.tbs_certificate().subject()];
        let marked = names.iter().all(|name| name.to_string().contains(&format!("O={MARK}")));
        ensure!(marked, "it was not made by this simulator, which takes no other keys");
    }
    Ok(())
}

/// Whether a key is the one that a certificate certifies.
fn fits(key: &PrivateKey, certificate: &Certificate) -> anyhow::Result<bool> {
    Ok(certificate.public_key()?.to_pem() == key.public()?.to_pem())
}

fn open(directory: &Path) -> anyhow::Result<Keys> {
    let wechat = open_wechat(&Files(&directory.join("wechat"))).context("wechat")?;
    let alipay = open_alipay(&Files(&directory.join("alipay"))).context("alipay")?;
    Ok(Keys { directory: directory.to_owned(), wechat, alipay })
}

fn open_wechat(files: &Files<'_>) -> anyhow::Result<Wechat> {
    let (merchant, _) = files.identity("merchant_cert.pem", "merchant_key.pem")?;
    let (_, certificate) = files.identity("platform_cert.pem", "platform_cert_key.pem")?;
    let key = files.key("platform_private_key.pem")?;
    let public = PublicKey::read(&files.text("platform_public_key.pem")?)?;
    ensure!(
        public.to_pem() == key.public()?.to_pem(),
        "platform_private_key.pem does not fit platform_public_key.pem"
    );
    let serial = files.text("platform_key_id")?.trim().to_owned();
    ensure!(serial.starts_with("PUB_KEY_ID_"), "platform_key_id is no id of a public key");
    Ok(Wechat {
        merchant_serial: merchant.serial_hex(),
        merchant: merchant.public_key()?,
        public_key: Identity { key, serial, certificate: String::new() },
        certificate,
        api_key: ApiKey::read(files.text("api_v3_key")?.trim()).context("api_v3_key")?,
    })
}

fn open_alipay(files: &Files<'_>) -> anyhow::Result<Alipay> {
    let (app, _) = files.identity("app_cert.pem", "app_key.pem")?;
    let (_, roots) = files.certificate("root_cert.pem")?;
    let identity = |name: &str, key: &str| -> anyhow::Result<Identity> {
        let (certificate, identity) = files.identity(name, key)?;
        Ok(Identity { serial: certificate.alipay_sn(), ..identity })
    };
    Ok(Alipay {
        app_sn: app.alipay_sn(),
        app: app.public_key()?,
        root_sn: alipay_root_sn(&Certificate::read_all(&roots)?),
        current: identity("alipay_cert.pem", "alipay_key.pem")?,
        next: identity("alipay_next_cert.pem", "alipay_next_key.pem")?,
    })
}

impl Keys {
    /// The settings of a withdraw service that pays through the simulator at `address`. What is missing
    /// is where it is notified: only the gateway's owner knows.
    #[must_use]
    pub fn settings(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let public_key = file("wechat/platform_public_key.pem");
        let id = &self.wechat.public_key.serial;
        vec![
            ("WECHAT_PROVIDER", "wechat".to_owned()),
            ("WECHAT_URL", format!("http://{address}")),
            ("WECHAT_MCH_ID", MCHID.to_owned()),
            ("WECHAT_APP_ID", WECHAT_APP_ID.to_owned()),
            ("WECHAT_MERCHANT_KEY_FILE", file("wechat/merchant_key.pem")),
            ("WECHAT_MERCHANT_CERT_FILE", file("wechat/merchant_cert.pem")),
            ("WECHAT_PUBLIC_KEYS", format!("{id}={public_key}")),
            ("WECHAT_PLATFORM_CERT_FILES", file("wechat/platform_cert.pem")),
            ("WECHAT_API_KEY_FILES", file("wechat/api_v3_key")),
            ("WECHAT_SCENE_ID", "1005".to_owned()),
            ("WECHAT_SCENE_REPORT", "岗位类型=作者;报酬说明=稿费".to_owned()),
            ("WECHAT_PERCEPTION", "劳务报酬".to_owned()),
            ("WECHAT_REMARK", "提现".to_owned()),
            ("ALIPAY_PROVIDER", "alipay".to_owned()),
            ("ALIPAY_URL", format!("http://{address}/gateway.do")),
            ("ALIPAY_APP_ID", ALIPAY_APP_ID.to_owned()),
            ("ALIPAY_APP_KEY_FILE", file("alipay/app_key.pem")),
            ("ALIPAY_APP_CERT_FILE", file("alipay/app_cert.pem")),
            ("ALIPAY_CERT_FILES", file("alipay/alipay_cert.pem")),
            ("ALIPAY_ROOT_CERT_FILE", file("alipay/root_cert.pem")),
            ("ALIPAY_USER_ID", ALIPAY_USER_ID.to_owned()),
            ("ALIPAY_TITLE", "提现".to_owned()),
            ("ALIPAY_SCENE_NAME", "佣金报酬".to_owned()),
            ("ALIPAY_SCENE_REPORT", "岗位类型=作者;报酬说明=稿费".to_owned()),
        ]
    }
}
