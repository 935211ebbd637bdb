//! The simulator.
#![forbid(unsafe_code)]

pub mod connection;
pub mod disk;
