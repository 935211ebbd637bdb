//! Message authentication codes: the common part of MAC and MACVerify.
#![forbid(unsafe_code)]

use super::cipher::parameters::{self, Parameters};
use super::fields::Fields;
use super::policy::Authorized;
use super::refusal::Refusal;
use crate::crypto::mac::Mac;
use crate::wire::kmip::enumeration::{block_cipher_mode, cryptographic_algorithm, object_type};
use crate::wire::ttlv::Tag;

/// What is authenticated, and how.
pub struct Message<'r> {
    parameters: Option<Parameters>,
    data: &'r [u8],
}

impl<'r> Message<'r> {
    /// Reads the common fields.
    pub fn decode(fields: Fields<'r>) -> Result<Message<'r>, Refusal> {
        let data = fields.bytes(Tag::DATA)?;
        Ok(Message { parameters: Parameters::of_request(fields)?, data: fields.required(Tag::DATA, data)? })
    }

    /// The code of the data.
    pub fn code(&self, key: &Authorized) -> Result<Vec<u8>, Refusal> {
        let mut mac = begin(self.parameters, key)?;
        mac.update(self.data);
        Ok(mac.finish())
    }
}

/// The authentication code that these parameters ask for, else those of the key, else its algorithm.
fn begin(parameters: Option<Parameters>, key: &Authorized) -> Result<Mac, Refusal> {
    let object = key.object();
    let Parameters { algorithm, mode, hash, .. } = match parameters {
        Some(parameters) => parameters,
        None => Parameters::of_key(object)?,
    };
    if !matches!(object.object_type, object_type::SYMMETRIC_KEY | object_type::SECRET_DATA) {
        return Err(Refusal::NotSupported(format!("{} is no symmetric key, and no secret data", object.uid)));
    }
    if mode == Some(block_cipher_mode::CMAC) {
        let is_aes = object.algorithm == cryptographic_algorithm::AES
            && algorithm.is_none_or(|algorithm| algorithm == cryptographic_algorithm::AES);
        return is_aes.then(|| Mac::cmac(key.material())).flatten().ok_or_else(|| {
            Refusal::NotSupported(format!(
                "key {} is no AES key of 128, 192 or 256 bits, as CMAC needs",
                object.uid
            ))
        });
    }
    let hash = match (hash, algorithm.and_then(parameters::hash_of_hmac)) {
        (Some(code), _) => Some(parameters::hash(code)?),
        (None, Some(hash)) => Some(hash),
        (None, None) => parameters::hash_of_hmac(object.algorithm),
    };
    let hash = hash.ok_or_else(|| {
        Refusal::invalid(
            "CryptographicParameters: missing field `HashingAlgorithm`, and the key is for no HMAC",
        )
    })?;
    Mac::hmac(hash, key.material()).ok_or_else(|| Refusal::invalid(format!("key {} is empty", object.uid)))
}
