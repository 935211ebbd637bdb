//! Whose certificates are taken, where clients must show one, and who a client is by it.
#![forbid(unsafe_code)]

use super::Shared;
use super::watch::Watch;
use crate::auth::certificate::{self, ClientVerifier};
use crate::crypto::x509;
use crate::job::{Done, Job, JobId, NewVerifier, Work};
use crate::kms::policy::Principal;
use crate::time::{Instant, Now};
use log::{error, info};
use std::sync::Arc;

/// What of a certificate is the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// The first common name of its subject, as the old server had it.
    CommonName,
    /// The first e-mail address among its alternative names (RFC 5280 section 4.2.1.6).
    SanEmail,
    /// The first URI among them, such as a SPIFFE ID.
    SanUri,
    /// The SHA-256 of the certificate, in lower-case hexadecimal.
    Fingerprint,
}

impl ClientIdentity {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, ClientIdentity); 4] = [
        ("cn", ClientIdentity::CommonName),
        ("san-email", ClientIdentity::SanEmail),
        ("san-uri", ClientIdentity::SanUri),
        ("fingerprint", ClientIdentity::Fingerprint),
    ];

    /// What it is called when a certificate lacks it.
    pub fn noun(self) -> &'static str {
        match self {
            ClientIdentity::CommonName => "common name",
            ClientIdentity::SanEmail => "e-mail address among its alternative names",
            ClientIdentity::SanUri => "URI among its alternative names",
            ClientIdentity::Fingerprint => "fingerprint",
        }
    }

    /// The user that a certificate (DER) is for; `None` where it says nothing that can be a user.
    pub fn user_of(self, certificate: &[u8]) -> Option<Principal> {
        let name = match self {
            ClientIdentity::CommonName => x509::subject_common_name(certificate),
            ClientIdentity::SanEmail => x509::alternative_email(certificate),
            ClientIdentity::SanUri => x509::alternative_uri(certificate),
            ClientIdentity::Fingerprint => Some(x509::fingerprint(certificate)),
        }?;
        Principal::named(name)
    }
}

/// Revocation lists (CRLs, RFC 5280 section 5) as they were read: each in DER, and the digest of their file.
pub struct Revocations {
    /// The lists.
    pub lists: Vec<Vec<u8>>,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// Whose certificates are taken, where clients must show one.
pub struct Clients {
    /// In DER.
    authorities: Arc<[Vec<u8>]>,
    verifier: ClientVerifier,
    /// Of the file with the revocation lists, where there is one.
    watch: Option<Watch>,
}

impl Clients {
    /// Clients must have certificates by these authorities, which no list revokes. The error is one line for the operator.
    pub fn new(
        authorities: Vec<Vec<u8>>,
        revocations: Option<Revocations>,
        now: Instant,
    ) -> Result<Clients, String> {
        let lists = revocations.as_ref().map_or(&[][..], |revocations| &revocations.lists);
        let verifier = certificate::client_verifier(&authorities, lists)?;
        let authorities = authorities.into();
        let watch = revocations.map(|revocations| Watch::new(revocations.digest, now));
        Ok(Clients { authorities, verifier, watch })
    }

    /// Who judges them.
    pub fn verifier(&self) -> ClientVerifier {
        Arc::clone(&self.verifier)
    }

    /// When the lists are looked at next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.watch.as_ref().map(Watch::next_check)
    }
}

impl Shared {
    fn revocation_watch(&mut self) -> Option<&mut Watch> {
        self.clients.as_mut()?.watch.as_mut()
    }

    /// Looks for changed revocation lists, if it is time.
    pub(super) fn check_revocations(&mut self, now: Now) {
        if let Some(known) = self.revocation_watch().and_then(|watch| watch.is_due(now.instant)) {
            self.load_revocations(known);
        }
    }

    /// Reads the revocation lists again, whether they have changed or not.
    pub(super) fn reload_revocations(&mut self) {
        if let Some(watch) = self.revocation_watch() {
            watch.begin();
            self.load_revocations(None);
        }
    }

    fn load_revocations(&mut self, known: Option<[u8; 32]>) {
        let Some(clients) = &self.clients else { return };
        let authorities = Arc::clone(&clients.authorities);
        let work = Work::LoadRevocations { known, authorities };
        self.outputs.submit(Job { id: JobId::Revocations, work });
    }

    /// The lane has looked at the revocation lists. Whether there are new ones in use: connections whose certificates were
    /// judged by the old ones shall end.
    pub(super) fn revocations_answered(&mut self, done: Done, now: Now) -> bool {
        let Some(watch) = self.revocation_watch() else { return false };
        watch.end(now.instant);
        let Done::Revocations { digest, verifier } = done else { return false };
        let taken = verifier.and_then(|verifier| self.take_verifier(verifier));
        // SIGHUP has them read whether they are new or not: who was judged by the same is not judged again.
        let is_new = self.revocation_watch().is_some_and(|watch| watch.is_new(digest));
        let is_taken = taken.is_ok() && is_new;
        if let Some(Err(reason)) = self.revocation_watch().map(|watch| watch.judge(digest, taken)) {
            error!("the revocation lists in use stay, the new ones are refused: {reason}");
        }
        is_taken
    }

    fn take_verifier(&mut self, NewVerifier { verifier, lists }: NewVerifier) -> Result<(), String> {
        let Some(clients) = &mut self.clients else { return Ok(()) };
        if let Some(certificate) = &mut self.certificate {
            certificate.judge_clients(Arc::clone(&verifier))?;
        }
        if let Some(bootstrap) = &mut self.bootstrap {
            bootstrap.judge_clients(Arc::clone(&verifier))?;
        }
        clients.verifier = verifier;
        info!("client certificates are judged by {lists} new revocation lists");
        Ok(())
    }
}
