//! Answers and refusals on their way to the peer.
#![forbid(unsafe_code)]

use super::Shared;
use super::audit::{Leave, UNRECORDED};
use super::connection::{Connection, Phase};
use super::routes::{Exchange, Route};
use super::tls::ALERT_INTERNAL_ERROR;
use crate::bootstrap::page;
use crate::limits;
use crate::store::StoreError;
use crate::time::Now;
use crate::wire::http::Refusal;
use crate::wire::http::head;
use crate::wire::http::response::{self, ResponseHead, TEXT_PLAIN};
use log::debug;

/// What a client is told that speaks HTTP where HTTPS is spoken.
pub const SPEAKS_HTTPS: &str = "this port speaks HTTPS: use https:// in the URL";
/// Room for the head of an answer; a longer one (with a long `Origin`) makes the buffer grow.
const HEAD_BYTES: usize = 512;
/// How long a peer should wait that was told 503.
const RETRY_AFTER_SECONDS: u32 = 1;

pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
pub(super) const OCTET_STREAM: &str = "application/octet-stream";

/// Status and text of the answer, where the store has failed.
pub(super) fn of_store_error(error: &StoreError) -> (u16, &'static str) {
    match error {
        StoreError::Unavailable(_) => (503, "The database does not answer: try again later"),
        _ => (500, "Internal server error"),
    }
}

impl Shared {
    /// Answers with JSON in `self.body`.
    pub(super) fn respond_json(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        status: u16,
        now: Now,
    ) {
        self.respond(connection, exchange, status, JSON, now);
    }

    /// Answers with the page in `self.body`.
    pub(super) fn respond_page(&mut self, connection: &mut Connection, exchange: &Exchange, now: Now) {
        self.respond(connection, exchange, 200, HTML, now);
    }

    /// The store's fault, or ours: the peer is told nothing but that, or to come again.
    pub(super) fn respond_store_error(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        error: &StoreError,
        now: Now,
    ) {
        self.body.wipe();
        let (status, text) = of_store_error(error);
        self.store_failed(error);
        self.body.extend_from_slice(text.as_bytes());
        self.respond(connection, exchange, status, TEXT_PLAIN, now);
    }

    /// Answers with what is in `self.body`, once the decision is recorded if it must be.
    pub(super) fn respond(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        status: u16,
        content_type: &'static str,
        now: Now,
    ) {
        let (status, content_type) = match self.charge_answer(connection) {
            true => (status, content_type),
            false => (503, TEXT_PLAIN),
        };
        let leave = self.record(connection, exchange, status, now);
        if leave == Leave::Never {
            return self.respond_not_recorded(connection, exchange, now);
        }
        let start = self.plain_out.len();
        let keep_alive = self.write_answer(connection, exchange, status, content_type);
        match leave {
            Leave::Recorded => self.hold(connection, start, keep_alive, exchange.head_only),
            Leave::Now | Leave::Never => self.after_answer(connection, keep_alive, now),
        }
    }

    /// Charges a large answer in `self.body` to the budget of all, in the place of the body that it answers. Where there is
    /// no room for it, one that says so is put in its place.
    fn charge_answer(&mut self, connection: &mut Connection) -> bool {
        let large = self.body.len().saturating_sub(limits::INLINE_BODY_BYTES_MAX);
        if large == 0 {
            return true;
        }
        self.bodies_bytes -= std::mem::take(&mut connection.charged_bytes);
        let has_room = self.has_room(large);
        if has_room {
            self.bodies_bytes += large;
            connection.answers_bytes += large;
        } else {
            self.body.wipe();
            self.body.extend_from_slice(NO_ROOM_FOR_ANSWER.as_bytes());
        }
        has_room
    }

    /// The peer has taken all that was sent to it. What is held is still to be.
    pub(super) fn answers_taken(&mut self, connection: &mut Connection) {
        if !matches!(connection.phase, Phase::Held(_)) {
            self.bodies_bytes -= std::mem::take(&mut connection.answers_bytes);
        }
    }

    /// Answers, in the place of what is in `self.body`, that the request cannot be recorded.
    pub(super) fn respond_not_recorded(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        now: Now,
    ) {
        self.body.wipe();
        self.body.extend_from_slice(UNRECORDED.reason.as_bytes());
        let keep_alive = self.write_answer(connection, exchange, 503, TEXT_PLAIN);
        self.after_answer(connection, keep_alive, now);
    }

    /// Writes the answer; whether the connection lives on.
    fn write_answer(
        &mut self,
        connection: &Connection,
        exchange: &Exchange,
        status: u16,
        content_type: &'static str,
    ) -> bool {
        let keep_alive = self.keeps_alive(exchange) && !connection.is_leaving;
        let location = self.location(&exchange.route);
        let head = ResponseHead {
            status,
            version: exchange.version,
            content_type: (!self.body.is_empty()).then_some(content_type),
            keep_alive,
            cors_origin: exchange.origin.as_deref(),
            // What was carried out must not be sent again.
            retry_after_s: (status == 503 && !self.body.starts_with(NO_ROOM_FOR_ANSWER.as_bytes()))
                .then_some(RETRY_AFTER_SECONDS),
            www_authenticate: (status == 401
                && (self.tokens.is_some() || matches!(exchange.route, Route::Bootstrap(_))))
            .then_some("Bearer"),
            location: location.as_deref(),
            allow: exchange.allow.filter(|_| matches!(status, 204 | 405)),
            content_security_policy: (content_type == HTML).then_some(page::CONTENT_SECURITY_POLICY),
        };
        self.plain_out.reserve(HEAD_BYTES + self.body.len());
        let length = response::start(&head, &self.date, &mut self.plain_out);
        self.plain_out.extend_from_slice(&self.body);
        if exchange.head_only {
            length.finish_without_body(&mut self.plain_out);
        } else {
            length.finish(&mut self.plain_out);
        }
        self.body.wipe();
        self.metrics.answered(Some(&exchange.route), status);
        debug!("{}: {:?} {status}", connection.peer, exchange.route);
        keep_alive
    }

    /// Answers whoever has no identity: with a status alone, as ever, or that it should come again.
    pub(super) fn refuse_stranger(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        status: u16,
        now: Now,
    ) {
        self.metrics.token_refusals += 1;
        if self.refuses_unrecorded(exchange) {
            return self.refuse_unrecorded(connection, exchange, now);
        }
        if status == 503 {
            self.body.extend_from_slice(b"The keys of the token's issuer are not there yet: try again later");
        }
        self.respond(connection, exchange, status, TEXT_PLAIN, now);
    }

    /// Where a redirection leads: to a name of the certificate, whatever host the client has named.
    fn location(&self, route: &Route) -> Option<String> {
        let Route::Elsewhere(host, target) = route else { return None };
        let names = &self.certificate.as_ref()?.bot()?.settings().names;
        let name = names.iter().find(|name| Some(*name) == host.as_ref()).or(names.first())?;
        Some(format!("https://{name}{target}"))
    }

    fn keeps_alive(&self, exchange: &Exchange) -> bool {
        let is_leaving = matches!(exchange.route, Route::Bootstrap(_))
            && self.bootstrap.as_ref().is_none_or(|bootstrap| !bootstrap.is_open());
        exchange.keep_alive && self.drain_until.is_none() && !is_leaving
    }

    pub(super) fn after_answer(&mut self, connection: &mut Connection, keep_alive: bool, now: Now) {
        if let Some(asked) = connection.asked.take() {
            self.metrics.sent(asked, now);
        }
        self.bodies_bytes -= std::mem::take(&mut connection.charged_bytes);
        if keep_alive {
            self.become_idle(connection, now);
        } else {
            self.send_answers(connection, now);
            self.close(connection, now);
        }
    }

    /// Encrypts the answers made so far, and sends them.
    pub(super) fn send_answers(&mut self, connection: &mut Connection, now: Now) {
        if self.plain_out.is_empty() {
            return;
        }
        let sent_bytes = self.plain_out.len();
        match &mut connection.tls {
            Some(session) => {
                session.send(&self.plain_out, self.outputs.buffer());
                self.plain_out.wipe();
            }
            None => self.outputs.take_over(&mut self.plain_out),
        }
        self.outputs.send_buffered(connection.id);
        if connection.answers_bytes > 0 {
            self.large_sent.push((now.instant, connection.id));
        }
        if connection.blocked {
            // A request before the one that it has not taken the answer to was in a lane: it gets time for both.
            connection.sent_bytes += sent_bytes;
            let deadline = self.write_deadline(connection, now);
            self.timers.set(connection.id, &mut connection.deadline, Some(deadline));
        } else {
            connection.sent_bytes = sent_bytes;
        }
    }

    /// Refuses what is not HTTP as it should be: after that, nobody knows where the next request would begin. With a head
    /// only, if that was all that was asked for.
    pub(super) fn refuse(
        &mut self,
        connection: &mut Connection,
        refusal: Refusal,
        head_only: bool,
        now: Now,
    ) {
        let exchange = match &connection.phase {
            Phase::Body(body) => Some(&body.exchange),
            _ => None,
        };
        let leave =
            exchange.map_or(Leave::Now, |exchange| self.record(connection, exchange, refusal.status, now));
        let refusal = if leave == Leave::Never { UNRECORDED } else { refusal };
        self.metrics.answered(exchange.map(|exchange| &exchange.route), refusal.status);
        debug!("{}: {} {}", connection.peer, refusal.status, refusal.reason);
        let start = self.plain_out.len();
        response::refuse(&refusal, head_only, &self.date, &mut self.plain_out);
        match leave {
            Leave::Recorded => self.hold(connection, start, false, head_only),
            Leave::Now | Leave::Never => self.after_answer(connection, false, now),
        }
    }

    /// A head or a body did not arrive in time.
    pub(super) fn refuse_slow_request(&mut self, connection: &mut Connection, now: Now) {
        let head_only = match &connection.phase {
            Phase::Body(body) => body.exchange.head_only,
            _ => head::is_of_head_request(&connection.pending),
        };
        self.refuse(connection, TOO_SLOW, head_only, now);
    }

    /// Somebody speaks plain HTTP to a TLS port.
    pub(super) fn refuse_plain_http(&mut self, connection: &mut Connection, bytes: &[u8], now: Now) {
        connection.tls = None;
        let refusal = Refusal { status: 400, reason: SPEAKS_HTTPS };
        self.refuse(connection, refusal, head::is_of_head_request(bytes), now);
    }

    /// One connection too many: it is told, in the clear, and closed.
    pub(super) fn refuse_connection(&mut self, connection: &mut Connection, now: Now) {
        debug!("{}: refused, {} connections are open", connection.peer, self.open - 1);
        if connection.tls.take().is_some() {
            self.outputs.buffer().extend_from_slice(&ALERT_INTERNAL_ERROR);
            self.outputs.send_buffered(connection.id);
            return self.close(connection, now);
        }
        self.refuse(connection, TOO_MANY_CONNECTIONS, false, now);
    }
}

const NO_ROOM_FOR_ANSWER: &str = "The request was carried out, but there is no room for so large an answer until others have taken \
                       theirs: ask again later, for less at a time, or give the server more room (--max-bodies-bytes)";
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request took too long to arrive" };
const TOO_MANY_CONNECTIONS: Refusal =
    Refusal { status: 503, reason: "the server has too many connections: try again later" };
