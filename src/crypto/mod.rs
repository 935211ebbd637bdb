//! Primitives: total functions over bytes, by ring and OpenSSL.
#![forbid(unsafe_code)]

pub mod aead;
pub mod jwe;
pub mod jws;
pub mod pkcs12;
pub mod self_signed;
pub mod x509;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// What this text in base64 stands for (RFC 4648 section 4, with padding); `None` where it is not just as it would be
/// written.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = openssl::base64::decode_block(text).ok()?;
    (openssl::base64::encode_block(&bytes) == text).then_some(bytes)
}
