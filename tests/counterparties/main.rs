//! SDKs nobody here wrote, as counterparties: what they sign our simulator accepts, what it answers and
//! notifies they verify, and notifications made with them our endpoint hears. `docs/counterparties.md`
//! tells what is proven by whom.

mod alipay;
mod endpoint;
mod listener;
mod sdk;
mod signatures;
mod wechat;
mod world;
