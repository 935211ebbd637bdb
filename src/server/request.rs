//! Requests on a connection, until each is complete: heads, who asks, and bodies.
#![forbid(unsafe_code)]

use super::Shared;
use super::bootstrap;
use super::connection::{Connection, IncompleteBody, Phase};
use super::event::Listener;
use super::routes::{Exchange, Identity, Route};
use super::tokens::Admission;
use crate::limits;
use crate::secret::Buffer;
use crate::time::Now;
use crate::wire::http::body::Decoder;
use crate::wire::http::head;
use crate::wire::http::response::{self, CONTINUE};
use crate::wire::http::{Framing, Refusal};
use log::warn;

/// Answers of one connection that are made before the next connection has its turn. With one more, which is not charged if
/// it is no longer than this, a peer that takes nothing holds twice as much: see [`limits::Limits::memory_bound_bytes`].
const ANSWERS_BYTES_MAX: usize = limits::INLINE_BODY_BYTES_MAX;

impl Shared {
    /// Answers the requests at the beginning of `data`, as far as they are complete; says how many bytes were used.
    pub(super) fn serve(&mut self, connection: &mut Connection, data: &mut [u8], now: Now) -> usize {
        let mut used = 0;
        while used < data.len() && !connection.blocked && self.plain_out.len() < ANSWERS_BYTES_MAX {
            let rest = &mut data[used..];
            used += match &connection.phase {
                Phase::Idle | Phase::Head => match self.serve_head(connection, rest, now) {
                    Some(bytes) => bytes,
                    None => break,
                },
                Phase::Body(_) => self.serve_body(connection, rest, now),
                Phase::Handshake | Phase::Deferred | Phase::Waiting(_) | Phase::Held(_) => break,
                Phase::Closing | Phase::Aborted => rest.len(),
            };
        }
        self.send_answers(connection, now);
        if used < data.len() && matches!(connection.phase, Phase::Idle) && !connection.blocked {
            // The rest has its turn after the other connections. No more is read until then: it would come faster than it is
            // answered.
            self.timers.set(connection.id, &mut connection.deadline, Some(now.instant));
            if !std::mem::replace(&mut connection.awaits_turn, true) {
                self.outputs.pause(connection.id);
            }
        } else if std::mem::take(&mut connection.awaits_turn) && !connection.phase.is_paused() {
            self.outputs.resume(connection.id);
        }
        used
    }

    /// Reads a head and starts with its request; `None` if the head is not complete.
    fn serve_head(&mut self, connection: &mut Connection, rest: &mut [u8], now: Now) -> Option<usize> {
        if connection.certificate_until.is_some_and(|until| until < now.utc) {
            warn!("{}: refused, its client certificate has expired since it was shown", connection.peer);
            self.record_refused_authentication(connection, now);
            self.refuse(connection, CERTIFICATE_EXPIRED, head::is_of_head_request(rest), now);
            return Some(rest.len());
        }
        let (mut exchange, framing, expects_continue, head_bytes) =
            match head::parse(&mut connection.scanner, rest, &self.limits) {
                Ok(Some((head, head_bytes)))
                    if head.is_preflight()
                        && head.framing == Framing::None
                        && connection.listener != Listener::Bootstrap =>
                {
                    let keep_alive = head.keep_alive && self.drain_until.is_none();
                    response::preflight(&head, keep_alive, &self.date, &mut self.plain_out);
                    self.metrics.preflight();
                    self.after_answer(connection, keep_alive, now);
                    return Some(head_bytes);
                }
                Ok(Some((head, head_bytes))) => {
                    let mut exchange =
                        Exchange::of(&head, connection.listener, self.store.tenants().is_some());
                    if let Route::Bootstrap(hand_over) = exchange.route
                        && let Err(denied) = self.admit(connection.peer.ip(), hand_over, &head, now)
                    {
                        // The body of a stranger is not read.
                        exchange.keep_alive = false;
                        self.answer_owner(connection, &exchange, denied, now);
                        return Some(rest.len());
                    }
                    match self.authenticate(connection, &exchange.route, head.authorization, now) {
                        Admission::Allowed(identity) => exchange.identity = identity,
                        Admission::Deferred => {
                            self.defer(connection);
                            return None;
                        }
                        Admission::Refused(status) => {
                            // The body of a stranger is not read.
                            let has_body = head.framing != Framing::None;
                            exchange.keep_alive &= !has_body;
                            exchange.identity = Identity::Refused;
                            self.refuse_stranger(connection, &exchange, status, now);
                            return Some(if has_body { rest.len() } else { head_bytes });
                        }
                    }
                    (exchange, head.framing, head.expect_continue, head_bytes)
                }
                Ok(None) => {
                    if matches!(connection.phase, Phase::Idle) {
                        connection.phase = Phase::Head;
                        let deadline = now.instant + self.limits.head_timeout;
                        self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
                    }
                    return None;
                }
                Err(refusal) => {
                    self.refuse(connection, refusal, head::is_of_head_request(rest), now);
                    return Some(rest.len());
                }
            };
        let hands_over = matches!(connection.listener, Listener::Main | Listener::Bootstrap);
        if !hands_over && !matches!(framing, Framing::None | Framing::Length(0)) {
            // Nothing here wants a body: the head is answered, and what follows it is not read.
            exchange.keep_alive = false;
            self.dispatch(connection, exchange, &mut [], now);
            return Some(rest.len());
        }
        let body = &mut rest[head_bytes..];
        Some(match framing {
            Framing::None => {
                self.dispatch(connection, exchange, &mut [], now);
                head_bytes
            }
            Framing::Length(length) if length <= body.len() as u64 => {
                let length = length as usize;
                self.dispatch(connection, exchange, &mut body[..length], now);
                head_bytes + length
            }
            framing => {
                self.begin_body(connection, exchange, framing, expects_continue, now);
                head_bytes
            }
        })
    }

    fn begin_body(
        &mut self,
        connection: &mut Connection,
        exchange: Exchange,
        framing: Framing,
        expects_continue: bool,
        now: Now,
    ) {
        let mut bytes = Buffer::new(Vec::new());
        if let Framing::Length(length) = framing {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if connection.listener == Listener::Bootstrap && length > bootstrap::BODY_BYTES_MAX {
                return self.refuse(connection, HAND_OVER_TOO_LARGE, exchange.head_only, now);
            }
            // It is charged as it arrives: whoever only announces it shall take no room from others.
            if !self.has_room(length.saturating_sub(limits::INLINE_BODY_BYTES_MAX)) {
                return self.refuse(connection, NO_ROOM_FOR_BODY, exchange.head_only, now);
            }
            bytes.reserve(length.min(limits::INLINE_BODY_BYTES_MAX));
        }
        if expects_continue {
            self.plain_out.extend_from_slice(CONTINUE);
        }
        let decoder = Decoder::new(framing, &self.limits);
        let body = IncompleteBody { exchange, decoder, bytes, since: now.instant };
        connection.phase = Phase::Body(Box::new(body));
        let deadline = now.instant + self.limits.body_timeout;
        self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
    }

    /// Takes in more of a body, and starts with the request when it is complete.
    fn serve_body(&mut self, connection: &mut Connection, rest: &mut [u8], now: Now) -> usize {
        let Phase::Body(body) = &mut connection.phase else { return 0 };
        let head_only = body.exchange.head_only;
        let used = match body.decoder.decode(rest, &mut body.bytes) {
            Ok(used) => used,
            Err(refusal) => {
                self.refuse(connection, refusal, head_only, now);
                return rest.len();
            }
        };
        let (received, since, complete) = (body.bytes.len(), body.since, body.decoder.is_complete());
        if connection.listener == Listener::Bootstrap && received > bootstrap::BODY_BYTES_MAX {
            self.refuse(connection, HAND_OVER_TOO_LARGE, head_only, now);
            return rest.len();
        }
        if !self.charge(connection, received) {
            self.refuse(connection, NO_ROOM_FOR_BODY, head_only, now);
            return rest.len();
        }
        if !complete {
            let deadline = since + self.limits.body_timeout + limits::transfer_time(received);
            self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
            return used;
        }
        if let Phase::Body(body) = std::mem::replace(&mut connection.phase, Phase::Idle) {
            let IncompleteBody { exchange, mut bytes, .. } = *body;
            self.dispatch(connection, exchange, &mut bytes, now);
        }
        used
    }

    /// Charges what has arrived of a large body to the budget of all; `false` if there is no room for it now.
    fn charge(&mut self, connection: &mut Connection, received: usize) -> bool {
        let large = received.saturating_sub(limits::INLINE_BODY_BYTES_MAX);
        let more = large.saturating_sub(connection.charged_bytes);
        if !self.has_room(more) {
            return false;
        }
        self.bodies_bytes += more;
        connection.charged_bytes += more;
        true
    }

    /// Whether there is room for so many more bytes of large bodies and answers.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.limits.bodies_bytes_max.saturating_sub(self.bodies_bytes)
    }

    /// Whether nothing takes of that room but what lanes still have.
    pub(super) fn room_is_free(&self) -> bool {
        self.bodies_bytes == self.left_in_lanes.values().sum::<usize>()
    }
}

const CERTIFICATE_EXPIRED: Refusal = Refusal {
    status: 401,
    reason: "the client certificate of this connection has expired: connect with a new one",
};
const NO_ROOM_FOR_BODY: Refusal =
    Refusal { status: 503, reason: "the server is receiving too many large requests: try again later" };
const HAND_OVER_TOO_LARGE: Refusal =
    Refusal { status: 413, reason: "what is handed over is too large: a PKCS#12 file has at most 1 MiB" };
