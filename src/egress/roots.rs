//! Whom the lane trusts when it asks: the public certification authorities, and the operator's own.
#![forbid(unsafe_code)]

use crate::crypto::x509;
use crate::limits;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// The time in which this thread may ask.
pub struct Trust(());

impl Drop for Trust {
    /// The anchors take memory that an idle server need not keep.
    fn drop(&mut self) {
        webpki_roots::distrust();
    }
}

/// Lets this thread ask until the result is dropped, but no longer than so and no more often than
/// [`limits::ORDER_CONNECTIONS_MAX`]: connections that it begins later fail.
/// acme-micro repeats some requests for ever; so an order has an end. An error says what is wrong with the operator's file.
pub fn trust(ca_root: Option<&Path>, duration: Duration) -> Result<Trust, String> {
    let mut roots = RootCertStore::empty();
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
    let (_, unreadable) = roots.add_parsable_certificates(public);
    debug_assert_eq!(unreadable, 0, "the public authorities are certificates");
    if let Some(path) = ca_root {
        for certificate in read(path)? {
            let added = roots.add(CertificateDer::from(certificate));
            added.map_err(|error| format!("{}: cannot be trusted: {error}", path.display()))?;
        }
    }
    webpki_roots::trust(roots.roots, duration, limits::ORDER_CONNECTIONS_MAX);
    Ok(Trust(()))
}

/// The certificates (DER) in the operator's PEM file of authorities; the error says what is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let in_file = |reason: String| format!("{}: {reason}", path.display());
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| in_file(format!("cannot be read: {error}")))?;
    let read = file.take(limits::AUTHORITIES_BYTES_MAX).read_to_end(&mut pem);
    read.map_err(|error| in_file(format!("cannot be read: {error}")))?;
    match x509::certificates_of_pem(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(in_file("holds no certificate in PEM".into())),
    }
}
