//! How Alipay and WeChat Pay sign, encrypt and report: what an adapter and a simulator both need.
//!
//! Pure functions over bytes, and keys that never print themselves. That they agree with the providers
//! is proven by vectors nobody here wrote (`tests/vectors`) and by independent SDKs. Must not know:
//! HTTP, databases, cash-outs, settings, time.

pub mod alipay;
pub mod bill;
pub mod certificate;
pub mod key;
pub mod seal;
pub mod wechat;

/// Why something is not what it should be, in words that hold no key and nobody's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub &'static str);
