//! The ledger as a pure value: what an account, an entry, a hold and a command are, and the one
//! function that carries a command out.
//!
//! Must not know: databases, gRPC, tasks, the clock. The same code runs on both engines and under the
//! naive model of its property test.

pub mod account;
pub mod apply;
pub mod book;
pub mod command;
pub mod entry;
pub mod hold;
mod holds;
mod journal;
pub mod payee;
pub mod refusal;

pub use account::{Account, Currency, Owner};
pub use apply::apply;
pub use book::{Book, Changes, Head, Recorded};
pub use command::{Command, Facts, Movement, Outcome, Posted, Transfer, Which};
pub use entry::{Entries, Entry, Hash, Side};
pub use hold::{Hold, HoldState};
pub use payee::{Method, Payee};
pub use refusal::Refusal;
