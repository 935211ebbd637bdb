//! What the server asks of others, in lanes of its own: certificates (RFC 8555), when to renew them (RFC 9773), and the keys of
//! issuers of tokens (RFC 7517).
//!
//! An order takes two jobs. The first gives the challenges; the core lets them be found; the second has them validated,
//! fetches the certificate and stores it, or keeps it until it can be stored. In between the order waits here.
#![forbid(unsafe_code)]

pub mod files;
pub mod key_sets;
mod order;
mod renewal_info;
mod revocations;
mod roots;

use crate::acme::challenge::{Challenge, Kind};
use crate::acme::failure::{Failure, Kind as FailureKind};
use crate::acme::history::{ENTRIES_MAX, Entry, Outcome};
use crate::acme::renewal_info::Window;
use crate::acme::{KeySource, Settings, layout};
use crate::crypto::x509::Identity;
use crate::limits;
use crate::secret::Buffer;
use crate::time::Timestamp;
use order::Begun;
use std::sync::Arc;

pub use revocations::read as read_revocations;
pub use roots::read as read_authorities;

/// The lane's own: what the operator wants, and the order that is under way.
pub struct Egress {
    settings: Arc<Settings>,
    begun: Option<Begun>,
    /// The kind of challenge that was proved last, perhaps for an order that came to nothing after that: authorities
    /// remember proofs, and ask for none in the next order.
    proved: Option<Kind>,
    /// The file of a certificate that was issued and could not be stored: each job tries it again, for authorities issue few.
    unstored: Option<Buffer>,
    /// Past orders that are to be written to the history.
    unremembered: Vec<Entry>,
}

/// A certificate that was issued. It is stored too, or will be once that can be done.
pub struct Issued {
    /// Key and chain.
    pub identity: Identity,
    /// The challenge that was proved for it, or for an order before.
    pub proved: Option<Kind>,
}

impl Egress {
    /// A lane without an order.
    pub fn new(settings: Arc<Settings>) -> Egress {
        Egress { settings, begun: None, proved: None, unstored: None, unremembered: Vec::new() }
    }

    /// Begins an order, in the place of one that was not finished: its challenges, none where earlier proofs still hold.
    pub fn begin(&mut self, kind: Kind, now: Timestamp) -> Result<Vec<Challenge>, Failure> {
        self.begun = None;
        let local = |reason: String| Failure::new(FailureKind::Local, &reason);
        let begun = files::prepare(&self.settings.folder)
            .map_err(|reason| {
                format!(
                    "what cannot be stored is not ordered: {reason}; make room, or let this user write there"
                )
            })
            .and_then(|()| roots::trust(self.settings.ca_root.as_deref(), limits::ORDER_BEGIN_TIMEOUT))
            .map_err(local)
            .and_then(|_trust| order::begin(&self.settings, kind, now));
        let begun = match begun {
            Ok((begun, challenges)) => {
                self.begun = Some(begun);
                Ok(challenges)
            }
            Err(failure) => {
                self.record(&failure, now);
                Err(failure)
            }
        };
        self.store();
        begun
    }

    /// Finishes the order that was begun.
    pub fn finish(&mut self, now: Timestamp) -> Result<Issued, Failure> {
        let finished = self.try_finish();
        match &finished {
            Ok(_) => self.remember(Outcome::Issued, now),
            Err(failure) => self.record(failure, now),
        }
        self.store();
        finished
    }

    fn try_finish(&mut self) -> Result<Issued, Failure> {
        let local = |reason: String| Failure::new(FailureKind::Local, &reason);
        let begun = self.begun.take().ok_or_else(|| local("no order was begun".into()))?;
        let _trust =
            roots::trust(self.settings.ca_root.as_deref(), limits::ORDER_FINISH_TIMEOUT).map_err(local)?;
        if begun.needs_proof() {
            self.proved = Some(begun.kind);
            order::prove(&begun).inspect_err(|failure| {
                // Where only our question was refused, the authority has looked all the same.
                if failure.kind != FailureKind::Signature {
                    self.proved = None;
                }
            })?;
        }
        let certificate = order::fetch(&self.settings, begun)?;
        let facts =
            layout::Facts { directory_url: self.settings.directory_url.clone(), challenge: self.proved };
        // A key that is given does not lie about in files.
        let key_pem: &[u8] = match &self.settings.key {
            KeySource::Fresh(_) => &certificate.private_key_pem,
            KeySource::Given(_) => &[],
        };
        let content = layout::encode(&facts, key_pem, certificate.chain_pem.as_bytes());
        let identity = files::identity(&content, &self.settings).map_err(|reason| {
            Failure::new(FailureKind::Unusable, &format!("what was issued cannot be used: {reason}"))
        })?;
        let unusable = |reason: &str| Err(Failure::new(FailureKind::Unusable, reason));
        if !files::covers(&identity, &self.settings) {
            return unusable("what was issued is not for the names that were asked for");
        }
        if content.len() as u64 > limits::ACME_FILE_BYTES_MAX {
            return unusable("what was issued is too long");
        }
        self.unstored = Some(content);
        Ok(Issued { identity, proved: self.proved })
    }

    /// When the authority would like this certificate (DER) to be renewed; `None` where it does not say.
    pub fn renewal_info(&mut self, certificate: &[u8]) -> Result<Option<Window>, String> {
        self.store();
        let _trust = roots::trust(self.settings.ca_root.as_deref(), limits::RENEWAL_INFO_TIMEOUT)?;
        renewal_info::ask(&self.settings.directory_url, certificate)
    }

    /// Stores what is to be stored. A certificate is served all the same where that fails.
    fn store(&mut self) {
        let folder = &self.settings.folder;
        if let Some(content) = &self.unstored {
            match files::write(folder, layout::CERTIFICATE, content) {
                Ok(()) => self.unstored = None,
                Err(reason) => log::error!(
                    "the new certificate is served, but cannot be stored, and is lost if the server ends before it is: \
                     {reason}; make room, or let this user write there: it is tried again every few hours"
                ),
            }
        }
        if !self.unremembered.is_empty() {
            match files::remember(folder, &self.unremembered) {
                Ok(()) => self.unremembered.clear(),
                Err(reason) => {
                    log::warn!("what became of orders is not remembered for the next start: {reason}")
                }
            }
        }
    }

    /// What a start after this one must know. Refused signatures are tried again at once, and count nowhere.
    fn record(&mut self, failure: &Failure, now: Timestamp) {
        match failure.kind {
            FailureKind::Signature => {}
            FailureKind::Validation => self.remember(Outcome::Invalid, now),
            FailureKind::Unusable => self.remember(Outcome::Issued, now),
            _ => self.remember(Outcome::Failed, now),
        }
    }

    fn remember(&mut self, outcome: Outcome, now: Timestamp) {
        if self.unremembered.len() == ENTRIES_MAX {
            self.unremembered.remove(0);
        }
        self.unremembered.push(Entry { at: now, outcome });
    }
}
