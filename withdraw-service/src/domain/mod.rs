//! What a cash-out is and which rules it follows: pure, the same for both engines.
//!
//! Must not know: tonic, prost, sqlx, tokio, serde, or how anything is stored or sent.

pub mod channel;
pub mod lane;
pub mod method;
pub mod notice;
pub mod numbers;
pub mod policy;
pub mod status;
pub mod withdrawal;
