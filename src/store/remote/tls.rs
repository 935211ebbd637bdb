//! Whom a database must be, and who we are to it.
//!
//! mysql takes roots from the crate webpki-roots, which is ours, and the private key from a file: ours is in memory, and
//! is read through a pipe that has a name in `/proc` as long as it is open.
#![forbid(unsafe_code)]

use super::Failure;
use crate::crypto::pkcs12;
use crate::crypto::x509::{self, Identity};
use crate::limits;
use crate::secret::Secret;
use crate::store::StoreError;
use ::mysql::ClientIdentity;
use ::redis::ClientTlsConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

/// What is asked of the server at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// Nothing is encrypted.
    NoTls,
    /// Nothing: somebody in between would not be noticed.
    Nothing,
    /// That a trusted authority knows it.
    Authority,
    /// And that it has the name that was asked for.
    Name,
}

impl Check {
    /// By its name in a URL, in any of the ways in which it is written.
    pub fn named(name: &str) -> Option<Check> {
        Some(match name.to_ascii_lowercase().replace('-', "_").as_str() {
            "disable" | "disabled" => Check::NoTls,
            "require" | "required" => Check::Nothing,
            "verify_ca" => Check::Authority,
            "verify_full" | "verify_identity" => Check::Name,
            _ => return None,
        })
    }
}

/// The check, and who is trusted.
pub(super) struct Trust {
    pub check: Check,
    authorities: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

impl Trust {
    /// Trusts the authorities in a file, or the public ones, and those in the client's own file.
    pub fn new(
        check: Check,
        authorities_file: Option<&str>,
        client: Option<&ClientCertificate>,
    ) -> Result<Trust, StoreError> {
        let mut authorities = match authorities_file {
            _ if check == Check::NoTls => Vec::new(),
            Some(path) => read(path).map_err(|reason| {
                StoreError::Misconfigured(format!("its authorities in {path}: {reason}"))
            })?,
            None => webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec(),
        };
        let own = client.map(|client| client.authorities.as_slice()).unwrap_or_default();
        authorities.extend(own.iter().cloned().map(CertificateDer::from));
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| {
                StoreError::Misconfigured(format!("an authority cannot be trusted: {error}"))
            })?;
        }
        Ok(Trust { check, authorities, roots })
    }

    /// The authorities in PEM.
    pub fn pem(&self) -> Vec<u8> {
        pem(self.authorities.iter().map(|authority| authority.as_ref()))
    }

    /// The same for a client that takes a configuration.
    pub fn config(&self, client: Option<&ClientCertificate>) -> Result<ClientConfig, StoreError> {
        let wrong = |error: rustls::Error| StoreError::Misconfigured(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots.clone()), provider.clone());
        let verifier = builder
            .build()
            .map_err(|error| StoreError::Misconfigured(format!("its authorities: {error}")))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { check: self.check, verifier }));
        let Some(ClientCertificate { identity, .. }) = client else {
            return Ok(config.with_no_client_auth());
        };
        let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivatePkcs8KeyDer::from(identity.private_key.expose()).clone_key();
        config.with_client_auth_cert(chain, key.into()).map_err(wrong)
    }

    /// Lets the next connection of this thread be to a server that these roots know, until the result is dropped.
    pub fn lend(&self) -> Lent {
        let time = limits::DATABASE_CONNECT_TIMEOUT + limits::DATABASE_ANSWER_TIMEOUT;
        webpki_roots::trust(self.roots.roots.clone(), time, 1);
        Lent(())
    }
}

/// Trust that is lent to a thread.
pub(super) struct Lent(());

impl Drop for Lent {
    fn drop(&mut self) {
        webpki_roots::distrust();
    }
}

/// Asks as much as was asked for.
#[derive(Debug)]
struct Verifier {
    check: Check,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check <= Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        match self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is looked at last.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn read(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(limits::AUTHORITIES_BYTES_MAX).read_to_end(&mut pem).map_err(|error| error.to_string())?;
    let certificates = x509::certificates_of_pem(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(certificates.into_iter().map(CertificateDer::from).collect())
}

fn pem<'c>(certificates: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    certificates.filter_map(x509::pem_of_certificate).flatten().collect()
}

/// What a server shows to a database to be let in.
pub struct ClientCertificate {
    identity: Identity,
    authorities: Vec<Vec<u8>>,
}

impl ClientCertificate {
    /// Opens a PKCS#12 file. The authorities in it, whose certificates are beside the client's own, are trusted to have
    /// signed the database's, too. The error says what is wrong.
    pub fn open(pkcs12: &[u8], password: &Secret) -> Result<ClientCertificate, String> {
        let bundle = pkcs12::open(pkcs12, password).map_err(|error| error.to_string())?;
        let mut authorities = bundle.certificates.clone();
        let identity = x509::identity_at_any_time(bundle).map_err(|error| error.to_string())?;
        authorities.retain(|certificate| *certificate != identity.chain[0]);
        Ok(ClientCertificate { identity, authorities })
    }

    fn chain_pem(&self) -> Vec<u8> {
        pem(self.identity.chain.iter().map(Vec::as_slice))
    }

    /// The certificate and the key in PEM.
    pub(super) fn pem(&self) -> ClientTlsConfig {
        let key = x509::pem_of_private_key(&self.identity.private_key);
        let client_key = key.map(|key| key.expose().to_vec()).unwrap_or_default();
        ClientTlsConfig { client_cert: self.chain_pem(), client_key }
    }

    /// The certificate and the key, to be read once.
    pub(super) fn lend(&self) -> Result<LentIdentity, Failure> {
        let pipes = || -> io::Result<LentIdentity> {
            Ok(LentIdentity {
                chain: pipe(&self.chain_pem())?,
                key: pipe(self.identity.private_key.expose())?,
            })
        };
        pipes().map_err(|error| Failure::Lost(format!("the client certificate cannot be shown: {error}")))
    }
}

/// Pipes that hold a certificate with its chain (PEM), and its private key (PKCS #8).
pub(super) struct LentIdentity {
    chain: PipeReader,
    key: PipeReader,
}

impl LentIdentity {
    /// The names of both.
    pub fn files(&self) -> ClientIdentity {
        let name = |pipe: &PipeReader| PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()));
        ClientIdentity::new(name(&self.chain), name(&self.key))
    }
}

/// A pipe with these bytes in it. Linux holds 64 KiB, more than any chain of certificates.
fn pipe(bytes: &[u8]) -> io::Result<PipeReader> {
    const PIPE_BYTES_MAX: usize = 64 * 1024;
    if bytes.len() > PIPE_BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(bytes)?;
    Ok(reader)
}
