//! The adapters of WeChat Pay and Alipay against a scripted peer: what they send, what they believe of
//! what comes back, and what they make of it.

mod alipay_calls;
mod alipay_certificates;
mod alipay_notices;
mod alipay_orders;
mod bills;
mod channels;
mod keys;
mod patience;
mod peer;
mod settings;
mod simulator;
mod tables;
mod wechat_calls;
mod wechat_faults;
mod wechat_notices;
mod wechat_orders;
