//! Keys wrapped by AES keys: RFC 3394 (NIST SP 800-38F's KW), RFC 5649 (KWP) and AES-GCM; by OpenSSL.
#![forbid(unsafe_code)]

use super::aead::AesGcm;
use crate::secret::Buffer;
use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::error::ErrorStack;

/// Bytes of the nonce in front of what AES-GCM wraps.
pub const NONCE_BYTES: usize = 12;
/// Bytes of the authentication tag behind it.
const TAG_BYTES: usize = 16;
/// Many times the longest key: every byte goes through the cipher six times.
const WRAPPED_BYTES_MAX: usize = 1024 * 1024;

/// `data` wrapped by RFC 3394 or, `padded`, by RFC 5649. `None` where the key has not 16, 24 or 32 bytes, or the data do
/// not fit: a mebibyte is too long, without padding they are a multiple of 8 bytes, 16 at least, and with padding at least one byte.
pub fn wrap(kek: &[u8], padded: bool, data: &[u8]) -> Option<Vec<u8>> {
    let cipher = cipher(kek, padded)?;
    let fits = if padded { !data.is_empty() } else { data.len() >= 16 && data.len().is_multiple_of(8) };
    if !fits {
        return None;
    }
    let wrapped = run(data, |context| context.encrypt_init(Some(cipher), Some(kek), None))?;
    Some(wrapped.to_vec())
}

/// What [`wrap`] was given, if `wrapped` is what it makes of that with this key.
pub fn unwrap(kek: &[u8], padded: bool, wrapped: &[u8]) -> Option<Buffer> {
    let cipher = cipher(kek, padded)?;
    let bytes_min = if padded { 16 } else { 24 };
    if wrapped.len() < bytes_min || !wrapped.len().is_multiple_of(8) {
        return None;
    }
    run(wrapped, |context| context.decrypt_init(Some(cipher), Some(kek), None))
}

/// `data` encrypted by AES-GCM: the nonce, the ciphertext, the authentication tag. A nonce must not be used twice with
/// one key.
pub fn wrap_gcm(kek: &[u8], nonce: &[u8; NONCE_BYTES], data: &[u8]) -> Option<Vec<u8>> {
    let mut data = Buffer::new(data.to_vec());
    let tag = AesGcm::new(kek)?.seal(nonce, &[], &mut data)?;
    Some([nonce, data.as_slice(), &tag].concat())
}

/// What [`wrap_gcm`] was given, if it is genuine.
pub fn unwrap_gcm(kek: &[u8], wrapped: &[u8]) -> Option<Buffer> {
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
    let (data, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut data = Buffer::new(data.to_vec());
    AesGcm::new(kek)?.open(nonce, &[], &mut data, tag).then_some(data)
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

fn run(input: &[u8], init: impl FnOnce(&mut CipherCtx) -> Result<(), ErrorStack>) -> Option<Buffer> {
    if input.len() > WRAPPED_BYTES_MAX {
        return None;
    }
    let mut context = CipherCtx::new().ok()?;
    // OpenSSL's guard against these modes for data that are no keys.
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    init(&mut context).ok()?;
    // Where unwrapping with padding fails, OpenSSL 3 overwrites as many bytes of the output as there are of the input,
    // though it asks for 8 less: a buffer of the length that it asks for is overrun.
    let mut output = Buffer::new(vec![0; input.len() + 16]);
    let written = context.cipher_update(input, Some(&mut output)).ok()?;
    output.truncate(written);
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex;

    fn bytes(text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        hex::decode_in_place(&mut text).unwrap().to_vec()
    }

    fn check(kek: &[u8], padded: bool, data: &[u8], wrapped: &[u8]) {
        assert_eq!(wrap(kek, padded, data).as_deref(), Some(wrapped));
        assert_eq!(unwrap(kek, padded, wrapped).as_deref().map(Vec::as_slice), Some(data));
        assert_eq!(unwrap(kek, !padded, wrapped).as_deref(), None, "neither is taken for the other");
        for bit in 0..8 * wrapped.len() {
            let mut forged = wrapped.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrap(kek, padded, &forged).as_deref(), None, "bit {bit}");
        }
        for length in 0..wrapped.len() {
            assert_eq!(unwrap(kek, padded, &wrapped[..length]).as_deref(), None, "{length} bytes");
        }
    }

    /// RFC 3394 sections 4.1, 4.3, 4.5 and 4.6, RFC 5649 section 6.
    #[test]
    fn vectors_of_the_rfcs() {
        const KEK: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
        const DATA: &str = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F";
        for (kek_bytes, data_bytes, wrapped) in [
            (16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
            (32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
            (32, 24, "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"),
            (32, 32, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"),
        ] {
            check(&bytes(KEK)[..kek_bytes], false, &bytes(DATA)[..data_bytes], &bytes(wrapped));
        }
        let kek = bytes("5840DF6E29B02AF1AB493B705BF16EA1AE8338F4DCC176A8");
        for (data, wrapped) in [
            (
                "C37B7E6492584340BED12207808941155068F738",
                "138BDEAA9B8FA7FC61F97742E72248EE5AE6AE5360D1AE6A5F54F373FA543B6A",
            ),
            ("466F7250617369", "AFBEB0F07DFBF5419200F2CCB50BB24F"),
        ] {
            check(&kek, true, &bytes(data), &bytes(wrapped));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let kek = [7; 16];
        for length in [0, 1, 8, 15, 17, 23] {
            assert_eq!(wrap(&kek, false, &vec![0; length]), None, "{length}");
        }
        assert_eq!(wrap(&kek, true, &[]), None);
        for length in [0, 8, 15, 17, 31, 33, 64] {
            assert_eq!(wrap(&vec![0; length], true, &[0; 16]), None, "a key of {length} bytes");
            assert_eq!(unwrap(&vec![0; length], true, &[0; 24]).as_deref(), None);
            assert_eq!(wrap_gcm(&vec![0; length], &[0; 12], &[0; 16]), None);
        }
    }

    #[test]
    fn gcm_carries_its_nonce_and_tag() {
        let (kek, nonce) = ([7; 32], [9; NONCE_BYTES]);
        let wrapped = wrap_gcm(&kek, &nonce, b"key").unwrap();
        assert_eq!((&wrapped[..NONCE_BYTES], wrapped.len()), (nonce.as_slice(), 12 + 3 + 16));
        assert_eq!(unwrap_gcm(&kek, &wrapped).as_deref().map(Vec::as_slice), Some(b"key".as_slice()));
        for at in 0..wrapped.len() {
            let mut forged = wrapped.clone();
            forged[at] ^= 1;
            assert_eq!(unwrap_gcm(&kek, &forged).as_deref(), None, "{at}");
            assert_eq!(unwrap_gcm(&kek, &wrapped[..at]).as_deref(), None, "{at}");
        }
    }
}
