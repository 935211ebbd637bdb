//! Primitives: total functions over bytes, by ring and OpenSSL.

pub mod aead;
pub mod pkcs12;
pub mod x509;
