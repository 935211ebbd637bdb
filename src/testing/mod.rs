//! What tests put in the place of the world.
//!
//! # The simulator
//!
//! [`simulator`] plays whole lives of the server, each made of one seed. It drives the very
//! [`Server`](crate::server::Server), [`job::run`](crate::job::run) and
//! [`RedbStore`](crate::store::redb::RedbStore) that production runs, and makes up the rest:
//!
//! * a clock that moves when it is told to;
//! * a network: bytes in pieces, stalls, slow readers, half-closed, reset and forsaken connections, more of them than
//!   the server takes;
//! * lanes without threads: bounded queues, batches, answers that come late and in any order among the lanes;
//! * a [`disk`] that fails at any write, also in the middle of a commit and of a start, and loses what was not synced;
//! * clients of both generations, who pipeline requests of every kind, and rubbish.
//!
//! Every step is held against what the server promises: the contract of each [`Output`](crate::server::event::Output);
//! one answer to each request, in order; what was answered is on the disk after any crash, and what was refused is not;
//! every answer is one that the model foretells; states go one way; limits hold; when the faults are healed everything
//! comes to its end, and no deadline is left.
//!
//! All chance comes from the seed ([`choices`]), so the same seed is the same course of events. `tests/simulation.rs`
//! plays a hundred; a failure names its seed and step. To see that seed again, with everything that happens:
//!
//! ```text
//! KEYWAY_SEED=17 cargo test --test simulation -- --nocapture
//! ```
//!
//! `KEYWAY_SEEDS=10000` plays so many.
//!
//! # The connection
//!
//! [`connection`] is smaller: one connection, bytes chosen by a fuzzer, lanes that answer at once. It asks whether the
//! answers depend on the pieces in which the bytes arrive.
#![forbid(unsafe_code)]

pub mod choices;
pub mod connection;
pub mod disk;
pub mod simulator;
