//! Symmetric keys: which algorithms have them, and how long they are.
#![forbid(unsafe_code)]

use super::refusal::Refusal;
use crate::wire::kmip::enumeration::cryptographic_algorithm as algorithm;

/// The length of a key whose request gives none.
pub const LENGTH_BITS_DEFAULT: u32 = 256;
/// The longest key of an algorithm that takes any.
pub const LENGTH_BITS_MAX: u32 = 8 * 4096;

/// The usage of a symmetric key whose request gives none: Encrypt, Decrypt, WrapKey, UnwrapKey and KeyAgreement, which is
/// what clients send.
pub const USAGE_MASK_DEFAULT: u32 = 0x83C;

/// The length of a new key of this algorithm whose request gives none.
pub fn default_length_bits(of: u32) -> u32 {
    match of {
        algorithm::DES => 56,
        algorithm::TRIPLE_DES => 168,
        algorithm::SEED | algorithm::SM4 | algorithm::IDEA => 128,
        _ => LENGTH_BITS_DEFAULT,
    }
}

/// The bytes of a key of this algorithm and length. AES has 128, 192 or 256 bits, or 512 for a pair of XTS keys. Of 64
/// bits of DES, 8 are parity, which KMIP does not count and some clients do; they are not looked at.
pub fn length_bytes(of: u32, length_bits: u32) -> Result<usize, Refusal> {
    let whole_bytes = length_bits.is_multiple_of(8);
    let legal = match of {
        algorithm::AES => matches!(length_bits, 128 | 192 | 256 | 512),
        algorithm::CHACHA20 | algorithm::CHACHA20_POLY1305 | algorithm::GOST_28147_89 => length_bits == 256,
        algorithm::CAMELLIA | algorithm::ARIA | algorithm::TWOFISH => matches!(length_bits, 128 | 192 | 256),
        algorithm::SEED | algorithm::SM4 | algorithm::IDEA => length_bits == 128,
        algorithm::DES => matches!(length_bits, 56 | 64),
        algorithm::TRIPLE_DES => matches!(length_bits, 112 | 128 | 168 | 192),
        of if is_asymmetric(of) => {
            let name = algorithm::ALL.name(of).unwrap_or("(unknown)");
            return Err(Refusal::invalid(format!("{name} is no algorithm of symmetric keys")));
        }
        _ => (8..=LENGTH_BITS_MAX).contains(&length_bits) && whole_bytes,
    };
    if !legal {
        let name = algorithm::ALL.name(of).unwrap_or("this algorithm");
        return Err(Refusal::invalid(format!(
            "CryptographicLength: {name} has no key of {length_bits} bits"
        )));
    }
    Ok(match of {
        algorithm::DES | algorithm::TRIPLE_DES if length_bits.is_multiple_of(56) => length_bits / 7,
        _ => length_bits / 8,
    } as usize)
}

/// The length of a key of this algorithm with so many bytes.
pub fn length_bits(of: u32, bytes: usize) -> u32 {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    match of {
        algorithm::DES | algorithm::TRIPLE_DES => bytes.saturating_mul(7),
        _ => bytes.saturating_mul(8),
    }
}

fn is_asymmetric(of: u32) -> bool {
    matches!(
        of,
        algorithm::RSA
            | algorithm::DSA
            | algorithm::ECDSA
            | algorithm::DH
            | algorithm::ECDH
            | algorithm::ECMQV
            | algorithm::EC
            | algorithm::SM2
            | algorithm::GOST_R_34_10_2012
            | algorithm::XMSS
            | algorithm::SPHINCS_256
            | algorithm::MCELIECE
            | algorithm::MCELIECE_6960119
            | algorithm::MCELIECE_8192128
            | algorithm::ED25519
            | algorithm::ED448
            | algorithm::COVER_CRYPT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_algorithms() {
        for (of, bits, bytes) in [
            (algorithm::AES, 128, 16),
            (algorithm::AES, 512, 64),
            (algorithm::CHACHA20, 256, 32),
            (algorithm::DES, 56, 8),
            (algorithm::TRIPLE_DES, 112, 16),
            (algorithm::TRIPLE_DES, 128, 16),
            (algorithm::TRIPLE_DES, 168, 24),
            (algorithm::TRIPLE_DES, 192, 24),
            (algorithm::HMAC_SHA256, 8, 1),
            (algorithm::SHAKE_256, 32768, 4096),
        ] {
            assert_eq!(length_bytes(of, bits), Ok(bytes), "{of} {bits}");
        }
        for (of, bits) in [
            (algorithm::AES, 0),
            (algorithm::AES, 129),
            (algorithm::CHACHA20, 128),
            (algorithm::TRIPLE_DES, 64),
            (algorithm::HMAC_SHA256, 12),
            (algorithm::HMAC_SHA256, 32776),
            (algorithm::RSA, 2048),
        ] {
            assert!(length_bytes(of, bits).is_err(), "{of} {bits}");
        }
        assert_eq!(length_bits(algorithm::TRIPLE_DES, 24), 168);
        assert_eq!(length_bits(algorithm::AES, 24), 192);
        for of in 1..=0x40 {
            let bits = default_length_bits(of);
            assert!(is_asymmetric(of) || length_bytes(of, bits).is_ok(), "{of}");
        }
    }
}
