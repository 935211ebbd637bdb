//! The server's certificate, and how it is changed while connections go on: by a file that changes, or by the bot that
//! orders new ones.
#![forbid(unsafe_code)]

mod bot;
mod file;

use super::tls::{self, Shown};
use super::watch::Watch;
use crate::acme::bot::Bot;
use crate::auth::certificate::ClientVerifier;
use crate::crypto::x509::Identity;
use crate::time::{Instant, Timestamp};
use bot::Automation;
use rustls::ServerConfig;
use std::sync::Arc;

/// Where the certificate comes from, with the first one.
pub enum Tls {
    /// The server speaks plain HTTP.
    Off,
    /// From a file.
    File(LoadedCertificate),
    /// From the owner, by hand-over.
    Given(Identity),
    /// From an authority.
    Bot {
        /// What was stored, or one that vouches for itself until a real one is there.
        identity: Identity,
        /// Who orders the real one.
        bot: Box<Bot>,
    },
}

/// A certificate that was read, with the digest of the file that it was read from.
pub struct LoadedCertificate {
    /// Key and chain.
    pub identity: Identity,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// The certificate in use.
pub struct Certificate {
    shown: Shown,
    config: Arc<ServerConfig>,
    not_after: Timestamp,
    /// In DER.
    leaf: Vec<u8>,
    /// Who judges the certificates of clients, where they must have one.
    clients: Option<ClientVerifier>,
    origin: Origin,
}

/// Where the next certificate comes from.
#[expect(clippy::large_enum_variant, reason = "there is one")]
enum Origin {
    /// There is no next one.
    Given,
    File(Watch),
    Bot(Automation),
}

impl Certificate {
    /// Takes a first certificate in use. The error is one line for the operator.
    pub fn new(
        tls: Tls,
        clients: Option<ClientVerifier>,
        now: Instant,
    ) -> Result<Option<Certificate>, String> {
        let (identity, origin) = match tls {
            Tls::Off => return Ok(None),
            Tls::Given(identity) => (identity, Origin::Given),
            Tls::File(LoadedCertificate { identity, digest }) => {
                (identity, Origin::File(Watch::new(digest, now)))
            }
            Tls::Bot { identity, bot } => (identity, Origin::Bot(Automation::new(*bot, now))),
        };
        let shown = tls::shown(&identity)?;
        let config = tls::server_config(&shown, clients.clone())?;
        let leaf = identity.chain[0].clone();
        Ok(Some(Certificate { shown, config, not_after: identity.not_after, leaf, clients, origin }))
    }

    /// What new connections use.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What the connections of an authority's validator use, while there is something to validate.
    pub fn challenge_config(&self) -> Option<Arc<ServerConfig>> {
        match &self.origin {
            Origin::File(_) | Origin::Given => None,
            Origin::Bot(automation) => automation.alpn_config(),
        }
    }

    /// The certificate itself, in DER.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When it has to be looked at next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.origin {
            Origin::Given => None,
            Origin::File(watch) => Some(watch.next_check()),
            Origin::Bot(automation) => automation.poll_timeout(),
        }
    }

    /// Has the clients of new connections judged by another verifier; sessions from before are not resumed.
    pub fn judge_clients(&mut self, clients: ClientVerifier) -> Result<(), String> {
        self.config = tls::server_config(&self.shown, Some(Arc::clone(&clients)))?;
        self.clients = Some(clients);
        Ok(())
    }

    /// Puts another one in its place, for new connections.
    fn replace(&mut self, identity: &Identity) -> Result<(), String> {
        let shown = tls::shown(identity)?;
        self.config = tls::server_config(&shown, self.clients.clone())?;
        self.shown = shown;
        self.not_after = identity.not_after;
        self.leaf.clone_from(&identity.chain[0]);
        log::info!("new connections get the certificate {}", identity.summary());
        Ok(())
    }
}
