//! A certificate from a file: read again when the file has changed, or on demand.
#![forbid(unsafe_code)]

use super::super::Shared;
use super::Origin;
use crate::crypto::x509::Identity;
use crate::job::{Job, JobId, Work};
use crate::server::watch::Watch;
use crate::time::Now;
use log::{error, info, warn};

impl Shared {
    fn watch(&mut self) -> Option<&mut Watch> {
        match &mut self.certificate.as_mut()?.origin {
            Origin::File(watch) => Some(watch),
            Origin::Bot(_) | Origin::Given => None,
        }
    }

    /// Looks for a changed file, if it is time.
    pub(in super::super) fn check_certificate_file(&mut self, now: Now) {
        if let Some(known) = self.watch().and_then(|watch| watch.is_due(now.instant)) {
            self.outputs
                .submit(Job { id: JobId::Certificate, work: Work::LoadCertificate { known, now: now.utc } });
        }
    }

    /// Reads the file again, whether it has changed or not.
    pub(in super::super) fn reload_certificate_file(&mut self, now: Now) {
        let Some(watch) = self.watch() else { return };
        info!("reading the certificate again");
        watch.begin();
        let work = Work::LoadCertificate { known: None, now: now.utc };
        self.outputs.submit(Job { id: JobId::Certificate, work });
    }

    /// The file has not changed, or could not be looked at now.
    pub(in super::super) fn certificate_file_unchanged(&mut self, now: Now) {
        if let Some(watch) = self.watch() {
            watch.end(now.instant);
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
        if let Err(reason) = watch.judge(digest, replaced) {
            error!("the certificate in use stays, the new one is refused: {reason}");
        }
        if certificate.not_after <= now.utc {
            warn!("the certificate in use has expired on {}", certificate.not_after);
        }
    }
}
