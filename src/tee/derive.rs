//! From a platform's secret to a TLS key: HKDF (RFC 5869) with SHA-256, taken as the private number of a key on P-256.
//!
//! `secret` is what the platform gives, `salt` what the operator gives, `info` the name of the kind of platform. The 32 bytes
//! of HKDF are the number, big-endian. Should it be 0, or not below the order of the curve (once in 2^32), HKDF is asked
//! again with a byte 1 after `info`, then 2, and so on (FIPS 186-5, appendix A.2.2, keys by rejection).
#![forbid(unsafe_code)]

use super::Source;
use crate::secret::{Buffer, Secret};
use openssl::pkey::PKey;
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// The order of P-256 (SP 800-186 section 3.2.1.3).
const ORDER: [u8; SCALAR_BYTES] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC,
    0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];
const SCALAR_BYTES: usize = 32;

/// ECPrivateKey (RFC 5915) without the public point: SEQUENCE { 1, OCTET STRING (32) .. [0] prime256v1 }.
const HEAD: [u8; 7] = [0x30, 49, 0x02, 1, 1, 0x04, 32];
const TAIL: [u8; 12] = [0xA0, 10, 0x06, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

/// The TLS key (PKCS #8) that this platform has for this salt.
pub fn tls_key(source: &dyn Source, salt: &[u8]) -> Result<Secret, String> {
    Ok(p256_key(&source.secret(salt)?, salt, source.info()))
}

/// The 32 bytes that a database is sealed with on this platform for this salt: HKDF, with `-database` after `info`.
pub fn database_key(source: &dyn Source, salt: &[u8]) -> Result<Secret, String> {
    let secret = source.secret(salt)?;
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret.expose());
    let info = [source.info(), b"-database"];
    let mut key = Zeroizing::new([0; 32]);
    let expanded = extracted.expand(&info, HKDF_SHA256).expect("32 bytes are not too many for HKDF");
    expanded.fill(&mut *key).expect("the buffer is as long as what was asked for");
    Ok(Secret::copy_of(&*key))
}

/// The key on P-256, in PKCS #8, for this secret, salt and info.
pub fn p256_key(secret: &Secret, salt: &[u8], info: &[u8]) -> Secret {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret.expose());
    let scalar = accepted(|counter, bytes| {
        let info = [info, counter];
        let expanded = extracted.expand(&info, HKDF_SHA256).expect("32 bytes are not too many for HKDF");
        expanded.fill(bytes).expect("the buffer is as long as what was asked for");
    });
    let mut der = Buffer::new(Vec::with_capacity(HEAD.len() + SCALAR_BYTES + TAIL.len()));
    der.extend_from_slice(&HEAD);
    der.extend_from_slice(&*scalar);
    der.extend_from_slice(&TAIL);
    // OpenSSL computes the public point, and writes it.
    let key = PKey::private_key_from_der(&der).and_then(|key| key.private_key_to_pkcs8());
    Secret::new(key.expect("a number below the order is a key"))
}

/// The first candidate that is a private number; `candidate` is given what follows `info`.
fn accepted(mut candidate: impl FnMut(&[u8], &mut [u8; SCALAR_BYTES])) -> Zeroizing<[u8; SCALAR_BYTES]> {
    let mut scalar = Zeroizing::new([0; SCALAR_BYTES]);
    candidate(&[], &mut scalar);
    for counter in 1..=u8::MAX {
        // Which candidates are refused tells nothing about the one that is taken.
        if *scalar != [0; SCALAR_BYTES] && *scalar < ORDER {
            return scalar;
        }
        candidate(&[counter], &mut scalar);
    }
    unreachable!("not once in 2^8000 times")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_private_number_is_passed_over() {
        let mut greatest = ORDER;
        greatest[31] -= 1;
        let candidates = [[0; 32], ORDER, [0xFF; 32], greatest, [1; 32]];
        let mut asked = Vec::new();
        let scalar = accepted(|counter, bytes| {
            *bytes = candidates[asked.len()];
            asked.push(counter.to_vec());
        });
        assert_eq!(*scalar, greatest);
        assert_eq!(asked, [vec![], vec![1], vec![2], vec![3]]);
    }
}
