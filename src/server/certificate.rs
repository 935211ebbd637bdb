//! The server's certificate, and how it is changed while connections go on.
#![forbid(unsafe_code)]

use super::Shared;
use super::tls;
use crate::crypto::x509::Identity;
use crate::job::{Done, Job, JobId, Work};
use crate::limits;
use crate::time::{Instant, Now, Timestamp};
use log::{error, info, warn};
use rustls::ServerConfig;
use std::sync::Arc;

/// A certificate that was read, with the digest of the file that it was read from.
pub struct LoadedCertificate {
    /// Key and chain.
    pub identity: Identity,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// The certificate in use.
pub struct Certificate {
    config: Arc<ServerConfig>,
    not_after: Timestamp,
    /// The last content of the file that was looked at, good or bad.
    digest: Option<[u8; 32]>,
    next_check: Instant,
    /// A job is under way; its answer moves `next_check`.
    loading: bool,
    /// Why the file could not be read last time, so that it is told once.
    unreadable: Option<String>,
}

impl Certificate {
    /// Takes a first certificate in use. The error is one line for the operator.
    pub fn new(loaded: LoadedCertificate, now: Instant) -> Result<Certificate, String> {
        Ok(Certificate {
            config: tls::server_config(&loaded.identity)?,
            not_after: loaded.identity.not_after,
            digest: Some(loaded.digest),
            next_check: now + limits::CERTIFICATE_CHECK_INTERVAL,
            loading: false,
            unreadable: None,
        })
    }

    /// What new connections use.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When the file is looked at next.
    pub fn next_check(&self) -> Instant {
        self.next_check
    }
}

impl Shared {
    /// Looks for a changed file, if it is time.
    pub(super) fn check_certificate(&mut self, now: Now) {
        if let Some(certificate) = &mut self.certificate
            && certificate.next_check <= now.instant
        {
            certificate.next_check = now.instant + limits::CERTIFICATE_CHECK_INTERVAL;
            if !std::mem::replace(&mut certificate.loading, true) {
                let work = Work::LoadCertificate { known: certificate.digest, now: now.utc };
                self.outputs.submit(Job { id: JobId::Certificate, work });
            }
        }
    }

    /// Reads the file again, whether it has changed or not.
    pub(super) fn reload_certificate(&mut self, now: Now) {
        match &mut self.certificate {
            None => info!("asked to read the certificate again, but this server speaks plain HTTP"),
            Some(certificate) => {
                info!("reading the certificate again");
                certificate.loading = true;
                let work = Work::LoadCertificate { known: None, now: now.utc };
                self.outputs.submit(Job { id: JobId::Certificate, work });
            }
        }
    }

    /// Takes a new certificate in use; whatever is wrong with it, the old one stays.
    pub(super) fn certificate_loaded(&mut self, done: Done, now: Now) {
        let Some(certificate) = &mut self.certificate else { return };
        certificate.loading = false;
        certificate.next_check = now.instant + limits::CERTIFICATE_CHECK_INTERVAL;
        let Done::Certificate { digest, identity } = done else { return };
        certificate.digest = digest.or(certificate.digest);
        let opened = identity.and_then(|identity| Ok((tls::server_config(&identity)?, identity)));
        match opened {
            Ok((config, identity)) => {
                certificate.config = config;
                certificate.not_after = identity.not_after;
                certificate.unreadable = None;
                info!("new connections get the certificate {}", identity.summary());
            }
            Err(reason) if digest.is_none() && certificate.unreadable.as_ref() == Some(&reason) => {}
            Err(reason) => {
                error!("the certificate in use stays, the new one is refused: {reason}");
                certificate.unreadable = digest.is_none().then_some(reason);
            }
        }
        if certificate.not_after <= now.utc {
            warn!("the certificate in use has expired on {}", certificate.not_after);
        }
    }
}
