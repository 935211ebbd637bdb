//! The life of an object, written down a second time: a slip in `kms/state.rs` is to be found, not shared.
#![forbid(unsafe_code)]

use crate::kms::state::{STATES, State};
use std::fmt;

/// The state after a Revoke that was accepted.
pub fn revoked(state: State, compromised: bool) -> State {
    match (state, compromised) {
        (State::PreActive | State::Active, false) => State::Deactivated,
        (State::PreActive | State::Active | State::Deactivated, true) => State::Compromised,
        (State::Destroyed, true) => State::DestroyedCompromised,
        (state, _) => state,
    }
}

/// The state after another key has taken its place, where that is accepted.
pub fn replaced(state: State) -> Option<State> {
    match state {
        State::PreActive | State::Active => Some(State::Deactivated),
        State::Deactivated | State::Compromised => Some(state),
        State::Destroyed | State::DestroyedCompromised => None,
    }
}

/// The state after Destroy, where that is accepted.
pub fn destroyed(state: State) -> Option<State> {
    match state {
        State::PreActive | State::Deactivated => Some(State::Destroyed),
        State::Compromised => Some(State::DestroyedCompromised),
        State::Active | State::Destroyed | State::DestroyedCompromised => None,
    }
}

/// A set of states that an object may be in, or that it may be absent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Possible(u8);

impl Possible {
    /// There is no object.
    pub const ABSENT: Possible = Possible(1);
    /// Nothing is known.
    pub const ANY: Possible = Possible(0x7F);

    /// Exactly these states.
    pub fn states(states: &[State]) -> Possible {
        Possible(states.iter().fold(0, |bits, state| bits | bit(*state)))
    }

    /// All but these.
    pub fn other(self) -> Possible {
        Possible(!self.0 & Possible::ANY.0)
    }

    /// What is in both.
    pub fn and(self, other: Possible) -> Possible {
        Possible(self.0 & other.0)
    }

    /// Whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These, and what they may become.
    pub fn and_later(self) -> Possible {
        if self.0 & Possible::ABSENT.0 != 0 {
            return Possible::ANY;
        }
        let mut later = self;
        // The longest way has four steps.
        for _ in 0..4 {
            for state in STATES {
                if later.0 & bit(state) != 0 {
                    later.0 |= Possible::states(successors(state)).0;
                }
            }
        }
        later
    }
}

impl fmt::Debug for Possible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absent = (self.0 & Possible::ABSENT.0 != 0).then_some("absent");
        let states = STATES.into_iter().filter(|state| self.0 & bit(*state) != 0).map(State::name);
        f.debug_list().entries(absent.into_iter().chain(states)).finish()
    }
}

fn bit(state: State) -> u8 {
    1 << state as u32
}

fn successors(state: State) -> &'static [State] {
    match state {
        State::PreActive => &[State::Active, State::Deactivated, State::Compromised, State::Destroyed],
        State::Active => &[State::Deactivated, State::Compromised],
        State::Deactivated => &[State::Compromised, State::Destroyed],
        State::Compromised | State::Destroyed => &[State::DestroyedCompromised],
        State::DestroyedCompromised => &[],
    }
}
