//! From private keys and certificates to what a TLS server shows: its key, its certificate and the chain.
#![forbid(unsafe_code)]

use super::pkcs12::Bundle;
use super::sha256;
use crate::secret::Secret;
use crate::time::Timestamp;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509NameRef, X509Ref, X509VerifyResult};
use std::fmt;

/// A private key, and the certificates that tell whose it is.
pub struct Identity {
    /// Certificates in DER: the server's first, each signed by the next; a self-signed root at the end is left out.
    pub chain: Vec<Vec<u8>>,
    /// PKCS #8 in DER.
    pub private_key: Secret,
    /// From when on the server's certificate is valid.
    pub not_before: Timestamp,
    /// Until when the server's certificate is valid.
    pub not_after: Timestamp,
    /// The host names that it is for.
    pub dns_names: Vec<String>,
    /// All names and addresses that it is for, for the log.
    names: String,
    issuer: String,
}

/// Why a key and certificates make no identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A private key of no known kind.
    UnknownKey,
    /// A certificate that is none.
    NotACertificate,
    /// No certificate has the public key of a private key that is there.
    KeyDoesNotMatch,
    /// The certificate is not valid any more.
    Expired(Timestamp),
    /// The certificate is not valid yet.
    NotYetValid(Timestamp),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownKey => f.write_str("its private key cannot be read"),
            Error::NotACertificate => f.write_str("a certificate in it cannot be read"),
            Error::KeyDoesNotMatch => {
                f.write_str("its private key does not belong to any of its certificates")
            }
            Error::Expired(date) => write!(f, "its certificate has expired on {date}: renew it"),
            Error::NotYetValid(date) => {
                write!(f, "its certificate is valid from {date} on only: is the clock right?")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Picks the private key and its certificate, which must be valid now, and puts the chain in order. What does not belong
/// to it is left out.
pub fn identity(bundle: Bundle, now: Timestamp) -> Result<Identity, Error> {
    let identity = identity_at_any_time(bundle)?;
    if now < identity.not_before {
        return Err(Error::NotYetValid(identity.not_before));
    }
    if now >= identity.not_after {
        return Err(Error::Expired(identity.not_after));
    }
    Ok(identity)
}

/// The same, whether the certificate is valid now or not.
pub fn identity_at_any_time(bundle: Bundle) -> Result<Identity, Error> {
    let certificates: Result<Vec<X509>, ErrorStack> =
        bundle.certificates.iter().map(|der| X509::from_der(der)).collect();
    let certificates = certificates.map_err(|_| Error::NotACertificate)?;
    let keys: Result<Vec<PKey<Private>>, ErrorStack> =
        bundle.private_keys.iter().map(|key| PKey::private_key_from_pkcs8(key.expose())).collect();
    let keys = keys.map_err(|_| Error::UnknownKey)?;
    let (key, leaf) = matching(&keys, &certificates).ok_or(Error::KeyDoesNotMatch)?;

    let unreadable = |_: ErrorStack| Error::NotACertificate;
    let not_before = timestamp(leaf.not_before()).map_err(unreadable)?;
    let not_after = timestamp(leaf.not_after()).map_err(unreadable)?;
    let chain: Result<Vec<Vec<u8>>, ErrorStack> =
        chain(leaf, &certificates).into_iter().map(X509Ref::to_der).collect();
    Ok(Identity {
        chain: chain.map_err(unreadable)?,
        // Encoded anew: the file may have left out the public part, which signers want.
        private_key: Secret::new(key.private_key_to_pkcs8().map_err(|_| Error::UnknownKey)?),
        not_before,
        not_after,
        dns_names: dns_names(leaf),
        names: names(leaf),
        issuer: common_name(leaf.issuer_name()),
    })
}

impl Identity {
    /// The SHA-256 of the certificate, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.chain[0])
    }

    /// One line for the log: for whom, by whom, until when, and the SHA-256 of the certificate.
    pub fn summary(&self) -> String {
        let fingerprint = self.fingerprint();
        let intermediates = self.chain.len() - 1;
        format!(
            "for {} by {}, valid until {}, with {intermediates} intermediates, SHA-256 {fingerprint}",
            self.names, self.issuer, self.not_after
        )
    }
}

/// A private key and certificates in PEM, in any order; what is between them is passed over. `given` is another private
/// key (PKCS #8), which comes first; with it, there need be none in the PEM.
pub fn bundle_of_pem(pem: &[u8], given: Option<&Secret>) -> Result<Bundle, Error> {
    let mut private_keys: Vec<Secret> = given.map(|key| Secret::copy_of(key.expose())).into_iter().collect();
    match PKey::private_key_from_pem(pem).and_then(|key| key.private_key_to_pkcs8()) {
        Ok(key) => private_keys.push(Secret::new(key)),
        Err(_) if given.is_some() => {}
        Err(_) => return Err(Error::UnknownKey),
    }
    Ok(Bundle { private_keys, certificates: certificates_of_pem(pem)? })
}

/// The certificates in PEM, as DER.
pub fn certificates_of_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let certificates = X509::stack_from_pem(pem).and_then(|all| all.iter().map(|one| one.to_der()).collect());
    certificates.map_err(|_: ErrorStack| Error::NotACertificate)
}

/// A certificate (DER) in PEM; `None` where it is none.
pub fn pem_of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    X509::from_der(der).and_then(|certificate| certificate.to_pem()).ok()
}

/// A private key (PKCS #8) in PEM; `None` where it is none.
pub fn pem_of_private_key(key: &Secret) -> Option<Secret> {
    PKey::private_key_from_pkcs8(key.expose())
        .and_then(|key| key.private_key_to_pem_pkcs8())
        .map(Secret::new)
        .ok()
}

/// What names a certificate to its authority: the key identifier of the issuer, and the serial number as the content of
/// a DER integer. `None` where it has no key identifier.
pub fn issuer_and_serial(certificate: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let certificate = X509::from_der(certificate).ok()?;
    let issuer = certificate.authority_key_id()?.as_slice().to_vec();
    let mut serial = certificate.serial_number().to_bn().ok()?.to_vec();
    // A DER integer is signed.
    if serial.first().is_none_or(|byte| *byte >= 0x80) {
        serial.insert(0, 0);
    }
    Some((issuer, serial))
}

/// The SHA-256 of a certificate (DER), in hexadecimal.
pub fn fingerprint(certificate: &[u8]) -> String {
    sha256(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first e-mail address among the alternative names of a certificate (DER).
pub fn alternative_email(certificate: &[u8]) -> Option<String> {
    let names = X509::from_der(certificate).ok()?.subject_alt_names()?;
    names.iter().find_map(|name| name.email().map(str::to_owned))
}

/// The first URI among the alternative names of a certificate (DER).
pub fn alternative_uri(certificate: &[u8]) -> Option<String> {
    let names = X509::from_der(certificate).ok()?.subject_alt_names()?;
    names.iter().find_map(|name| name.uri().map(str::to_owned))
}

/// The first common name in the subject of a certificate (DER).
pub fn subject_common_name(certificate: &[u8]) -> Option<String> {
    let certificate = X509::from_der(certificate).ok()?;
    let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next()?;
    Some(entry.data().to_string().ok()?.to_string())
}

/// The last second in which a certificate (DER) is valid.
pub fn valid_until(certificate: &[u8]) -> Option<Timestamp> {
    timestamp(X509::from_der(certificate).ok()?.not_after()).ok()
}

/// The SHA-256 of a certificate's public key (SubjectPublicKeyInfo), in base64: what clients pin (RFC 7469 section 2.4).
pub fn public_key_pin(certificate: &[u8]) -> Option<String> {
    let key = X509::from_der(certificate).and_then(|certificate| certificate.public_key()).ok()?;
    Some(openssl::base64::encode_block(&sha256(&key.public_key_to_der().ok()?)))
}

/// The first private key that has a certificate, and the certificate.
fn matching<'a>(
    keys: &'a [PKey<Private>],
    certificates: &'a [X509],
) -> Option<(&'a PKey<Private>, &'a X509)> {
    let is_of = |key: &PKey<Private>, certificate: &X509| {
        certificate.public_key().is_ok_and(|public| public.public_eq(key))
    };
    keys.iter().find_map(|key| {
        certificates.iter().find(|certificate| is_of(key, certificate)).map(|certificate| (key, certificate))
    })
}

/// The certificate and those that sign one another up to the root, which the peer has to know by itself.
fn chain<'a>(leaf: &'a X509, certificates: &'a [X509]) -> Vec<&'a X509Ref> {
    let mut chain: Vec<&X509Ref> = vec![leaf];
    let mut rest: Vec<&X509> = certificates.iter().collect();
    loop {
        let last = chain[chain.len() - 1];
        rest.retain(|certificate| !std::ptr::eq::<X509Ref>(&***certificate, last));
        let issuer = rest.iter().find(|candidate| has_issued(candidate, last));
        match issuer {
            Some(issuer) if !has_issued(issuer, issuer) => chain.push(issuer),
            _ => return chain,
        }
    }
}

/// Whether `issuer` has signed `certificate`, by its names and identifiers, and by the signature.
fn has_issued(issuer: &X509Ref, certificate: &X509Ref) -> bool {
    issuer.issued(certificate) == X509VerifyResult::OK
        && issuer.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}

fn timestamp(time: &Asn1TimeRef) -> Result<Timestamp, ErrorStack> {
    let since_epoch = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(Timestamp::from_unix(i64::from(since_epoch.days) * 86_400 + i64::from(since_epoch.secs)))
}

/// The host names that the certificate is for.
fn dns_names(certificate: &X509Ref) -> Vec<String> {
    let alternative = certificate.subject_alt_names();
    alternative.iter().flatten().filter_map(|name| name.dnsname().map(str::to_ascii_lowercase)).collect()
}

/// The names that the certificate is for, or its common name where it has none, as older ones.
fn names(certificate: &X509Ref) -> String {
    let alternative = certificate.subject_alt_names();
    let names: Vec<String> = alternative
        .iter()
        .flatten()
        .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
            (Some(name), _) => Some(name.escape_debug().to_string()),
            (None, Some(address)) => Some(display_address(address)),
            (None, None) => None,
        })
        .collect();
    if names.is_empty() { common_name(certificate.subject_name()) } else { names.join(", ") }
}

fn display_address(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        std::net::Ipv4Addr::from(v4).to_string()
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        std::net::Ipv6Addr::from(v6).to_string()
    } else {
        "an address".to_owned()
    }
}

fn common_name(name: &X509NameRef) -> String {
    let entry = name.entries_by_nid(Nid::COMMONNAME).next().or_else(|| name.entries().next());
    let text = entry.and_then(|entry| entry.data().to_string().ok());
    text.map_or("(nameless)".to_owned(), |text| text.escape_debug().to_string())
}
