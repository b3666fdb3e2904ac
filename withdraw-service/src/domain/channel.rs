//! What keeps the payouts of a provider from being begun, and which cause gives way to which.
//! Must not know: providers, who is told.

/// Why a channel is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The provider's account is short; resumes by itself when there is enough again.
    Balance,
    /// Permission, signature or limit of the platform at the provider: a person repairs it and resumes.
    Provider,
    /// A person wants it.
    Operator,
}

impl Cause {
    /// All of them, from the one that gives way to the others.
    pub const ALL: [Self; 3] = [Self::Balance, Self::Provider, Self::Operator];

    /// The stored name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Provider => "provider",
            Self::Operator => "operator",
        }
    }

    /// The cause of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// Whether it takes the place of what pauses the channel already: a person's word always does, and
    /// what a person has to end must not be ended by a balance.
    #[must_use]
    pub fn replaces(self, standing: Option<Self>) -> bool {
        match standing {
            None => true,
            Some(Self::Balance) => self != Self::Balance,
            Some(Self::Provider | Self::Operator) => self == Self::Operator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_to_end_stays_until_a_person_says_so() {
        let (b, p, o) = (Cause::Balance, Cause::Provider, Cause::Operator);
        for (standing, new, replaces) in [
            (None, b, true),
            (None, p, true),
            (None, o, true),
            (Some(b), b, false),
            (Some(b), p, true),
            (Some(b), o, true),
            (Some(p), b, false),
            (Some(p), p, false),
            (Some(p), o, true),
            (Some(o), b, false),
            (Some(o), p, false),
            (Some(o), o, true),
        ] {
            assert_eq!(new.replaces(standing), replaces, "{new:?} over {standing:?}");
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::from_name(cause.name()), Some(cause));
        }
        assert_eq!(Cause::from_name(""), None);
    }
}
