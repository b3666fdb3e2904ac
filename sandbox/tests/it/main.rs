//! The simulator as a merchant meets it: over HTTP, with signatures on both sides.

mod alipay;
mod bills;
mod books;
mod client;
mod control;
mod faults;
mod keys;
mod messages;
mod wechat;
