//! The key management: objects, their states, who may do what, and the operations of KMIP. Decisions over a
//! [`view::View`] of the store; no bytes on a wire, no clock, no randomness but what is handed in.
#![forbid(unsafe_code)]

pub mod access;
pub mod attributes;
pub mod authentication;
pub mod cipher;
pub mod effort;
pub mod fields;
pub mod filters;
pub mod managed;
pub mod named;
pub mod nonces;
pub mod object;
pub mod operation;
pub mod pair;
pub mod policy;
pub mod refusal;
pub mod retrieval;
pub mod rights;
pub mod state;
pub mod streams;
pub mod symmetric;
pub mod tags;
pub mod target;
pub mod terms;
pub mod uses;
pub mod view;
pub mod wrapping;
