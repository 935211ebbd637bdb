//! The shell: sockets, threads, signals and clocks; it decides nothing.
//!
//! The order of a start matters: [`signals::Signals::block`] before the first thread (threads inherit the mask),
//! [`os::harden`] before the first secret, [`memory::tune_allocator`] before the first large buffer. Then
//! [`sockets::bind`], [`reactor::Reactor::new`], [`memory::give_back`] and [`sandbox::enter`] when all is open, [`executor::Executor::start`] with the
//! reactor's waker, and [`reactor::Reactor::run`] until the exit code.
//!
//! Only [`os`], [`memory`], [`signals`] and [`sandbox`] contain `unsafe` code, each block a single system call, and [`allocator`],
//! which overwrites what is freed. Linux only.

pub mod allocator;
pub mod audit;
pub mod backups;
mod connections;
pub mod executor;
pub mod health;
pub mod log;
pub mod memory;
pub mod os;
pub mod reactor;
pub mod sandbox;
pub mod signals;
pub mod sockets;
