//! One connection and where it stands.
#![forbid(unsafe_code)]

use super::event::{ConnectionId, Listener};
use super::metrics::Asked;
use super::routes::Exchange;
use super::timers::Deadline;
use super::tls::TlsSession;
use crate::kms::policy::Principal;
use crate::secret::Buffer;
use crate::time::Instant;
use crate::wire::http::body;
use crate::wire::http::scanner::Scanner;
use std::cell::OnceCell;
use std::net::SocketAddr;

/// A connection between its accept and its end.
pub struct Connection {
    /// Its name.
    pub id: ConnectionId,
    /// The other end, for the log.
    pub peer: SocketAddr,
    peer_text: OnceCell<Box<str>>,
    /// Where it was accepted: what it may ask for.
    pub listener: Listener,
    /// Who it is that asks, where its certificate says so.
    pub user: Option<Principal>,
    /// It ends with the answer to its request: its certificate was judged by what counts no more.
    pub is_leaving: bool,
    /// Its encryption, where it has one.
    pub tls: Option<Box<TlsSession>>,
    /// Where it stands.
    pub phase: Phase,
    /// What arrived in the clear and was not used yet: part of a head, or requests that wait for their turn.
    pub pending: Buffer,
    /// How much of the pending head was looked at already.
    pub scanner: Scanner,
    /// When it has to have come further.
    pub deadline: Deadline,
    /// The peer sends no more.
    pub ended: bool,
    /// The shell holds bytes that could not be written yet.
    pub blocked: bool,
    /// The size of the last answers, which a slow peer gets time for.
    pub sent_bytes: usize,
    /// The request that is being answered.
    pub asked: Option<Asked>,
    /// Bytes charged to the budget of large bodies.
    pub charged_bytes: usize,
}

/// The life of a connection, in order; from Waiting it returns to Idle.
pub enum Phase {
    /// TLS is being set up.
    Handshake,
    /// Between requests.
    Idle,
    /// A head has begun.
    Head,
    /// A body has begun.
    Body(Box<IncompleteBody>),
    /// The next request waits, unread, for the keys of its token's issuer.
    Deferred,
    /// The request is in a lane.
    Waiting(Exchange),
    /// The answer waits for its line in the audit log.
    Held(Box<Held>),
    /// All was said; what still arrives is thrown away.
    Closing,
    /// Gone; its slot is free.
    Aborted,
}

/// An answer that waits.
pub struct Held {
    /// Its bytes.
    pub answer: Buffer,
    /// Whether the connection lives on after it.
    pub keep_alive: bool,
    /// Whether only a head is wanted, also of another answer in its place.
    pub head_only: bool,
}

/// A body that is arriving.
pub struct IncompleteBody {
    /// What it belongs to.
    pub exchange: Exchange,
    /// Its framing.
    pub decoder: body::Decoder,
    /// What has arrived.
    pub bytes: Buffer,
    /// When it began.
    pub since: Instant,
}

impl Connection {
    /// Whether its client has shown a certificate.
    pub fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.peer_certificate().is_some())
    }

    /// Whether it could be closed without anybody missing an answer.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Handshake) && self.pending.is_empty() && !self.blocked
    }

    /// The other end as it is written.
    pub fn peer_text(&self) -> &str {
        self.peer_text.get_or_init(|| self.peer.to_string().into())
    }

    /// A connection that was just accepted.
    pub fn new(
        id: ConnectionId,
        peer: SocketAddr,
        listener: Listener,
        tls: Option<Box<TlsSession>>,
    ) -> Connection {
        Connection {
            id,
            peer,
            peer_text: OnceCell::new(),
            listener,
            phase: if tls.is_some() { Phase::Handshake } else { Phase::Idle },
            tls,
            user: None,
            is_leaving: false,
            pending: Buffer::default(),
            scanner: Scanner::default(),
            deadline: Deadline::default(),
            ended: false,
            blocked: false,
            sent_bytes: 0,
            asked: None,
            charged_bytes: 0,
        }
    }
}
