//! The service as a whole, over gRPC, on every engine of this machine, with a ledger that can fail.

mod alarms;
mod batches;
mod blocked;
mod cancelling;
mod channels;
mod confirming;
mod crash;
mod declined;
mod fake;
mod float;
mod growth;
mod harness;
mod keys;
mod lanes;
mod ledger;
mod limits;
mod notices;
mod outcomes;
mod payable;
mod reading;
mod remote;
mod resending;
mod restart;
mod reviewing;
mod store;
mod tampering;
