//! The public JSON gateway: it authenticates, translates documented JSON to gRPC and back, and answers.
//!
//! Implements docs/http.md. Must not know: SQL, any rule about money (limits, fees and balances
//! live in the services), how a service carries anything out.

mod capital;
mod config;
mod http;
mod identity;
mod json;
mod notify;
mod settlement;
mod upstream;
mod wallet;

pub use config::{Config, SETTINGS};
pub use http::start;
pub use identity::{DevelopmentToken, KeyConfig, development_key};
