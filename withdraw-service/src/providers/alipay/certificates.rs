//! With which of Alipay's certificates an answer was signed. One that we do not have yet is asked for and
//! believed only when it comes from the configured roots.
//!
//! Must not know: what is signed, how a certificate is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cashout_common::clock::SECOND_US;
use rails::certificate::Certificate;
use rails::key::PublicKey;

use super::settings::Application;

/// So many new certificates are kept until the next start.
const MOST: usize = 16;
/// How long one that was refused is not asked for again.
const PAUSE_US: i64 = 60 * SECOND_US;
/// Longest chain from a certificate to a root.
const LINKS: usize = 4;

/// Certificates that came after the start.
#[derive(Debug, Clone, Default)]
pub struct Later(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    keys: Vec<New>,
    /// When they were refused, by SN.
    refused: HashMap<String, i64>,
}

#[derive(Debug)]
struct New {
    sn: String,
    key: Arc<PublicKey>,
    until_s: i64,
}

/// A key that is believed for as long as the certificates it comes from are valid.
#[derive(Debug)]
pub struct Believed {
    /// The key.
    pub key: PublicKey,
    /// Until when, seconds since 1970: the first end of its certificate and of those behind it.
    pub until_s: i64,
}

impl Later {
    /// The key of that SN, if it came and is still valid.
    pub fn find(&self, sn: &str, now_us: i64) -> Option<Arc<PublicKey>> {
        let kept = self.valid(now_us);
        kept.keys.iter().find(|new| new.sn == sn).map(|new| new.key.clone())
    }

    /// All keys that came and are still valid.
    pub fn all(&self, now_us: i64) -> Vec<Arc<PublicKey>> {
        self.valid(now_us).keys.iter().map(|new| new.key.clone()).collect()
    }

    /// What is kept, without those whose time is over: they make room, too.
    fn valid(&self, now_us: i64) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keys.retain(|new| now_us.div_euclid(SECOND_US) <= new.until_s);
        kept
    }

    /// Whether it is worth asking for that SN now: it looks like one, and was not refused lately.
    pub fn worth_asking(&self, sn: &str, now_us: i64) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hex = sn.len() == 32 && sn.bytes().all(|b| b.is_ascii_hexdigit());
        let lately = kept.refused.get(sn).is_some_and(|at_us| now_us - at_us < PAUSE_US);
        hex && !lately && kept.keys.len() < MOST
    }

    /// Keeps one that was believed.
    pub fn keep(&self, sn: &str, believed: Believed) -> Arc<PublicKey> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::new(believed.key);
        let (sn, until_s) = (sn.to_owned(), believed.until_s);
        kept.keys.push(New { sn, key: key.clone(), until_s });
        key
    }

    /// Notes that one was refused.
    pub fn refuse(&self, sn: &str, now_us: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.refused.len() >= MOST {
            kept.refused.clear();
        }
        kept.refused.insert(sn.to_owned(), now_us);
    }
}

/// The key of the certificate with that SN in a PEM text, when a chain of valid certificates leads from it
/// to a configured root and the authority that issued it is that of a configured certificate of Alipay's.
/// Those on the way must be allowed to issue.
pub fn believed(application: &Application, sn: &str, pem: &str, now_s: i64) -> Option<Believed> {
    let told = Certificate::read_all(pem).ok()?;
    let valid = |certificate: &Certificate| {
        let (from_s, until_s) = certificate.validity_s();
        (from_s..=until_s).contains(&now_s)
    };
    let own = told.iter().find(|certificate| certificate.alipay_sn() == sn)?;
    // A merchant's certificate has the same roots, and its key is in that merchant's hands.
    if !application.signers.iter().any(|signer| own.shares_issuer_with(&signer.certificate)) {
        return None;
    }
    let between: Vec<&Certificate> = told
        .iter()
        .chain(&application.issuers)
        .filter(|certificate| certificate.is_authority() && valid(certificate))
        .collect();
    let (mut at, mut until_s) = (own, i64::MAX);
    for _ in 0..LINKS {
        if !valid(at) {
            return None;
        }
        until_s = until_s.min(at.validity_s().1);
        if let Some(root) = application.roots.iter().find(|root| valid(root) && at.issued_by(root))
        {
            let until_s = until_s.min(root.validity_s().1);
            return Some(Believed { key: own.public_key().ok()?, until_s });
        }
        at = between.iter().find(|issuer| at.issued_by(issuer)).copied()?;
    }
    None
}
