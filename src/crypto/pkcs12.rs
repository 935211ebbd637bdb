//! PKCS#12 files (RFC 7292): what a server needs of them, private keys and certificates.
//!
//! The parts are parsed by p12's parsers, in BER, since NSS and Firefox write indefinite lengths. The outermost part is
//! parsed here (p12 reads it in DER only), and so are the algorithms that p12 does not know: those of today's files.
#![forbid(unsafe_code)]

mod ber;
mod pbe;

use crate::limits;
use crate::secret::{Buffer, Secret};
use p12::{CertBag, ContentInfo, SafeBag, SafeBagKind};
use pbe::{Budget, Mac, Password};
use std::fmt;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Error, BERReader};

/// PKCS #8 PrivateKeyInfo, not encrypted (RFC 7292 section 4.2.1).
const KEY_BAG: &[u64] = &[1, 2, 840, 113549, 1, 12, 10, 1, 1];
/// Bags within a bag (RFC 7292 section 4.2.6).
const SAFE_CONTENTS_BAG: &[u64] = &[1, 2, 840, 113549, 1, 12, 10, 1, 6];
/// Bags in one file: a key and a chain are a handful.
const BAGS_MAX: usize = 1024;

/// What a file holds, in its order.
#[derive(Default)]
pub struct Bundle {
    /// Private keys, as PKCS #8 in DER.
    pub private_keys: Vec<Secret>,
    /// X.509 certificates in DER.
    pub certificates: Vec<Vec<u8>>,
}

/// Why a file cannot be opened. `Display` gives the cause, and the cure where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Something else than a PKCS#12 file, or a part of one.
    NotPkcs12,
    /// Longer than any such file.
    TooLarge,
    /// More bags, or more levels of them, than any such file has.
    TooManyBags,
    /// So many rounds of key derivation that trying the password would take for ever.
    TooCostly,
    /// A file without a MAC: nothing tells whether it is whole, or whether the password is right.
    NoMac,
    /// The MAC says that the password is wrong, or that the file was changed.
    WrongPassword,
    /// The MAC is right, but a part cannot be decrypted: its password is another one.
    OtherPassword,
    /// The password is no text.
    PasswordNotText,
    /// An algorithm that is not known here, by its object identifier.
    Unsupported(String),
    /// No private key.
    NoPrivateKey,
    /// No certificate.
    NoCertificate,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotPkcs12 => f.write_str("it is no PKCS#12 file, or a damaged one"),
            Error::TooLarge => {
                write!(f, "it is longer than {} bytes, too long for a PKCS#12 file", limits::PKCS12_BYTES_MAX)
            }
            Error::TooManyBags => f.write_str("it holds more than a PKCS#12 file of a server does"),
            Error::TooCostly => write!(
                f,
                "its key derivation asks for more than {} iterations: export it again with fewer (openssl: -iter)",
                limits::PKCS12_ITERATIONS_MAX
            ),
            Error::NoMac => f.write_str(
                "it has no MAC, so that nothing tells whether it is genuine: export it again with one (openssl: without -nomac)",
            ),
            Error::WrongPassword => f.write_str("the password is wrong, or the file is damaged"),
            Error::OtherPassword => f.write_str(
                "a part of it cannot be decrypted: the key and the file must have the same password",
            ),
            Error::PasswordNotText => f.write_str("the password is not UTF-8"),
            Error::Unsupported(oid) => write!(
                f,
                "it is protected by an algorithm that is not supported ({oid}): export it again with AES-256-CBC"
            ),
            Error::NoPrivateKey => {
                f.write_str("it holds no private key: export it again with one (openssl: -inkey)")
            }
            Error::NoCertificate => {
                f.write_str("it holds no certificate: export it again with the server's and its chain (openssl: -in)")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<ASN1Error> for Error {
    fn from(_: ASN1Error) -> Error {
        Error::NotPkcs12
    }
}

/// Opens a file. An empty password stands for none.
pub fn open(file: &[u8], password: &Secret) -> Result<Bundle, Error> {
    open_within(file, password, limits::PKCS12_ITERATIONS_MAX)
}

fn open_within(file: &[u8], password: &Secret, iterations_max: u64) -> Result<Bundle, Error> {
    if file.len() > limits::PKCS12_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let pfx = ber::parse(file, Pfx::parse)?;
    let password = password.expose_str().ok_or(Error::PasswordNotText)?;
    let mut budget = Budget(iterations_max);
    let mac = pfx.mac.ok_or(Error::NoMac)?;
    let mut safe = Safe {
        password: mac.verify(&pfx.content, password, &mut budget)?,
        budget,
        bags_left: BAGS_MAX,
        bundle: Bundle::default(),
    };
    for content in ber::parse(&pfx.content, |r| r.collect_sequence_of(ContentInfo::parse))? {
        safe.take_content(&content)?;
    }
    if safe.bundle.private_keys.is_empty() {
        return Err(Error::NoPrivateKey);
    }
    if safe.bundle.certificates.is_empty() {
        return Err(Error::NoCertificate);
    }
    Ok(safe.bundle)
}

/// The outermost part: `PFX` of RFC 7292 section 4.
struct Pfx {
    /// The authenticated safe, encoded.
    content: Vec<u8>,
    mac: Option<Mac>,
}

impl Pfx {
    fn parse(reader: BERReader<'_, '_>) -> Result<Pfx, ASN1Error> {
        reader.read_sequence(|r| {
            let version = r.next().read_u8()?;
            let content = ContentInfo::parse(r.next())?;
            let mac = r.read_optional(Mac::parse)?;
            match content {
                ContentInfo::Data(content) if version == 3 => Ok(Pfx { content, mac }),
                // Signed files are told by a certificate's owner, not by a password; nobody makes them.
                _ => Err(ASN1Error::new(yasna::ASN1ErrorKind::Invalid)),
            }
        })
    }
}

/// A safe that is being emptied.
struct Safe<'p> {
    password: Password<'p>,
    budget: Budget,
    bags_left: usize,
    bundle: Bundle,
}

impl Safe<'_> {
    fn take_content(&mut self, content: &ContentInfo) -> Result<(), Error> {
        match content {
            ContentInfo::Data(bags) => self.take_bags(bags, 1),
            ContentInfo::EncryptedData(encrypted) => {
                let info = &encrypted.encrypted_content_info;
                let bags = pbe::decrypt(
                    &info.content_encryption_algorithm,
                    &info.encrypted_content,
                    &self.password,
                    &mut self.budget,
                )?;
                self.take_bags(&bags, 1)
            }
            // Encrypted for the owner of a certificate, which is not what a server's password opens.
            ContentInfo::OtherContext(other) => Err(Error::Unsupported(dotted(&other.content_type))),
        }
    }

    fn take_bags(&mut self, bags: &[u8], depth: usize) -> Result<(), Error> {
        if depth > limits::PKCS12_DEPTH_MAX {
            return Err(Error::TooManyBags);
        }
        for bag in ber::parse(bags, |r| r.collect_sequence_of(SafeBag::parse))? {
            self.bags_left = self.bags_left.checked_sub(1).ok_or(Error::TooManyBags)?;
            match bag.bag {
                SafeBagKind::CertBag(CertBag::X509(certificate)) => {
                    self.bundle.certificates.push(certificate)
                }
                SafeBagKind::Pkcs8ShroudedKeyBag(key) => {
                    let (algorithm, encrypted) = (&key.encryption_algorithm, &key.encrypted_data);
                    let mut key = pbe::decrypt(algorithm, encrypted, &self.password, &mut self.budget)?;
                    self.bundle.private_keys.push(Secret::new(std::mem::take(&mut *key)));
                }
                SafeBagKind::OtherBagKind(other) => {
                    let value = Buffer::new(other.bag_value);
                    match other.bag_id.components().as_slice() {
                        KEY_BAG => self.bundle.private_keys.push(Secret::copy_of(&value)),
                        SAFE_CONTENTS_BAG => self.take_bags(&value, depth + 1)?,
                        // Revocation lists and other people's secrets.
                        _ => {}
                    }
                }
                SafeBagKind::CertBag(CertBag::SDSI(_)) => {}
            }
        }
        Ok(())
    }
}

fn dotted(oid: &ObjectIdentifier) -> String {
    oid.components().iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// Whatever opens does so twice, to the same content, and with no other password.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz(data: &[u8]) {
    const ITERATIONS_MAX: u64 = 10_000;
    let open = |password: &str| open_within(data, &Secret::copy_of(password.as_bytes()), ITERATIONS_MAX);
    let (first, second) = (open("secret"), open("secret"));
    match (&first, &second) {
        (Ok(first), Ok(second)) => {
            assert!(first.certificates == second.certificates, "the same certificates");
            let keys = first.private_keys.iter().zip(&second.private_keys);
            assert!(keys.into_iter().all(|(a, b)| a.matches(b.expose())), "the same keys");
            assert_eq!(open("other").err(), Some(Error::WrongPassword));
        }
        (first, second) => assert_eq!(first.as_ref().err(), second.as_ref().err(), "the same fault"),
    }
}
