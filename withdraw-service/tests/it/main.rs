//! The service as a whole, over gRPC, on every engine of this machine, with a ledger that can fail.

mod crash;
mod harness;
mod keys;
mod ledger;
mod limits;
mod outcomes;
mod reading;
mod remote;
mod restart;
mod reviewing;
mod store;
