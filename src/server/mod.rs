//! The server core: a state machine without sockets, clocks or threads.
//!
//! Four calls drive it, in the vocabulary of the sans-I/O family: [`Server::handle_input`], [`Server::handle_timeout`],
//! [`Server::poll_output`] and [`Server::poll_timeout`]. After each of the first two the caller polls outputs until
//! there are none.
//!
//! What holds at all times: a connection has at most one request in flight, and its answers leave in the order of its
//! requests; every connection that was accepted is aborted exactly once; nothing is said for a connection after that.
#![forbid(unsafe_code)]

pub mod event;

mod answer;
mod attestation;
mod audit;
mod bootstrap;
mod certificate;
pub mod clients;
mod connection;
mod dispatch;
mod encryption;
mod health;
mod metrics;
mod output;
mod request;
mod routes;
mod tenants;
mod timers;
mod tls;
mod tokens;
mod watch;

use crate::audit::entry::Decision;
use crate::auth::Trusted;
use crate::crypto::jwe::DecryptionKey;
use crate::entropy::Entropy;
use crate::job::{Completion, Counts, Done, JobId};
use crate::kms::nonces::Nonces;
use crate::kms::policy::Principal;
use crate::kms::streams::Streams;
use crate::kms::view::View;
use crate::limits::{self, Limits};
use crate::secret::Buffer;
use crate::store::{Store, StoreError};
use crate::time::{Instant, Now};
use crate::wire::http::response::DateCache;
use audit::Audit;
use bootstrap::Bootstrap;
use certificate::Certificate;
use clients::{ClientIdentity, Clients, Revocations};
use connection::{Connection, Phase};
use event::{ConnectionId, Input, Listener, Output};
use log::{info, warn};
use metrics::Metrics;
use output::Outputs;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use timers::Timers;
use tls::TlsSession;
use tokens::Tokens;

pub use answer::SPEAKS_HTTPS;
pub use attestation::Attestation;
pub use bootstrap::BootstrapParts;
pub use certificate::{LoadedCertificate, Tls};

/// The exit code after a failure of the store.
pub const EXIT_STORE_FAILED: u8 = 3;

/// The exit code when neither the key server nor the bootstrap server can listen.
const EXIT_NOT_LISTENING: u8 = 1;

/// Connections that have their turn in one call of [`Server::handle_timeout`]: the answers of all of them are in memory at
/// once.
const WAKE_UPS_MAX: usize = 64;

/// What a server is made of.
pub struct Parts {
    /// The caps.
    pub limits: Limits,
    /// Who everybody is that has no other identity.
    pub default_username: String,
    /// The keys, for what is read in place.
    pub store: Arc<dyn Store>,
    /// Nonces for what is finished in place.
    pub entropy: Box<dyn Entropy>,
    /// Where the certificate comes from, if the server speaks TLS.
    pub tls: Tls,
    /// Authorities (certificates in DER) one of which must vouch for every client; none where clients need no certificate.
    pub client_authorities: Vec<Vec<u8>>,
    /// What those authorities have revoked.
    pub client_revocations: Option<Revocations>,
    /// What of a client's certificate is the user.
    pub client_identity: ClientIdentity,
    /// Issuers of tokens one of which must vouch for every request; none where requests need no token.
    pub token_issuers: Vec<Trusted>,
    /// Whether clients are the default user whatever their certificates and tokens say.
    pub force_default_username: bool,
    /// Who may make objects, and say who else may; if nobody is named, everybody may.
    pub privileged_users: Vec<Principal>,
    /// The key of encrypted requests, where those are taken.
    pub decryption_key: Option<DecryptionKey>,
    /// Whether it waits for its owner first.
    pub bootstrap: Option<BootstrapParts>,
    /// What the platform tells of itself, where it quotes.
    pub attestation: Option<Attestation>,
    /// Whether there is an audit log, and if so whether answers wait for it.
    pub audit: Option<AuditMode>,
    /// What is counted where the lanes run.
    pub counts: Arc<Counts>,
    /// Asks how much memory the process has in use.
    pub resident_bytes: fn() -> Option<u64>,
    /// When it starts.
    pub now: Now,
}

/// How decisions are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// Soon after the answer.
    Soon,
    /// Before the answer leaves.
    Required,
}

/// The whole server but its sockets.
pub struct Server {
    connections: Vec<Option<Box<Connection>>>,
    shared: Shared,
}

/// All that is not one connection's.
struct Shared {
    limits: Limits,
    principal: Principal,
    /// What clients do in several steps.
    streams: Streams,
    /// What keys have left to draw.
    nonces: Nonces,
    client_identity: ClientIdentity,
    force_default_username: bool,
    privileged_users: Vec<Principal>,
    decryption_key: Option<DecryptionKey>,
    store: Arc<dyn Store>,
    /// A view of the last commit, kept while nothing is written; and until when, for it remembers material.
    view: Option<(Box<dyn View>, Instant)>,
    entropy: Box<dyn Entropy>,
    /// Set where clients must show certificates.
    clients: Option<Clients>,
    /// Set where requests must have tokens.
    tokens: Option<Tokens>,
    certificate: Option<Certificate>,
    /// Set until the owner has handed everything over.
    bootstrap: Option<Bootstrap>,
    /// When the databases of tenants are looked through for unused ones, if any may be open.
    databases_due: Option<Instant>,
    /// When it is looked for clients that have not gone on with what they do in several steps, if there are any.
    streams_due: Instant,
    attestation: Option<Attestation>,
    audit: Option<Audit>,
    metrics: Metrics,
    /// What was decided about the request that is being answered.
    decisions: Vec<Decision>,
    timers: Timers,
    date: DateCache,
    outputs: Outputs,
    open: usize,
    /// Bytes of large bodies, received or in lanes, and of large answers that were not taken.
    bodies_bytes: usize,
    /// Those of them that are in lanes, where who waited for them is gone.
    left_in_lanes: BTreeMap<ConnectionId, usize>,
    /// To whom large answers were sent, and when. Who has not taken all of them is [blocked](Input::Blocked) by the time
    /// that timeouts are handled.
    large_sent: Vec<(Instant, ConnectionId)>,
    /// Set when the process ends as soon as the lanes have.
    exit_code: Option<u8>,
    /// Set by a shutdown: until when requests in progress may finish.
    drain_until: Option<Instant>,
    /// What arrived decrypted.
    plain_in: Buffer,
    /// The answers of one turn, before they are encrypted.
    plain_out: Buffer,
    /// The body of one answer.
    body: Buffer,
}

impl Server {
    /// A server without connections. The error is one line for the operator.
    pub fn new(parts: Parts) -> Result<Server, String> {
        let now = parts.now.instant;
        let clients = match parts.client_authorities {
            authorities if authorities.is_empty() => None,
            authorities => Some(Clients::new(authorities, parts.client_revocations, now)?),
        };
        let verifier = clients.as_ref().map(Clients::verifier);
        let issuers = Some(parts.token_issuers).filter(|issuers| !issuers.is_empty());
        let tokens = issuers.map(|issuers| Tokens::new(issuers, now));
        let certificate = Certificate::new(parts.tls, verifier.clone(), now)?;
        let bootstrap = match parts.bootstrap {
            None => None,
            Some(parts_of_it) => Some(Bootstrap::new(parts_of_it, verifier, now)?),
        };
        let mut entropy = parts.entropy;
        let audit = parts.audit.map(|mode| Audit::new(mode == AuditMode::Required, &mut *entropy, parts.now));
        Ok(Server {
            connections: Vec::new(),
            shared: Shared {
                limits: parts.limits,
                principal: Principal(parts.default_username),
                streams: Streams::default(),
                nonces: Nonces::default(),
                client_identity: parts.client_identity,
                force_default_username: parts.force_default_username,
                privileged_users: parts.privileged_users,
                decryption_key: parts.decryption_key,
                store: parts.store,
                view: None,
                entropy,
                clients,
                tokens,
                certificate,
                bootstrap,
                databases_due: None,
                streams_due: parts.now.instant,
                attestation: parts.attestation,
                audit,
                metrics: Metrics::new(parts.counts, parts.resident_bytes, parts.now),
                decisions: Vec::new(),
                timers: Timers::default(),
                date: DateCache::new(parts.now.utc),
                outputs: Outputs::default(),
                open: 0,
                bodies_bytes: 0,
                left_in_lanes: BTreeMap::new(),
                large_sent: Vec::new(),
                exit_code: None,
                drain_until: None,
                plain_in: Buffer::default(),
                plain_out: Buffer::default(),
                body: Buffer::default(),
            },
        })
    }

    /// Takes one event of the world in.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.shared.date.update(now.utc);
        match input {
            Input::Accepted { connection, peer, listener } => self.accept(connection, peer, listener, now),
            Input::Received { connection, bytes } => {
                self.with(connection, |shared, connection| shared.receive(connection, bytes, now));
            }
            Input::Ended { connection } => self.with(connection, |shared, connection| {
                connection.ended = true;
                shared.settle(connection, now);
            }),
            Input::Reset { connection } => {
                self.with(connection, |shared, connection| shared.abort(connection, "reset by the peer"));
            }
            Input::Blocked { connection } => self.with(connection, |shared, connection| {
                connection.blocked = true;
                // Nothing is read of it anyway, and its turn comes when it has taken what there is.
                if std::mem::take(&mut connection.awaits_turn) {
                    shared.outputs.resume(connection.id);
                }
                // A handshake has one deadline, whatever the peer does meanwhile.
                if !matches!(connection.phase, Phase::Handshake) {
                    let deadline = shared.write_deadline(connection, now);
                    shared.timers.set(connection.id, &mut connection.deadline, Some(deadline));
                }
            }),
            Input::Drained { connection } => self.with(connection, |shared, connection| {
                connection.blocked = false;
                shared.answers_taken(connection);
                shared.resume(connection, now);
            }),
            Input::Completed(completion) => self.complete(completion, now),
            Input::Listening { listener: Listener::Main, result } => self.shared.main_listening(result),
            Input::Listening { listener: Listener::Bootstrap, result: Ok(()) }
            | Input::Listening { listener: Listener::Metrics, .. } => {}
            Input::Listening { listener: Listener::Bootstrap, result: Err(reason) } => {
                log::error!("{reason}");
                self.shared.exit(EXIT_NOT_LISTENING);
            }
            Input::Listening { listener: Listener::Challenge, result } => {
                self.shared.challenge_listening(result, now);
            }
            Input::Reload => {
                self.shared.reopen_audit();
                self.shared.reload_revocations();
                self.shared.reload_certificate_file(now);
                self.shared.retry_order(now);
            }
            Input::Renew => self.shared.renew(now),
            Input::Shutdown => self.shut_down(now),
            Input::LanesEnded { in_time } => self.shared.lanes_ended(in_time, now),
        }
        self.prune_timers();
        self.exit_when_drained();
        self.shared.write_audit(now);
    }

    /// Acts on deadlines that have passed. Where there are many, or more answers of a connection are to be made, the next
    /// call is due at once: the caller carries out first what came of this one.
    pub fn handle_timeout(&mut self, now: Now) {
        self.shared.date.update(now.utc);
        for (_, id) in std::mem::take(&mut self.shared.large_sent) {
            self.with(id, |shared, connection| {
                if !connection.blocked {
                    shared.answers_taken(connection);
                }
            });
        }
        for (wake_up, id) in self.shared.timers.take_due(now.instant, WAKE_UPS_MAX) {
            self.with(id, |shared, connection| {
                if shared.timers.woken(id, &mut connection.deadline, wake_up, now.instant) {
                    shared.time_out(connection, now);
                }
            });
        }
        self.shared.view.take_if(|(_, until)| *until <= now.instant);
        self.shared.forget_idle_streams(now);
        if self.shared.drain_until.is_none() {
            self.shared.check_key_sets(now);
            self.shared.check_revocations(now);
        }
        if self.shared.bootstrap.is_some() {
            self.shared.check_bootstrap(now);
        } else if self.shared.drain_until.is_none() {
            self.shared.check_certificate_file(now);
            self.shared.check_databases(now);
            self.shared.check_bot(now);
        }
        if self.shared.drain_until.is_some_and(|until| until <= now.instant) {
            warn!("{} connections were still open at the end of the grace period", self.shared.open);
            self.shared.exit(0);
        }
        self.leave_bootstrap(now);
        self.prune_timers();
        self.exit_when_drained();
        self.shared.write_audit(now);
    }

    /// The next effect on the world, until there is none.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.shared.outputs.poll()
    }

    /// When [`Server::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let shared = &self.shared;
        let key_sets = shared.tokens.as_ref().and_then(Tokens::poll_timeout);
        let revocations = shared.clients.as_ref().and_then(Clients::poll_timeout);
        let own = match &shared.bootstrap {
            _ if shared.drain_until.is_some() => None,
            Some(bootstrap) => [bootstrap.poll_timeout(), revocations, key_sets].into_iter().flatten().min(),
            None => {
                let certificate = shared.certificate.as_ref().and_then(Certificate::poll_timeout);
                [certificate, revocations, key_sets, shared.databases_due].into_iter().flatten().min()
            }
        };
        let audit = shared.audit.as_ref().and_then(Audit::poll_timeout);
        let view = shared.view.as_ref().map(|(_, until)| *until);
        let sent = shared.large_sent.first().map(|(at, _)| *at);
        let streams = (!shared.streams.is_empty()).then_some(shared.streams_due);
        let all = [shared.timers.next(), sent, own, shared.drain_until, view, audit, streams];
        all.into_iter().flatten().min()
    }

    fn accept(&mut self, id: ConnectionId, peer: SocketAddr, listener: Listener, now: Now) {
        let shared = &mut self.shared;
        let (config, challenge_config) = match listener {
            Listener::Challenge | Listener::Metrics => (None, None),
            Listener::Main => match &shared.certificate {
                None => (None, None),
                Some(certificate) => (Some(certificate.config()), certificate.challenge_config()),
            },
            Listener::Bootstrap => match &shared.bootstrap {
                Some(bootstrap) if !bootstrap.is_shut_out(peer.ip(), now.instant) => {
                    (Some(bootstrap.config()), None)
                }
                _ => return shared.outputs.abort(id),
            },
        };
        shared.metrics.accepted(listener);
        let tls = match config {
            None => None,
            Some(config) => match TlsSession::new(config, challenge_config) {
                Ok(session) => Some(Box::new(session)),
                Err(error) => {
                    warn!("{peer}: TLS cannot begin: {error}");
                    return shared.outputs.abort(id);
                }
            },
        };
        let slot = id.slot as usize;
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        debug_assert!(self.connections[slot].is_none(), "a slot is used again only after its abort");
        shared.open += 1;
        let mut connection = Box::new(Connection::new(id, peer, listener, tls));
        if shared.open > shared.limits.connections_max {
            shared.metrics.connection_refused();
            shared.refuse_connection(&mut connection, now);
        } else {
            let timeout = match connection.phase {
                Phase::Handshake => shared.limits.handshake_timeout,
                _ => shared.limits.idle_timeout,
            };
            shared.timers.set(id, &mut connection.deadline, Some(now.instant + timeout));
        }
        self.connections[slot] = Some(connection);
    }

    /// What a timer would do that knew the slot of its connection and not the generation: for the simulator, which is to
    /// notice it.
    #[cfg(feature = "testing")]
    pub fn dangerous_time_out(&mut self, slot: u32, now: Now) {
        let id = self.connections.get(slot as usize).and_then(|place| place.as_ref()).map(|found| found.id);
        id.into_iter().for_each(|id| self.with(id, |shared, connection| shared.time_out(connection, now)));
    }

    /// Does something with a connection, unless it is gone; forgets it if that ended it.
    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&mut Shared, &mut Connection)) {
        let Some(place) = self.connections.get_mut(id.slot as usize) else { return };
        let Some(connection) = place.as_deref_mut().filter(|connection| connection.id == id) else { return };
        act(&mut self.shared, connection);
        if matches!(connection.phase, Phase::Aborted) {
            *place = None;
            self.shared.open -= 1;
            let is_alone = self.shared.open == 0;
            debug_assert!(!is_alone || self.shared.room_is_free(), "nobody is there that could take room");
        }
    }

    fn complete(&mut self, completion: Completion, now: Now) {
        let Completion { id, done } = completion;
        // What was committed must be seen by whoever is told of it, and pages that are held cannot be used again.
        if id != JobId::Audit {
            self.shared.view = None;
        }
        if let JobId::Request(connection) = id {
            self.shared.bodies_bytes -= self.shared.left_in_lanes.remove(&connection).unwrap_or_default();
        }
        // Whether anybody waits for it or not.
        if let Done::StoreFailed(failed) = &done
            && failed.error.is_fatal()
        {
            self.shared.store_failed(&failed.error);
        }
        match (id, done) {
            (_, Done::Audited(group, result)) => {
                self.shared.count_audit(result.is_ok());
                let audit = self.shared.audit.as_mut();
                let (held, is_recorded) =
                    audit.map_or((Vec::new(), false), |audit| audit.written(group, result, now));
                for id in held {
                    self.with(id, |shared, connection| shared.release(connection, is_recorded, now));
                }
            }
            (JobId::Audit, _) => unreachable!("the core hands over one group at a time"),
            (JobId::Certificate, done) => self.shared.certificate_answered(done, now),
            // Where the lane was busy, whoever changes something first has it done.
            (JobId::Database, _) => {}
            (JobId::Tenants, done) => self.shared.databases_answered(&done, now),
            (JobId::KeySet(index), done) => self.key_set_fetched(index, done, now),
            (JobId::Revocations, done) => {
                if self.shared.revocations_answered(done, now) {
                    self.end_judged_connections(now);
                }
            }
            (JobId::Request(connection), done) if self.shared.is_abandoned(connection) => {
                self.shared.end_abandoned(connection, done, now);
            }
            (JobId::Request(connection), Done::Provided(result)) => {
                let answer = self.shared.provided(result, now);
                self.with(connection, |shared, connection| shared.start_answered(connection, answer, now));
            }
            (JobId::Request(connection), done) => {
                self.with(connection, |shared, connection| shared.answered(connection, done, now));
            }
        }
    }

    /// Ends the connections on which clients are judged by their certificates: those whose requests are being answered after
    /// that, all others at once, whether a handshake or a request has begun on them or not.
    fn end_judged_connections(&mut self, now: Now) {
        let judged = self.connections.iter().flatten().filter(|connection| connection.judges_certificates());
        let ids: Vec<ConnectionId> = judged.map(|connection| connection.id).collect();
        for id in ids {
            self.with(id, |shared, connection| match connection.phase {
                Phase::Waiting(_) | Phase::Held(_) => connection.is_leaving = true,
                _ => shared.close(connection, now),
            });
        }
    }

    fn shut_down(&mut self, now: Now) {
        if self.shared.drain_until.is_some() {
            return;
        }
        info!("shutting down: {} connections are open", self.shared.open);
        self.shared.drain_until = Some(now.instant + self.shared.limits.drain_timeout);
        // With what was handed over; a key server that is about to listen does not.
        self.shared.bootstrap = None;
        self.shared.outputs.stop_listening(Listener::Main);
        self.shared.outputs.stop_listening(Listener::Challenge);
        self.shared.outputs.stop_listening(Listener::Bootstrap);
        self.shared.outputs.stop_listening(Listener::Metrics);
        let ids: Vec<ConnectionId> =
            self.connections.iter().flatten().map(|connection| connection.id).collect();
        for id in ids {
            self.with(id, |shared, connection| {
                if matches!(connection.phase, Phase::Idle | Phase::Handshake) {
                    shared.close(connection, now);
                }
            });
        }
    }

    fn prune_timers(&mut self) {
        let all = self.connections.iter().flatten().map(|connection| (connection.id, &connection.deadline));
        self.shared.timers.prune(self.shared.open, all);
    }

    fn exit_when_drained(&mut self) {
        let is_idle = self.shared.open == 0 && !self.shared.audit.as_ref().is_some_and(Audit::has_abandoned);
        if self.shared.drain_until.is_some() && is_idle {
            self.shared.drain_until = None;
            info!("all connections are closed");
            self.shared.exit(0);
        }
    }
}
impl Shared {
    /// Lets go of what clients have begun and not gone on with, if it is time to look.
    fn forget_idle_streams(&mut self, now: Now) {
        if self.streams_due <= now.instant {
            self.streams_due = now.instant + limits::STREAM_IDLE_INTERVAL;
            self.streams.forget_idle(now.utc);
        }
    }

    /// The operator asks for a new certificate.
    fn renew(&mut self, now: Now) {
        match &self.certificate {
            _ if self.bootstrap.is_some() => {
                info!("asked for a new certificate, but the owner has not come yet")
            }
            None => info!("asked for a new certificate, but this server speaks plain HTTP"),
            Some(certificate) if certificate.bot().is_some() => self.renew_certificate(now),
            Some(_) => self.reload_certificate_file(now),
        }
    }

    /// A lane has answered about the certificate.
    fn certificate_answered(&mut self, done: Done, now: Now) {
        match done {
            Done::CertificateUnchanged => self.certificate_file_unchanged(now),
            Done::Certificate { digest, identity } => self.certificate_file_read(digest, identity, now),
            Done::OrderBegun(result) => self.order_begun(result, now),
            Done::OrderFinished(result) => self.order_finished(result, now),
            Done::RenewalInfo(_) => self.renewal_info(done, now),
            Done::Busy => {
                self.certificate_file_unchanged(now);
                self.order_not_taken(now);
            }
            Done::Answered(_)
            | Done::MustWrite(_)
            | Done::Probed
            | Done::Verified
            | Done::UnusedClosed { .. }
            | Done::StoreFailed(_)
            | Done::Provided(_)
            | Done::KeySet(_)
            | Done::Audited(..)
            | Done::Revocations { .. }
            | Done::RevocationsUnchanged => {
                unreachable!("no request waits under this name")
            }
        }
    }

    /// The view of the last commit.
    fn view(&mut self, now: Now) -> Result<&dyn View, StoreError> {
        if self.view.is_none() {
            self.view = Some((self.store.read()?, now.instant + limits::VIEW_AGE_MAX));
        }
        let (view, _) = self.view.as_ref().expect("it was just set");
        Ok(&**view)
    }

    /// Fail-stop, where the store is of no use any more: starting again is the way to recover.
    fn store_failed(&mut self, error: &StoreError) {
        // All that waited for it meet with the same: the first reason says most.
        if self.exit_code != Some(EXIT_STORE_FAILED) {
            log::error!("{error}");
        }
        if error.is_fatal() {
            self.exit(EXIT_STORE_FAILED);
        }
    }
}
