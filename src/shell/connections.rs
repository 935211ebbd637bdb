//! The accepted sockets: a table of slots with generations, and for each what edge-triggered readiness makes one
//! remember.
#![forbid(unsafe_code)]

use crate::secret::Buffer;
use crate::server::event::ConnectionId;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

// A token holds a slot and its generation.
const _: () = assert!(usize::BITS == 64);

/// The slot number that no connection has: tokens with it are the reactor's own.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// The token of a connection's events.
pub(super) fn token(id: ConnectionId) -> Token {
    Token((id.generation as usize) << 32 | id.slot as usize)
}

/// The connection of an event's token.
pub(super) fn id(token: Token) -> ConnectionId {
    ConnectionId { slot: token.0 as u32, generation: (token.0 >> 32) as u32 }
}

/// What a read gave.
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// None at the moment.
    Nothing,
    /// The peer's end of file.
    End,
    /// The connection is broken.
    Reset,
}

/// What a write gave, or whatever else may find the connection broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Nothing waits to be written.
    Done,
    /// Something waits for the socket to become writable: it did not before this call.
    Blocked,
    /// More was added to what waits already.
    StillBlocked,
    /// The connection is broken.
    Reset,
}

/// All connections and the queue of those that can be read.
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Those that are to be read, each once. Names of closed ones may be among them.
    ready: VecDeque<ConnectionId>,
}

struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

struct Connection {
    /// `None` once the connection is broken.
    socket: Option<TcpStream>,
    /// What the socket did not take.
    unsent: Unsent,
    /// The socket may have something to read: an edge came, and no read has come to the end of it since.
    readable: bool,
    /// The edge told of the peer's end of file, for which no other edge comes: read until it is seen.
    ending: bool,
    /// An edge told that nothing can be sent or received any more: a read meets it after what arrived before.
    broken: bool,
    /// The end of file was read.
    ended: bool,
    /// The core does not want to read.
    paused: bool,
    /// The write side is to be shut down once nothing is unsent.
    closing: bool,
    /// It is in the queue.
    queued: bool,
}

impl Connections {
    pub(super) fn new() -> Connections {
        Connections { slots: Vec::new(), free: Vec::new(), ready: VecDeque::new() }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Gives `socket` a slot and registers it. Slots are used again, the last freed first.
    pub(super) fn insert(&mut self, mut socket: TcpStream, registry: &Registry) -> io::Result<ConnectionId> {
        let id = match self.free.last() {
            Some(&slot) => ConnectionId { slot, generation: self.slots[slot as usize].generation },
            None => ConnectionId {
                slot: u32::try_from(self.slots.len()).expect("the cap is far below 2^32"),
                generation: 0,
            },
        };
        // A refusal costs latency only.
        let _ = socket.set_nodelay(true);
        // Both directions once and for ever: an edge for writing comes only after a write that would have blocked.
        registry.register(&mut socket, token(id), Interest::READABLE | Interest::WRITABLE)?;
        let connection = Some(Connection {
            socket: Some(socket),
            unsent: Unsent::default(),
            readable: false,
            ending: false,
            broken: false,
            ended: false,
            paused: false,
            closing: false,
            queued: false,
        });
        match self.free.pop() {
            Some(slot) => self.slots[slot as usize].connection = connection,
            None => self.slots.push(Slot { generation: 0, connection }),
        }
        Ok(id)
    }

    /// Closes the connection, if it is still open, and frees its slot for the next generation.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            let slot = &mut self.slots[id.slot as usize];
            slot.connection = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }

    /// Whether the connection is open.
    pub(super) fn contains(&mut self, id: ConnectionId) -> bool {
        self.get(id).is_some()
    }

    /// Takes in that an edge came; `ending` when it told that the peer ended or broke the connection.
    pub(super) fn set_readable(&mut self, id: ConnectionId, ending: bool) {
        if let Some(connection) = self.get(id) {
            connection.readable = true;
            connection.ending |= ending;
            self.queue(id);
        }
    }

    /// Takes in that an edge told of a break. Of a paused connection no read will meet it: it is broken off.
    pub(super) fn set_broken(&mut self, id: ConnectionId) -> Write {
        self.get(id).map_or(Write::Done, |connection| {
            connection.broken = true;
            connection.break_off_unread()
        })
    }

    /// Stops reading.
    pub(super) fn pause(&mut self, id: ConnectionId) -> Write {
        self.get(id).map_or(Write::Done, |connection| {
            connection.paused = true;
            connection.break_off_unread()
        })
    }

    /// Reads again.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id) {
            connection.paused = false;
            self.queue(id);
        }
    }

    /// How many are queued for reading.
    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Takes the next connection to read from the queue and reads once into `buffer`.
    pub(super) fn read_next(&mut self, buffer: &mut [u8]) -> Option<(ConnectionId, Read)> {
        let id = self.ready.pop_front()?;
        let Some(connection) = self.get(id) else {
            return Some((id, Read::Nothing));
        };
        connection.queued = false;
        let read = connection.read(buffer);
        Some((id, read))
    }

    /// Queues the connection if it can be read and is not queued.
    pub(super) fn queue(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id)
            && !connection.queued
            && connection.wants_read()
        {
            connection.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Writes `bytes` and keeps what the socket does not take.
    pub(super) fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> Write {
        self.get(id).map_or(Write::Done, |connection| connection.send(bytes))
    }

    /// Whether something waits to be written.
    pub(super) fn is_blocked(&mut self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(|connection| !connection.unsent.is_empty())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, id: ConnectionId) -> Write {
        let flushed = self.get(id).map_or(Write::Done, Connection::flush);
        if flushed == Write::Done {
            self.queue(id);
        }
        flushed
    }

    /// Shuts down the write side when nothing is unsent, at once or later, and reads on whatever was paused.
    pub(super) fn close(&mut self, id: ConnectionId) -> Write {
        let Some(connection) = self.get(id) else {
            return Write::Done;
        };
        connection.closing = true;
        connection.paused = false;
        let closed = if connection.unsent.is_empty() { connection.shut_down() } else { Write::StillBlocked };
        self.queue(id);
        closed
    }

    fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation == id.generation { slot.connection.as_mut() } else { None }
    }
}

impl Connection {
    fn wants_read(&self) -> bool {
        self.readable && !self.ended && !self.paused && self.unsent.is_empty() && self.socket.is_some()
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        if !self.wants_read() {
            return Read::Nothing;
        }
        let Some(socket) = &mut self.socket else {
            return Read::Nothing;
        };
        loop {
            match socket.read(buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Read::End;
                }
                Ok(n) => {
                    // A short read emptied the socket: what comes later makes a new edge.
                    self.readable = n == buffer.len() || self.ending;
                    return Read::Bytes(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Read::Nothing;
                }
                Err(_) => {
                    self.break_off();
                    return Read::Reset;
                }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Write {
        if !self.unsent.is_empty() {
            self.unsent.push(bytes);
            return Write::StillBlocked;
        }
        let Some(socket) = &mut self.socket else {
            return Write::Done; // The core will hear, or has heard, of the reset.
        };
        match write_all(socket, bytes) {
            Ok(n) if n == bytes.len() => Write::Done,
            Ok(n) => {
                self.unsent.push(&bytes[n..]);
                Write::Blocked
            }
            Err(_) => {
                self.break_off();
                Write::Reset
            }
        }
    }

    fn flush(&mut self) -> Write {
        let Some(socket) = &mut self.socket else {
            return Write::StillBlocked;
        };
        match write_all(socket, self.unsent.as_slice()) {
            Ok(n) => {
                self.unsent.consume(n);
                match (self.unsent.is_empty(), self.closing) {
                    (false, _) => Write::StillBlocked,
                    (true, false) => Write::Done,
                    (true, true) => self.shut_down(),
                }
            }
            Err(_) => {
                self.break_off();
                Write::Reset
            }
        }
    }

    fn shut_down(&mut self) -> Write {
        match self.socket.as_ref().map(|socket| socket.shutdown(Shutdown::Write)) {
            None | Some(Ok(())) => Write::Done,
            Some(Err(_)) => {
                self.break_off();
                Write::Reset
            }
        }
    }

    /// Breaks off a connection that is broken and not read from.
    fn break_off_unread(&mut self) -> Write {
        if !self.broken || !self.paused || self.socket.is_none() {
            return Write::Done;
        }
        self.break_off();
        Write::Reset
    }

    /// Closes the broken socket, which also ends its registration; the slot stays until the core lets go of it.
    fn break_off(&mut self) {
        self.socket = None;
        self.unsent = Unsent::default();
    }
}

/// Writes until the socket would block and gives how much it took.
fn write_all(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Bytes that wait for a slow reader. They may be an answer in the clear: an idle connection keeps none.
#[derive(Default)]
struct Unsent {
    bytes: Buffer,
    sent: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn push(&mut self, more: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < more.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    fn consume(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.bytes.len() {
            *self = Unsent::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unsent_rest_keeps_its_order_and_gives_its_memory_back() {
        let mut unsent = Unsent::default();
        unsent.push(b"abc");
        unsent.push(b"");
        unsent.consume(2);
        unsent.push(b"defghijk");
        assert_eq!(unsent.as_slice(), b"cdefghijk");
        unsent.consume(9);
        assert!(unsent.is_empty());
        assert_eq!(unsent.bytes.capacity(), 0);
    }
}
