//! The bootstrap server: the owner hands over database and certificate, has them opened, and the key server takes over.
//!
//! ```text
//!            /start            opened           a moment later          listening
//!  Waiting ---------> Opening --------> Leaving --------------> Taking over ------> (gone)
//!     ^                  |                                           |
//!     +------------------+-------- with the reason -----------------+
//! ```
#![forbid(unsafe_code)]

use super::certificate::{Certificate, Tls};
use super::clients::Clients;
use super::connection::Connection;
use super::event::Listener;
use super::routes::{Exchange, HandOver};
use super::tls::{self, Shown};
use super::{Server, Shared};
use crate::auth::certificate::ClientVerifier;
use crate::bootstrap::guard::{Guard, Verdict};
use crate::bootstrap::page;
use crate::bootstrap::provision::{self, Provision};
use crate::crypto::x509::Identity;
use crate::job::{Job, JobId, Provided, Work};
use crate::limits;
use crate::secret::Secret;
use crate::store::database::Database;
use crate::store::late::LateStore;
use crate::time::{Instant, Now};
use crate::wire::http::head::Head;
use crate::wire::json::quoted;
use crate::wire::multipart;
use log::{error, info, warn};
use rustls::ServerConfig;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Between the answer to the start and the key server: the answer is on its way, and the port is free again.
const HAND_OVER_DELAY: Duration = Duration::from_millis(200);

/// What a bootstrap server is made of.
pub struct BootstrapParts {
    /// Its certificate, which vouches for itself.
    pub identity: Identity,
    /// The SHA-256 of its public key, in base64: the pin that the owner compares.
    pub pin: String,
    /// Who the owner is; without a token everybody.
    pub guard: Guard,
    /// How long the owner has time, if not for ever.
    pub window: Option<Duration>,
    /// Where the keys are, if the owner does not say otherwise.
    pub database: Arc<Database>,
    /// Where the database goes once it is open: the store that everything else uses already.
    pub store: Arc<LateStore>,
}

/// A server that waits for its owner.
pub struct Bootstrap {
    shown: Shown,
    config: Arc<ServerConfig>,
    page: String,
    guard: Guard,
    closes_at: Option<Instant>,
    database: Arc<Database>,
    store: Arc<LateStore>,
    provision: Provision,
    stage: Stage,
    /// What the owner is told once everything is open.
    success: String,
    /// Why the last start came to nothing.
    fault: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Opening,
    Leaving(Instant),
    TakingOver,
    /// The owner did not come in time.
    Closed,
}

impl Bootstrap {
    /// Waits for the owner. The error is one line for the operator.
    pub fn new(
        parts: BootstrapParts,
        clients: Option<ClientVerifier>,
        now: Instant,
    ) -> Result<Bootstrap, String> {
        let shown = tls::shown(&parts.identity)?;
        Ok(Bootstrap {
            config: tls::server_config(&shown, clients)?,
            shown,
            page: page::html(&parts.pin),
            guard: parts.guard,
            closes_at: parts.window.map(|window| now + window),
            database: parts.database,
            store: parts.store,
            provision: Provision::default(),
            stage: Stage::Waiting,
            success: String::new(),
            fault: None,
        })
    }

    /// What the connections of the owner use.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Has the owner of new connections judged by another verifier.
    pub fn judge_clients(&mut self, clients: ClientVerifier) -> Result<(), String> {
        self.config = tls::server_config(&self.shown, Some(clients))?;
        Ok(())
    }

    /// Whether nothing is heard from this address at the moment.
    pub fn is_shut_out(&self, address: IpAddr, now: Instant) -> bool {
        self.guard.is_shut_out(address, now)
    }

    /// Whether the owner has a token that is for this alone.
    pub fn has_token(&self) -> bool {
        self.guard.has_token()
    }

    /// Whether further requests are answered.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Opening)
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting => self.closes_at,
            Stage::Leaving(at) => Some(at),
            Stage::Opening | Stage::TakingOver | Stage::Closed => None,
        }
    }
}

/// What the owner is told: whether the key server will speak HTTPS, and what is erased.
fn success(has_tls: bool, clear: bool) -> String {
    let mut text = "Starting the KMS server".to_owned();
    if !has_tls || clear {
        text += " with warnings:";
    }
    if !has_tls {
        text += " No PKCS12 file has been supplied";
    }
    if clear {
        text += " The KMS database will be erased.";
    }
    text
}

/// Why there is no start: without certificates everybody would be the default user.
const NEEDS_TLS: &str =
    "clients must show certificates (--authority-cert-file), which needs HTTPS: hand over a PKCS#12 file";

/// What a request on the bootstrap server is answered.
pub(super) type Answer = (u16, Result<String, String>);

/// To whoever has come too late.
fn gone() -> Answer {
    (409, Err("the key server has taken over".into()))
}

impl Shared {
    /// Whether a request may be read further: the owner's, or one for what everybody may see. No page but the server's own
    /// may send requests: a browser that has accepted the certificate would send them for any site.
    pub(super) fn admit(
        &mut self,
        peer: IpAddr,
        hand_over: HandOver,
        head: &Head<'_>,
        now: Now,
    ) -> Result<(), Answer> {
        let Some(bootstrap) = &mut self.bootstrap else { return Err(gone()) };
        let is_foreign = head.origin.is_some_and(|origin| {
            let host = origin.strip_prefix("https://");
            host.is_none() || host != head.host
        });
        if is_foreign {
            return Err((403, Err("another site's page may not talk to this server".into())));
        }
        if hand_over.is_for_everybody() {
            return Ok(());
        }
        match bootstrap.guard.judge(peer, head.authorization, now.instant) {
            Verdict::Allowed => Ok(()),
            Verdict::Denied => {
                Err((401, Err("the owner's token is needed: Authorization: Bearer ..".into())))
            }
        }
    }

    /// Answers a request of the owner, or lets a lane open what was handed over.
    pub(super) fn hand_over(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        hand_over: HandOver,
        body: &mut [u8],
        now: Now,
    ) -> Option<Work> {
        let Some(bootstrap) = &mut self.bootstrap else {
            self.answer_owner(connection, exchange, gone(), now);
            return None;
        };
        let told = |result: Result<String, String>| (if result.is_ok() { 200 } else { 400 }, result);
        let provision = &mut bootstrap.provision;
        let has_tls = provision.pkcs12.is_some() || self.certificate.is_some();
        let answer = match hand_over {
            HandOver::Page => {
                self.body.extend_from_slice(bootstrap.page.as_bytes());
                self.respond_page(connection, exchange, now);
                return None;
            }
            HandOver::Live => {
                self.body.extend_from_slice(b"{\"status\":\"UP\"}");
                self.respond_json(connection, exchange, 200, now);
                return None;
            }
            HandOver::Health => {
                let mut text =
                    "{\"status\":\"DOWN\",\"reasons\":[\"the server waits for its owner: POST /start\""
                        .to_owned();
                if let Some(fault) = &bootstrap.fault {
                    text += &format!(",{}", quoted(&format!("the last start failed: {fault}")));
                }
                text += "]}";
                self.body.extend_from_slice(text.as_bytes());
                self.respond_json(connection, exchange, 503, now);
                return None;
            }
            HandOver::Database => {
                told(provision.take_database(body, bootstrap.database.master.clone()).map(str::to_owned))
            }
            HandOver::Tenants => {
                let has_master = bootstrap.database.master.is_some();
                let open_max = self.limits.open_databases_max;
                told(provision.take_tenants(body, open_max, has_master).map(str::to_owned))
            }
            HandOver::Remote(kind) => {
                let master = bootstrap.database.master.clone();
                told(provision.take_remote(kind, body, master).map(str::to_owned))
            }
            HandOver::Pkcs12 => {
                let parts =
                    match &exchange.boundary {
                        Some(boundary) => multipart::octet_streams(body, boundary).map_err(str::to_owned),
                        None => Err("send the file as multipart/form-data, as curl does with -F file=@FILE"
                            .to_owned()),
                    };
                let taken = told(parts.and_then(|parts| provision.take_pkcs12(&parts)));
                body.fill(0);
                taken
            }
            HandOver::Password => told(provision.take_password(body).map(str::to_owned)),
            HandOver::Start if bootstrap.stage != Stage::Waiting => {
                (409, Err("the server is starting already".into()))
            }
            HandOver::Start if self.clients.is_some() && !has_tls => (400, Err(NEEDS_TLS.into())),
            HandOver::Start => match provision::clear_database(body) {
                Err(fault) => (400, Err(fault)),
                Ok(clear) => {
                    bootstrap.stage = Stage::Opening;
                    let copy = |secret: &Secret| Secret::copy_of(secret.expose());
                    let password = || provision.password.as_ref().map_or(Secret::new(Vec::new()), copy);
                    let pkcs12 = provision.pkcs12.as_ref().map(|file| (copy(file), password()));
                    let database = provision.database.clone().unwrap_or_else(|| bootstrap.database.clone());
                    info!("opening what was handed over: the database in {}", database.place);
                    bootstrap.success = success(has_tls, clear);
                    return Some(Work::Provide { database, clear, pkcs12, now: now.utc });
                }
            },
        };
        self.answer_owner(connection, exchange, answer, now);
        None
    }

    /// The lane has opened what was handed over, or says why not.
    pub(super) fn provided(&mut self, result: Result<Box<Provided>, String>, now: Now) -> Answer {
        let clients = self.clients.as_ref().map(Clients::verifier);
        let Some(bootstrap) = &mut self.bootstrap else { return gone() };
        let taken = result.and_then(|provided| {
            let Provided { store, identity, .. } = *provided;
            if let Some(identity) = identity {
                let summary = identity.summary();
                self.certificate = Certificate::new(Tls::Given(identity), clients, now.instant)?;
                info!("the certificate is {summary}");
            }
            bootstrap.store.open(store);
            self.outputs.submit(Job { id: JobId::Database, work: Work::Verify });
            Ok(())
        });
        match taken {
            Ok(()) => {
                bootstrap.stage = Stage::Leaving(now.instant + HAND_OVER_DELAY);
                bootstrap.fault = None;
                self.view = None;
                self.outputs.stop_listening(Listener::Bootstrap);
                (200, Ok(std::mem::take(&mut bootstrap.success)))
            }
            Err(fault) => {
                bootstrap.stage = Stage::Waiting;
                warn!("the start was refused: {fault}");
                bootstrap.fault = Some(fault.clone());
                (400, Err(fault))
            }
        }
    }

    /// Tells the owner, as the old server's clients expect.
    pub(super) fn answer_owner(
        &mut self,
        connection: &mut Connection,
        exchange: &Exchange,
        (status, result): Answer,
        now: Now,
    ) {
        let text = match &result {
            Ok(success) => format!("{{\"success\":{}}}", quoted(success)),
            Err(error) => format!("{{\"error\":{}}}", quoted(error)),
        };
        self.body.extend_from_slice(text.as_bytes());
        self.respond_json(connection, exchange, status, now);
    }

    /// Does what is due.
    pub(super) fn check_bootstrap(&mut self, now: Now) {
        let Some(bootstrap) = &mut self.bootstrap else { return };
        match bootstrap.stage {
            Stage::Waiting if bootstrap.closes_at.is_some_and(|at| at <= now.instant) => {
                error!("nobody has provisioned this server in time: it listens no more, start it again");
                bootstrap.stage = Stage::Closed;
                self.outputs.stop_listening(Listener::Bootstrap);
            }
            Stage::Leaving(at) if at <= now.instant => {
                bootstrap.stage = Stage::TakingOver;
                self.outputs.listen(Listener::Main);
            }
            _ => {}
        }
    }

    /// The key server listens, or could not: then the owner is waited for again.
    pub(super) fn main_listening(&mut self, result: Result<(), String>) {
        let Some(bootstrap) = &mut self.bootstrap else { return };
        match result {
            Ok(()) => {
                info!(
                    "the key server has taken over, by {}",
                    if self.certificate.is_some() { "HTTPS" } else { "HTTP" }
                );
                if self.certificate.is_none() && self.tokens.is_some() {
                    warn!("tokens travel in the clear: hand over a PKCS#12 file, or put HTTPS in front");
                }
                // With all that was handed over.
                self.bootstrap = None;
            }
            Err(fault) => {
                error!("the key server cannot listen, the bootstrap server does again: {fault}");
                bootstrap.store.close();
                bootstrap.fault = Some(fault);
                bootstrap.stage = Stage::Waiting;
                self.view = None;
                self.outputs.listen(Listener::Bootstrap);
            }
        }
    }
}

impl Server {
    /// Closes the connections of the owner that nothing is being answered on, once the key server is about to listen.
    pub(super) fn leave_bootstrap(&mut self, now: Now) {
        if self.shared.bootstrap.as_ref().is_none_or(Bootstrap::is_open) {
            return;
        }
        let idle = self.connections.iter().flatten().filter(|connection| {
            connection.listener == Listener::Bootstrap && connection.is_between_requests()
        });
        let ids: Vec<_> = idle.map(|connection| connection.id).collect();
        for id in ids {
            self.with(id, |shared, connection| shared.close(connection, now));
        }
    }
}

/// Bytes of a body on the bootstrap server: a PKCS#12 file and what carries it.
pub(super) const BODY_BYTES_MAX: usize = limits::PKCS12_BYTES_MAX + 64 * 1024;
