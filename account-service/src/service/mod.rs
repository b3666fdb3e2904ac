//! What the account service does, without gRPC: the posting pipeline and the release of holds.

pub mod poster;
pub mod releases;
