//! The turns of a running reactor.
#![forbid(unsafe_code)]

use super::{Core, Reactor, Source};
use crate::job::{Completion, Done};
use crate::limits::READ_BYTES;
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::shell::connections::{Connections, Read, Write};
use crate::shell::executor::Executor;
use crate::shell::signals::Signal;
use crate::time::{Instant, Now};
use mio::Events;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

/// Events taken from the kernel a turn.
const EVENTS_MAX: usize = 1024;
/// Reads a turn, so that completions and deadlines wait for no more than that.
const READS_PER_TURN_MAX: usize = 256;
/// Connections accepted a turn: they come last, work in progress first.
const ACCEPTS_PER_TURN_MAX: usize = 64;
/// How long nothing is accepted after the system ran out of files or memory.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// How long the lanes may take for the jobs that they have begun, when the core wants them to end.
const LANES_TIMEOUT: Duration = Duration::from_secs(10);
/// The exit code of a second SIGTERM, and when the system refuses to poll.
const EXIT_FAILURE: u8 = 1;

/// A reactor and its core at work.
pub(super) struct Running<C> {
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
    /// Connections that an edge has told to be broken.
    broken: Vec<ConnectionId>,
    /// Taken from the lanes, the next one last; empty between turns.
    completions: Vec<Completion>,
    /// What effects of the core have caused, to be told when it has no more of them.
    echoes: VecDeque<Echo>,
    /// Nothing is accepted before.
    accept_again: Option<Instant>,
    /// The lack of files or memory was logged.
    accept_warned: bool,
    signalled: bool,
    /// A backup was asked for.
    asked: bool,
    woken: bool,
    /// Where an owner's database is.
    chosen_folder: Option<PathBuf>,
    /// One SIGTERM came.
    terminating: bool,
    exit: Option<Exit>,
}

/// The consequence of an effect.
enum Echo {
    Blocked(ConnectionId),
    Reset(ConnectionId),
    Completed(Completion),
    Listening(Listener, Result<(), String>),
    EndLanes,
}

#[derive(Clone, Copy)]
enum Exit {
    /// When the lanes are done.
    Orderly(u8),
    /// At once.
    Hasty(u8),
}

impl<C: Core> Running<C> {
    pub(super) fn new(reactor: Reactor, core: C, executor: Executor) -> Running<C> {
        Running {
            now: reactor.clock.now(),
            reactor,
            core,
            executor,
            connections: Connections::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            writable: Vec::new(),
            broken: Vec::new(),
            completions: Vec::new(),
            echoes: VecDeque::new(),
            accept_again: None,
            accept_warned: false,
            signalled: false,
            asked: false,
            woken: false,
            chosen_folder: None,
            terminating: false,
            exit: None,
        }
    }

    /// Turns until the core asks to exit; see [`Reactor::run`].
    pub(super) fn run(mut self) -> u8 {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.carry_out(); // What the core wants before anything has happened.
        loop {
            match self.exit {
                None => self.turn(&mut events),
                Some(Exit::Hasty(code)) => return code,
                Some(Exit::Orderly(code)) => {
                    self.leave();
                    return code;
                }
            }
        }
    }

    /// Lets the audit log have its last lines, and the core know of it.
    fn leave(self) {
        let Running { mut core, executor, connections, now, .. } = self;
        drop(connections);
        let completions = executor.completions().clone();
        if !executor.shut_down(LANES_TIMEOUT) {
            tell_late();
        }
        let mut last = Vec::new();
        completions.take(&mut last);
        last.into_iter().for_each(|completion| core.handle_input(now, Input::Completed(completion)));
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
            Self::break_off,
            Self::read,
            Self::accept,
            Self::open_to_backups,
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
        let accept_ready = self.has_room() && self.reactor.listeners.iter().any(|open| open.ready);
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
            match Source::of(event.token()) {
                Source::Waker => self.woken = true,
                Source::Signals => self.signalled = true,
                Source::Door => self.asked = true,
                Source::Listener(number) => {
                    for open in self.reactor.listeners.iter_mut().filter(|open| open.number == number) {
                        open.ready = true;
                    }
                }
                Source::Connection(id) => {
                    let ending = event.is_read_closed() || event.is_error();
                    if event.is_readable() || ending {
                        self.connections.set_readable(id, ending);
                    }
                    if event.is_error() || (event.is_read_closed() && event.is_write_closed()) {
                        self.broken.push(id);
                    }
                    let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                    if writable && self.connections.is_blocked(id) {
                        self.writable.push(id);
                    }
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
                Signal::Renew => self.handle(Input::Renew),
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
        self.executor.completions().take(&mut self.completions);
        self.completions.reverse();
        while let Some(mut completion) = self.completions.pop() {
            if let Done::Provided(Ok(provided)) = &mut completion.done {
                self.chosen_folder = provided.folder.take();
                if let Some(snapshots) = provided.snapshots.take() {
                    self.reactor.open_door(snapshots);
                }
            }
            self.handle(Input::Completed(completion));
        }
    }

    /// Lets the lanes end what they have begun, and tells the core. Others wait for nothing any more.
    fn end_lanes(&mut self) {
        self.connections = Connections::new();
        let mut told = std::mem::take(&mut self.completions);
        told.reverse();
        let in_time = self.executor.end_jobs(LANES_TIMEOUT);
        if !in_time {
            tell_late();
        }
        let mut last = Vec::new();
        self.executor.completions().take(&mut last);
        self.now = self.reactor.clock.now();
        for completion in told.into_iter().chain(last) {
            self.core.handle_input(self.now, Input::Completed(completion));
        }
        self.core.handle_input(self.now, Input::LanesEnded { in_time });
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

    /// Whoever waits for a lane and is gone shall not keep a place.
    fn break_off(&mut self) {
        while let Some(id) = self.broken.pop() {
            if self.connections.set_broken(id) == Write::Reset {
                self.handle(Input::Reset { connection: id });
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

    fn open_to_backups(&mut self) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let questions = std::iter::from_fn(|| self.reactor.door.as_ref()?.next());
        questions.for_each(|question| self.executor.make_backup(question));
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
        let Some(open) = self.reactor.listeners.get_mut(index).filter(|open| open.ready) else {
            return false;
        };
        let listener = open.listener;
        let accepted = open.socket.accept().and_then(|(socket, peer)| {
            let connection = self.connections.insert(socket, self.reactor.poll.registry())?;
            Ok((connection, peer))
        });
        match accepted {
            Ok((connection, peer)) => {
                self.accept_warned = false;
                self.handle(Input::Accepted { connection, peer, listener });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => open.ready = false,
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
                Echo::Listening(listener, result) => Input::Listening { listener, result },
                Echo::EndLanes => {
                    self.end_lanes();
                    continue;
                }
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
                Output::Pause { connection } => Some((connection, self.connections.pause(connection))),
                Output::Resume { connection } => {
                    self.connections.resume(connection);
                    None
                }
                Output::Submit(job) => {
                    if let Err(job) = self.executor.submit(job) {
                        let busy = Completion { id: job.id, done: Done::Busy };
                        self.echoes.push_back(Echo::Completed(busy));
                    }
                    None
                }
                Output::Listen(listener) => {
                    let result = self.reactor.listen(listener);
                    if listener == Listener::Main && result.is_ok() {
                        self.reactor.narrow(self.chosen_folder.as_deref());
                    }
                    self.echoes.push_back(Echo::Listening(listener, result));
                    None
                }
                Output::StopListening(listener) => {
                    self.reactor.stop_listening(listener);
                    None
                }
                Output::EndLanes => {
                    self.echoes.push_back(Echo::EndLanes);
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

fn tell_late() {
    ::log::error!("a job did not end within {} s", LANES_TIMEOUT.as_secs());
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
