//! Protection by a password: the MAC over a PKCS#12 file, and the encryption of its parts.
//!
//! | | by |
//! |---|---|
//! | MAC by the key derivation of PKCS#12 with SHA-1 or SHA-2 (RFC 7292 section 4) | here |
//! | PBMAC1 (RFC 9579), PBES2 with PBKDF2 and AES or triple DES (RFC 8018) | here |
//! | RC2 with 40 bits and triple DES with SHA-1, as files before OpenSSL 3 have them | p12 |
//!
//! Every derivation is paid for before it begins, from one budget for the whole file.
#![forbid(unsafe_code)]

use super::{Error, ber, dotted};
use crate::secret::Buffer;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{self, Cipher};
use p12::{AlgorithmIdentifier, DigestInfo, OtherAlgorithmIdentifier};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Error, ASN1ErrorKind, BERReader};

const PBES2: &str = "1.2.840.113549.1.5.13";
const PBMAC1: &str = "1.2.840.113549.1.5.14";
const PBKDF2: &str = "1.2.840.113549.1.5.12";
const HMAC_SHA1: &str = "1.2.840.113549.2.7";
const SHA1: &str = "1.3.14.3.2.26";
/// Bytes of SHA-1, the shortest digest: what one round of a derivation gives at least.
const DIGEST_BYTES_MIN: usize = 20;
/// Derivations that p12 makes for one decryption: two for the longest key, one for the initialisation vector.
const LEGACY_DERIVATIONS: u64 = 3;

/// Iterations that may still be spent.
pub struct Budget(pub u64);

impl Budget {
    fn spend(&mut self, iterations: u64) -> Result<(), Error> {
        self.0 = self.0.checked_sub(iterations.max(1)).ok_or(Error::TooCostly)?;
        Ok(())
    }
}

/// A password in the two forms that derivations want.
pub struct Password<'p> {
    utf8: &'p str,
    /// UTF-16 in big-endian order (BMPString); two zero bytes at its end unless there is no password at all.
    bmp: Buffer,
}

impl<'p> Password<'p> {
    fn new(utf8: &'p str) -> Password<'p> {
        let mut bmp = Buffer::new(Vec::with_capacity(2 * utf8.len() + 2));
        bmp.extend(utf8.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        Password { utf8, bmp }
    }

    /// No password, which is not the same as an empty one (RFC 7292 appendix B.1 knows only the latter).
    fn absent() -> Password<'p> {
        Password { utf8: "", bmp: Buffer::default() }
    }
}

/// `MacData` of RFC 7292 section 4.
pub struct Mac {
    digest: DigestInfo,
    salt: Vec<u8>,
    iterations: u64,
}

impl Mac {
    /// Reads it; p12 takes the iterations for mandatory, but their default is 1.
    pub fn parse(reader: BERReader<'_, '_>) -> Result<Mac, ASN1Error> {
        reader.read_sequence(|r| {
            let digest = DigestInfo::parse(r.next())?;
            let salt = r.next().read_bytes()?;
            let iterations = r.read_optional(|r| r.read_u64())?.unwrap_or(1);
            Ok(Mac { digest, salt, iterations })
        })
    }

    /// Checks the MAC over `content`, and gives the password in the form that was used for it.
    pub fn verify<'p>(
        &self,
        content: &[u8],
        password: &'p str,
        budget: &mut Budget,
    ) -> Result<Password<'p>, Error> {
        let mut forms = vec![Password::new(password)];
        if password.is_empty() {
            forms.push(Password::absent());
        }
        for form in forms {
            if self.matches(content, &form, budget)? {
                return Ok(form);
            }
        }
        Err(Error::WrongPassword)
    }

    fn matches(&self, content: &[u8], password: &Password<'_>, budget: &mut Budget) -> Result<bool, Error> {
        let (digest, key) = match &self.digest.digest_algorithm {
            AlgorithmIdentifier::OtherAlg(other) if dotted(&other.algorithm_type) == PBMAC1 => {
                pbmac1(other, password, budget)?
            }
            AlgorithmIdentifier::OtherAlg(other) => {
                self.derive(digest(&dotted(&other.algorithm_type))?, password, budget)?
            }
            AlgorithmIdentifier::Sha1 => self.derive(digest(SHA1)?, password, budget)?,
            _ => return Err(Error::NotPkcs12),
        };
        let mac = hmac(digest, &key, content).map_err(|_| Error::NotPkcs12)?;
        let expected = &self.digest.digest;
        Ok(mac.len() == expected.len() && openssl::memcmp::eq(&mac, expected))
    }

    fn derive(
        &self,
        digest: MessageDigest,
        password: &Password<'_>,
        budget: &mut Budget,
    ) -> Result<(MessageDigest, Buffer), Error> {
        let iterations = self.iterations.max(1);
        budget.spend(iterations)?;
        let key = derive_mac_key(digest, &password.bmp, &self.salt, iterations);
        Ok((digest, key.map_err(|_| Error::NotPkcs12)?))
    }
}

/// Decrypts a part of the file.
pub fn decrypt(
    algorithm: &AlgorithmIdentifier,
    encrypted: &[u8],
    password: &Password<'_>,
    budget: &mut Budget,
) -> Result<Buffer, Error> {
    let plain = match algorithm {
        AlgorithmIdentifier::PbewithSHAAnd40BitRC2CBC(parameters)
        | AlgorithmIdentifier::PbeWithSHAAnd3KeyTripleDESCBC(parameters) => {
            budget.spend(parameters.iterations.saturating_mul(LEGACY_DERIVATIONS))?;
            algorithm.decrypt_pbe(encrypted, &password.bmp)
        }
        AlgorithmIdentifier::OtherAlg(other) if dotted(&other.algorithm_type) == PBES2 => {
            pbes2(other, encrypted, password, budget)?
        }
        AlgorithmIdentifier::OtherAlg(other) => {
            return Err(Error::Unsupported(dotted(&other.algorithm_type)));
        }
        AlgorithmIdentifier::Sha1 => return Err(Error::NotPkcs12),
    };
    plain.map(Buffer::new).ok_or(Error::OtherPassword)
}

/// PBES2 (RFC 8018 section 6.2); `None` for what does not end in a padding.
fn pbes2(
    algorithm: &OtherAlgorithmIdentifier,
    encrypted: &[u8],
    password: &Password<'_>,
    budget: &mut Budget,
) -> Result<Option<Vec<u8>>, Error> {
    let parameters = algorithm.params.as_deref().ok_or(Error::NotPkcs12)?;
    let (kdf, scheme) = ber::parse(parameters, |r| {
        r.read_sequence(|r| Ok((Pbkdf2::parse(r.next())?, Algorithm::parse(r.next())?)))
    })?;
    let cipher = match scheme.oid.as_str() {
        "2.16.840.1.101.3.4.1.2" => Cipher::aes_128_cbc(),
        "2.16.840.1.101.3.4.1.22" => Cipher::aes_192_cbc(),
        "2.16.840.1.101.3.4.1.42" => Cipher::aes_256_cbc(),
        "1.2.840.113549.3.7" => Cipher::des_ede3_cbc(),
        _ => return Err(Error::Unsupported(scheme.oid)),
    };
    if kdf.key_bytes.is_some_and(|bytes| bytes != cipher.key_len() as u64) {
        return Err(Error::NotPkcs12);
    }
    let iv = ber::parse(&scheme.parameters.ok_or(Error::NotPkcs12)?, |r| r.read_bytes())?;
    if Some(iv.len()) != cipher.iv_len() {
        return Err(Error::NotPkcs12);
    }
    let key = kdf.derive(cipher.key_len(), password, budget)?;
    Ok(symm::decrypt(cipher, &key, Some(&iv), encrypted).ok())
}

/// The key of PBMAC1 (RFC 9579 section 5), whose length must be stated and at least that of SHA-1.
fn pbmac1(
    algorithm: &OtherAlgorithmIdentifier,
    password: &Password<'_>,
    budget: &mut Budget,
) -> Result<(MessageDigest, Buffer), Error> {
    let parameters = algorithm.params.as_deref().ok_or(Error::NotPkcs12)?;
    let (kdf, scheme) = ber::parse(parameters, |r| {
        r.read_sequence(|r| Ok((Pbkdf2::parse(r.next())?, Algorithm::parse(r.next())?)))
    })?;
    let key_bytes = match kdf.key_bytes {
        Some(bytes @ 20..=64) => bytes as usize,
        _ => return Err(Error::NotPkcs12),
    };
    Ok((digest(&scheme.oid)?, kdf.derive(key_bytes, password, budget)?))
}

/// An algorithm and its parameters, encoded.
struct Algorithm {
    oid: String,
    parameters: Option<Vec<u8>>,
}

impl Algorithm {
    fn parse(reader: BERReader<'_, '_>) -> Result<Algorithm, ASN1Error> {
        reader.read_sequence(|r| {
            let oid = read_oid(r.next())?;
            Ok(Algorithm { oid, parameters: r.read_optional(|r| r.read_der())? })
        })
    }
}

fn read_oid(reader: BERReader<'_, '_>) -> Result<String, ASN1Error> {
    let oid: ObjectIdentifier = reader.read_oid()?;
    Ok(dotted(&oid))
}

/// PBKDF2 and its parameters (RFC 8018 appendix A.2).
struct Pbkdf2 {
    salt: Vec<u8>,
    iterations: u64,
    key_bytes: Option<u64>,
    /// The pseudo-random function: an HMAC.
    prf: String,
}

impl Pbkdf2 {
    fn parse(reader: BERReader<'_, '_>) -> Result<Pbkdf2, ASN1Error> {
        reader.read_sequence(|r| {
            if read_oid(r.next())? != PBKDF2 {
                return Err(ASN1Error::new(ASN1ErrorKind::Invalid));
            }
            r.next().read_sequence(|r| {
                let salt = r.next().read_bytes()?;
                let iterations = r.next().read_u64()?;
                let key_bytes = r.read_optional(|r| r.read_u64())?;
                let prf = r.read_optional(Algorithm::parse)?.map_or(HMAC_SHA1.to_owned(), |prf| prf.oid);
                Ok(Pbkdf2 { salt, iterations, key_bytes, prf })
            })
        })
    }

    fn derive(
        &self,
        key_bytes: usize,
        password: &Password<'_>,
        budget: &mut Budget,
    ) -> Result<Buffer, Error> {
        if self.iterations == 0 {
            return Err(Error::NotPkcs12);
        }
        let rounds = key_bytes.div_ceil(DIGEST_BYTES_MIN) as u64;
        budget.spend(self.iterations.saturating_mul(rounds))?;
        let iterations = usize::try_from(self.iterations).map_err(|_| Error::TooCostly)?;
        let mut key = Buffer::new(vec![0; key_bytes]);
        let prf = digest(&self.prf)?;
        pbkdf2_hmac(password.utf8.as_bytes(), &self.salt, iterations, prf, &mut key)
            .map_err(|_| Error::NotPkcs12)?;
        Ok(key)
    }
}

/// A digest by its own object identifier or by that of its HMAC.
fn digest(oid: &str) -> Result<MessageDigest, Error> {
    Ok(match oid {
        SHA1 | HMAC_SHA1 => MessageDigest::sha1(),
        "2.16.840.1.101.3.4.2.4" | "1.2.840.113549.2.8" => MessageDigest::sha224(),
        "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.2.9" => MessageDigest::sha256(),
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.2.10" => MessageDigest::sha384(),
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.2.11" => MessageDigest::sha512(),
        oid => return Err(Error::Unsupported(oid.to_owned())),
    })
}

fn hmac(digest: MessageDigest, key: &[u8], data: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(digest, &key)?;
    signer.update(data)?;
    signer.sign_to_vec()
}

/// The key derivation of RFC 7292 appendix B.2 for a MAC key (ID 3) as long as the digest, so that one block of it is
/// enough.
fn derive_mac_key(
    digest: MessageDigest,
    password: &[u8],
    salt: &[u8],
    iterations: u64,
) -> Result<Buffer, ErrorStack> {
    const ID_MAC: u8 = 3;
    let block_bytes = if digest.size() > 32 { 128 } else { 64 };
    let mut input = Buffer::new(vec![ID_MAC; block_bytes]);
    input.reserve_exact(salt.len() + password.len() + 2 * block_bytes);
    for part in [salt, password] {
        let bytes = part.len().next_multiple_of(block_bytes);
        input.extend(part.iter().cycle().take(bytes));
    }
    let mut hasher = Hasher::new(digest)?;
    hasher.update(&input)?;
    let mut hash = hasher.finish()?;
    for _ in 1..iterations {
        hasher.update(&hash)?;
        hash = hasher.finish()?;
    }
    Ok(Buffer::new(hash.to_vec()))
}
