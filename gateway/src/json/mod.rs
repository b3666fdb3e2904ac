//! JSON as the contract needs it: read strictly, written with a fixed order and exact numbers.
//!
//! Must not know: any body of any endpoint.

mod read;
mod write;

pub use read::{Json, read};
pub use write::{Literal, Number, to_body};
