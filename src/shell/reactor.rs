//! The reactor: one thread that moves bytes, completions, signals and the time into the core, and its effects out.
//!
//! One turn, in fixed order: read the clock, signals, completions, flush what can be written, read what can be read,
//! accept, time out. After every call of the core its effects are carried out, before anything else happens.
//!
//! Readiness is edge-triggered and only a hint. Each connection that can be read is read once a turn, at most
//! [`READ_BYTES`], in the order in which they became ready; so none starves another. What is left over makes the next
//! poll return at once.
#![forbid(unsafe_code)]

use super::connections::{self, Connections, NO_SLOT, Read, Write};
use super::executor::Executor;
use super::os::Clock;
use super::signals::{Signal, Signals};
use crate::job::{Completion, Done};
use crate::limits::{Limits, READ_BYTES, REFUSED_CONNECTIONS_MAX};
use crate::server::Server;
use crate::server::event::{ConnectionId, Input, Output};
use crate::time::{Instant, Now};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// Events taken from the kernel a turn.
const EVENTS_MAX: usize = 1024;
/// Reads a turn, so that completions and deadlines wait for no more than that.
const READS_PER_TURN_MAX: usize = 256;
/// Connections accepted a turn: they come last, work in progress first.
const ACCEPTS_PER_TURN_MAX: usize = 64;
/// How long nothing is accepted after the system ran out of files or memory.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// How long the lanes may finish their jobs after the core asked to exit.
const LANES_TIMEOUT: Duration = Duration::from_secs(10);
/// The exit code of a second SIGTERM, and when the system refuses to poll.
const EXIT_FAILURE: u8 = 1;

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
    listeners: Vec<Listener>,
    signals: Signals,
    clock: Clock,
    connections_max: usize,
}

struct Listener {
    socket: TcpListener,
    /// An edge came, and no accept has come to the end of it since.
    ready: bool,
}

/// The token of listener `index`.
const fn listener_token(index: u32) -> Token {
    own_token(2 + index)
}
const WAKER: Token = own_token(0);
const SIGNALS: Token = own_token(1);

const fn own_token(number: u32) -> Token {
    Token((number as usize) << 32 | NO_SLOT as usize)
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
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        signals.register(poll.registry(), SIGNALS)?;
        let mut listeners: Vec<Listener> =
            listeners.into_iter().map(|socket| Listener { socket, ready: false }).collect();
        for (listener, index) in listeners.iter_mut().zip(0..) {
            poll.registry().register(&mut listener.socket, listener_token(index), Interest::READABLE)?;
        }
        let connections_max = limits.connections_max.saturating_add(REFUSED_CONNECTIONS_MAX);
        Ok(Reactor { poll, waker, listeners, signals, clock, connections_max })
    }

    /// What wakes the reactor when completions are there.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Runs `core` until it asks to exit, lets the lanes finish what they took, and gives the exit code. A second
    /// SIGTERM gives code 1 at once.
    pub fn run<C: Core>(self, core: C, executor: Executor) -> u8 {
        Running {
            now: self.clock.now(),
            reactor: self,
            core,
            executor,
            connections: Connections::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            writable: Vec::new(),
            completions: Vec::new(),
            echoes: VecDeque::new(),
            accept_again: None,
            accept_warned: false,
            signalled: false,
            woken: false,
            terminating: false,
            exit: None,
        }
        .run()
    }
}

struct Running<C> {
    reactor: Reactor,
    core: C,
    executor: Executor,
    connections: Connections,
    /// The clock, read once a turn.
    now: Now,
    /// Every read goes here. It holds nothing between two reads.
    buffer: Box<[u8]>,
    /// Blocked connections that can be written again.
    writable: Vec<ConnectionId>,
    /// Taken from the lanes; empty between turns.
    completions: Vec<Completion>,
    /// What effects of the core have caused, to be told when it has no more of them.
    echoes: VecDeque<Echo>,
    /// Nothing is accepted before.
    accept_again: Option<Instant>,
    /// The lack of files or memory was logged.
    accept_warned: bool,
    signalled: bool,
    woken: bool,
    /// One SIGTERM came.
    terminating: bool,
    exit: Option<Exit>,
}

/// The consequence of an effect.
enum Echo {
    Blocked(ConnectionId),
    Reset(ConnectionId),
    Completed(Completion),
}

#[derive(Clone, Copy)]
enum Exit {
    /// When the lanes are done.
    Orderly(u8),
    /// At once.
    Hasty(u8),
}

impl<C: Core> Running<C> {
    fn run(mut self) -> u8 {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.carry_out(); // What the core wants before anything has happened.
        loop {
            match self.exit {
                None => self.turn(&mut events),
                Some(Exit::Hasty(code)) => return code,
                Some(Exit::Orderly(code)) => {
                    drop(self.connections);
                    if !self.executor.shut_down(LANES_TIMEOUT) {
                        ::log::error!("a job did not end within {} s", LANES_TIMEOUT.as_secs());
                    }
                    return code;
                }
            }
        }
    }

    fn turn(&mut self, events: &mut Events) {
        match self.reactor.poll.poll(events, self.patience()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => {
                ::log::error!("the system cannot poll: {error}");
                self.exit = Some(Exit::Hasty(EXIT_FAILURE));
                return;
            }
        }
        self.now = self.reactor.clock.now();
        self.note(events);
        let steps = [
            Self::take_signals,
            Self::take_completions,
            Self::flush,
            Self::read,
            Self::accept,
            Self::time_out,
        ];
        for step in steps {
            step(self);
            if self.exit.is_some() {
                return;
            }
        }
    }

    /// How long the poll may wait: not at all while work is left over.
    fn patience(&self) -> Option<Duration> {
        let accept_ready = self.has_room() && self.reactor.listeners.iter().any(|listener| listener.ready);
        if self.connections.ready_len() > 0 || (accept_ready && self.accept_again.is_none()) {
            return Some(Duration::ZERO);
        }
        let accept_again = self.accept_again.filter(|_| accept_ready);
        let deadline = [self.core.poll_timeout(), accept_again].into_iter().flatten().min()?;
        Some(deadline.saturating_since(self.now.instant))
    }

    /// Notes what the kernel told; nothing is done yet. Events of closed connections find nobody.
    fn note(&mut self, events: &Events) {
        for event in events {
            let id = connections::id(event.token());
            if id.slot != NO_SLOT {
                let ending = event.is_read_closed() || event.is_error();
                if event.is_readable() || ending {
                    self.connections.set_readable(id, ending);
                }
                let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                if writable && self.connections.is_blocked(id) {
                    self.writable.push(id);
                }
            } else if event.token() == WAKER {
                self.woken = true;
            } else if event.token() == SIGNALS {
                self.signalled = true;
            } else {
                let index = (id.generation - 2) as usize;
                if let Some(listener) = self.reactor.listeners.get_mut(index) {
                    listener.ready = true;
                }
            }
        }
    }

    fn take_signals(&mut self) {
        if !std::mem::take(&mut self.signalled) {
            return;
        }
        while let Some(signal) = self.reactor.signals.next() {
            match signal {
                Signal::Reload => self.handle(Input::Reload),
                Signal::Terminate if self.terminating => {
                    ::log::warn!("asked to exit twice: exiting at once");
                    self.exit = Some(Exit::Hasty(EXIT_FAILURE));
                    return;
                }
                Signal::Terminate => {
                    self.terminating = true;
                    self.handle(Input::Shutdown);
                }
            }
        }
    }

    fn take_completions(&mut self) {
        if !std::mem::take(&mut self.woken) {
            return;
        }
        let mut completions = std::mem::take(&mut self.completions);
        self.executor.completions().take(&mut completions);
        for completion in completions.drain(..) {
            self.handle(Input::Completed(completion));
        }
        self.completions = completions;
    }

    fn flush(&mut self) {
        while let Some(id) = self.writable.pop() {
            if !self.connections.is_blocked(id) {
                continue;
            }
            match self.connections.flush(id) {
                Write::Done => self.handle(Input::Drained { connection: id }),
                Write::Reset => self.handle(Input::Reset { connection: id }),
                Write::Blocked | Write::StillBlocked => {}
            }
        }
    }

    fn read(&mut self) {
        // What becomes ready meanwhile has its turn in the next one.
        for _ in 0..self.connections.ready_len().min(READS_PER_TURN_MAX) {
            let Some((connection, read)) = self.connections.read_next(&mut self.buffer) else {
                return;
            };
            match read {
                Read::Nothing => continue,
                Read::Bytes(count) => {
                    let bytes = &mut self.buffer[..count];
                    self.core.handle_input(self.now, Input::Received { connection, bytes });
                    self.carry_out();
                    // Decryption in place leaves secrets here.
                    self.buffer[..count].fill(0);
                }
                Read::End => self.handle(Input::Ended { connection }),
                Read::Reset => self.handle(Input::Reset { connection }),
            }
            if self.exit.is_some() {
                return;
            }
            self.connections.queue(connection);
        }
    }

    fn has_room(&self) -> bool {
        self.connections.len() < self.reactor.connections_max
    }

    fn accept(&mut self) {
        if self.accept_again.is_some_and(|again| again > self.now.instant) {
            return;
        }
        self.accept_again = None;
        for index in 0..self.reactor.listeners.len() {
            for _ in 0..ACCEPTS_PER_TURN_MAX {
                if !self.accept_from(index) {
                    break;
                }
            }
        }
    }

    /// Accepts one connection; `false` when no other can be.
    fn accept_from(&mut self, index: usize) -> bool {
        if !self.has_room() || self.accept_again.is_some() || self.exit.is_some() {
            return false;
        }
        let Some(listener) = self.reactor.listeners.get_mut(index).filter(|listener| listener.ready) else {
            return false;
        };
        let accepted = listener.socket.accept().and_then(|(socket, peer)| {
            let connection = self.connections.insert(socket, self.reactor.poll.registry())?;
            Ok((connection, peer))
        });
        match accepted {
            Ok((connection, peer)) => {
                self.accept_warned = false;
                self.handle(Input::Accepted { connection, peer });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => listener.ready = false,
            Err(error) if concerns_one_connection(&error) => {}
            // The system ran out of files or memory: trying again at once would spin.
            Err(error) => {
                self.accept_again = Some(self.now.instant + ACCEPT_BACK_OFF);
                if !std::mem::replace(&mut self.accept_warned, true) {
                    ::log::warn!("cannot accept connections: {error}; trying again until it works");
                }
            }
        }
        true
    }

    fn time_out(&mut self) {
        if self.core.poll_timeout().is_some_and(|deadline| deadline <= self.now.instant) {
            self.core.handle_timeout(self.now);
            self.carry_out();
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        if self.exit.is_none() {
            self.core.handle_input(self.now, input);
            self.carry_out();
        }
    }

    /// Carries out the core's effects, tells it their consequences, and so on until there are none.
    fn carry_out(&mut self) {
        loop {
            self.carry_out_outputs();
            if self.exit.is_some() {
                return;
            }
            let Some(echo) = self.echoes.pop_front() else {
                return;
            };
            let input = match echo {
                Echo::Blocked(connection) => Input::Blocked { connection },
                Echo::Reset(connection) => Input::Reset { connection },
                Echo::Completed(completion) => Input::Completed(completion),
            };
            // A connection may have been aborted since.
            if let Input::Blocked { connection } | Input::Reset { connection } = input
                && !self.connections.contains(connection)
            {
                continue;
            }
            self.core.handle_input(self.now, input);
        }
    }

    fn carry_out_outputs(&mut self) {
        while self.exit.is_none()
            && let Some(output) = self.core.poll_output()
        {
            let written = match output {
                Output::Send { connection, bytes } => {
                    Some((connection, self.connections.send(connection, bytes)))
                }
                Output::Close { connection } => Some((connection, self.connections.close(connection))),
                Output::Abort { connection } => {
                    self.connections.remove(connection);
                    None
                }
                Output::Pause { connection } => {
                    self.connections.pause(connection);
                    None
                }
                Output::Resume { connection } => {
                    self.connections.resume(connection);
                    None
                }
                Output::Submit { lane, job } => {
                    if let Err(job) = self.executor.submit(lane, job) {
                        let busy = Completion { id: job.id, done: Done::Busy };
                        self.echoes.push_back(Echo::Completed(busy));
                    }
                    None
                }
                Output::StopListening => {
                    self.reactor.listeners.clear();
                    None
                }
                Output::Exit(code) => {
                    self.exit = Some(Exit::Orderly(code));
                    None
                }
            };
            match written {
                Some((connection, Write::Blocked)) => self.echoes.push_back(Echo::Blocked(connection)),
                Some((connection, Write::Reset)) => self.echoes.push_back(Echo::Reset(connection)),
                Some((_, Write::Done | Write::StillBlocked)) | None => {}
            }
        }
    }
}

/// Whether the peer gave up before it was accepted or the network failed it (accept(2)): the next one may fare better.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
        )
    )
}
