//! Certificates that vouch for themselves: until a real one is there, and for tls-alpn-01 (RFC 8737).
#![forbid(unsafe_code)]

use super::pkcs12::Bundle;
use super::x509::{self, Identity};
use crate::secret::Secret;
use crate::time::Timestamp;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};
use std::net::IpAddr;

/// id-pe-acmeIdentifier (RFC 8737 section 3).
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";
/// Of a common name (RFC 5280, upper bound ub-common-name).
const COMMON_NAME_BYTES_MAX: usize = 64;
/// Bits of a serial number, which must not be guessed nor negative.
const SERIAL_BITS: i32 = 127;

/// What a certificate says.
pub struct Template<'a> {
    /// The subject: types of attributes as OpenSSL names them, and values, the first of the sequence first.
    pub subject: &'a [(&'a str, &'a str)],
    /// Host names.
    pub names: &'a [String],
    /// Addresses.
    pub addresses: &'a [IpAddr],
    /// The first second of its time.
    pub not_before: Timestamp,
    /// The last second of its time.
    pub not_after: Timestamp,
}

/// A new P-256 key and a certificate of its own for these host names (at least one), valid between these times.
pub fn identity(names: &[String], not_before: Timestamp, not_after: Timestamp) -> Result<Identity, String> {
    let key = p256_key().map_err(|error| error.to_string())?;
    identity_of(&key, names, not_before, not_after)
}

/// The same for a key that is there (PKCS #8).
pub fn identity_with_key(
    key: &Secret,
    names: &[String],
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<Identity, String> {
    let key = PKey::private_key_from_pkcs8(key.expose()).map_err(|error| error.to_string())?;
    identity_of(&key, names, not_before, not_after)
}

/// A new P-256 key and a certificate of its own that says this.
pub fn identity_from(template: &Template<'_>) -> Result<Identity, String> {
    let key = p256_key().map_err(|error| error.to_string())?;
    to_identity(make(&key, template, None))
}

fn identity_of(
    key: &PKey<Private>,
    names: &[String],
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<Identity, String> {
    let subject = common_name(names);
    let (subject, addresses) = (subject.as_slice(), [].as_slice());
    to_identity(make(key, &Template { subject, names, addresses, not_before, not_after }, None))
}

fn to_identity(bundle: Result<Bundle, ErrorStack>) -> Result<Identity, String> {
    let bundle = bundle.map_err(|error| error.to_string())?;
    x509::identity_at_any_time(bundle).map_err(|error| error.to_string())
}

/// The certificate, in DER, and its key (PKCS #8) that prove control of `name` by tls-alpn-01; `digest` is the SHA-256 of
/// the key authorisation.
pub fn acme_proof(name: &str, digest: &[u8; 32], now: Timestamp) -> Result<(Vec<u8>, Secret), String> {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);
    let key = p256_key().map_err(|error| error.to_string())?;
    let names = [name.to_owned()];
    let (subject, addresses) = (common_name(&names), [].as_slice());
    let (not_before, not_after) = (now - HOUR, now + HOUR);
    let template = Template { subject: &subject, names: &names, addresses, not_before, not_after };
    let bundle = make(&key, &template, Some(digest));
    let Bundle { mut private_keys, mut certificates } = bundle.map_err(|error| error.to_string())?;
    Ok((certificates.remove(0), private_keys.remove(0)))
}

fn make(
    key: &PKey<Private>,
    template: &Template<'_>,
    acme_digest: Option<&[u8; 32]>,
) -> Result<Bundle, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::ONE, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    let mut subject = X509NameBuilder::new()?;
    for (kind, value) in template.subject {
        subject.append_entry_by_text(kind, value)?;
    }
    let subject = subject.build();
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    let from = Asn1Time::from_unix(template.not_before.unix())?;
    let to = Asn1Time::from_unix(template.not_after.unix())?;
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    builder.set_pubkey(key)?;
    let mut alternative = SubjectAlternativeName::new();
    for name in template.names {
        alternative.dns(name);
    }
    for address in template.addresses {
        alternative.ip(&address.to_string());
    }
    if !template.names.is_empty() || !template.addresses.is_empty() {
        let alternative = alternative.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(alternative)?;
    }
    if let Some(digest) = acme_digest {
        builder.append_extension(acme_identifier(digest)?)?;
    }
    builder.sign(key, MessageDigest::sha256())?;
    let certificate: X509 = builder.build();
    Ok(Bundle {
        private_keys: vec![Secret::new(key.private_key_to_pkcs8()?)],
        certificates: vec![certificate.to_der()?],
    })
}

fn p256_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// The first name that fits into a common name; the alternative names count.
fn common_name(names: &[String]) -> Vec<(&str, &str)> {
    let name = names.iter().find(|name| name.len() <= COMMON_NAME_BYTES_MAX);
    name.map(|name| ("CN", name.as_str())).into_iter().collect()
}

/// The critical extension with an OCTET STRING of 32 bytes (RFC 8737 section 3).
fn acme_identifier(digest: &[u8; 32]) -> Result<X509Extension, ErrorStack> {
    let content = [&[0x04, 32], digest.as_slice()].concat();
    let (name, content) =
        (Asn1Object::from_str(ACME_IDENTIFIER)?, Asn1OctetString::new_from_bytes(&content)?);
    X509Extension::new_from_der(&name, true, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_564_800);
    const LATER: Timestamp = Timestamp::from_unix(1_795_564_800 + 86_400);

    #[test]
    fn a_certificate_of_its_own_is_for_all_names_and_its_time() {
        let names = [format!("{}.example", "long.".repeat(20)), "b.example".to_owned()];
        let identity = identity(&names, NOW, LATER).unwrap();
        assert_eq!(identity.dns_names, names);
        assert_eq!((identity.not_before, identity.not_after), (NOW, LATER));
        let certificate = X509::from_der(&identity.chain[0]).unwrap();
        assert!(certificate.verify(&certificate.public_key().unwrap()).unwrap());
    }

    #[test]
    fn a_proof_carries_the_digest_in_its_critical_extension() {
        let (certificate, _) = acme_proof("a.example", &[0xA5; 32], NOW).unwrap();
        // SEQUENCE { 1.3.6.1.5.5.7.1.31, BOOLEAN true, OCTET STRING { OCTET STRING (32) } }
        let mut extension = vec![0x06, 8, 0x2B, 6, 1, 5, 5, 7, 1, 0x1F, 0x01, 1, 0xFF, 0x04, 34, 0x04, 32];
        extension.extend_from_slice(&[0xA5; 32]);
        assert!(certificate.windows(extension.len()).any(|bytes| bytes == extension));
        let certificate = X509::from_der(&certificate).unwrap();
        assert_eq!(certificate.subject_alt_names().unwrap()[0].dnsname(), Some("a.example"));
    }
}
