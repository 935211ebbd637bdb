//! AES-GCM (NIST SP 800-38D) with nonces of 12 and tags of 16 bytes: by ring, and for keys of 192 bits, which ring does
//! not know, by OpenSSL.
#![forbid(unsafe_code)]

use crate::secret;
use openssl::symm;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

/// A key that is ready for use.
pub struct AesGcm(Box<Key>);

#[expect(clippy::large_enum_variant, reason = "hardly any key has 192 bits")]
enum Key {
    Ring(LessSafeKey),
    Aes192(Zeroizing<[u8; 24]>),
}

impl AesGcm {
    /// The cipher of a key of 16, 24 or 32 bytes; `None` for other lengths.
    pub fn new(key: &[u8]) -> Option<AesGcm> {
        let ring =
            |algorithm| UnboundKey::new(algorithm, key).ok().map(|key| Key::Ring(LessSafeKey::new(key)));
        secret::off_the_stack(|| {
            let key = match key.len() {
                16 => ring(&AES_128_GCM),
                24 => key.try_into().ok().map(|key| Key::Aes192(Zeroizing::new(key))),
                32 => ring(&AES_256_GCM),
                _ => None,
            };
            key.map(|key| AesGcm(Box::new(key)))
        })
    }

    /// Encrypts `data` in place and gives the authentication tag; `None` for data beyond what GCM can encrypt (64 GiB).
    /// A nonce must not be used twice with one key.
    pub fn seal(&self, nonce: &[u8; 12], additional_data: &[u8], data: &mut [u8]) -> Option<[u8; 16]> {
        match &*self.0 {
            Key::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(additional_data), data).ok()?;
                tag.as_ref().try_into().ok()
            }
            Key::Aes192(key) => {
                let mut tag = [0; 16];
                let cipher = symm::Cipher::aes_192_gcm();
                let sealed =
                    symm::encrypt_aead(cipher, &**key, Some(nonce), additional_data, data, &mut tag).ok()?;
                data.copy_from_slice(&sealed);
                Some(tag)
            }
        }
    }

    /// Decrypts `data` in place if it is genuine; otherwise `data` holds nothing of use.
    #[must_use = "what is not genuine must not be used"]
    pub fn open(&self, nonce: &[u8; 12], additional_data: &[u8], data: &mut [u8], tag: &[u8; 16]) -> bool {
        match &*self.0 {
            Key::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(*nonce);
                let (aad, tag) = (Aad::from(additional_data), Tag::from(*tag));
                key.open_in_place_separate_tag(nonce, aad, tag, data, 0..).is_ok()
            }
            Key::Aes192(key) => {
                let cipher = symm::Cipher::aes_192_gcm();
                let opened = symm::decrypt_aead(cipher, &**key, Some(nonce), additional_data, data, tag);
                match opened.map(Zeroizing::new) {
                    Ok(opened) => {
                        data.copy_from_slice(&opened);
                        true
                    }
                    Err(_) => {
                        data.zeroize();
                        false
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex;

    fn bytes(text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        hex::decode_in_place(&mut text).unwrap().to_vec()
    }

    /// Test cases 4, 10 and 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega).
    #[test]
    fn vectors_of_the_specification() {
        const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
        const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
        const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
        let nonce: [u8; 12] = bytes("cafebabefacedbaddecaf888").try_into().unwrap();
        for (key_bytes, sealed, tag) in [
            (
                16,
                "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
                "5bc94fbc3221a5db94fae95ae7121a47",
            ),
            (
                24,
                "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
                "2519498e80f1478f37ba55bd6d27618c",
            ),
            (
                32,
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
                "76fc6ece0f4e1768cddf8853bb2d551b",
            ),
        ] {
            let cipher = AesGcm::new(&bytes(KEY)[..key_bytes]).unwrap();
            let (plain, aad) = (bytes(PLAIN), bytes(AAD));
            let mut data = plain.clone();
            let made = cipher.seal(&nonce, &aad, &mut data).unwrap();
            assert_eq!((data.as_slice(), made.as_slice()), (&*bytes(sealed), &*bytes(tag)), "{key_bytes}");
            assert!(cipher.open(&nonce, &aad, &mut data, &made));
            assert_eq!(data, plain);

            for forge in 0..4 {
                let (mut nonce, mut aad, mut data, mut tag) = (nonce, aad.clone(), bytes(sealed), made);
                match forge {
                    0 => nonce[0] ^= 1,
                    1 => aad[0] ^= 1,
                    2 => data[0] ^= 1,
                    _ => tag[0] ^= 1,
                }
                assert!(!cipher.open(&nonce, &aad, &mut data, &tag), "{key_bytes} {forge}");
                assert!(data.iter().all(|byte| *byte == 0), "nothing is left of what was not genuine");
            }
        }
    }

    #[test]
    fn other_lengths_are_no_keys() {
        for length in [0, 15, 17, 23, 25, 31, 33, 64] {
            assert!(AesGcm::new(&vec![0; length]).is_none(), "{length}");
        }
    }
}
