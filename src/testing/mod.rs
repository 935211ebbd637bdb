//! The simulator.

pub mod connection;
pub mod disk;
