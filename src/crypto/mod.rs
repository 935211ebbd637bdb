//! Primitives: total functions over bytes, by ring and OpenSSL.
#![forbid(unsafe_code)]

pub mod aead;
pub mod cipher;
pub mod hash;
pub mod jwe;
pub mod jws;
pub mod kdf;
pub mod mac;
pub mod material;
pub mod padding;
pub mod pkcs12;
pub mod self_signed;
pub mod wrap;
pub mod x509;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// SHA-256 of these bytes, one after the other.
pub fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// HMAC-SHA-256 (RFC 2104) of these bytes, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::hmac::Context::with_key(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// What this text in base64 stands for (RFC 4648 section 4, with padding); `None` where it is not just as it would be
/// written.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = openssl::base64::decode_block(text).ok()?;
    (openssl::base64::encode_block(&bytes) == text).then_some(bytes)
}
