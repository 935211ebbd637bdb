//! Connections from both ends: what the peer has sent and has not taken, and what the shell knows of it. The rules of the
//! sockets are those of `shell/connections.rs`.
#![forbid(unsafe_code)]

use super::http::{Reply, ReplyReader};
use super::kmip::Ask;
use super::lifecycle::Possible;
use super::session::Session;
use crate::limits::INLINE_BODY_BYTES_MAX;
use crate::server::event::{ConnectionId, Listener};
use crate::time::Instant;
use crate::wire::kmip::dialect::Dialect;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Bytes of a large request that are not its body: its head and the sizes of its chunks.
const NO_BODY_BYTES_MAX: usize = 2048;

/// All connections.
#[derive(Default)]
pub struct Network {
    wires: BTreeMap<ConnectionId, Wire>,
    /// How often each slot has been used.
    generations: Vec<u32>,
    free: Vec<u32>,
    without_generations: bool,
}

impl Network {
    /// No connections. With `without_generations`, their names are used again as they are.
    pub fn new(without_generations: bool) -> Network {
        Network { without_generations, ..Network::default() }
    }

    /// A new connection, in the slot that was freed last.
    pub fn accept(&mut self, wire: Wire) -> ConnectionId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let id = ConnectionId { slot, generation: self.generations[slot as usize] };
        self.wires.insert(id, wire);
        id
    }

    /// The connection is gone; its slot is free for the next generation.
    pub fn remove(&mut self, id: ConnectionId) -> Wire {
        let wire = self.wires.remove(&id).expect("what is aborted was accepted, and not aborted before");
        self.generations[id.slot as usize] += u32::from(!self.without_generations);
        self.free.push(id.slot);
        wire
    }

    /// A connection that must be open.
    pub fn open(&mut self, id: ConnectionId) -> &mut Wire {
        self.wires.get_mut(&id).expect("nothing is said for a connection that is gone")
    }

    /// A connection, if it is still open.
    pub fn get(&mut self, id: ConnectionId) -> Option<&mut Wire> {
        self.wires.get_mut(&id)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.wires.len()
    }

    /// Those for which `wanted` is true.
    pub fn select(&self, wanted: impl Fn(&Wire) -> bool) -> Vec<ConnectionId> {
        self.wires.iter().filter(|(_, wire)| wanted(wire)).map(|(id, _)| *id).collect()
    }

    /// The least that the server holds of large bodies that it is receiving, as
    /// [`crate::limits::Limits::bodies_bytes_max`] counts them. `refuses_later` says whether what is refused may wait for the
    /// audit log: nothing of it is held then, and no more of it read.
    pub fn bodies_bytes(&self, refuses_later: bool) -> usize {
        let receiving = self.wires.values().filter(|wire| !(refuses_later && wire.paused));
        receiving.map(Wire::body_bytes).sum()
    }

    /// What must hold whenever the server rests. `holds` says whether requests may wait for something else than a lane that
    /// works for them: for the audit log, or for the keys of an issuer. Nobody is waited for longer than `patience`.
    pub fn check_at_rest(&self, holds: bool, now: Instant, patience: Duration) {
        for wire in self.wires.values().filter(|wire| !wire.closed) {
            let is_held = holds && wire.paused;
            let is_awaited = !wire.paused && !wire.is_blocked() && !wire.broken;
            let waited = now.saturating_since(wire.since);
            assert!(!is_awaited || waited <= patience, "a peer has done nothing of use for {waited:?}");
            assert!(
                wire.paused == wire.waits || is_held,
                "nothing is read exactly while a request is in a lane"
            );
            assert!(!wire.said_goodbye, "the last answer is followed by the end");
            assert!(!wire.replies.is_within_reply(), "answers are sent whole");
        }
    }
}

/// A request that was sent, in part at least.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Counts the requests of a simulation.
    pub number: u64,
    pub ask: Ask,
    pub dialect: Dialect,
    /// Where it begins among all bytes of its connection.
    pub start: u64,
    /// Where it ends; `None` if its end is never sent.
    pub end: Option<u64>,
    /// Its body is long enough to be charged to the budget of all.
    pub is_large: bool,
    /// For a shared object: what was possible when it was asked.
    pub possible: Possible,
    /// Whose the object is, where it is another user's.
    pub victim: Option<usize>,
}

/// What a read gave.
pub enum Read {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// What a write gave.
#[derive(Debug, PartialEq)]
pub enum Wrote {
    Done,
    Blocked,
    StillBlocked,
    Reset,
}

/// One connection.
pub struct Wire {
    /// Whose it is.
    pub client: usize,
    /// What it was accepted for.
    pub listener: Listener,
    /// TLS, where both ends speak it. All counts of what was sent and delivered are of what it says.
    session: Option<Box<Session>>,
    /// It speaks HTTP where the server speaks TLS.
    pub is_misled: bool,
    /// When it was accepted.
    pub accepted: Instant,
    /// When it was accepted, or all was sent that there was to send.
    pub since: Instant,
    /// When bytes arrived first after that.
    pub begun: Option<Instant>,
    /// Bytes that had arrived then.
    delivered_before: u64,
    /// Since when what was sent is not taken.
    pub blocked_since: Instant,
    /// The client still waits for answers.
    pub attended: bool,
    /// Requests that are not answered.
    pub asked: VecDeque<Asked>,
    replies: ReplyReader,

    // The peer's end.
    /// Sent and not read by the shell.
    arriving: VecDeque<u8>,
    /// Bytes sent so far.
    pub sent: u64,
    /// The peer sends no more.
    pub finished: bool,
    /// The peer has reset the connection.
    pub reset: bool,
    /// The peer answers whatever is sent to it with a reset.
    pub deaf: bool,
    /// How many bytes the peer lets stand untaken.
    window: usize,
    untaken: usize,

    // The shell's end.
    /// Read so far.
    pub delivered: u64,
    unsent: usize,
    /// The core was told of the peer's end.
    ended: bool,
    /// The core was told that it is broken.
    pub broken: bool,

    // What the core has said.
    pub paused: bool,
    pub closed: bool,
    /// A request is in a lane.
    pub waits: bool,
    /// The lane was full for the request that is next to be answered.
    pub busy: bool,
    /// It came when there were too many.
    pub is_surplus: bool,
    said_goodbye: bool,
}

impl Wire {
    /// A connection of this client, which lets `window` bytes stand untaken.
    pub fn new(client: usize, listener: Listener, window: usize, is_surplus: bool, now: Instant) -> Wire {
        Wire {
            client,
            listener,
            session: None,
            is_misled: false,
            accepted: now,
            since: now,
            begun: None,
            delivered_before: 0,
            blocked_since: now,
            attended: true,
            asked: VecDeque::new(),
            replies: ReplyReader::default(),
            arriving: VecDeque::new(),
            sent: 0,
            finished: false,
            reset: false,
            deaf: false,
            window,
            untaken: 0,
            delivered: 0,
            unsent: 0,
            ended: false,
            broken: false,
            paused: false,
            closed: false,
            waits: false,
            busy: false,
            is_surplus,
            said_goodbye: false,
        }
    }

    /// The same over TLS.
    pub fn with_session(mut self, session: Session) -> Wire {
        self.session = Some(Box::new(session));
        self.flush();
        self
    }

    /// Whether what it carries is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.session.is_some()
    }

    /// Whether TLS is being set up.
    pub fn is_handshaking(&self) -> bool {
        match &self.session {
            Some(session) => session.is_handshaking(),
            None => self.is_misled && self.delivered == 0,
        }
    }

    /// Whether it goes on with a session of TLS from before.
    pub fn is_resumed(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_resumed())
    }

    /// Whether the server has turned it away for want of a certificate.
    pub fn is_turned_away(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_turned_away())
    }

    /// The peer sends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.sent += bytes.len() as u64;
        match &mut self.session {
            None => self.arriving.extend(bytes),
            Some(session) => {
                session.say(bytes);
                self.flush();
            }
        }
    }

    /// Sends what TLS has to send, unless that may answer something that the peer has not taken yet.
    fn flush(&mut self) {
        let Some(session) = &mut self.session else { return };
        let has_taken = !session.is_handshaking() || (self.untaken == 0 && self.unsent == 0);
        if has_taken && !self.finished && !self.reset {
            self.arriving.extend(session.flight());
        }
    }

    /// The peer sends no more; over TLS it says so, if it is `polite`.
    pub fn finish(&mut self, polite: bool) {
        if let Some(session) = self.session.as_mut().filter(|_| polite) {
            self.arriving.extend(session.say_goodbye());
        }
        self.finished = true;
    }

    /// Somebody on the way changes what is sent next.
    pub fn damage_next(&mut self) {
        self.session.iter_mut().for_each(|session| session.damage_next());
    }

    /// The peer gives up.
    pub fn break_off(&mut self) {
        self.reset = true;
        self.arriving.clear();
    }

    /// The least that the server holds of a large body that it is receiving here.
    fn body_bytes(&self) -> usize {
        let Some(asked) = self.asked.front() else { return 0 };
        let is_received = asked.end.is_none_or(|end| end > self.delivered);
        if self.closed || !asked.is_large || !is_received {
            return 0;
        }
        let received = self.delivered.saturating_sub(asked.start) as usize;
        received.saturating_sub(NO_BODY_BYTES_MAX + INLINE_BODY_BYTES_MAX)
    }

    /// Whether the peer can still do something.
    pub fn is_live(&self) -> bool {
        !self.reset && !self.finished
    }

    /// Whether the shell would read, or notice without that the peer has given up.
    pub fn is_readable(&self) -> bool {
        let something = self.reset || self.finished || !self.arriving.is_empty();
        let is_heard = self.reset || !self.paused;
        something && is_heard && !self.ended && !self.broken && self.unsent == 0
    }

    /// The shell reads at most so many bytes.
    pub fn read(&mut self, bytes_max: usize, now: Instant) -> Read {
        if self.reset {
            self.broken = true;
            return Read::Reset;
        }
        if self.arriving.is_empty() {
            self.ended = true;
            return Read::End;
        }
        let bytes: Vec<u8> = self.arriving.drain(..bytes_max.min(self.arriving.len())).collect();
        let delivered = match &mut self.session {
            None => self.delivered + bytes.len() as u64,
            Some(session) => session.arrive(bytes.len()),
        };
        if delivered > self.delivered {
            self.delivered = delivered;
            self.begun.get_or_insert(now);
        }
        Read::Bytes(bytes)
    }

    /// Whether bytes wait for the peer to take some.
    pub fn is_blocked(&self) -> bool {
        self.unsent > 0
    }

    /// Whether the peer has something to take.
    pub fn is_takeable(&self) -> bool {
        !self.broken && (self.untaken > 0 || self.unsent > 0)
    }

    /// The peer takes at most so many bytes, and the shell goes on writing.
    pub fn take(&mut self, bytes_max: usize) -> Wrote {
        self.untaken -= self.untaken.min(bytes_max);
        if self.unsent == 0 {
            self.flush();
            return Wrote::StillBlocked;
        }
        if self.reset || self.deaf {
            return self.fail();
        }
        let written = self.unsent.min(self.window.saturating_sub(self.untaken));
        self.unsent -= written;
        self.untaken += written;
        if self.unsent == 0 { Wrote::Done } else { Wrote::StillBlocked }
    }

    /// The core sends bytes: what they say. The answers in them are looked at before the peer takes them.
    pub fn hear<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        assert!(!self.closed && !bytes.is_empty(), "what is sent comes before the end");
        let plain = match &mut self.session {
            None => Cow::Borrowed(bytes),
            Some(session) => Cow::Owned(session.hear(bytes, self.is_surplus)),
        };
        self.replies.push(&plain);
        plain
    }

    /// What became of the write of so many bytes.
    pub fn send(&mut self, bytes: usize) -> Wrote {
        if self.broken {
            return Wrote::Done;
        }
        if self.unsent > 0 {
            self.unsent += bytes;
            return Wrote::StillBlocked;
        }
        if self.reset || self.deaf {
            return self.fail();
        }
        let written = bytes.min(self.window - self.untaken);
        self.untaken += written;
        self.unsent = bytes - written;
        if self.unsent == 0 { Wrote::Done } else { Wrote::Blocked }
    }

    /// There is nothing more to send.
    pub fn has_sent(&mut self, now: Instant) {
        (self.since, self.begun) = (now, None);
        self.delivered_before = self.delivered;
    }

    /// When the server may have begun to wait for the end of the next request.
    pub fn began_to_wait(&self) -> Instant {
        let is_pending = self.asked.front().is_some_and(|asked| asked.start < self.delivered_before);
        self.begun.filter(|_| !is_pending).unwrap_or(self.since)
    }

    /// The next answer that was sent, with the request that it is for.
    pub fn next_reply(&mut self) -> Option<(Reply, Option<Asked>)> {
        let next = self.asked.front().map(|asked| &asked.ask);
        let reply = self.replies.next_reply(matches!(next, Some(Ask::Version { head_only: true })))?;
        assert!(!self.said_goodbye, "nothing follows an answer that says it is the last");
        self.said_goodbye = reply.closes;
        Some((reply, self.asked.pop_front()))
    }

    /// The core closes; `draining` after it was asked to shut down.
    pub fn close(&mut self, draining: bool, now: Instant, idle_timeout: Duration) -> Wrote {
        assert!(!self.closed, "a connection is closed once");
        if let Some(session) = &mut self.session {
            let is_whole = session.may_be_cut() || session.has_heard_goodbye();
            assert!(is_whole, "a connection is cut, and the client cannot know whether that was all");
        }
        let is_refused = self.session.as_ref().is_some_and(|session| session.is_broken());
        if !self.said_goodbye && !draining && !is_refused {
            let is_idle = now.saturating_since(self.since) >= idle_timeout;
            let has_left = self.session.as_ref().is_some_and(|session| session.has_said_goodbye());
            assert!(self.ended || has_left || is_idle, "a connection is closed for no reason");
            let complete = |asked: &&Asked| asked.end.is_some_and(|end| end <= self.delivered);
            let unanswered = self.asked.iter().find(complete);
            assert!(unanswered.is_none(), "a request was not answered: {unanswered:?}");
        }
        (self.closed, self.paused) = (true, false);
        match (self.broken, self.unsent) {
            (true, _) => Wrote::Done,
            (false, 0) if self.reset => self.fail(),
            (false, 0) => Wrote::Done,
            (false, _) => Wrote::StillBlocked,
        }
    }

    fn fail(&mut self) -> Wrote {
        (self.broken, self.unsent) = (true, 0);
        Wrote::Reset
    }
}
