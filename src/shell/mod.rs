//! The shell: sockets, threads, signals and clocks; it decides nothing.
//!
//! The order of a start matters: [`signals::Signals::block`] before the first thread (threads inherit the mask),
//! [`os::harden`] before the first secret, [`os::tune_allocator`] before the first large buffer. Then
//! [`sockets::bind`], [`reactor::Reactor::new`], [`executor::Executor::start`] with the reactor's waker, and
//! [`reactor::Reactor::run`] until the exit code.
//!
//! Only [`os`] and [`signals`] contain `unsafe` code, each block a single system call. Linux only.

pub mod audit;
pub mod backups;
mod connections;
pub mod executor;
pub mod health;
pub mod log;
pub mod os;
pub mod reactor;
pub mod signals;
pub mod sockets;
