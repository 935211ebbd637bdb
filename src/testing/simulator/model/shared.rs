//! An object that every client changes: what is known of it only ever gets more.
#![forbid(unsafe_code)]

use super::super::kmip::{Answer, Ask};
use super::super::lifecycle::Possible;
use super::super::network::Asked;
use crate::kms::object::Object;
use crate::kms::state::State;
use crate::wire::kmip::dialect::Dialect;

/// A shared object.
#[derive(Debug)]
pub struct Shared {
    /// What it may be by now.
    pub possible: Possible,
    /// Its bytes, once an answer has told them.
    material: Option<Vec<u8>>,
}

impl Shared {
    /// One that nothing is known of, but that it is not there yet.
    pub fn new() -> Shared {
        Shared { possible: Possible::ANY, material: None }
    }

    /// A request was answered, accepted or refused for what the object is; it was done some time after it was asked.
    pub fn answered(&mut self, told: &str, asked: &Asked, answer: Option<&Answer>) {
        use State::*;
        let is_v4 = asked.dialect == Dialect::V4;
        let (before, after) = match (&asked.ask, answer) {
            (Ask::Create { active, .. }, Some(_)) => {
                let state = if *active || is_v4 { Active } else { PreActive };
                (Possible::ABSENT, Possible::states(&[state]))
            }
            (Ask::Create { .. }, None) => unchanged(Possible::ABSENT.other()),
            (Ask::Activate { .. }, Some(_)) => (Possible::states(&[PreActive]), Possible::states(&[Active])),
            (Ask::Activate { .. }, None) => unchanged(Possible::states(&[PreActive]).other()),
            (Ask::Revoke { compromised, .. }, Some(_)) if is_v4 => {
                let after = if *compromised { Compromised } else { Deactivated };
                (Possible::states(&[PreActive, Active]), Possible::states(&[after]))
            }
            (Ask::Revoke { .. }, None) if is_v4 => unchanged(Possible::states(&[PreActive, Active]).other()),
            (Ask::Revoke { compromised: true, .. }, Some(_)) => {
                (Possible::ABSENT.other(), Possible::states(&[Compromised, DestroyedCompromised]))
            }
            (Ask::Revoke { .. }, Some(_)) => {
                let after = [Deactivated, Compromised, Destroyed, DestroyedCompromised];
                (Possible::ABSENT.other(), Possible::states(&after))
            }
            (Ask::Revoke { .. }, None) => unchanged(Possible::ABSENT),
            (Ask::Destroy { .. }, Some(_)) => (
                Possible::states(&[PreActive, Deactivated, Compromised]),
                Possible::states(&[Destroyed, DestroyedCompromised]),
            ),
            (Ask::Destroy { .. }, None) => {
                unchanged(Possible::states(&[PreActive, Deactivated, Compromised]).other())
            }
            (Ask::Get { .. }, answer) => {
                let readable = if is_v4 { &[Active][..] } else { &[PreActive, Active] };
                if let Some(answer) = answer {
                    self.learn(told, answer.material.as_deref().expect("a Get is answered with bytes"));
                }
                told_or_not(Possible::states(readable), answer)
            }
            (Ask::GetAttributes { .. }, answer) if is_v4 => told_or_not(Possible::states(&[Active]), answer),
            (Ask::GetAttributes { .. }, Some(answer)) => {
                unchanged(Possible::states(&[answer.state.expect("the state was asked for")]))
            }
            (Ask::GetAttributes { .. }, None) => unchanged(Possible::ABSENT),
            (Ask::Encrypt { .. }, answer) => told_or_not(Possible::states(&[Active]), answer),
            (other, _) => unreachable!("{other:?} is not asked of shared objects"),
        };
        let known = asked.possible;
        assert!(
            !known.and(before).is_empty(),
            "{told}: it was among {known:?} when it was asked, not {before:?}"
        );
        // What it was then, it may have been before this answer came, and have become something since.
        self.narrow(told, known.and(before).and_later().and(after));
    }

    /// It is in the store like this, or not there.
    pub fn found(&mut self, told: &str, object: Option<&Object>) {
        match object {
            None => self.narrow_now(told, Possible::ABSENT),
            Some(object) => {
                self.narrow_now(told, Possible::states(&[object.state]));
                if !object.state.is_destroyed() {
                    self.learn(told, object.material.expose());
                }
            }
        }
    }

    /// It was one of these at some time.
    fn narrow(&mut self, told: &str, states: Possible) {
        self.possible = self.possible.and(states.and_later());
        assert!(!self.possible.is_empty(), "{told}: states go one way only");
    }

    /// It is one of these now.
    fn narrow_now(&mut self, told: &str, states: Possible) {
        let known = self.possible;
        assert!(!known.and(states).is_empty(), "{told} is {states:?}: the model knows only of {known:?}");
        self.possible = known.and(states).and_later();
    }

    fn learn(&mut self, told: &str, bytes: &[u8]) {
        let known = self.material.get_or_insert_with(|| bytes.to_vec());
        assert_eq!(known, bytes, "{told}: other bytes than before");
    }
}

fn unchanged(states: Possible) -> (Possible, Possible) {
    (states, states)
}

fn told_or_not(readable: Possible, answer: Option<&Answer>) -> (Possible, Possible) {
    unchanged(if answer.is_some() { readable } else { readable.other() })
}
