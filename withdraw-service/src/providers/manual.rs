//! Manual payout: a person pays outside the system and marks it. There is nothing to send or to ask,
//! so this provider is a name only; `service::review` records what the person says.

/// The provider's name on a withdrawal.
pub const NAME: &str = "manual";
