//! Whom a database must be, and who we are to it.
//!
//! mysql takes roots from the crate webpki-roots, which is ours, and the private key from a file: ours is in memory, and
//! is read through a pipe that has a name in `/proc` as long as it is open.
#![forbid(unsafe_code)]

use super::Failure;
use super::address::take_option;
use crate::crypto::pkcs12;
use crate::crypto::x509::{self, Identity};
use crate::limits;
use crate::secret::Secret;
use crate::store::StoreError;
use ::mysql::ClientIdentity;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

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

/// The check, and who is trusted.
pub(super) struct Trust {
    pub check: Check,
    pub roots: Arc<RootCertStore>,
}

impl Trust {
    /// What the options of the URL ask for, by these names of `[mode, file of authorities]`, which are taken out of it. The
    /// authorities in the client's own file are trusted as well.
    pub fn from_url(
        url: &mut Url,
        [mode, authorities]: [&str; 2],
        client: Option<&ClientCertificate>,
    ) -> Result<Trust, StoreError> {
        let check = match take_option(url, mode).map(|value| value.to_ascii_lowercase().replace('-', "_")) {
            None if client.is_some() => Check::Name,
            None => Check::NoTls,
            Some(value) => match value.as_str() {
                "disabled" | "disable" if client.is_none() => Check::NoTls,
                "required" | "require" => Check::Nothing,
                "verify_ca" => Check::Authority,
                "verify_identity" | "verify_full" => Check::Name,
                _ => return Err(StoreError::Misconfigured(format!("{mode} in its URL cannot be {value}"))),
            },
        };
        let mut roots = RootCertStore::empty();
        let authorities_file = take_option(url, authorities);
        if check != Check::NoTls {
            match authorities_file {
                Some(path) => add_file(&mut roots, &path).map_err(|reason| {
                    StoreError::Misconfigured(format!("{authorities} in its URL: {path}: {reason}"))
                })?,
                None => {
                    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
                    let _ = roots.add_parsable_certificates(public);
                }
            }
            let own = client.map(|client| client.authorities.as_slice()).unwrap_or_default();
            let own = own.iter().map(|der| CertificateDer::from(der.as_slice()));
            let _ = roots.add_parsable_certificates(own);
        }
        Ok(Trust { check, roots: Arc::new(roots) })
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

fn add_file(roots: &mut RootCertStore, path: &str) -> Result<(), String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(limits::AUTHORITIES_BYTES_MAX).read_to_end(&mut pem).map_err(|error| error.to_string())?;
    let certificates = x509::certificates_of_pem(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    for certificate in certificates {
        roots.add(CertificateDer::from(certificate)).map_err(|error| error.to_string())?;
    }
    Ok(())
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

    /// The certificate and the key, to be read once.
    pub(super) fn lend(&self) -> Result<LentIdentity, Failure> {
        let pipes = || -> io::Result<LentIdentity> {
            let mut chain = Vec::new();
            for certificate in &self.identity.chain {
                chain.extend(x509::pem_of_certificate(certificate).unwrap_or_default());
            }
            Ok(LentIdentity { chain: pipe(&chain)?, key: pipe(self.identity.private_key.expose())? })
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
