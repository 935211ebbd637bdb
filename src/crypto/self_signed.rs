//! Certificates that vouch for themselves: until a real one is there, and for tls-alpn-01 (RFC 8737).
#![forbid(unsafe_code)]

use super::pkcs12::Bundle;
use super::x509::{self, Identity};
use crate::secret::Secret;
use crate::time::Timestamp;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, BigNumContext, MsbOption};
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};
use std::net::IpAddr;

/// Bytes of a point of P-256, uncompressed (SEC 1 section 2.3.3): 4, and both coordinates.
pub const PUBLIC_POINT_BYTES: usize = 65;

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
    /// Whether it says that it is an authority's.
    pub is_ca: bool,
    /// What else it says.
    pub extension: Option<Extension<'a>>,
}

/// One more extension of a certificate (RFC 5280 section 4.2).
pub struct Extension<'a> {
    /// Its type: numbers with dots between them.
    pub oid: &'a str,
    /// Whether who does not know it must refuse the certificate.
    pub is_critical: bool,
    /// The bytes of `extnValue`.
    pub value: &'a [u8],
}

/// A new key on P-256 (PKCS #8).
pub fn new_key() -> Result<Secret, String> {
    let key = p256_key().and_then(|key| key.private_key_to_pkcs8());
    key.map(Secret::new).map_err(|error| error.to_string())
}

/// The public key of a key on P-256 (PKCS #8), as an uncompressed point.
pub fn public_point(key: &Secret) -> Result<[u8; PUBLIC_POINT_BYTES], String> {
    let point = |key: PKey<Private>| {
        let (key, mut context) = (key.ec_key()?, BigNumContext::new()?);
        key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context)
    };
    let point = PKey::private_key_from_pkcs8(key.expose()).and_then(point);
    let point = point.map_err(|error| error.to_string())?;
    point.try_into().map_err(|_| "the key is not on P-256".to_owned())
}

/// A new P-256 key and a certificate of its own for these host names (at least one), valid between these times.
pub fn identity(names: &[String], not_before: Timestamp, not_after: Timestamp) -> Result<Identity, String> {
    identity_with_key(&new_key()?, names, not_before, not_after)
}

/// The same for a key that is there (PKCS #8).
pub fn identity_with_key(
    key: &Secret,
    names: &[String],
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<Identity, String> {
    let subject = common_name(names);
    let (subject, addresses) = (subject.as_slice(), [].as_slice());
    let template =
        Template { subject, names, addresses, not_before, not_after, is_ca: false, extension: None };
    identity_from(key, &template)
}

/// A key (PKCS #8), and a certificate of its own that says this.
pub fn identity_from(key: &Secret, template: &Template<'_>) -> Result<Identity, String> {
    let bundle = PKey::private_key_from_pkcs8(key.expose()).and_then(|key| make(&key, template));
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
    // An OCTET STRING of 32 bytes (RFC 8737 section 3).
    let value = [&[0x04, 32], digest.as_slice()].concat();
    let extension = Some(Extension { oid: ACME_IDENTIFIER, is_critical: true, value: &value });
    let (subject, names, is_ca) = (subject.as_slice(), names.as_slice(), false);
    let bundle = make(&key, &Template { subject, names, addresses, not_before, not_after, is_ca, extension });
    let Bundle { mut private_keys, mut certificates } = bundle.map_err(|error| error.to_string())?;
    Ok((certificates.remove(0), private_keys.remove(0)))
}

fn make(key: &PKey<Private>, template: &Template<'_>) -> Result<Bundle, ErrorStack> {
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
    if template.is_ca {
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    }
    if let Some(Extension { oid, is_critical, value }) = template.extension {
        let (oid, value) = (Asn1Object::from_str(oid)?, Asn1OctetString::new_from_bytes(value)?);
        builder.append_extension(X509Extension::new_from_der(&oid, is_critical, &value)?)?;
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
    fn a_certificate_says_what_it_is_told() {
        let key = new_key().unwrap();
        let value = [0x5A; 300];
        let extension = Some(Extension { oid: "1.2.840.113741.1337.6", is_critical: false, value: &value });
        let (names, addresses) = (["a.example".to_owned()], ["192.0.2.1".parse().unwrap()]);
        let template = Template {
            subject: &[("O", "Owners"), ("CN", "a.example")],
            names: &names,
            addresses: &addresses,
            not_before: NOW,
            not_after: LATER,
            is_ca: true,
            extension,
        };
        let certificate = &identity_from(&key, &template).unwrap().chain[0];
        let has = |part: &[u8]| certificate.windows(part.len()).any(|bytes| bytes == part);
        // SEQUENCE { 1.2.840.113741.1337.6, OCTET STRING }: not critical, and nothing around the value.
        let mut extension =
            vec![0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x8A, 0x39, 6, 0x04, 0x82, 0x01, 0x2C];
        extension.extend_from_slice(&value);
        assert!(has(&extension));
        // SEQUENCE { basicConstraints, BOOLEAN true, OCTET STRING { SEQUENCE { BOOLEAN true } } }
        assert!(has(&[0x06, 3, 0x55, 0x1D, 0x13, 0x01, 1, 0xFF, 0x04, 5, 0x30, 3, 0x01, 1, 0xFF]));
        assert!(has(&public_point(&key).unwrap()), "the key that was given is in it");
        let certificate = X509::from_der(certificate).unwrap();
        assert!(certificate.verify(&certificate.public_key().unwrap()).unwrap());
        let names = certificate.subject_alt_names().unwrap();
        assert_eq!(
            (names[0].dnsname(), names[1].ipaddress()),
            (Some("a.example"), Some(&[192, 0, 2, 1][..]))
        );

        let plain = Template { is_ca: false, extension: None, ..template };
        let certificate = &identity_from(&key, &plain).unwrap().chain[0];
        assert!(!certificate.windows(3).any(|bytes| bytes == [0x55, 0x1D, 0x13]));
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
