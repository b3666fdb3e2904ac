//! The gRPC face of the service: messages to verbs and back.
//!
//! Must not know: SQL, rules. What a message means stands in proto/withdraw.proto.

pub mod convert;
pub mod server;
pub mod stream;
