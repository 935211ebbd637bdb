//! A connection: where it stands, and its way from the first byte to the last.
#![forbid(unsafe_code)]

use super::Shared;
use super::event::{ConnectionId, Listener};
use super::metrics::{Asked, HandshakeFailure};
use super::routes::Exchange;
use super::timers::Deadline;
use super::tls::TlsSession;
use crate::crypto::x509;
use crate::kms::policy::Principal;
use crate::limits;
use crate::secret::Buffer;
use crate::time::{Instant, Now, Timestamp};
use crate::wire::http::body;
use crate::wire::http::scanner::Scanner;
use log::{debug, warn};
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
    /// The last second in which the certificate that its client has shown is valid.
    pub certificate_until: Option<Timestamp>,
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
    /// Whether requests that were read wait for its next turn; it is paused until then.
    pub awaits_turn: bool,
    /// Bytes of its request charged to the budget of large bodies and answers.
    pub charged_bytes: usize,
    /// Bytes of answers charged to the same until the peer has taken them.
    pub answers_bytes: usize,
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

impl Phase {
    /// Whether nothing is read meanwhile.
    pub fn is_paused(&self) -> bool {
        matches!(self, Phase::Deferred | Phase::Waiting(_) | Phase::Held(_))
    }
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
    /// Whether its client is asked for a certificate, where clients are, or was: a validator is not.
    pub fn judges_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| !session.is_validator())
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
            certificate_until: None,
            is_leaving: false,
            pending: Buffer::default(),
            scanner: Scanner::default(),
            deadline: Deadline::default(),
            ended: false,
            blocked: false,
            sent_bytes: 0,
            asked: None,
            awaits_turn: false,
            charged_bytes: 0,
            answers_bytes: 0,
        }
    }
}

/// Whoever has no certificate, or not the right one, is somebody's concern; other failures are everyday noise. Whether it
/// is one of the former.
fn tell_handshake_failure(connection: &Connection, error: &rustls::Error) -> bool {
    match error {
        rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_) => {
            warn!("{}: refused, its client certificate: {error}", connection.peer);
            true
        }
        _ => {
            debug!("{}: TLS failed: {error}", connection.peer);
            false
        }
    }
}

impl Shared {
    /// Bytes from the peer.
    pub(super) fn receive(&mut self, connection: &mut Connection, bytes: &mut [u8], now: Now) {
        if matches!(connection.phase, Phase::Closing | Phase::Aborted) {
            return;
        }
        let Some(session) = &mut connection.tls else {
            self.consume(connection, bytes, now);
            return self.settle(connection, now);
        };
        if matches!(connection.phase, Phase::Handshake)
            && !session.has_begun()
            && bytes[0].is_ascii_uppercase()
        {
            self.metrics.handshake_failed(HandshakeFailure::PlainHttp);
            return self.refuse_plain_http(connection, bytes, now);
        }
        let mut plain = std::mem::take(&mut self.plain_in);
        let received = session.receive(bytes, &mut plain, self.outputs.buffer());
        let (handshaken, is_validator) = (session.is_handshaken(), session.is_validator());
        let certificate = session.peer_certificate().filter(|_| matches!(connection.phase, Phase::Handshake));
        let client = certificate
            .filter(|_| handshaken)
            .map(|shown| self.client_identity.user_of(shown).zip(x509::valid_until(shown)));
        connection.ended |= session.has_ended();
        self.outputs.send_buffered(connection.id);
        match received {
            Err(error) => {
                let is_refusal = tell_handshake_failure(connection, &error);
                if is_refusal {
                    self.record_refused_authentication(connection, now);
                }
                if matches!(connection.phase, Phase::Handshake) || is_refusal {
                    self.metrics.handshake_failed(match is_refusal {
                        true => HandshakeFailure::Certificate,
                        false => HandshakeFailure::Protocol,
                    });
                }
                self.close(connection, now);
            }
            Ok(()) => {
                if handshaken && matches!(connection.phase, Phase::Handshake) {
                    self.metrics.handshake();
                    self.become_idle(connection, now);
                    match client {
                        Some(Some((user, until))) => {
                            connection.user = Some(user).filter(|_| !self.force_default_username);
                            connection.certificate_until = Some(until);
                        }
                        Some(None) => {
                            warn!(
                                "{}: refused, its certificate has no {} that can be a user",
                                connection.peer,
                                self.client_identity.noun()
                            );
                            self.record_refused_authentication(connection, now);
                            self.close(connection, now);
                        }
                        None => {}
                    }
                    if is_validator {
                        debug!("{}: has validated a proof", connection.peer);
                        self.close(connection, now);
                    }
                }
                if !plain.is_empty() {
                    self.consume(connection, &mut plain, now);
                }
            }
        }
        plain.wipe();
        self.plain_in = plain;
        self.settle(connection, now);
    }

    /// Uses what can be used of `fresh`, after what is pending, and keeps the rest.
    pub(super) fn consume(&mut self, connection: &mut Connection, fresh: &mut [u8], now: Now) {
        if connection.pending.is_empty() {
            let used = self.serve(connection, fresh, now);
            connection.pending.extend_from_slice(&fresh[used..]);
        } else {
            connection.pending.extend_from_slice(fresh);
            self.serve_pending(connection, now);
        }
    }

    pub(super) fn serve_pending(&mut self, connection: &mut Connection, now: Now) {
        let mut pending = std::mem::take(&mut connection.pending);
        let used = self.serve(connection, &mut pending, now);
        if used < pending.len() {
            connection.pending.extend_from_slice(&pending[used..]);
        }
    }

    /// Goes on with what waited for an answer to be written, or for its turn.
    pub(super) fn resume(&mut self, connection: &mut Connection, now: Now) {
        match connection.phase {
            // It has a deadline for what it is to take.
            _ if connection.blocked => {}
            Phase::Idle | Phase::Head => self.become_idle(connection, now),
            // Nothing was read of it while the peer took no answer.
            Phase::Body(ref mut body) => {
                body.since = now.instant;
                let slack = limits::transfer_time(body.bytes.len());
                let deadline = now.instant + self.limits.body_timeout + slack;
                self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
            }
            Phase::Closing => {
                let deadline = now.instant + limits::LINGER_TIMEOUT;
                self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
            }
            _ => {}
        }
        if !connection.pending.is_empty() && matches!(connection.phase, Phase::Idle) {
            self.serve_pending(connection, now);
        }
        self.settle(connection, now);
    }

    /// Ends a connection whose peer has ended, when nothing is left to do for it.
    pub(super) fn settle(&mut self, connection: &mut Connection, now: Now) {
        if !connection.ended {
            return;
        }
        match connection.phase {
            Phase::Deferred | Phase::Waiting(_) | Phase::Held(_) | Phase::Aborted => {}
            _ if connection.blocked => {}
            // The shell learns of the answers first; then the connection goes, in the same turn.
            Phase::Closing => {
                self.timers.set(connection.id, &mut connection.deadline, Some(now.instant));
            }
            Phase::Idle if !connection.pending.is_empty() => {}
            _ => {
                self.close(connection, now);
                self.timers.set(connection.id, &mut connection.deadline, Some(now.instant));
            }
        }
    }

    /// The deadline of a connection has passed.
    pub(super) fn time_out(&mut self, connection: &mut Connection, now: Now) {
        match connection.phase {
            Phase::Handshake => {
                self.metrics.handshake_failed(HandshakeFailure::Timeout);
                self.abort(connection, "took too long for the TLS handshake");
            }
            _ if connection.blocked => self.abort(connection, "took its answer too slowly"),
            Phase::Idle if !connection.pending.is_empty() => self.resume(connection, now),
            Phase::Idle => {
                debug!("{}: idle for too long", connection.peer);
                self.close(connection, now);
            }
            Phase::Head | Phase::Body(_) => self.refuse_slow_request(connection, now),
            Phase::Closing => self.abort(connection, "closed"),
            Phase::Deferred | Phase::Waiting(_) | Phase::Held(_) | Phase::Aborted => {}
        }
    }

    pub(super) fn become_idle(&mut self, connection: &mut Connection, now: Now) {
        if self.drain_until.is_some() {
            return self.close(connection, now);
        }
        connection.phase = Phase::Idle;
        connection.scanner = Scanner::default();
        // One that has answers to take has a deadline for that.
        if !connection.blocked {
            let deadline = now.instant + self.limits.idle_timeout;
            self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
        }
    }

    /// When a peer must have taken all that was sent to it.
    pub(super) fn write_deadline(&self, connection: &Connection, now: Now) -> Instant {
        now.instant + self.limits.write_timeout + limits::transfer_time(connection.sent_bytes)
    }

    /// Says goodbye: what is still to be sent is sent, what still arrives is thrown away.
    pub(super) fn close(&mut self, connection: &mut Connection, now: Now) {
        if matches!(connection.phase, Phase::Closing | Phase::Aborted) {
            return;
        }
        if let Some(session) = &mut connection.tls {
            session.close(self.outputs.buffer());
            self.outputs.send_buffered(connection.id);
        }
        self.outputs.close(connection.id);
        if std::mem::take(&mut connection.awaits_turn) {
            self.outputs.resume(connection.id);
        }
        self.forget_request(connection);
        connection.phase = Phase::Closing;
        let deadline = match connection.blocked {
            true => self.write_deadline(connection, now),
            false => now.instant + limits::LINGER_TIMEOUT,
        };
        self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
    }

    /// Drops a connection.
    pub(super) fn abort(&mut self, connection: &mut Connection, reason: &str) {
        debug!("{}: {reason}", connection.peer);
        self.outputs.abort(connection.id);
        self.forget_request(connection);
        if let Phase::Waiting(exchange) = std::mem::replace(&mut connection.phase, Phase::Aborted) {
            self.abandon(connection, &exchange);
        }
        self.answers_taken(connection);
    }

    pub(super) fn forget_request(&mut self, connection: &mut Connection) {
        match std::mem::take(&mut connection.charged_bytes) {
            bytes if bytes > 0 && matches!(connection.phase, Phase::Waiting(_)) => {
                self.left_in_lanes.insert(connection.id, bytes);
            }
            bytes => self.bodies_bytes -= bytes,
        }
        connection.pending = Buffer::default();
    }
}
