//! Message authentication codes: HMAC (RFC 2104) and CMAC with AES (NIST SP 800-38B), by OpenSSL.
#![forbid(unsafe_code)]

use super::hash::Hash;
use openssl::md::MdRef;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;

/// Data on its way into a message authentication code.
pub struct Mac(MdCtx);

impl Mac {
    /// HMAC with a key of any length; `None` for an empty one.
    pub fn hmac(hash: Hash, key: &[u8]) -> Option<Mac> {
        if key.is_empty() || i32::try_from(key.len()).is_err() {
            return None;
        }
        Mac::start(Some(hash.md()), &PKey::hmac(key).ok()?)
    }

    /// CMAC; `None` where the key is none of AES.
    pub fn cmac(key: &[u8]) -> Option<Mac> {
        let cipher = match key.len() {
            16 => Cipher::aes_128_cbc(),
            24 => Cipher::aes_192_cbc(),
            32 => Cipher::aes_256_cbc(),
            _ => return None,
        };
        Mac::start(None, &PKey::cmac(&cipher, key).ok()?)
    }

    fn start(hash: Option<&MdRef>, key: &PKey<Private>) -> Option<Mac> {
        let mut context = MdCtx::new().ok()?;
        context.digest_sign_init(hash, key).ok()?;
        Some(Mac(context))
    }

    /// Takes what comes next.
    pub fn update(&mut self, data: &[u8]) {
        self.0.digest_sign_update(data).expect(TAKES_MEMORY_ALONE);
    }

    /// The code.
    pub fn finish(mut self) -> Vec<u8> {
        let mut code = Vec::new();
        self.0.digest_sign_final_to_vec(&mut code).expect(TAKES_MEMORY_ALONE);
        code
    }
}

const TAKES_MEMORY_ALONE: &str = "a context that was begun can fail for want of memory alone";
