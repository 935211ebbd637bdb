//! Requests and answers on a connection: framing, routing, and the way to the pipeline and back.
#![forbid(unsafe_code)]

use super::Shared;
use super::bootstrap;
use super::connection::{Connection, IncompleteBody, Phase};
use super::event::Listener;
use super::metrics::{self, Asked};
use super::routes::{Exchange, Identity, Question, Route};
use super::tls::ALERT_INTERNAL_ERROR;
use super::tokens::Admission;
use crate::bootstrap::page;
use crate::job::{Done, Job, JobId, Work};
use crate::kms::policy::Standing;
use crate::limits;
use crate::pipeline::{self, Asker, Call, Endpoint, Inquiry, Place, Read, Reply};
use crate::secret::Buffer;
use crate::store::StoreError;
use crate::time::Now;
use crate::wire::http::body::Decoder;
use crate::wire::http::head;
use crate::wire::http::response::{self, CONTINUE, ResponseHead, TEXT_PLAIN};
use crate::wire::http::{Framing, Refusal};
use log::debug;

/// What a client is told that speaks HTTP where HTTPS is spoken.
pub const SPEAKS_HTTPS: &str = "this port speaks HTTPS: use https:// in the URL";
/// Answers of one connection that are made before the next connection has its turn.
const ANSWERS_BYTES_MAX: usize = 256 * 1024;
/// Room for the head of an answer; a longer one (with a long `Origin`) makes the buffer grow.
const HEAD_BYTES: usize = 512;
/// How long a peer should wait that was told 503.
const RETRY_AFTER_SECONDS: u32 = 1;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const OCTET_STREAM: &str = "application/octet-stream";

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
            // The rest has its turn after the other connections.
            self.timers.set(connection.id, &mut connection.deadline, Some(now.instant));
        }
        used
    }

    /// Reads a head and starts with its request; `None` if the head is not complete.
    fn serve_head(&mut self, connection: &mut Connection, rest: &mut [u8], now: Now) -> Option<usize> {
        let (exchange, framing, expects_continue, head_bytes) =
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
            if !self.charge(connection, length) {
                return self.refuse(connection, NO_ROOM, exchange.head_only, now);
            }
            bytes.make_room(length.min(limits::INLINE_BODY_BYTES_MAX));
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
        body.bytes.make_room(rest.len());
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
            self.refuse(connection, NO_ROOM, head_only, now);
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

    /// Charges a large body to the budget of all; `false` if there is no room for it now.
    fn charge(&mut self, connection: &mut Connection, body_bytes: usize) -> bool {
        let large = body_bytes.saturating_sub(limits::INLINE_BODY_BYTES_MAX);
        let more = large.saturating_sub(connection.charged_bytes);
        if self.bodies_bytes + more > self.limits.bodies_bytes_max {
            return false;
        }
        self.bodies_bytes += more;
        connection.charged_bytes += more;
        true
    }

    /// Answers a complete request, or hands it to a lane.
    fn dispatch(&mut self, connection: &mut Connection, mut exchange: Exchange, body: &mut [u8], now: Now) {
        connection.asked = Some(Asked::new(&exchange.route, now));
        if self.refuses_unrecorded(&exchange) {
            return self.refuse_unrecorded(connection, &exchange, now);
        }
        match &exchange.route {
            Route::Version => {
                self.body.extend_from_slice(concat!("\"keyway ", env!("CARGO_PKG_VERSION"), "\"").as_bytes());
                self.respond(connection, &exchange, 200, JSON, now);
            }
            // Whoever asks for it may have turned away all others that would have found out.
            Route::Health(Question::Ready) if self.asks_elsewhere() => {
                self.wait_for(connection, exchange, Work::Probe);
            }
            Route::Health(question) => {
                let status = self.write_health(*question, now);
                self.respond(connection, &exchange, status, JSON, now);
            }
            Route::Metrics => {
                self.write_metrics();
                self.respond(connection, &exchange, 200, metrics::CONTENT_TYPE, now);
            }
            Route::Options => self.respond(connection, &exchange, 204, TEXT_PLAIN, now),
            Route::Unknown => {
                let status = if exchange.allow.is_some() { 405 } else { 404 };
                self.respond(connection, &exchange, status, TEXT_PLAIN, now);
            }
            Route::Unimplemented => self.respond(connection, &exchange, 501, TEXT_PLAIN, now),
            Route::AttestationReport(query) => match self.report_data(query.as_deref()) {
                Ok(report_data) => self.wait_for(connection, exchange, Work::Quote { report_data }),
                Err(status) => self.respond(connection, &exchange, status, TEXT_PLAIN, now),
            },
            Route::EnclavePublicKey => {
                let status = self.write_enclave_public_key();
                self.respond(connection, &exchange, status, JSON, now);
            }
            Route::Proof(path) => {
                let certificate = self.certificate.as_ref();
                let status = match certificate.and_then(|certificate| certificate.challenge_file(path)) {
                    Some(content) => {
                        debug!("{}: is shown the proof at {path}", connection.peer);
                        self.body.extend_from_slice(content.as_bytes());
                        200
                    }
                    None => 404,
                };
                self.respond(connection, &exchange, status, OCTET_STREAM, now);
            }
            Route::NewDatabase if self.store.tenants().is_some() => {
                self.watch_databases(now);
                self.wait_for(connection, exchange, Work::NewDatabase);
            }
            Route::NewDatabase => self.respond(connection, &exchange, 404, TEXT_PLAIN, now),
            Route::Elsewhere(..) => self.respond(connection, &exchange, 308, TEXT_PLAIN, now),
            Route::Bootstrap(hand_over) => {
                if let Some(work) = self.hand_over(connection, &exchange, *hand_over, body, now) {
                    self.wait_for(connection, exchange, work);
                }
            }
            Route::Kms(_) if matches!(exchange.tenant, Some(Err(_))) => {
                let denied = exchange.tenant.take().and_then(Result::err).unwrap_or_default();
                self.body.extend_from_slice(denied.as_bytes());
                self.respond(connection, &exchange, 401, TEXT_PLAIN, now);
            }
            Route::Kms(Endpoint::Kmip) if self.is_encrypted(body) => match self.decrypt(body) {
                Ok(body) => self.dispatch_to_kms(connection, exchange, body, now),
                Err((status, text)) => {
                    self.body.extend_from_slice(text.as_bytes());
                    self.respond(connection, &exchange, status, TEXT_PLAIN, now);
                }
            },
            Route::Kms(_) => self.dispatch_to_kms(connection, exchange, body, now),
        }
    }

    /// Answers a request that is for the store, or hands it to a lane.
    fn dispatch_to_kms(
        &mut self,
        connection: &mut Connection,
        mut exchange: Exchange,
        body: &mut [u8],
        now: Now,
    ) {
        let Route::Kms(endpoint) = &exchange.route else { unreachable!("other routes need no store") };
        match pipeline::place(endpoint, body, self.store.reads_at_once()) {
            Place::Here => match self.answer_here(connection, &exchange, endpoint, body, now) {
                Ok(Read::MustScan(endpoint)) => {
                    let call = self.call_after_all(connection, &exchange, endpoint, now);
                    self.wait_for(connection, exchange, Work::Read(Box::new(call)));
                }
                Ok(Read::MustWrite(endpoint)) => {
                    let call = self.call_after_all(connection, &exchange, endpoint, now);
                    self.write_after_all(connection, exchange, call, now);
                }
                Ok(Read::Answered(answer)) => {
                    self.respond(connection, &exchange, answer.status, answer.content_type, now)
                }
                Err(error) => self.respond_store_error(connection, &exchange, &error, now),
            },
            Place::TooLarge => self.refuse_large_write(connection, &exchange, now),
            place @ (Place::StoreLane | Place::BulkLane) => {
                if exchange.tenant.is_some() {
                    self.watch_databases(now);
                }
                let (endpoint, body) = (endpoint.clone(), Buffer::new(body.to_vec()));
                let mut asker = self.asker(connection, &exchange, now);
                let tenant = exchange.tenant.take().and_then(Result::ok);
                if let Some(tenant) = &tenant {
                    asker.streams = asker.streams.of_tenant(tenant.group());
                    asker.nonces = asker.nonces.of_tenant(tenant.group());
                }
                let call = Box::new(Call { endpoint, asker, body, tenant });
                let work = if place == Place::StoreLane { Work::Write(call) } else { Work::Read(call) };
                self.wait_for(connection, exchange, work);
            }
        }
    }

    /// A request for a lane that was first looked at here, with the body that this has left.
    fn call_after_all(
        &mut self,
        connection: &Connection,
        exchange: &Exchange,
        endpoint: Endpoint,
        now: Now,
    ) -> Call {
        let asker = self.asker(connection, exchange, now);
        Call { endpoint, asker, body: std::mem::take(&mut self.body), tenant: None }
    }

    /// Hands a request to the store lane that was first taken for one that only reads.
    fn write_after_all(&mut self, connection: &mut Connection, exchange: Exchange, call: Call, now: Now) {
        if call.body.len() > limits::WRITE_BODY_BYTES_MAX {
            return self.refuse_large_write(connection, &exchange, now);
        }
        self.wait_for(connection, exchange, Work::Write(Box::new(call)));
    }

    fn refuse_large_write(&mut self, connection: &mut Connection, exchange: &Exchange, now: Now) {
        let most = limits::WRITE_BODY_BYTES_MAX;
        let text = format!("A request that changes something has at most {most} bytes.");
        self.body.extend_from_slice(text.as_bytes());
        self.respond(connection, exchange, 413, TEXT_PLAIN, now);
    }

    /// Hands a request to a lane.
    fn wait_for(&mut self, connection: &mut Connection, exchange: Exchange, work: Work) {
        self.outputs.submit(Job { id: JobId::Request(connection.id), work });
        self.outputs.pause(connection.id);
        connection.phase = Phase::Waiting(exchange);
        self.timers.set(connection.id, &mut connection.deadline, None);
    }

    fn answer_here(
        &mut self,
        connection: &Connection,
        exchange: &Exchange,
        endpoint: &Endpoint,
        body: &mut [u8],
        now: Now,
    ) -> Result<Read, StoreError> {
        let asker = self.asker(connection, exchange, now);
        self.view(now)?;
        let (view, _) = self.view.as_ref().expect("the line above made it");
        let (entropy, decisions) = (&mut *self.entropy, &mut self.decisions);
        let inquiry = Inquiry { endpoint, asker: &asker, at: Place::Here };
        pipeline::read(inquiry, body, &**view, entropy, decisions, &mut self.body)
    }

    /// Who asks: by the token of this request, else by the certificate of the connection, else by default.
    fn asker(&self, connection: &Connection, exchange: &Exchange, now: Now) -> Asker {
        let known = match &exchange.identity {
            Identity::OfToken(user) => Some(user),
            Identity::OfConnection | Identity::Refused => connection.user.as_ref(),
        };
        let principal = known.unwrap_or(&self.principal).clone();
        let standing = match &self.privileged_users {
            users if users.is_empty() => Standing::Equal,
            users if users.contains(&principal) => Standing::Privileged,
            _ => Standing::Ordinary,
        };
        let (streams, nonces) = (self.streams.clone(), self.nonces.clone());
        let is_audited = self.audit.is_some();
        Asker { principal, standing, now: now.utc, streams, nonces, is_audited }
    }

    /// The request that a connection waits with, if it does; it is read from again.
    fn waited_for(&mut self, connection: &mut Connection) -> Option<Exchange> {
        match std::mem::replace(&mut connection.phase, Phase::Idle) {
            Phase::Waiting(exchange) => {
                self.outputs.resume(connection.id);
                Some(exchange)
            }
            phase => {
                connection.phase = phase;
                None
            }
        }
    }

    /// A lane has answered.
    pub(super) fn answered(&mut self, connection: &mut Connection, done: Done, now: Now) {
        let Some(exchange) = self.waited_for(connection) else { return };
        match done {
            Done::MustWrite(call) => {
                // It goes on waiting.
                self.write_after_all(connection, exchange, call, now);
            }
            Done::Answered(Reply { answer, body, decisions }) => {
                self.body = body;
                self.decisions = decisions;
                self.respond(connection, &exchange, answer.status, answer.content_type, now);
            }
            Done::Probed => {
                let status = self.write_health(Question::Ready, now);
                self.respond(connection, &exchange, status, JSON, now);
            }
            Done::Busy => {
                self.body.extend_from_slice(b"The server is busy: try again later");
                self.respond(connection, &exchange, 503, TEXT_PLAIN, now);
            }
            Done::StoreFailed(error) => self.respond_store_error(connection, &exchange, &error, now),
            Done::Certificate { .. }
            | Done::CertificateUnchanged
            | Done::Revocations { .. }
            | Done::RevocationsUnchanged
            | Done::UnusedClosed { .. }
            | Done::Verified
            | Done::OrderBegun(_)
            | Done::OrderFinished(_)
            | Done::RenewalInfo(_)
            | Done::KeySet(_)
            | Done::Audited(..)
            | Done::Provided(_) => unreachable!("a request is not answered with a certificate"),
        }
        self.send_answers(connection, now);
        self.resume(connection, now);
    }

    /// A lane has opened what the owner has handed over, or could not.
    pub(super) fn start_answered(
        &mut self,
        connection: &mut Connection,
        answer: bootstrap::Answer,
        now: Now,
    ) {
        let Some(exchange) = self.waited_for(connection) else { return };
        self.answer_owner(connection, &exchange, answer, now);
        self.send_answers(connection, now);
        self.resume(connection, now);
    }

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
    fn respond_store_error(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        error: &StoreError,
        now: Now,
    ) {
        self.body.wipe();
        self.decisions.clear();
        let (status, text) = match error {
            StoreError::Unavailable(_) => (503, "The database does not answer: try again later"),
            _ => (500, "Internal server error"),
        };
        self.store_failed(error, now);
        self.body.extend_from_slice(text.as_bytes());
        self.respond(connection, exchange, status, TEXT_PLAIN, now);
    }

    /// Answers with what is in `self.body`, once the decision is recorded if it must be.
    fn respond(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        status: u16,
        content_type: &'static str,
        now: Now,
    ) {
        let is_held = self.record(connection, exchange, status, now);
        let start = self.plain_out.len();
        let keep_alive = self.write_answer(connection, exchange, status, content_type);
        match is_held {
            true => self.hold(connection, exchange, start, keep_alive),
            false => self.after_answer(connection, keep_alive, now),
        }
    }

    /// Answers with what is in `self.body`, whatever becomes of the record.
    pub(super) fn respond_unrecorded(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        status: u16,
        now: Now,
    ) {
        let keep_alive = self.write_answer(connection, exchange, status, TEXT_PLAIN);
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
            retry_after_s: (status == 503).then_some(RETRY_AFTER_SECONDS),
            www_authenticate: (status == 401
                && (self.tokens.is_some() || matches!(exchange.route, Route::Bootstrap(_))))
            .then_some("Bearer"),
            location: location.as_deref(),
            allow: exchange.allow.filter(|_| matches!(status, 204 | 405)),
            content_security_policy: (content_type == HTML).then_some(page::CONTENT_SECURITY_POLICY),
        };
        self.plain_out.make_room(HEAD_BYTES + self.body.len());
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
    fn refuse_stranger(&mut self, connection: &mut Connection, exchange: &Exchange, status: u16, now: Now) {
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
        if let Some(exchange) = exchange {
            self.record(connection, exchange, refusal.status, now);
        }
        self.metrics.answered(exchange.map(|exchange| &exchange.route), refusal.status);
        debug!("{}: {} {}", connection.peer, refusal.status, refusal.reason);
        response::refuse(&refusal, head_only, &self.date, &mut self.plain_out);
        self.after_answer(connection, false, now);
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

const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request took too long to arrive" };
const NO_ROOM: Refusal =
    Refusal { status: 503, reason: "the server is receiving too many large requests: try again later" };
const HAND_OVER_TOO_LARGE: Refusal =
    Refusal { status: 413, reason: "what is handed over is too large: a PKCS#12 file has at most 1 MiB" };
const TOO_MANY_CONNECTIONS: Refusal =
    Refusal { status: 503, reason: "the server has too many connections: try again later" };
