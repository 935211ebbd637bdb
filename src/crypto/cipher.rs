//! Symmetric ciphers in their modes of operation, at once or piece by piece: AES-GCM as most ask for it by
//! [`aead`](super::aead), all else by OpenSSL.
#![forbid(unsafe_code)]

use super::aead::AesGcm;
use super::material::Material;
use crate::secret::Buffer;
use openssl::cipher::{Cipher as Evp, CipherRef};
use openssl::cipher_ctx::CipherCtx;

/// A cipher and its mode of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// NIST SP 800-38D.
    AesGcm,
    /// RFC 8452.
    AesGcmSiv,
    /// RFC 8439.
    ChaCha20Poly1305,
    /// NIST SP 800-38A section 6.2.
    AesCbc,
    /// NIST SP 800-38A section 6.5; all 128 bits count.
    AesCtr,
    /// NIST SP 800-38A section 6.1.
    AesEcb,
    /// IEEE 1619, NIST SP 800-38E.
    AesXts,
    /// NIST SP 800-67 with three keys, or with two.
    TripleDesCbc,
    /// Likewise.
    TripleDesEcb,
}

/// The way that data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From plain to sealed.
    Encrypt,
    /// Back.
    Decrypt,
}

/// Bytes of the longest authentication tag, which is the usual one.
pub const TAG_BYTES: usize = 16;
/// Bytes of a GCM nonce as SP 800-38D section 5.2.1.1 recommends it.
const GCM_NONCE_BYTES: usize = 12;
/// Bytes of the longest nonce of GCM that OpenSSL takes; the other ciphers have nonces of one length.
pub const GCM_NONCE_BYTES_MAX: usize = 128;
/// What OpenSSL is given at a time: it counts with 32 bits.
const PIECE_BYTES: usize = 1 << 30;

impl Cipher {
    /// The name, for texts.
    pub fn name(self) -> &'static str {
        match self {
            Cipher::AesGcm => "AES-GCM",
            Cipher::AesGcmSiv => "AES-GCM-SIV",
            Cipher::ChaCha20Poly1305 => "ChaCha20-Poly1305",
            Cipher::AesCbc => "AES-CBC",
            Cipher::AesCtr => "AES-CTR",
            Cipher::AesEcb => "AES-ECB",
            Cipher::AesXts => "AES-XTS",
            Cipher::TripleDesCbc => "3DES-CBC",
            Cipher::TripleDesEcb => "3DES-ECB",
        }
    }

    /// Whether it authenticates what it encrypts, and additional data with it.
    pub fn is_aead(self) -> bool {
        matches!(self, Cipher::AesGcm | Cipher::AesGcmSiv | Cipher::ChaCha20Poly1305)
    }

    /// Whether a key may have so many bytes.
    pub fn takes_key_of(self, bytes: usize) -> bool {
        match self {
            Cipher::AesGcm | Cipher::AesGcmSiv | Cipher::AesCbc | Cipher::AesCtr | Cipher::AesEcb => {
                matches!(bytes, 16 | 24 | 32)
            }
            // A pair of keys.
            Cipher::AesXts => matches!(bytes, 32 | 64),
            Cipher::ChaCha20Poly1305 => bytes == 32,
            Cipher::TripleDesCbc | Cipher::TripleDesEcb => matches!(bytes, 16 | 24),
        }
    }

    /// Bytes of the (for GCM: usual) nonce, initialization vector, first counter block or tweak; 0 where there is none.
    pub fn nonce_bytes(self) -> usize {
        match self {
            Cipher::AesGcm | Cipher::AesGcmSiv | Cipher::ChaCha20Poly1305 => GCM_NONCE_BYTES,
            Cipher::AesCbc | Cipher::AesCtr | Cipher::AesXts => 16,
            Cipher::TripleDesCbc => 8,
            Cipher::AesEcb | Cipher::TripleDesEcb => 0,
        }
    }

    /// Bytes of a block where data must come in whole blocks.
    pub fn block_bytes(self) -> Option<usize> {
        match self {
            Cipher::AesCbc | Cipher::AesEcb => Some(16),
            Cipher::TripleDesCbc | Cipher::TripleDesEcb => Some(8),
            _ => None,
        }
    }

    /// Whether data can be given piece by piece: GCM-SIV goes over all of it twice, and XTS takes from the last block but
    /// one what the last one lacks.
    pub fn streams(self) -> bool {
        !matches!(self, Cipher::AesGcmSiv | Cipher::AesXts)
    }

    /// The least and the most bytes that can be encrypted at once.
    pub fn data_bytes(self) -> (usize, usize) {
        match self {
            // IEEE 1619 section 5.1: a block, and 2^20 of them at most.
            Cipher::AesXts => (16, 16 << 20),
            Cipher::AesGcmSiv => (0, PIECE_BYTES),
            _ => (0, usize::MAX),
        }
    }
}

/// The key and nonce that data is encrypted or decrypted with, and what is authenticated beside it.
#[derive(Clone, Copy)]
pub struct Keyed<'k> {
    /// The cipher.
    pub cipher: Cipher,
    /// Its key.
    pub key: &'k Material,
    /// Its nonce; empty where there is none.
    pub nonce: &'k [u8],
    /// What is authenticated beside the data; empty where nothing is.
    pub additional_data: &'k [u8],
}

impl Keyed<'_> {
    /// Encrypts, and gives the authentication tag (without meaning where the cipher has none). `None` where the lengths are
    /// none that [`Cipher`] allows.
    pub fn encrypt(self, data: &[u8]) -> Option<(Buffer, [u8; TAG_BYTES])> {
        if let Some((cipher, nonce)) = self.aes_gcm() {
            let mut data = Buffer::new(data.to_vec());
            let tag = cipher.seal(nonce, self.additional_data, &mut data)?;
            return Some((data, tag));
        }
        let mut running = Running::start(self, Direction::Encrypt, None)?;
        let mut sealed = Buffer::new(Vec::new());
        running.update(data, &mut sealed)?;
        let tag = running.finish_sealed(&mut sealed)?;
        Some((sealed, tag))
    }

    /// Decrypts what is genuine: `None` for all else. Without a tag (empty) nobody knows. A shorter tag is the beginning of
    /// a whole one (SP 800-38D section 5.2.1.2).
    pub fn decrypt(self, data: &[u8], tag: &[u8]) -> Option<Buffer> {
        if let (Some((cipher, nonce)), Ok(tag)) = (self.aes_gcm(), tag.try_into()) {
            let mut data = Buffer::new(data.to_vec());
            return cipher.open(nonce, self.additional_data, &mut data, tag).then_some(data);
        }
        let mut running = Running::start(self, Direction::Decrypt, Some(tag))?;
        let mut opened = Buffer::new(Vec::new());
        running.update(data, &mut opened)?;
        running.finish(&mut opened)?;
        Some(opened)
    }

    /// AES-GCM with a nonce of the usual length: OpenSSL takes much longer to get ready.
    fn aes_gcm(&self) -> Option<(&AesGcm, &[u8; GCM_NONCE_BYTES])> {
        let nonce = self.nonce.try_into().ok()?;
        (self.cipher == Cipher::AesGcm).then(|| self.key.aes_gcm()).flatten().map(|cipher| (cipher, nonce))
    }

    fn evp(&self) -> Option<Fetched> {
        Some(Fetched::Built(match (self.cipher, self.key.expose().len()) {
            (Cipher::AesGcm, 16) => Evp::aes_128_gcm(),
            (Cipher::AesGcm, 24) => Evp::aes_192_gcm(),
            (Cipher::AesGcm, 32) => Evp::aes_256_gcm(),
            (Cipher::AesGcmSiv, 16) => return Fetched::by_name("AES-128-GCM-SIV"),
            (Cipher::AesGcmSiv, 24) => return Fetched::by_name("AES-192-GCM-SIV"),
            (Cipher::AesGcmSiv, 32) => return Fetched::by_name("AES-256-GCM-SIV"),
            (Cipher::ChaCha20Poly1305, 32) => Evp::chacha20_poly1305(),
            (Cipher::AesCbc, 16) => Evp::aes_128_cbc(),
            (Cipher::AesCbc, 24) => Evp::aes_192_cbc(),
            (Cipher::AesCbc, 32) => Evp::aes_256_cbc(),
            (Cipher::AesCtr, 16) => Evp::aes_128_ctr(),
            (Cipher::AesCtr, 24) => Evp::aes_192_ctr(),
            (Cipher::AesCtr, 32) => Evp::aes_256_ctr(),
            (Cipher::AesEcb, 16) => Evp::aes_128_ecb(),
            (Cipher::AesEcb, 24) => Evp::aes_192_ecb(),
            (Cipher::AesEcb, 32) => Evp::aes_256_ecb(),
            (Cipher::AesXts, 32) => Evp::aes_128_xts(),
            (Cipher::AesXts, 64) => Evp::aes_256_xts(),
            (Cipher::TripleDesCbc, 16 | 24) => Evp::des_ede3_cbc(),
            (Cipher::TripleDesEcb, 16 | 24) => Evp::des_ede3_ecb(),
            _ => return None,
        }))
    }
}

/// A cipher of OpenSSL: one that it has a function for, or one that only its name leads to.
enum Fetched {
    Built(&'static CipherRef),
    Named(Evp),
}

impl Fetched {
    fn by_name(name: &str) -> Option<Fetched> {
        Evp::fetch(None, name, None).ok().map(Fetched::Named)
    }

    fn get(&self) -> &CipherRef {
        match self {
            Fetched::Built(cipher) => cipher,
            Fetched::Named(cipher) => cipher,
        }
    }
}

/// Data on its way through OpenSSL's cipher, which pads nothing.
pub struct Running {
    context: CipherCtx,
    cipher: Cipher,
}

impl Running {
    /// Begins. The tag that shall be found is given beforehand. `None` where the lengths are none that [`Cipher`] allows.
    pub fn start(keyed: Keyed<'_>, direction: Direction, tag: Option<&[u8]>) -> Option<Running> {
        let Keyed { cipher, nonce, additional_data, .. } = keyed;
        let key = keyed.key.expose();
        let nonce_is_legal = match cipher {
            Cipher::AesGcm => (1..=GCM_NONCE_BYTES_MAX).contains(&nonce.len()),
            _ => nonce.len() == cipher.nonce_bytes(),
        };
        if !nonce_is_legal || !cipher.takes_key_of(key.len()) {
            return None;
        }
        let evp = keyed.evp()?;
        let mut context = CipherCtx::new().ok()?;
        let init = match direction {
            Direction::Encrypt => openssl::cipher_ctx::CipherCtxRef::encrypt_init,
            Direction::Decrypt => openssl::cipher_ctx::CipherCtxRef::decrypt_init,
        };
        init(&mut context, Some(evp.get()), None, None).ok()?;
        if cipher == Cipher::AesGcm {
            context.set_iv_length(nonce.len()).ok()?;
        }
        // Of two keys, the first is the third as well (SP 800-67 section 3.3).
        let three_keys = Buffer::new([key, key.get(..8).unwrap_or_default()].concat());
        let key = if evp.get().key_length() > key.len() { &three_keys[..] } else { key };
        let nonce = (!nonce.is_empty()).then_some(nonce);
        init(&mut context, None, Some(key), nonce).ok()?;
        context.set_padding(false);
        if cipher.is_aead() {
            if let Some(tag) = tag {
                context.set_tag(tag).ok()?;
            }
            for piece in additional_data.chunks(PIECE_BYTES) {
                context.cipher_update(piece, None).ok()?;
            }
        }
        Some(Running { context, cipher })
    }

    /// Encrypts or decrypts what comes next. Some of it may appear in `out` only later.
    pub fn update(&mut self, data: &[u8], out: &mut Buffer) -> Option<()> {
        let (least, most) = self.cipher.data_bytes();
        if data.len() > most || data.len() < least {
            return None;
        }
        if data.is_empty() && self.cipher == Cipher::AesGcmSiv {
            // No data is data to it: else there is no tag.
            self.context.cipher_update_vec(data, out).ok()?;
        }
        for piece in data.chunks(PIECE_BYTES) {
            self.context.cipher_update_vec(piece, out).ok()?;
        }
        Some(())
    }

    /// Ends: `None` where there was part of a block too much, or where what was decrypted is not genuine.
    pub fn finish(mut self, out: &mut Buffer) -> Option<()> {
        self.end(out)
    }

    /// Ends an encryption, and gives the authentication tag.
    pub fn finish_sealed(mut self, out: &mut Buffer) -> Option<[u8; TAG_BYTES]> {
        self.end(out)?;
        let mut tag = [0; TAG_BYTES];
        if self.cipher.is_aead() {
            self.context.tag(&mut tag).ok()?;
        }
        Some(tag)
    }

    fn end(&mut self, out: &mut Buffer) -> Option<()> {
        self.context.cipher_final_vec(out).ok().map(|_| ())
    }
}
