//! `cashout sandbox`: a simulator of WeChat Pay and Alipay that speaks their real protocols over HTTP,
//! with books of its own: an independent witness of what was asked and what was paid.
//!
//! ```text
//!  HTTP ─▶ serve ─▶ wechat | alipay ─▶ sim ─▶ store ─▶ books ─▶ payout
//!             └──▶ control, page        └ faults, script
//! ```
//!
//! It listens to this machine alone, tells nobody but this machine, and takes no keys but those that it
//! made itself. Must not know: anything of the services that it is watched with.

pub mod alipay;
mod bills;
pub mod books;
pub mod config;
mod control;
pub mod faults;
pub mod keys;
mod notify;
mod page;
pub mod payout;
pub mod script;
mod serve;
pub mod sim;
pub mod store;
pub mod wechat;
mod wire;

pub use config::{Config, SETTINGS};
pub use serve::{Sandbox, bind, start, start_on};
