//! The simulator.
#![forbid(unsafe_code)]

pub mod choices;
pub mod connection;
pub mod disk;
