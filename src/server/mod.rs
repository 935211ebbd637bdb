//! The server core: a state machine without sockets, clocks or threads.
//!
//! Four calls drive it, in the vocabulary of the sans-I/O family: [`Server::handle_input`], [`Server::handle_timeout`],
//! [`Server::poll_output`] and [`Server::poll_timeout`]. After each of the first two the caller polls outputs until
//! there are none.
#![forbid(unsafe_code)]

pub mod event;

use crate::time::{Instant, Now};
use event::{Input, Output};

/// The whole server but its sockets.
pub struct Server {}

impl Server {
    /// Takes one event of the world in.
    pub fn handle_input(&mut self, _now: Now, _input: Input<'_>) {}

    /// Acts on every deadline that has passed.
    pub fn handle_timeout(&mut self, _now: Now) {}

    /// The next effect on the world, until there is none.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        None
    }

    /// When [`Server::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
