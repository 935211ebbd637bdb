//! A certificate from a file: read again when the file has changed, or on demand.
#![forbid(unsafe_code)]

use super::super::Shared;
use super::Origin;
use crate::crypto::x509::Identity;
use crate::job::{Job, JobId, Work};
use crate::limits;
use crate::time::{Instant, Now};
use log::{error, info, warn};

/// What is known of the file.
pub struct Watch {
    /// The last content that was looked at, good or bad.
    digest: Option<[u8; 32]>,
    next_check: Instant,
    /// A job is under way; its answer moves `next_check`.
    loading: bool,
    /// Why the file could not be read last time, so that it is told once.
    unreadable: Option<String>,
}

impl Watch {
    /// A file that was just read.
    pub fn new(digest: [u8; 32], now: Instant) -> Watch {
        let next_check = now + limits::CERTIFICATE_CHECK_INTERVAL;
        Watch { digest: Some(digest), next_check, loading: false, unreadable: None }
    }

    /// When the file is looked at next.
    pub fn next_check(&self) -> Instant {
        self.next_check
    }
}

impl Shared {
    fn watch(&mut self) -> Option<&mut Watch> {
        match &mut self.certificate.as_mut()?.origin {
            Origin::File(watch) => Some(watch),
            Origin::Bot(_) | Origin::Given => None,
        }
    }

    /// Looks for a changed file, if it is time.
    pub(in super::super) fn check_certificate_file(&mut self, now: Now) {
        let Some(watch) = self.watch().filter(|watch| watch.next_check <= now.instant) else { return };
        watch.next_check = now.instant + limits::CERTIFICATE_CHECK_INTERVAL;
        if !std::mem::replace(&mut watch.loading, true) {
            let work = Work::LoadCertificate { known: watch.digest, now: now.utc };
            self.outputs.submit(Job { id: JobId::Certificate, work });
        }
    }

    /// Reads the file again, whether it has changed or not.
    pub(in super::super) fn reload_certificate_file(&mut self, now: Now) {
        let Some(watch) = self.watch() else { return };
        info!("reading the certificate again");
        watch.loading = true;
        let work = Work::LoadCertificate { known: None, now: now.utc };
        self.outputs.submit(Job { id: JobId::Certificate, work });
    }

    /// The file has not changed, or could not be looked at now.
    pub(in super::super) fn certificate_file_unchanged(&mut self, now: Now) {
        if let Some(watch) = self.watch() {
            watch.loading = false;
            watch.next_check = now.instant + limits::CERTIFICATE_CHECK_INTERVAL;
        }
    }

    /// Takes a new certificate in use; whatever is wrong with it, the old one stays.
    pub(in super::super) fn certificate_file_read(
        &mut self,
        digest: Option<[u8; 32]>,
        identity: Result<Identity, String>,
        now: Now,
    ) {
        self.certificate_file_unchanged(now);
        let Some(certificate) = &mut self.certificate else { return };
        let replaced = identity.and_then(|identity| certificate.replace(&identity));
        let Origin::File(watch) = &mut certificate.origin else { return };
        watch.digest = digest.or(watch.digest);
        match replaced {
            Ok(()) => watch.unreadable = None,
            Err(reason) if digest.is_none() && watch.unreadable.as_ref() == Some(&reason) => {}
            Err(reason) => {
                error!("the certificate in use stays, the new one is refused: {reason}");
                watch.unreadable = digest.is_none().then_some(reason);
            }
        }
        if certificate.not_after <= now.utc {
            warn!("the certificate in use has expired on {}", certificate.not_after);
        }
    }
}
