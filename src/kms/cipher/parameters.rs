//! `CryptographicParameters` (KMIP 2.1 section 4.16): of the request, else of the key, else none.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::object::Object;
use super::super::refusal::Refusal;
use crate::crypto::hash::Hash;
use crate::wire::kmip::enumeration::{cryptographic_algorithm, hashing_algorithm};
use crate::wire::ttlv::{Tag, Value};

/// How a key is to be used. What is absent is the default's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters {
    /// KMIP's cryptographic algorithm.
    pub algorithm: Option<u32>,
    /// KMIP's block cipher mode.
    pub mode: Option<u32>,
    /// KMIP's padding method.
    pub padding: Option<u32>,
    /// KMIP's hashing algorithm.
    pub hash: Option<u32>,
    /// Bytes of the authentication tag.
    pub tag_bytes: Option<usize>,
    /// Bits of the nonce.
    pub nonce_bits: Option<usize>,
    /// Bits of the counter in a counter block.
    pub counter_bits: Option<usize>,
    /// Where the counter begins.
    pub initial_counter: Option<u64>,
    /// Whether only the server may choose nonces.
    pub random_nonce: bool,
}

impl Parameters {
    /// Reads those of a request; `None` where it has none.
    pub fn of_request(fields: Fields<'_>) -> Result<Option<Parameters>, Refusal> {
        fields.structure(Tag::CRYPTOGRAPHIC_PARAMETERS)?.map(Parameters::decode).transpose()
    }

    /// Reads those among the attributes of a key: the first, where there are several.
    pub fn of_key(key: &Object) -> Result<Parameters, Refusal> {
        match key.attributes.find(Tag::CRYPTOGRAPHIC_PARAMETERS) {
            Some(Value::Structure(items)) => {
                Parameters::decode(Fields::new("CryptographicParameters of the key", &items))
            }
            _ => Ok(Parameters::default()),
        }
    }

    fn decode(fields: Fields<'_>) -> Result<Parameters, Refusal> {
        Ok(Parameters {
            algorithm: fields.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)?,
            mode: fields.enumeration(Tag::BLOCK_CIPHER_MODE)?,
            padding: fields.enumeration(Tag::PADDING_METHOD)?,
            hash: fields.enumeration(Tag::HASHING_ALGORITHM)?,
            tag_bytes: fields.count(Tag::TAG_LENGTH)?,
            nonce_bits: fields.count(Tag::IV_LENGTH)?,
            counter_bits: fields.count(Tag::COUNTER_LENGTH)?,
            initial_counter: match fields.value(Tag::INITIAL_COUNTER_VALUE) {
                None => None,
                Some(Value::Integer(n)) => Some(i64::from(*n) as u64),
                Some(Value::LongInteger(n)) => Some(*n as u64),
                Some(_) => return Err(fields.refuse(Tag::INITIAL_COUNTER_VALUE, "must be an Integer")),
            },
            random_nonce: fields.boolean(Tag::RANDOM_IV)?,
        })
    }
}

/// The hash function with this code of KMIP.
pub fn hash(code: u32) -> Result<Hash, Refusal> {
    Ok(match code {
        hashing_algorithm::SHA1 => Hash::Sha1,
        hashing_algorithm::SHA224 => Hash::Sha224,
        hashing_algorithm::SHA256 => Hash::Sha256,
        hashing_algorithm::SHA384 => Hash::Sha384,
        hashing_algorithm::SHA512 => Hash::Sha512,
        hashing_algorithm::SHA_512_224 => Hash::Sha512_224,
        hashing_algorithm::SHA_512_256 => Hash::Sha512_256,
        hashing_algorithm::SHA3_224 => Hash::Sha3_224,
        hashing_algorithm::SHA3_256 => Hash::Sha3_256,
        hashing_algorithm::SHA3_384 => Hash::Sha3_384,
        hashing_algorithm::SHA3_512 => Hash::Sha3_512,
        _ => {
            return Err(Refusal::NotSupported(
                "HashingAlgorithm: only SHA-1, the SHA-2 and the SHA-3 families are there".into(),
            ));
        }
    })
}

/// The hash function of the HMAC algorithm with this code of KMIP.
pub fn hash_of_hmac(algorithm: u32) -> Option<Hash> {
    Some(match algorithm {
        cryptographic_algorithm::HMAC_SHA1 => Hash::Sha1,
        cryptographic_algorithm::HMAC_SHA224 => Hash::Sha224,
        cryptographic_algorithm::HMAC_SHA256 => Hash::Sha256,
        cryptographic_algorithm::HMAC_SHA384 => Hash::Sha384,
        cryptographic_algorithm::HMAC_SHA512 => Hash::Sha512,
        cryptographic_algorithm::HMAC_SHA3_224 => Hash::Sha3_224,
        cryptographic_algorithm::HMAC_SHA3_256 => Hash::Sha3_256,
        cryptographic_algorithm::HMAC_SHA3_384 => Hash::Sha3_384,
        cryptographic_algorithm::HMAC_SHA3_512 => Hash::Sha3_512,
        _ => return None,
    })
}
