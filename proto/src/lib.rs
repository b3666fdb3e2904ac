//! The only place where the services meet: generated messages and clients, and the one table of failures.
//!
//! Must not know: how anything is carried out. No SQL, no rules, no JSON bodies.

mod codec;
mod failure;
mod reason;

pub use failure::{Failure, FieldViolation};
pub use reason::{Reason, Row, WalletCode};

/// The account service: balances, statements, holds, holders.
pub mod account {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines)]
    pub mod v1 {
        tonic::include_proto!("cashout.account.v1");
        /// Descriptors for reflection: this service and nothing else.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/account.bin"));
    }
}

/// The withdraw service: cash-outs from request to outcome.
pub mod withdraw {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines)]
    pub mod v1 {
        tonic::include_proto!("cashout.withdraw.v1");
        /// Descriptors for reflection: this service and nothing else.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/withdraw.bin"));
    }
}
