//! AES key wrap (NIST SP 800-38F): with the integrity check value of RFC 3394, or padded as RFC 5649 says.
#![forbid(unsafe_code)]

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use zeroize::Zeroizing;

/// Wraps `data`: `None` where the key is none of AES, or where the data is too long, empty, or without padding not two or
/// more blocks of 8 bytes.
pub fn wrap(kek: &[u8], padded: bool, data: &[u8]) -> Option<Vec<u8>> {
    if !is_legal(padded, data.len()) {
        return None;
    }
    let mut context = context()?;
    context.encrypt_init(Some(cipher(kek, padded)?), Some(kek), None).ok()?;
    let mut wrapped = Vec::new();
    context.cipher_update_vec(data, &mut wrapped).ok()?;
    Some(wrapped)
}

/// Takes out what was wrapped with this key in this way; `None` for all else.
pub fn unwrap(kek: &[u8], padded: bool, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let legal = wrapped.len() <= BYTES_MAX
        && wrapped.len().is_multiple_of(8)
        && wrapped.len() >= if padded { 16 } else { 24 };
    if !legal {
        return None;
    }
    let mut context = context()?;
    context.decrypt_init(Some(cipher(kek, padded)?), Some(kek), None).ok()?;
    let mut data = Zeroizing::new(Vec::with_capacity(wrapped.len() + 16));
    context.cipher_update_vec(wrapped, &mut data).ok()?;
    Some(data)
}

/// Many times the largest key: what is wrapped goes through the cipher six times.
const BYTES_MAX: usize = 1024 * 1024;

fn is_legal(padded: bool, bytes: usize) -> bool {
    bytes < BYTES_MAX && if padded { bytes > 0 } else { bytes >= 16 && bytes.is_multiple_of(8) }
}

fn context() -> Option<CipherCtx> {
    let mut context = CipherCtx::new().ok()?;
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    Some(context)
}

fn cipher(kek: &[u8], padded: bool) -> Option<&'static CipherRef> {
    Some(match (kek.len(), padded) {
        (16, false) => Cipher::aes_128_wrap(),
        (24, false) => Cipher::aes_192_wrap(),
        (32, false) => Cipher::aes_256_wrap(),
        (16, true) => Cipher::aes_128_wrap_pad(),
        (24, true) => Cipher::aes_192_wrap_pad(),
        (32, true) => Cipher::aes_256_wrap_pad(),
        _ => return None,
    })
}
