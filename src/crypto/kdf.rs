//! Derivation of keys, by OpenSSL.
#![forbid(unsafe_code)]

use super::hash::Hash;
use super::mac::Mac;
use crate::secret::Buffer;
use openssl::hash::MessageDigest;
use openssl::kdf::{self, HkdfMode};
use openssl::pkcs5;
use zeroize::Zeroizing;

/// PBKDF2 with HMAC (RFC 8018 section 5.2). It takes as long as [`pbkdf2_rounds`] tells.
pub fn pbkdf2(hash: Hash, password: &[u8], salt: &[u8], iterations: usize, bytes: usize) -> Option<Buffer> {
    let digest = MessageDigest::from_nid(hash.nid())?;
    let mut derived = Buffer::new(vec![0; bytes]);
    pkcs5::pbkdf2_hmac(password, salt, iterations, digest, &mut derived).ok()?;
    Some(derived)
}

/// How many times PBKDF2 computes an HMAC: each block of the result takes all iterations.
pub fn pbkdf2_rounds(hash: Hash, iterations: usize, bytes: usize) -> usize {
    bytes.div_ceil(hash.bytes()).saturating_mul(iterations)
}

/// HKDF, both steps (RFC 5869); `None` for more than 255 digests.
pub fn hkdf(hash: Hash, key: &[u8], salt: &[u8], info: &[u8], bytes: usize) -> Option<Buffer> {
    let given = |bytes: &'_ [u8]| !bytes.is_empty();
    let mut derived = Buffer::new(vec![0; bytes]);
    let (salt, info) = (given(salt).then_some(salt), given(info).then_some(info));
    kdf::hkdf(hash.md(), key, salt, info, HkdfMode::ExtractAndExpand, None, &mut derived).ok()?;
    Some(derived)
}

/// The counter mode of NIST SP 800-108 (section 4.1) with HMAC and a counter of 32 bits before the fixed data.
pub fn counter_mode(hash: Hash, key: &[u8], fixed: &[u8], bytes: usize) -> Option<Buffer> {
    let blocks = u32::try_from(bytes.div_ceil(hash.bytes())).ok()?;
    let mut derived = Buffer::new(Vec::with_capacity(blocks as usize * hash.bytes()));
    for counter in 1..=blocks {
        let mut mac = Mac::hmac(hash, key)?;
        mac.update(&counter.to_be_bytes());
        mac.update(fixed);
        derived.extend_from_slice(&Zeroizing::new(mac.finish()));
    }
    derived.truncate(bytes);
    Some(derived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex;

    fn bytes(text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        hex::decode_in_place(&mut text).unwrap().to_vec()
    }

    /// RFC 6070.
    #[test]
    fn pbkdf2_is_that_of_its_vectors() {
        let derived = pbkdf2(Hash::Sha1, b"password", b"salt", 4096, 20).unwrap();
        assert_eq!(*derived, bytes("4b007901b765489abead49d926f721d065a429c1"));
        assert_eq!(pbkdf2_rounds(Hash::Sha256, 10, 64), 20);
    }

    /// RFC 5869, test cases 1 and 3.
    #[test]
    fn hkdf_is_that_of_its_vectors() {
        let key = bytes("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
        let (salt, info) = (bytes("000102030405060708090a0b0c"), bytes("f0f1f2f3f4f5f6f7f8f9"));
        assert_eq!(
            *hkdf(Hash::Sha256, &key, &salt, &info, 42).unwrap(),
            bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        );
        assert_eq!(
            *hkdf(Hash::Sha256, &key, &[], &[], 42).unwrap(),
            bytes("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
        );
        assert!(hkdf(Hash::Sha256, &key, &[], &[], 255 * 32 + 1).is_none());
    }
}
