//! What all three services need and nothing else: money, ids, time, randomness, database opening,
//! settings, serving and telemetry.
//!
//! Must not know: any rule of the ledger or of cash-outs, any JSON body, any SQL table of a service.

pub mod actor;
pub mod batch;
mod boundary;
pub mod clock;
pub mod db;
pub mod finished;
pub mod gather;
pub mod kind;
pub mod local;
pub mod metrics;
pub mod money;
pub mod number;
pub mod outgoing;
pub mod peer;
pub mod random;
pub mod report;
pub mod run;
pub mod serve;
pub mod settings;
pub mod telemetry;
pub mod text;
pub mod world;
pub mod writer;
