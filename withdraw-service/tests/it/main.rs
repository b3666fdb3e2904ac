//! The service as a whole, over gRPC, on every engine of this machine, with a ledger that can fail.

mod batches;
mod crash;
mod declined;
mod harness;
mod keys;
mod lanes;
mod ledger;
mod limits;
mod outcomes;
mod reading;
mod remote;
mod restart;
mod reviewing;
mod store;
