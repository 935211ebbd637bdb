//! Complete requests: answered at once, or by way of a lane.
#![forbid(unsafe_code)]

use super::Shared;
use super::answer::{JSON, OCTET_STREAM};
use super::bootstrap;
use super::connection::{Connection, Phase};
use super::metrics::{self, Asked};
use super::routes::{Exchange, Identity, Question, Route};
use crate::job::{Done, Job, JobId, Work};
use crate::kms::policy::Standing;
use crate::limits;
use crate::pipeline::{self, Asker, Call, Endpoint, Failed, Inquiry, Place, Read, Reply};
use crate::secret::Buffer;
use crate::store::StoreError;
use crate::time::Now;
use crate::wire::http::response::TEXT_PLAIN;
use log::debug;

impl Shared {
    /// Answers a complete request, or hands it to a lane.
    pub(super) fn dispatch(
        &mut self,
        connection: &mut Connection,
        mut exchange: Exchange,
        body: &mut [u8],
        now: Now,
    ) {
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
            Done::StoreFailed(Failed { error, decisions }) => {
                self.decisions = decisions;
                self.respond_store_error(connection, &exchange, &error, now);
            }
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
}
