//! What the operations of one request may take together of the time of others: each is bounded by itself, and a message has
//! many.
#![forbid(unsafe_code)]

use super::refusal::Refusal;
use crate::limits;
use std::cell::Cell;

/// What one request has taken until now.
#[derive(Debug, Default)]
pub struct Effort {
    rounds: Cell<usize>,
    wrapped_bytes: Cell<usize>,
}

impl Effort {
    /// Takes the time of so many HMACs of a short text, to derive a key.
    pub fn derive(&self, rounds: usize) -> Result<(), Refusal> {
        take(&self.rounds, rounds, limits::DERIVATION_ROUNDS_MAX).ok_or_else(|| {
            let most = limits::DERIVATION_ROUNDS_MAX;
            Refusal::invalid(format!(
                "DeriveKey: one request computes {most} HMACs at most: derive fewer keys at a time, or from less data"
            ))
        })
    }

    /// Takes the time of wrapping or unwrapping so many bytes.
    pub fn wrap(&self, bytes: usize) -> Result<(), Refusal> {
        take(&self.wrapped_bytes, bytes, limits::REQUEST_WRAPPED_BYTES_MAX).ok_or_else(|| {
            let most = limits::REQUEST_WRAPPED_BYTES_MAX;
            Refusal::invalid(format!("one request wraps and unwraps {most} bytes at most: send several"))
        })
    }
}

fn take(taken: &Cell<usize>, more: usize, most: usize) -> Option<()> {
    let sum = taken.get().saturating_add(more);
    (sum <= most).then(|| taken.set(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_adds_up_and_what_is_refused_takes_nothing() {
        let effort = Effort::default();
        let most = limits::DERIVATION_ROUNDS_MAX;
        assert!(effort.derive(most - 1).is_ok());
        assert!(effort.derive(2).is_err() && effort.derive(usize::MAX).is_err());
        assert!(effort.derive(1).is_ok() && effort.derive(1).is_err());
        assert!(effort.wrap(limits::REQUEST_WRAPPED_BYTES_MAX).is_ok() && effort.wrap(1).is_err());
    }
}
