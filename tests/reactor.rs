//! The reactor over real sockets, with small cores in place of the server. Nothing sleeps: every wait has a deadline.
#![allow(clippy::unwrap_used)] // A test ends at the first surprise.

mod support;

use keyway::job::{CertificateSource, Completion, Done, Job, JobId, Resources, Work};
use keyway::limits::{LANE_JOBS_MAX, Limits, READ_BYTES, REFUSED_CONNECTIONS_MAX};
use keyway::secret::Secret;
use keyway::server::event::{ConnectionId, Input, Listener, Output};
use keyway::shell::executor::{Completions, Executor};
use keyway::shell::os::{Clock, OsEntropy};
use keyway::shell::reactor::{Core, Reactor};
use keyway::shell::signals::Signals;
use keyway::shell::sockets;
use keyway::store::memory::MemoryStore;
use keyway::time::{Instant, Now};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::free_port;

const DEADLINE: Duration = Duration::from_secs(30);

/// An input as the test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Accepted(ConnectionId),
    Received(ConnectionId, Vec<u8>),
    Ended(ConnectionId),
    Reset(ConnectionId),
    Blocked(ConnectionId),
    Drained(ConnectionId),
    Completed(ConnectionId),
    /// A lane was full.
    Busy(ConnectionId),
    /// On the listener for proofs.
    AcceptedProof(ConnectionId),
    /// The listener for proofs is open, or not.
    Listening(bool),
    Reload,
    Renew,
    Shutdown,
    Timeout,
}
use Seen::*;

/// An output that owns its bytes.
enum Do {
    Send(ConnectionId, Vec<u8>),
    Close(ConnectionId),
    Abort(ConnectionId),
    Pause(ConnectionId),
    Resume(ConnectionId),
    /// Reads the certificate in its lane.
    Submit(ConnectionId),
    StopListening,
    /// Opens the listener for proofs.
    Listen,
    StopChallenge,
    Exit(u8),
    /// Not an output: when the next timeout is due, after the input that caused it.
    Wake(Duration),
}

/// A core that answers each input by a function.
struct Script<F> {
    answer: F,
    outputs: VecDeque<Do>,
    bytes: Vec<u8>,
    now: Now,
    timeout: Option<Instant>,
}

impl<F: FnMut(&Seen) -> Vec<Do>> Script<F> {
    fn see(&mut self, now: Now, seen: &Seen) {
        assert!(self.outputs.is_empty(), "outputs are polled until there are none");
        self.now = now;
        for output in (self.answer)(seen) {
            match output {
                Do::Wake(after) => self.timeout = Some(now.instant + after),
                output => self.outputs.push_back(output),
            }
        }
    }
}

impl<F: FnMut(&Seen) -> Vec<Do>> Core for Script<F> {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        let seen = match input {
            Input::Accepted { connection, listener: Listener::Main, .. } => Accepted(connection),
            Input::Accepted { listener: Listener::Bootstrap | Listener::Metrics, .. } => {
                unreachable!("there is no such listener")
            }
            Input::Received { connection, bytes } => Received(connection, bytes.to_vec()),
            Input::Ended { connection } => Ended(connection),
            Input::Reset { connection } => Reset(connection),
            Input::Blocked { connection } => Blocked(connection),
            Input::Drained { connection } => Drained(connection),
            Input::Completed(Completion { id: JobId::Request(connection), done: Done::Busy }) => {
                Busy(connection)
            }
            Input::Completed(Completion { id: JobId::Request(connection), .. }) => Completed(connection),
            // How a test ends its server.
            Input::Completed(_) => return self.outputs.push_back(Do::Exit(0)),
            Input::Accepted { connection, listener: Listener::Challenge, .. } => AcceptedProof(connection),
            Input::Listening { listener, result } => {
                assert_eq!(listener, Listener::Challenge);
                Listening(result.is_ok())
            }
            Input::Reload => Reload,
            Input::Renew => Renew,
            Input::Shutdown => Shutdown,
            Input::LanesEnded { .. } => unreachable!("this core does not ask for it"),
        };
        self.see(now, &seen);
    }

    fn handle_timeout(&mut self, now: Now) {
        assert!(self.timeout.take().is_some_and(|due| due <= now.instant), "no timeout is due");
        self.see(now, &Timeout);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        Some(match self.outputs.pop_front()? {
            Do::Send(connection, bytes) => {
                self.bytes = bytes;
                Output::Send { connection, bytes: &self.bytes }
            }
            Do::Close(connection) => Output::Close { connection },
            Do::Abort(connection) => Output::Abort { connection },
            Do::Pause(connection) => Output::Pause { connection },
            Do::Resume(connection) => Output::Resume { connection },
            Do::Submit(connection) => {
                let work = Work::LoadCertificate { known: None, now: self.now.utc };
                Output::Submit(Job { id: JobId::Request(connection), work })
            }
            Do::Listen => Output::Listen(Listener::Challenge),
            Do::StopListening => Output::StopListening(Listener::Main),
            Do::StopChallenge => Output::StopListening(Listener::Challenge),
            Do::Exit(code) => Output::Exit(code),
            Do::Wake(_) => unreachable!("kept back"),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }
}

/// A reactor in a thread.
struct Fixture {
    address: SocketAddr,
    /// Where proofs are asked for, once that is listened on.
    challenge_port: u16,
    seen: Receiver<Seen>,
    completions: Completions<Completion>,
    thread: Option<JoinHandle<u8>>,
}

/// Starts a reactor whose core answers by `answer`; the test sees every input.
fn start(connections_max: usize, answer: impl FnMut(&Seen) -> Vec<Do> + Send + 'static) -> Fixture {
    start_with(connections_max, None, answer)
}

fn start_with(
    connections_max: usize,
    certificate: Option<Arc<CertificateSource>>,
    mut answer: impl FnMut(&Seen) -> Vec<Do> + Send + 'static,
) -> Fixture {
    let (report, seen) = mpsc::channel();
    let (ready, parts) = mpsc::channel();
    let challenge_port = free_port();
    let thread = thread::spawn(move || {
        // In this thread only, so that a signal raised in it is seen by this reactor alone.
        let signals = Signals::block().unwrap();
        let listeners = sockets::bind("127.0.0.1", 0).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let limits = Limits { connections_max, ..Limits::default() };
        let reactor = Reactor::new(listeners, signals, Clock::start(), &limits).unwrap();
        let reactor = reactor.with_challenge_port(challenge_port);
        let resources = || Resources {
            certificate: certificate.clone(),
            ..Resources::of(Arc::new(MemoryStore::new()), Box::new(OsEntropy))
        };
        let executor = Executor::start(reactor.waker(), 1, resources).unwrap();
        ready.send((address, executor.completions().clone())).unwrap();
        let answer = move |seen: &Seen| {
            let _ = report.send(seen.clone());
            answer(seen)
        };
        let (outputs, bytes) = Default::default();
        reactor.run(Script { answer, outputs, bytes, now: Now::default(), timeout: None }, executor)
    });
    let (address, completions) = parts.recv_timeout(DEADLINE).unwrap();
    Fixture { address, challenge_port, seen, completions, thread: Some(thread) }
}

impl Fixture {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(DEADLINE).unwrap()
    }

    fn next_accepted(&self) -> ConnectionId {
        match self.next() {
            Accepted(connection) => connection,
            other => panic!("{other:?}"),
        }
    }

    /// Lets a lane answer `connection`.
    fn complete(&self, connection: ConnectionId) {
        self.completions
            .send(vec![Completion { id: JobId::Request(connection), done: Done::CertificateUnchanged }]);
    }

    fn exit_code(mut self) -> u8 {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.completions.send(vec![Completion { id: JobId::Certificate, done: Done::Busy }]);
            let result = thread.join();
            assert!(thread::panicking() || result.is_ok_and(|code| code == 0));
        }
    }
}

/// Sends back what comes, closes when the peer ends and everything was written.
fn echo() -> impl FnMut(&Seen) -> Vec<Do> + Send + 'static {
    let mut blocked = Vec::new();
    let mut ended = Vec::new();
    move |seen| match seen {
        Received(c, bytes) => vec![Do::Send(*c, bytes.clone())],
        Blocked(c) => {
            blocked.push(*c);
            vec![]
        }
        Drained(c) => {
            blocked.retain(|b| b != c);
            if ended.contains(c) { vec![Do::Close(*c), Do::Abort(*c)] } else { vec![] }
        }
        Ended(c) if blocked.contains(c) => {
            ended.push(*c);
            vec![]
        }
        Ended(c) => vec![Do::Close(*c), Do::Abort(*c)],
        Reset(c) => vec![Do::Abort(*c)],
        _ => vec![],
    }
}

fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251) as u8).collect()
}

#[test]
fn bytes_come_back_and_a_half_closed_connection_ends_in_order() {
    let fixture = start(8, echo());
    let mut stream = fixture.connect();
    stream.write_all(b"one").unwrap();
    assert_eq!(read_exactly(&mut stream, 3), b"one");
    // The end of file comes together with the last bytes: one edge for both.
    stream.write_all(b"two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), b"two");
}

#[test]
fn a_megabyte_written_at_once_is_read_to_its_end() {
    let fixture = start(8, echo());
    let mut stream = fixture.connect();
    let mut writer = stream.try_clone().unwrap();
    let sent = pattern(1 << 20);
    let expected = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert!(read_all(&mut stream) == expected);
    writing.join().unwrap();
}

#[test]
fn a_slow_reader_blocks_its_own_connection_until_it_has_read() {
    const ANSWER: usize = 32 << 20;
    let fixture = start(8, |seen| match seen {
        Received(c, bytes) if bytes == b"get" => {
            vec![Do::Send(*c, pattern(ANSWER)), Do::Send(*c, b"end".to_vec())]
        }
        Received(c, _) => vec![Do::Close(*c)],
        _ => vec![],
    });
    let mut stream = fixture.connect();
    let c = fixture.next_accepted();
    stream.write_all(b"get").unwrap();
    assert_eq!(fixture.next(), Received(c, b"get".to_vec()));
    assert_eq!(fixture.next(), Blocked(c));
    stream.write_all(b"more").unwrap();
    // Others are served meanwhile, and prove that "more" was not read.
    let mut other = fixture.connect();
    let o = fixture.next_accepted();
    other.write_all(b"x").unwrap();
    assert_eq!(fixture.next(), Received(o, b"x".to_vec()));
    assert!(read_exactly(&mut stream, ANSWER) == pattern(ANSWER));
    assert_eq!(read_exactly(&mut stream, 3), b"end");
    assert_eq!(fixture.next(), Drained(c));
    assert_eq!(fixture.next(), Received(c, b"more".to_vec()));
    assert_eq!(read_all(&mut stream), b"");
}

#[test]
fn a_close_waits_for_the_unsent_rest_and_reads_on() {
    const ANSWER: usize = 16 << 20;
    let fixture = start(8, |seen| match seen {
        Received(c, bytes) if bytes == b"get" => {
            vec![Do::Pause(*c), Do::Send(*c, pattern(ANSWER)), Do::Close(*c)]
        }
        Ended(c) => vec![Do::Abort(*c)],
        _ => vec![],
    });
    let mut stream = fixture.connect();
    let c = fixture.next_accepted();
    stream.write_all(b"get").unwrap();
    assert_eq!(fixture.next(), Received(c, b"get".to_vec()));
    assert_eq!(fixture.next(), Blocked(c));
    assert!(read_all(&mut stream) == pattern(ANSWER));
    assert_eq!(fixture.next(), Drained(c));
    stream.write_all(b"late").unwrap();
    assert_eq!(fixture.next(), Received(c, b"late".to_vec()));
    drop(stream);
    assert_eq!(fixture.next(), Ended(c));
}

#[test]
fn a_reset_is_told_once_whether_reading_or_writing() {
    for answer in [1, 32 << 20] {
        let fixture = start(8, move |seen| match seen {
            Accepted(c) => vec![Do::Send(*c, pattern(answer))],
            _ => vec![],
        });
        let stream = fixture.connect();
        let c = fixture.next_accepted();
        if answer > 1 {
            assert_eq!(fixture.next(), Blocked(c));
        }
        // Closing with unread bytes resets the connection.
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        drop(stream);
        assert_eq!(fixture.next(), Reset(c));
        // The slot is the core's until it aborts.
        let _other = fixture.connect();
        assert_eq!(fixture.next_accepted().slot, c.slot + 1);
    }
}

#[test]
fn sending_to_a_broken_connection_is_harmless() {
    let fixture = start(8, move |seen| match seen {
        Accepted(c) => vec![Do::Send(*c, b"x".to_vec())],
        Reset(c) => {
            vec![Do::Send(*c, b"x".to_vec()), Do::Resume(*c), Do::Close(*c), Do::Abort(*c), Do::Abort(*c)]
        }
        _ => vec![],
    });
    let stream = fixture.connect();
    let c = fixture.next_accepted();
    assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    drop(stream);
    assert_eq!(fixture.next(), Reset(c));
    let _other = fixture.connect();
    assert_eq!(fixture.next_accepted(), ConnectionId { slot: c.slot, generation: c.generation + 1 });
}

#[test]
fn many_connections_are_served_side_by_side() {
    let fixture = start(400, echo());
    let mut streams: Vec<TcpStream> = (0..400).map(|_| fixture.connect()).collect();
    for round in 0..3u8 {
        for stream in &mut streams {
            stream.write_all(&[round]).unwrap();
        }
        for stream in &mut streams {
            assert_eq!(read_exactly(stream, 1), [round]);
        }
    }
}

#[test]
fn a_paused_connection_is_not_read_and_loses_nothing() {
    // More than one read is there before the pause ends: no other edge comes for the rest.
    let fixture = start(8, |seen| match seen {
        Received(c, bytes) if bytes == b"x" => vec![Do::Send(*c, bytes.clone())],
        Received(c, _) => vec![Do::Pause(*c)],
        Completed(c) => vec![Do::Resume(*c)],
        _ => vec![],
    });
    let stream = fixture.connect();
    let c = fixture.next_accepted();
    let mut other = fixture.connect();
    let o = fixture.next_accepted();
    let sent = pattern(3 * READ_BYTES + 10);
    let mut writer = stream.try_clone().unwrap();
    let bytes = sent.clone();
    let writing = thread::spawn(move || writer.write_all(&bytes).unwrap());
    let mut received = Vec::new();
    while received.len() < sent.len() {
        match fixture.next() {
            Received(id, bytes) if id == c => received.extend(bytes),
            unexpected => panic!("{unexpected:?}"),
        }
        for _ in 0..2 {
            other.write_all(b"x").unwrap();
            assert_eq!(fixture.next(), Received(o, b"x".to_vec()), "the paused connection is not read");
            assert_eq!(read_exactly(&mut other, 1), b"x");
        }
        fixture.complete(c);
        assert_eq!(fixture.next(), Completed(c));
    }
    writing.join().unwrap();
    assert!(received == sent);
    stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(fixture.next(), Ended(c));
}

#[test]
fn a_paused_connection_that_breaks_is_noticed() {
    let fixture = start(8, |seen| match seen {
        Accepted(c) => vec![Do::Send(*c, b"x".to_vec())],
        Received(c, _) => vec![Do::Pause(*c)],
        Reset(c) => vec![Do::Abort(*c)],
        _ => vec![],
    });
    for pauses_first in [true, false] {
        let mut stream = fixture.connect();
        let c = fixture.next_accepted();
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        stream.write_all(b"request").unwrap();
        if pauses_first {
            assert_eq!(fixture.next(), Received(c, b"request".to_vec()));
        }
        // What was not read turns the end into a reset, which may come with the request, in one edge.
        drop(stream);
        if !pauses_first {
            assert_eq!(fixture.next(), Received(c, b"request".to_vec()));
        }
        assert_eq!(fixture.next(), Reset(c));
    }
}

#[test]
fn no_more_connections_than_the_cap_are_accepted() {
    let fixture = start(1, |seen| match seen {
        Received(c, bytes) if bytes == b"x" => vec![Do::Send(*c, bytes.clone())],
        Received(c, _) => vec![Do::Abort(*c)],
        _ => vec![],
    });
    let accepted_max = 1 + REFUSED_CONNECTIONS_MAX;
    let mut streams: Vec<TcpStream> = (0..accepted_max + 3).map(|_| fixture.connect()).collect();
    let ids: Vec<ConnectionId> = (0..accepted_max).map(|_| fixture.next_accepted()).collect();
    for _ in 0..3 {
        streams[0].write_all(b"x").unwrap();
        assert_eq!(fixture.next(), Received(ids[0], b"x".to_vec()));
        assert_eq!(read_exactly(&mut streams[0], 1), b"x");
    }
    for id in &ids[1..4] {
        streams[id.slot as usize].write_all(b"bye").unwrap();
        assert_eq!(fixture.next(), Received(*id, b"bye".to_vec()));
        assert_eq!(fixture.next(), Accepted(ConnectionId { slot: id.slot, generation: 1 }));
    }
}

#[test]
fn what_is_late_for_a_closed_connection_finds_nobody() {
    let mut last: Option<ConnectionId> = None;
    let fixture = start(8, move |seen| match seen {
        Accepted(c) => {
            let late = last.replace(*c);
            late.map_or(vec![], |l| {
                vec![Do::Send(l, b"late".to_vec()), Do::Pause(l), Do::Close(l), Do::Abort(l)]
            })
        }
        Received(c, bytes) if bytes == b"bye" => vec![Do::Abort(*c)],
        Received(c, bytes) => vec![Do::Send(*c, bytes.clone())],
        _ => vec![],
    });
    for generation in 0..20 {
        let mut stream = fixture.connect();
        let c = ConnectionId { slot: 0, generation };
        assert_eq!(fixture.next(), Accepted(c));
        stream.write_all(b"ok").unwrap();
        assert_eq!(read_exactly(&mut stream, 2), b"ok");
        assert_eq!(fixture.next(), Received(c, b"ok".to_vec()));
        stream.write_all(b"bye").unwrap();
        assert_eq!(fixture.next(), Received(c, b"bye".to_vec()));
        assert!(stream.read(&mut [0]).map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |n| n == 0));
    }
}

#[test]
fn a_flood_on_one_connection_does_not_starve_another() {
    let fixture = start(8, |seen| match seen {
        Received(c, bytes) if bytes.len() == 1 => vec![Do::Send(*c, bytes.clone())],
        Received(c, bytes) if bytes.starts_with(b"stop") => vec![Do::Abort(*c)],
        _ => vec![],
    });
    let mut flood = fixture.connect();
    let (stop, stopped) = mpsc::channel::<()>();
    let flooding = thread::spawn(move || {
        let bytes = vec![0; 1 << 20];
        while stopped.try_recv().is_err() {
            flood.write_all(&bytes).unwrap();
        }
    });
    let mut stream = fixture.connect();
    for round in 0..200u8 {
        stream.write_all(&[round]).unwrap();
        assert_eq!(read_exactly(&mut stream, 1), [round]);
    }
    stop.send(()).unwrap();
    flooding.join().unwrap();
}

#[test]
fn a_deadline_wakes_the_core() {
    let mut waiting = None;
    let fixture = start(8, move |seen| match seen {
        Received(c, _) => {
            waiting = Some(*c);
            vec![Do::Wake(Duration::from_millis(1))]
        }
        Timeout => waiting.take().map_or(vec![], |c| vec![Do::Send(c, b"now".to_vec())]),
        _ => vec![],
    });
    let mut stream = fixture.connect();
    for _ in 0..3 {
        stream.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut stream, 3), b"now");
    }
}

#[test]
fn a_lane_answers_what_it_takes_and_a_full_one_says_so_at_once() {
    const JOBS: usize = LANE_JOBS_MAX + 10;
    // The worker waits for a certificate from a pipe until the pipe is closed.
    let (reader, writer) = std::io::pipe().unwrap();
    let file = format!("/proc/self/fd/{}", reader.as_raw_fd()).into();
    let source = CertificateSource { file, password: Secret::new(Vec::new()) };
    let fixture = start_with(8, Some(Arc::new(source)), |seen| match seen {
        Received(c, _) => (0..JOBS).map(|_| Do::Submit(*c)).collect(),
        _ => vec![],
    });
    let mut stream = fixture.connect();
    let c = fixture.next_accepted();
    stream.write_all(b"x").unwrap();
    assert_eq!(fixture.next(), Received(c, b"x".to_vec()));
    // The worker has taken one job, or is yet to wake.
    for _ in 0..JOBS - LANE_JOBS_MAX - 1 {
        assert_eq!(fixture.next(), Busy(c));
    }
    drop(writer);
    let rest: Vec<Seen> = (0..LANE_JOBS_MAX + 1).map(|_| fixture.next()).collect();
    let busy = rest.iter().filter(|seen| **seen == Busy(c)).count();
    assert!(busy <= 1 && rest.iter().all(|seen| [Busy(c), Completed(c)].contains(seen)));
}

#[test]
fn closed_listeners_refuse_while_connections_go_on() {
    let fixture = start(8, |seen| match seen {
        Received(c, bytes) => vec![Do::StopListening, Do::Send(*c, bytes.clone())],
        _ => vec![],
    });
    let mut stream = fixture.connect();
    for _ in 0..2 {
        stream.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut stream, 1), b"x");
    }
    assert_eq!(TcpStream::connect(fixture.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_listener_for_proofs_comes_and_goes() {
    let fixture = start(8, |seen| match seen {
        Received(_, bytes) if bytes == b"open" => vec![Do::Listen],
        Received(_, bytes) if bytes == b"close" => vec![Do::StopChallenge],
        Received(c, bytes) => vec![Do::Send(*c, bytes.clone())],
        _ => vec![],
    });
    let mut main = fixture.connect();
    let m = fixture.next_accepted();
    let mut say = |text: &str| {
        main.write_all(text.as_bytes()).unwrap();
        assert_eq!(fixture.next(), Received(m, text.as_bytes().to_vec()));
    };
    let proofs = ("127.0.0.1", fixture.challenge_port);
    let mut streams = Vec::new();
    for _ in 0..3 {
        assert_eq!(TcpStream::connect(proofs).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        say("open");
        assert_eq!(fixture.next(), Listening(true));
        say("open");
        assert_eq!(fixture.next(), Listening(true), "it is open already");
        let mut stream = TcpStream::connect(proofs).unwrap();
        let AcceptedProof(c) = fixture.next() else { panic!("accepted on another listener") };
        say("close");
        // Its connections go on.
        stream.write_all(b"proof").unwrap();
        assert_eq!(fixture.next(), Received(c, b"proof".to_vec()));
        assert_eq!(read_exactly(&mut stream, 5), b"proof");
        streams.push(stream);
    }
    let _taken = std::net::TcpListener::bind(proofs).unwrap();
    say("open");
    assert_eq!(fixture.next(), Listening(false));
    TcpStream::connect(fixture.address).unwrap();
}

#[test]
fn the_core_chooses_the_exit_code() {
    let fixture = start(8, |seen| match seen {
        // Nothing follows an exit.
        Received(c, _) => vec![Do::Send(*c, b"bye".to_vec()), Do::Exit(7), Do::Send(*c, b"!".to_vec())],
        _ => vec![],
    });
    let mut stream = fixture.connect();
    stream.write_all(b"x").unwrap();
    assert_eq!(read_all(&mut stream), b"bye");
    assert_eq!(fixture.exit_code(), 7);
}

#[allow(unsafe_code)]
fn raise(signal: i32) {
    // SAFETY: signals the calling thread, which blocks it.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn signals_are_inputs_and_a_second_termination_exits_at_once() {
    // Raised in the reactor's thread, so that the other threads of this process are spared.
    let fixture = start(8, |seen| {
        if let Received(_, bytes) = seen {
            raise(i32::from(bytes[0]));
        }
        vec![]
    });
    let mut stream = fixture.connect();
    let c = fixture.next_accepted();
    for (signal, input) in [
        (libc::SIGHUP, Some(Reload)),
        (libc::SIGUSR1, Some(Renew)),
        (libc::SIGTERM, Some(Shutdown)),
        (libc::SIGINT, None),
    ] {
        stream.write_all(&[signal as u8]).unwrap();
        assert_eq!(fixture.next(), Received(c, vec![signal as u8]));
        if let Some(input) = input {
            assert_eq!(fixture.next(), input);
        }
    }
    assert_eq!(fixture.exit_code(), 1);
}
