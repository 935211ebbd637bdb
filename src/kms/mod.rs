//! The key management: objects, their states, who may do what, and the operations of KMIP. Decisions over a
//! [`view::View`] of the store; no bytes on a wire, no clock, no randomness but what is handed in.

pub mod object;
pub mod rights;
pub mod state;
pub mod view;
