//! What the account service does, without gRPC: the posting pipeline, the release of holds, and where
//! people are paid.

pub mod payees;
pub mod poster;
mod posting;
pub mod releases;
pub mod resealing;
