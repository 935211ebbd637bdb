//! One connection with a server of its own, by scripted bytes, lanes that answer at once and a clock that stands still:
//! what a peer gets depends on the bytes that it sends, not on the pieces in which they arrive.
//!
//! [`fuzz`] says so of plain HTTP; [`tls`] of TLS.
#![forbid(unsafe_code)]

pub mod tls;

use crate::entropy::Entropy;
use crate::job::{self, Job, Resources};
use crate::limits::Limits;
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::server::{LoadedCertificate, Parts, Server, Tls};
use crate::store::memory::MemoryStore;
use crate::time::{Instant, Now, Timestamp};
use crate::wire::http::response::CONTINUE;
use std::sync::Arc;

/// The body of a fuzz target. Reads `data` as limits, a [`Script`] and a conversation, just as [`crate::wire::http::fuzz`]
/// does. The conversation is answered the same whole, in the script's pieces and byte by byte.
pub fn fuzz(data: &[u8]) {
    let [caps, data @ ..] = data else { return };
    let (script, conversation) = Script::split_off(data);
    let limits = Limits {
        head_bytes_max: [16 * 1024, 1024, 200, 60][usize::from(caps % 4)],
        target_bytes_max: [4096, 100, 20, 8][usize::from(caps / 4 % 4)],
        body_bytes_max: [100_000, 1000, 100, 10][usize::from(caps / 16 % 4)],
        ..Limits::default()
    };
    let answered = |script| {
        let mut peer = Peer::new(limits.clone(), None);
        peer.say(conversation, script);
        peer.finish()
    };
    let whole = answered(Script::WHOLE);
    assert_eq!(whole, answered(script), "in pieces of {script:?}");
    assert_eq!(whole, answered(Script::BYTE_BY_BYTE), "byte by byte");
}

/// How bytes arrive: a number of steps, repeated. Of each step, the lower seven bits are the size of a piece less one;
/// the upper bit says that the peer takes its answers only after a while.
#[derive(Clone, Copy, Debug)]
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    const WHOLE: Script<'static> = Script(&[]);
    const BYTE_BY_BYTE: Script<'static> = Script(&[0]);

    /// A script of at most 15 steps, their number first; and what follows it.
    fn split_off(data: &'a [u8]) -> (Script<'a>, &'a [u8]) {
        let [steps, rest @ ..] = data else { return (Script(&[]), &[]) };
        let (script, rest) = rest.split_at(usize::from(steps % 16).min(rest.len()));
        (Script(script), rest)
    }

    /// The pieces of `bytes`, and whether the peer is slow after each.
    fn pieces<'b>(self, bytes: &'b [u8]) -> impl Iterator<Item = (&'b [u8], bool)> + use<'a, 'b> {
        let mut steps = self.0.iter().cycle();
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let step = steps.next();
            let size = step.map_or(rest.len(), |step| usize::from(step % 128) + 1);
            let piece;
            (piece, rest) = rest.split_at(size.min(rest.len()));
            (!piece.is_empty()).then_some((piece, step.is_some_and(|step| *step >= 128)))
        })
    }
}

/// What a peer has got.
#[derive(PartialEq, Eq)]
struct Answers {
    /// The bytes that were sent to it, but for interim answers.
    bytes: Vec<u8>,
    /// Whether the server ended the conversation.
    closed: bool,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} closed: {}", self.bytes.escape_ascii(), self.closed)
    }
}

const ID: ConnectionId = ConnectionId { slot: 0, generation: 0 };

/// Turns in which one event must have had all its effects.
const TURNS_MAX: usize = 100_000;

/// The other end of the connection, and all of the world that the server sees. Every contract of
/// [`Output`] is asserted.
struct Peer {
    server: Server,
    resources: Resources,
    now: Now,
    /// What was sent and not looked at yet.
    received: Vec<u8>,
    /// The server wants no bytes until a job has been answered.
    paused: bool,
    closed: bool,
    aborted: bool,
    /// The lanes are to end: they have.
    ends: bool,
    exit: Option<u8>,
}

impl Peer {
    /// A peer that was just accepted.
    fn new(limits: Limits, certificate: Option<LoadedCertificate>) -> Peer {
        let now =
            Now { instant: Instant::from_nanos(0), utc: Timestamp::from_unix(1_795_456_600), utc_millis: 0 };
        let store = Arc::new(MemoryStore::new());
        let parts = Parts {
            limits,
            tls: certificate.map_or(Tls::Off, Tls::File),
            ..super::parts(store.clone(), Box::new(Counter(0)), now)
        };
        let mut peer = Peer {
            server: Server::new(parts).expect("the parts fit"),
            resources: Resources::of(store, Box::new(Counter(128))),
            now,
            received: Vec::new(),
            paused: false,
            closed: false,
            aborted: false,
            ends: false,
            exit: None,
        };
        let listener = Listener::Main;
        peer.tell(Input::Accepted { connection: ID, peer: ([127, 0, 0, 1], 40_000).into(), listener });
        peer
    }

    /// Sends all bytes by the script.
    fn say(&mut self, bytes: &[u8], script: Script<'_>) {
        for (piece, is_slow) in script.pieces(bytes) {
            if self.aborted {
                return;
            }
            let answered_bytes = self.received.len();
            self.tell(Input::Received { connection: ID, bytes: &mut piece.to_vec() });
            if is_slow && self.received.len() > answered_bytes && !self.aborted {
                self.tell(Input::Blocked { connection: ID });
                self.tell(Input::Drained { connection: ID });
            }
        }
    }

    /// Sends no more, and waits until the server has forgotten this peer; it then shuts down at once.
    fn finish(mut self) -> Answers {
        let closed = self.closed;
        if !self.aborted {
            self.tell(Input::Ended { connection: ID });
        }
        while !self.aborted {
            self.now.instant = self.server.poll_timeout().expect("an open connection has a deadline");
            self.settle();
        }
        self.tell(Input::Shutdown);
        assert_eq!(self.exit, Some(0), "nothing is left to wait for");
        Answers { bytes: without_interim(self.received), closed }
    }

    /// Lets the server act on one event until it rests.
    fn tell(&mut self, input: Input<'_>) {
        self.server.handle_input(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            if let Some(job) = self.carry_out() {
                assert!(self.paused, "nothing is read while a request waits");
                for completion in job::run(vec![job], &mut self.resources) {
                    self.server.handle_input(self.now, Input::Completed(completion));
                }
            } else if std::mem::take(&mut self.ends) {
                self.server.handle_input(self.now, Input::LanesEnded { in_time: true });
            } else if self.exit.is_none()
                && self.server.poll_timeout().is_some_and(|deadline| deadline <= self.now.instant)
            {
                self.server.handle_timeout(self.now);
            } else {
                assert!(!self.paused || self.aborted, "a request waits for nothing");
                return;
            }
        }
        panic!("the server does not come to rest");
    }

    /// Carries out all effects; gives the job that they ask for.
    fn carry_out(&mut self) -> Option<Job> {
        let mut asked = None;
        while let Some(output) = self.server.poll_output() {
            assert_eq!(self.exit, None, "nothing follows an exit");
            if let Output::Submit(job) = output {
                assert!(asked.is_none() && !self.paused, "one request at a time");
                asked = Some(job);
                continue;
            }
            if let Output::Exit(code) = output {
                self.exit = Some(code);
                continue;
            }
            if let Output::EndLanes = output {
                self.ends = true;
                continue;
            }
            if let Output::StopListening(_) = output {
                continue;
            }
            assert!(!self.aborted, "nothing is said for a connection that is gone");
            match output {
                Output::Send { bytes, .. } => {
                    assert!(!self.closed && !bytes.is_empty(), "what is sent comes before the end");
                    self.received.extend_from_slice(bytes);
                }
                Output::Close { .. } => {
                    assert!(!self.closed, "a connection is closed once");
                    (self.closed, self.paused) = (true, false);
                }
                Output::Abort { .. } => self.aborted = true,
                Output::Pause { .. } => self.paused = true,
                Output::Resume { .. } => self.paused = false,
                Output::Listen(_) => unreachable!("there is no certificates bot"),
                Output::Submit(_) | Output::EndLanes | Output::Exit(_) | Output::StopListening(_) => {
                    unreachable!("see above")
                }
            }
        }
        asked
    }
}

/// What the peer is told for good: whether it is told to continue, too, depends on how much of its body is there when
/// its head is read (RFC 9110 section 10.1.1).
fn without_interim(received: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(received.len());
    let mut rest = received.as_slice();
    while let Some(byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(CONTINUE) {
            rest = after;
        } else {
            out.push(*byte);
            rest = &rest[1..];
        }
    }
    out
}

/// Bytes that differ from each other, and are the same in every run.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}
