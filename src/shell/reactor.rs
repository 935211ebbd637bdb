//! The reactor: one thread that moves bytes, completions, signals and the time into the core, and its effects out.
//!
//! One turn, in fixed order: read the clock, signals, completions, flush what can be written, read what can be read,
//! accept, time out. After every call of the core its effects are carried out, before anything else happens.
//!
//! Readiness is edge-triggered and only a hint. Each connection that can be read is read once a turn, at most
//! [`READ_BYTES`](crate::limits::READ_BYTES), in the order in which they became ready; so none starves another. What is left over makes the next
//! poll return at once.
#![forbid(unsafe_code)]

mod turn;

use super::backups::Door;
use super::connections::{self, NO_SLOT};
use super::executor::Executor;
use super::os::Clock;
use super::sandbox::{self, Access, Needs};
use super::signals::Signals;
use super::sockets;
use crate::limits::{Limits, REFUSED_CONNECTIONS_MAX};
use crate::server::Server;
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::store::redb::Snapshots;
use crate::time::{Instant, Now};
use mio::net::TcpListener;
use mio::{Interest, Poll, Token, Waker};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use turn::Running;

/// The four calls that drive a core, as [`Server`] has them.
pub trait Core {
    /// Takes one event of the world in.
    fn handle_input(&mut self, now: Now, input: Input<'_>);
    /// Acts on every deadline that has passed.
    fn handle_timeout(&mut self, now: Now);
    /// The next effect on the world, until there is none.
    fn poll_output(&mut self) -> Option<Output<'_>>;
    /// When [`Core::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;
}

impl Core for Server {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.handle_input(now, input);
    }
    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }
    fn poll_output(&mut self) -> Option<Output<'_>> {
        self.poll_output()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

/// What the kernel gave to a reactor that does not run yet.
pub struct Reactor {
    poll: Poll,
    waker: Arc<Waker>,
    listeners: Vec<Listening>,
    /// The number of the next listener: those that come and go have a token of their own each.
    next_listener: u32,
    /// Where the main listeners listen, perhaps only later.
    addresses: Vec<SocketAddr>,
    /// Where the bootstrap server listens, where there is one.
    bootstrap_addresses: Vec<SocketAddr>,
    challenge_port: u16,
    /// What is needed, beside the database, once its owner has chosen one.
    needs_later: Option<Needs>,
    signals: Signals,
    /// Where backups are asked for, while an embedded database is open.
    door: Option<Door>,
    clock: Clock,
    connections_max: usize,
}

/// A socket that connections are accepted from.
struct Listening {
    listener: Listener,
    number: u32,
    socket: TcpListener,
    /// An edge came, and no accept has come to the end of it since.
    ready: bool,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Waker,
    Signals,
    Door,
    /// The listener of this number.
    Listener(u32),
    Connection(ConnectionId),
}

impl Source {
    fn token(self) -> Token {
        let own = |generation| connections::token(ConnectionId { slot: NO_SLOT, generation });
        match self {
            Source::Waker => own(0),
            Source::Signals => own(1),
            Source::Door => own(2),
            Source::Listener(index) => own(3 + index),
            Source::Connection(id) => connections::token(id),
        }
    }

    fn of(token: Token) -> Source {
        match connections::id(token) {
            ConnectionId { slot: NO_SLOT, generation: 0 } => Source::Waker,
            ConnectionId { slot: NO_SLOT, generation: 1 } => Source::Signals,
            ConnectionId { slot: NO_SLOT, generation: 2 } => Source::Door,
            ConnectionId { slot: NO_SLOT, generation } => Source::Listener(generation - 3),
            id => Source::Connection(id),
        }
    }
}

impl Reactor {
    /// Registers everything but connections. At most `limits.connections_max` and [`REFUSED_CONNECTIONS_MAX`] are
    /// accepted at a time.
    pub fn new(
        listeners: Vec<TcpListener>,
        signals: Signals,
        clock: Clock,
        limits: &Limits,
    ) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), Source::Waker.token())?);
        signals.register(poll.registry(), Source::Signals.token())?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let connections_max = limits.connections_max.saturating_add(REFUSED_CONNECTIONS_MAX);
        let mut reactor = Reactor {
            poll,
            waker,
            listeners: Vec::new(),
            next_listener: 0,
            addresses,
            bootstrap_addresses: Vec::new(),
            challenge_port: 0,
            needs_later: None,
            signals,
            door: None,
            clock,
            connections_max,
        };
        for socket in listeners {
            reactor.add_listener(Listener::Main, socket)?;
        }
        Ok(reactor)
    }

    /// Sets the port of [`Listener::Challenge`]; else it takes a free one.
    pub fn with_challenge_port(self, challenge_port: u16) -> Reactor {
        Reactor { challenge_port, ..self }
    }

    /// Listens for the owner first, with these sockets, and for everybody else at these addresses, once the core asks for it.
    pub fn with_bootstrap(
        mut self,
        listeners: Vec<TcpListener>,
        main_addresses: Vec<SocketAddr>,
    ) -> io::Result<Reactor> {
        self.bootstrap_addresses =
            listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        self.addresses = main_addresses;
        for socket in listeners {
            self.add_listener(Listener::Bootstrap, socket)?;
        }
        Ok(self)
    }

    /// Bounds the process to `needs`, and to the database that its owner chooses, once the main listeners are open.
    pub fn with_needs_later(self, needs: Needs) -> Reactor {
        Reactor { needs_later: Some(needs), ..self }
    }

    /// Lets whoever watches the server ask it with these sockets.
    pub fn with_metrics(mut self, listeners: Vec<TcpListener>) -> io::Result<Reactor> {
        for socket in listeners {
            self.add_listener(Listener::Metrics, socket)?;
        }
        Ok(self)
    }

    /// Lets backups be made of this database.
    pub fn with_backups(mut self, snapshots: Snapshots) -> Reactor {
        self.open_door(snapshots);
        self
    }

    /// The keys are served in any case.
    fn open_door(&mut self, snapshots: Snapshots) {
        // One that was there before takes its socket with it.
        self.door = None;
        let door = Door::open(snapshots);
        let registered = door.and_then(|door| {
            door.register(self.poll.registry(), Source::Door.token())?;
            Ok(door)
        });
        match registered {
            Ok(door) => self.door = Some(door),
            Err(error) => ::log::warn!("no backups can be made while this server runs: {error}"),
        }
    }

    fn add_listener(&mut self, listener: Listener, mut socket: TcpListener) -> io::Result<()> {
        let number = self.next_listener;
        self.next_listener = number.wrapping_add(1) % (u32::MAX - 3);
        let token = Source::Listener(number).token();
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(Listening { listener, number, socket, ready: false });
        Ok(())
    }

    /// Opens a listener, unless it is open. An error is one line that says why it cannot be.
    fn listen(&mut self, listener: Listener) -> Result<(), String> {
        if self.listeners.iter().any(|open| open.listener == listener) {
            return Ok(());
        }
        let sockets = match listener {
            Listener::Main => sockets::bind_addresses(&self.addresses),
            Listener::Bootstrap => sockets::bind_addresses(&self.bootstrap_addresses),
            Listener::Challenge => sockets::bind_beside(&self.addresses, self.challenge_port),
            // Open from the start, never later.
            Listener::Metrics => return Ok(()),
        };
        let sockets = sockets.map_err(|error| error.to_string())?;
        for socket in sockets {
            self.add_listener(listener, socket).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The owner has chosen, and the key server listens: files but the database are not needed any more.
    fn narrow(&mut self, folder: Option<&Path>) {
        let Some(mut needs) = self.needs_later.take() else { return };
        if let Some(folder) = folder {
            needs.add(folder, Access::Write);
        }
        sandbox::narrow(&needs);
    }

    fn stop_listening(&mut self, listener: Listener) {
        self.listeners.retain(|open| open.listener != listener);
    }

    /// What wakes the reactor when completions are there.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Runs `core` until it asks to exit, lets the audit log have its last lines, and gives the exit code. A second
    /// SIGTERM gives code 1 at once.
    pub fn run<C: Core>(self, core: C, executor: Executor) -> u8 {
        Running::new(self, core, executor).run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_token_of_its_own() {
        let connection = |slot, generation| Source::Connection(ConnectionId { slot, generation });
        let listeners = [0, 1, 15].map(Source::Listener);
        let connections = [connection(0, 0), connection(0, 1), connection(1, 0), connection(7, u32::MAX)];
        for source in
            [Source::Waker, Source::Signals, Source::Door].into_iter().chain(listeners).chain(connections)
        {
            assert_eq!(Source::of(source.token()), source);
        }
    }
}
