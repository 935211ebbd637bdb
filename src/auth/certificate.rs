//! Who asks, by certificates: whose are taken, where clients must show one.
#![forbid(unsafe_code)]

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use std::sync::Arc;

/// Who judges the certificates of clients.
pub type ClientVerifier = Arc<dyn ClientCertVerifier>;

/// Takes clients whose certificates are by one of these authorities (DER), and nobody else. Where there are revocation lists
/// (CRLs in DER), each certificate of a chain must be by somebody who has one, that has not expired and does not name it.
pub fn client_verifier(authorities: &[Vec<u8>], revocations: &[Vec<u8>]) -> Result<ClientVerifier, String> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let added = roots.add(CertificateDer::from(authority.as_slice()));
        added.map_err(|error| format!("an authority of clients cannot be used: {error}"))?;
    }
    let revocations = revocations.iter().map(|list| CertificateRevocationListDer::from(list.clone()));
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(rustls::crypto::ring::default_provider()),
    )
    .with_crls(revocations)
    .enforce_revocation_expiration();
    match verifier.build() {
        Ok(verifier) => Ok(verifier),
        Err(VerifierBuilderError::InvalidCrl(error)) => Err(format!(
            "a revocation list cannot be used ({error:?}): it must be of version 2 and have a number (RFC 5280)"
        )),
        Err(error) => Err(format!("no authority of clients can be used: {error}")),
    }
}
