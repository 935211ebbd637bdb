//! Primitives: total functions over bytes, by ring and OpenSSL.
#![forbid(unsafe_code)]

pub mod aead;
pub mod pkcs12;
pub mod x509;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}
