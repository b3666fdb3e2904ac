//! The key directory: made once, for its owner alone, and nothing else is taken.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rails::certificate::Certificate;
use rails::key::PrivateKey;
use sandbox::keys::prepare;

use crate::client::{Bench, keys_in};

fn files(directory: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut all = Vec::new();
    for part in ["wechat", "alipay"] {
        for entry in std::fs::read_dir(directory.join(part))? {
            all.push(entry?.path());
        }
    }
    Ok(all)
}

#[test]
fn keys_are_made_once_and_for_their_owner_alone() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let keys = prepare(directory.path())?;
    let before: Vec<String> =
        files(directory.path())?.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    assert_eq!(before.len(), 15);
    let again = prepare(directory.path())?;
    assert_eq!(keys.wechat.merchant_serial, again.wechat.merchant_serial);
    let after: Vec<String> =
        files(directory.path())?.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    assert_eq!(before, after);
    for path in files(directory.path())? {
        let mode = std::fs::metadata(&path)?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let shown = format!("{keys:?}");
    for text in before.iter().filter(|text| text.contains("PRIVATE KEY")) {
        let line = text.lines().nth(3).unwrap_or_default();
        assert!(!shown.contains(line), "a key is never printed");
    }
    Ok(())
}

#[tokio::test]
async fn a_directory_with_anything_else_in_it_is_refused() -> anyhow::Result<()> {
    let strange_key = PrivateKey::generate()?.to_pem();
    // A published certificate of the real provider's.
    let vectors = include_str!("../../../rails/tests/vectors/alipay.json");
    let real = vectors.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap_or_default();
    let real = real.split("-----END").next().unwrap_or_default().replace("\\n", "\n");
    let real = format!("-----BEGIN CERTIFICATE-----{real}-----END CERTIFICATE-----\n");
    assert!(Certificate::read(&real).is_ok());
    for (name, text) in [
        ("wechat/merchant_key.pem", strange_key.as_str()),
        ("wechat/platform_private_key.pem", strange_key.as_str()),
        ("wechat/platform_cert_key.pem", strange_key.as_str()),
        ("alipay/app_key.pem", strange_key.as_str()),
        ("alipay/alipay_key.pem", strange_key.as_str()),
        ("wechat/merchant_cert.pem", real.as_str()),
        ("alipay/app_cert.pem", real.as_str()),
        ("alipay/root_cert.pem", real.as_str()),
        ("wechat/platform_key_id", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"),
        ("wechat/api_v3_key", "short"),
        ("alipay/alipay_cert.pem", ""),
    ] {
        let directory = tempfile::tempdir()?;
        keys_in(directory.path()).await?;
        assert!(prepare(directory.path()).is_ok());
        std::fs::write(directory.path().join(name), text)?;
        let told = prepare(directory.path()).err().map(|error| format!("{error:#}"));
        let file = name.split('/').nth(1).unwrap_or_default();
        assert!(told.as_ref().is_some_and(|told| told.contains(file)), "{name}: {told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_settings_of_a_merchant_lead_to_files_that_are_there() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let sandbox = bench.sandbox.as_ref().ok_or_else(|| anyhow::anyhow!("it runs"))?;
    let settings = sandbox.settings();
    for (name, value) in &settings {
        if name.contains("_FILE") || *name == "WECHAT_PUBLIC_KEYS" {
            let path = value.split('=').next_back().unwrap_or_default();
            assert!(Path::new(path).exists(), "{name} {value}");
        }
    }
    assert!(settings.iter().any(|(name, _)| *name == "WECHAT_URL"));
    Ok(())
}
