//! What a service takes from outside besides its settings: the time and chance. Tests set both.

use crate::clock::Clock;
use crate::random::Random;

/// The time and chance a service lives with.
#[derive(Debug, Clone)]
pub struct World {
    /// The only source of time.
    pub clock: Clock,
    /// The only source of randomness.
    pub random: Random,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn real() -> Self {
        Self { clock: Clock::system(), random: Random::from_os() }
    }
}
