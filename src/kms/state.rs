//! The states of an object (KMIP 2.1 section 3.3) and the legal ways from one to another.
#![forbid(unsafe_code)]

/// Where an object stands in its life. The codes are KMIP's, and are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum State {
    /// Not to be used yet.
    PreActive = 1,
    /// In use.
    Active = 2,
    /// Not to be used for protection any more.
    Deactivated = 3,
    /// Known to somebody else.
    Compromised = 4,
    /// Its material is gone.
    Destroyed = 5,
    /// Its material is gone, and was known to somebody else.
    DestroyedCompromised = 6,
}

/// All states, for tables and tests.
pub const STATES: [State; 6] = [
    State::PreActive,
    State::Active,
    State::Deactivated,
    State::Compromised,
    State::Destroyed,
    State::DestroyedCompromised,
];

impl State {
    /// The state with KMIP's code `code`.
    pub fn from_code(code: u32) -> Option<State> {
        STATES.into_iter().find(|state| *state as u32 == code)
    }

    /// KMIP's name, as clients print it.
    pub fn name(self) -> &'static str {
        match self {
            State::PreActive => "PreActive",
            State::Active => "Active",
            State::Deactivated => "Deactivated",
            State::Compromised => "Compromised",
            State::Destroyed => "Destroyed",
            State::DestroyedCompromised => "Destroyed_Compromised",
        }
    }

    /// Whether the material is gone.
    pub fn is_destroyed(self) -> bool {
        matches!(self, State::Destroyed | State::DestroyedCompromised)
    }

    /// The state after Activate, where that is legal.
    pub fn activated(self) -> Option<State> {
        (self == State::PreActive).then_some(State::Active)
    }

    /// The state after Revoke, where it changes anything.
    pub fn revoked(self, compromised: bool) -> Option<State> {
        match (self, compromised) {
            (State::PreActive | State::Active | State::Deactivated, true) => Some(State::Compromised),
            (State::PreActive | State::Active, false) => Some(State::Deactivated),
            (State::Destroyed, true) => Some(State::DestroyedCompromised),
            _ => None,
        }
    }

    /// The state after Destroy, where that is legal.
    pub fn destroyed(self) -> Option<State> {
        match self {
            State::PreActive | State::Deactivated => Some(State::Destroyed),
            State::Compromised => Some(State::DestroyedCompromised),
            State::Active | State::Destroyed | State::DestroyedCompromised => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::*;

    #[test]
    fn transitions_are_kmips() {
        assert_eq!(STATES.map(State::activated), [Some(Active), None, None, None, None, None]);
        assert_eq!(
            STATES.map(|s| s.revoked(false)),
            [Some(Deactivated), Some(Deactivated), None, None, None, None]
        );
        assert_eq!(
            STATES.map(|s| s.revoked(true)),
            [Some(Compromised), Some(Compromised), Some(Compromised), None, Some(DestroyedCompromised), None]
        );
        assert_eq!(
            STATES.map(State::destroyed),
            [Some(Destroyed), None, Some(Destroyed), Some(DestroyedCompromised), None, None]
        );
        assert_eq!(State::from_code(2), Some(Active));
        assert_eq!(State::from_code(7), None);
    }
}
