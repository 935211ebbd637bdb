//! Hash functions (FIPS 180-4, FIPS 202), by OpenSSL.
#![forbid(unsafe_code)]

use openssl::md::{Md, MdRef};
use openssl::md_ctx::MdCtx;
use openssl::nid::Nid;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standards'")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Hash {
    /// Bytes of a digest.
    pub fn bytes(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha224 | Hash::Sha512_224 | Hash::Sha3_224 => 28,
            Hash::Sha256 | Hash::Sha512_256 | Hash::Sha3_256 => 32,
            Hash::Sha384 | Hash::Sha3_384 => 48,
            Hash::Sha512 | Hash::Sha3_512 => 64,
        }
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let mut hashing = Hashing::start(self);
        hashing.update(data);
        hashing.finish()
    }

    /// What OpenSSL calls it.
    pub(super) fn nid(self) -> Nid {
        match self {
            Hash::Sha1 => Nid::SHA1,
            Hash::Sha224 => Nid::SHA224,
            Hash::Sha256 => Nid::SHA256,
            Hash::Sha384 => Nid::SHA384,
            Hash::Sha512 => Nid::SHA512,
            Hash::Sha512_224 => Nid::from_raw(SHA512_224),
            Hash::Sha512_256 => Nid::from_raw(SHA512_256),
            Hash::Sha3_224 => Nid::SHA3_224,
            Hash::Sha3_256 => Nid::SHA3_256,
            Hash::Sha3_384 => Nid::SHA3_384,
            Hash::Sha3_512 => Nid::SHA3_512,
        }
    }

    /// OpenSSL's.
    pub(super) fn md(self) -> &'static MdRef {
        Md::from_nid(self.nid()).expect(OPENSSL_HAS_IT)
    }
}

/// Numbers of OpenSSL (`obj_mac.h`) that the binding has no names for.
const SHA512_224: i32 = 1094;
const SHA512_256: i32 = 1095;

const OPENSSL_HAS_IT: &str = "OpenSSL is linked with all of these, and hashing takes no more than memory";

/// Data on its way into a digest.
pub struct Hashing(MdCtx);

impl Hashing {
    /// Begins.
    pub fn start(hash: Hash) -> Hashing {
        let mut context = MdCtx::new().expect(OPENSSL_HAS_IT);
        context.digest_init(hash.md()).expect(OPENSSL_HAS_IT);
        Hashing(context)
    }

    /// Takes what comes next.
    pub fn update(&mut self, data: &[u8]) {
        self.0.digest_update(data).expect(OPENSSL_HAS_IT);
    }

    /// The digest.
    pub fn finish(mut self) -> Vec<u8> {
        let mut digest = vec![0; self.0.size()];
        self.0.digest_final(&mut digest).expect(OPENSSL_HAS_IT);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 and FIPS 202: the beginnings of the digests of "abc".
    #[test]
    fn each_is_itself() {
        for (hash, beginning) in [
            (Hash::Sha1, [0xA9, 0x99, 0x3E, 0x36]),
            (Hash::Sha224, [0x23, 0x09, 0x7D, 0x22]),
            (Hash::Sha256, [0xBA, 0x78, 0x16, 0xBF]),
            (Hash::Sha384, [0xCB, 0x00, 0x75, 0x3F]),
            (Hash::Sha512, [0xDD, 0xAF, 0x35, 0xA1]),
            (Hash::Sha512_224, [0x46, 0x34, 0x27, 0x0F]),
            (Hash::Sha512_256, [0x53, 0x04, 0x8E, 0x26]),
            (Hash::Sha3_224, [0xE6, 0x42, 0x82, 0x4C]),
            (Hash::Sha3_256, [0x3A, 0x98, 0x5D, 0xA7]),
            (Hash::Sha3_384, [0xEC, 0x01, 0x49, 0x82]),
            (Hash::Sha3_512, [0xB7, 0x51, 0x85, 0x0B]),
        ] {
            let digest = hash.digest(b"abc");
            assert_eq!((&digest[..4], digest.len()), (&beginning[..], hash.bytes()), "{hash:?}");
        }
    }
}
