//! What a key and the parameters come to: cipher, mode, padding and lengths, each refused by name where it is none that
//! the cipher takes.
#![forbid(unsafe_code)]

use super::super::policy::Authorized;
use super::super::refusal::Refusal;
use super::parameters::Parameters;
use crate::crypto::cipher::{Cipher, GCM_NONCE_BYTES_MAX, TAG_BYTES};
use crate::crypto::padding::Padding;
use crate::wire::kmip::enumeration::{
    self, block_cipher_mode as mode, cryptographic_algorithm as algorithm, object_type, padding_method,
};
use crate::wire::ttlv::Tag;

/// A cipher for one key, and all that is chosen but the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// A cipher.
    Cipher {
        /// Which.
        cipher: Cipher,
        /// What makes whole blocks, where they are needed and nobody promised them.
        padding: Option<Padding>,
        /// Bytes of the authentication tag; 0 where there is none.
        tag_bytes: usize,
    },
    /// AES key wrap as a mode of encryption, as clients wrap the keys that they encrypt files with.
    KeyWrap {
        /// As RFC 5649 says; else RFC 3394.
        padded: bool,
    },
}

/// The shortest tag of GCM: the shorter ones of SP 800-38D are for single applications with limits of their own.
const GCM_TAG_BYTES_MIN: usize = 12;

impl Suite {
    /// What this key does with these parameters.
    pub fn choose(key: &Authorized, parameters: &Parameters) -> Result<Suite, Refusal> {
        let algorithm = algorithm_of(key, parameters)?;
        let cipher = match (algorithm, parameters.mode) {
            (algorithm::AES, None | Some(mode::GCM)) => Cipher::AesGcm,
            (algorithm::AES, Some(mode::GCM_SIV)) => Cipher::AesGcmSiv,
            (algorithm::AES, Some(mode::CBC)) => Cipher::AesCbc,
            (algorithm::AES, Some(mode::CTR)) => Cipher::AesCtr,
            (algorithm::AES, Some(mode::ECB)) => Cipher::AesEcb,
            (algorithm::AES, Some(mode::XTS)) => Cipher::AesXts,
            (algorithm::AES, Some(mode::AES_KEY_WRAP_PADDING | mode::NIST_KEY_WRAP)) => {
                return key_wrap(key, parameters);
            }
            (algorithm::CHACHA20 | algorithm::CHACHA20_POLY1305, None | Some(mode::AEAD)) => {
                Cipher::ChaCha20Poly1305
            }
            (algorithm::TRIPLE_DES, None | Some(mode::CBC)) => Cipher::TripleDesCbc,
            (algorithm::TRIPLE_DES, Some(mode::ECB)) => Cipher::TripleDesEcb,
            (_, mode) => {
                let name = mode.map_or("no BlockCipherMode", |code| name_of(Tag::BLOCK_CIPHER_MODE, code));
                let cipher = name_of(Tag::CRYPTOGRAPHIC_ALGORITHM, algorithm);
                return Err(Refusal::NotSupported(format!("{cipher} with {name} is not done here")));
            }
        };
        check_key(key, cipher)?;
        Ok(Suite::Cipher {
            cipher,
            padding: padding(cipher, parameters)?,
            tag_bytes: tag_bytes(cipher, parameters)?,
        })
    }

    /// The name, for texts.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Cipher { cipher, .. } => cipher.name(),
            Suite::KeyWrap { padded: false } => "NISTKeyWrap",
            Suite::KeyWrap { padded: true } => "AESKeyWrapPadding",
        }
    }

    /// The cipher; of key wrap, the one that it is made of.
    pub fn cipher(self) -> Cipher {
        match self {
            Suite::Cipher { cipher, .. } => cipher,
            Suite::KeyWrap { .. } => Cipher::AesEcb,
        }
    }

    /// Bytes of the nonce that is made where there is none; 0 for none.
    pub fn nonce_bytes(self, parameters: &Parameters) -> usize {
        match self {
            Suite::Cipher { cipher: Cipher::AesCtr, .. } if parameters.initial_counter.is_some() => 12,
            Suite::Cipher { cipher, .. } => cipher.nonce_bytes(),
            Suite::KeyWrap { .. } => 0,
        }
    }

    /// Bytes of the authentication tag; 0 for none.
    pub fn tag_bytes(self) -> usize {
        match self {
            Suite::Cipher { tag_bytes, .. } => tag_bytes,
            Suite::KeyWrap { .. } => 0,
        }
    }

    /// Whether this nonce is one that the cipher takes; the counter block, where that is not the nonce itself. Of one, RFC
    /// 3686 gives the last 4 bytes to the counter, which KMIP can carry apart.
    pub fn counter(self, nonce: &[u8], parameters: &Parameters) -> Result<Option<Vec<u8>>, Refusal> {
        let refuse = |allowed: &str| {
            let (name, found) = (self.name(), nonce.len());
            Err(Refusal::invalid(format!("IVCounterNonce must have {allowed} for {name}, not {found}")))
        };
        match self {
            Suite::Cipher { cipher: Cipher::AesCtr, .. } => {
                match (nonce.len(), parameters.initial_counter.map(u32::try_from)) {
                    (16, None) => Ok(None),
                    (12, Some(Ok(counter))) => Ok(Some([nonce, &counter.to_be_bytes()].concat())),
                    _ => refuse("16 bytes, or 12 beside an InitialCounterValue of 32 bits,"),
                }
            }
            Suite::Cipher { cipher: Cipher::AesGcm, .. } => match nonce.len() {
                1..=GCM_NONCE_BYTES_MAX => Ok(None),
                _ => refuse("1 to 128 bytes"),
            },
            _ => match self.nonce_bytes(parameters) {
                bytes if bytes == nonce.len() => Ok(None),
                0 => refuse("no bytes"),
                bytes => refuse(&format!("{bytes} bytes")),
            },
        }
    }

    /// Refuses parameters that give this nonce, or the counter, another length.
    pub fn check_lengths(self, nonce: &[u8], parameters: &Parameters) -> Result<(), Refusal> {
        let Suite::Cipher { cipher, .. } = self else { return Ok(()) };
        let differs = |said: Option<usize>, bits| said.is_some_and(|said| said != 0 && said != bits);
        let refuse = |field: &str, bits: usize| {
            let name = cipher.name();
            let text = format!("CryptographicParameters: {field} must be {bits} with this nonce of {name}");
            Err(Refusal::invalid(text))
        };
        let nonce_bits = 8 * nonce.len();
        if differs(parameters.nonce_bits, nonce_bits) {
            return refuse("IVLength", nonce_bits);
        }
        let counter_bits = if parameters.initial_counter.is_some() { 32 } else { 128 };
        if cipher == Cipher::AesCtr && differs(parameters.counter_bits, counter_bits) {
            return refuse("CounterLength", counter_bits);
        }
        Ok(())
    }
}

/// The key's algorithm, which the parameters may repeat. Keys of ChaCha20 are for ChaCha20-Poly1305 under either name: the
/// bare stream cipher, which anybody can bend, is not offered.
fn algorithm_of(key: &Authorized, parameters: &Parameters) -> Result<u32, Refusal> {
    let chacha = |code| matches!(code, algorithm::CHACHA20 | algorithm::CHACHA20_POLY1305);
    match parameters.algorithm {
        None => Ok(key.object().algorithm),
        Some(asked) if asked == key.object().algorithm || chacha(asked) && chacha(key.object().algorithm) => {
            Ok(asked)
        }
        Some(asked) => Err(Refusal::invalid(format!(
            "CryptographicParameters: CryptographicAlgorithm is {}, and the key is one for {}",
            name_of(Tag::CRYPTOGRAPHIC_ALGORITHM, asked),
            name_of(Tag::CRYPTOGRAPHIC_ALGORITHM, key.object().algorithm),
        ))),
    }
}

fn name_of(tag: Tag, code: u32) -> &'static str {
    enumeration::of(tag).and_then(|names| names.name(code)).unwrap_or("an unknown value")
}

fn key_wrap(key: &Authorized, parameters: &Parameters) -> Result<Suite, Refusal> {
    let is_key = key.object().object_type == object_type::SYMMETRIC_KEY;
    if !is_key || !matches!(key.material().len(), 16 | 24 | 32) {
        return Err(unfit(key, "AES key wrap"));
    }
    Ok(Suite::KeyWrap { padded: parameters.mode == Some(mode::AES_KEY_WRAP_PADDING) })
}

fn check_key(key: &Authorized, cipher: Cipher) -> Result<(), Refusal> {
    let material = key.material();
    if key.object().object_type != object_type::SYMMETRIC_KEY || !cipher.takes_key_of(material.len()) {
        return Err(unfit(key, cipher.name()));
    }
    let (first, second) = material.split_at(material.len() / 2);
    if cipher == Cipher::AesXts && openssl::memcmp::eq(first, second) {
        // FIPS 140-3 implementation guidance C.I: the proof of XTS needs two keys.
        return Err(Refusal::invalid(format!(
            "key {}: the two keys of AES-XTS must differ",
            key.object().uid
        )));
    }
    Ok(())
}

fn unfit(key: &Authorized, cipher: &str) -> Refusal {
    Refusal::NotSupported(format!(
        "key {}, of {} bits, is none that {cipher} takes",
        key.object().uid,
        key.material().len() * 8
    ))
}

fn padding(cipher: Cipher, parameters: &Parameters) -> Result<Option<Padding>, Refusal> {
    let Some(_) = cipher.block_bytes() else {
        return match parameters.padding {
            None | Some(padding_method::NONE) => Ok(None),
            Some(_) => Err(Refusal::invalid(format!(
                "CryptographicParameters: PaddingMethod must be None for {}",
                cipher.name()
            ))),
        };
    };
    match parameters.padding {
        None | Some(padding_method::PKCS5) => Ok(Some(Padding::Pkcs5)),
        Some(padding_method::ANSI_X923) => Ok(Some(Padding::AnsiX923)),
        Some(padding_method::ISO_10126) => Ok(Some(Padding::Iso10126)),
        Some(padding_method::NONE) => Ok(None),
        // Zeros cannot be told from data that ends with zeros; the others are for RSA, or were SSL 3's.
        Some(_) => Err(Refusal::NotSupported(
            "PaddingMethod: block ciphers take None, PKCS5, ANSIX923 or ISO10126".into(),
        )),
    }
}

fn tag_bytes(cipher: Cipher, parameters: &Parameters) -> Result<usize, Refusal> {
    let legal = match cipher {
        Cipher::AesGcm => GCM_TAG_BYTES_MIN..=TAG_BYTES,
        _ if cipher.is_aead() => TAG_BYTES..=TAG_BYTES,
        _ => 0..=0,
    };
    let bytes = parameters.tag_bytes.unwrap_or(*legal.end());
    if legal.contains(&bytes) {
        return Ok(bytes);
    }
    let allowed = match (legal.start(), legal.end()) {
        (0, _) => "must be absent".to_owned(),
        (least, most) if least == most => format!("must be {most}"),
        (least, most) => format!("must be {least} to {most}"),
    };
    Err(Refusal::invalid(format!("CryptographicParameters: TagLength {allowed} for {}", cipher.name())))
}
