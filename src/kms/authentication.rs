//! Message authentication codes: the common part of MAC and MACVerify.
#![forbid(unsafe_code)]

use super::cipher::parameters::{self, Parameters};
use super::fields::Fields;
use super::policy::Authorized;
use super::refusal::Refusal;
use super::streams::{Session, Step, Work};
use crate::crypto::mac::Mac;
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{block_cipher_mode, cryptographic_algorithm, object_type};

/// What is authenticated, and how.
pub struct Message<'r> {
    parameters: Option<Parameters>,
    data: &'r [u8],
    /// Which of the steps in which it comes.
    pub step: Step<'r>,
}

/// What a step comes to.
pub enum Outcome {
    /// The code of all data.
    Code(Vec<u8>),
    /// There is more to come, by this correlation value.
    Begun(Vec<u8>),
}

impl<'r> Message<'r> {
    /// Reads the common fields.
    pub fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Message<'r>, Refusal> {
        let step = Step::decode(fields, dialect)?;
        Ok(Message { parameters: Parameters::of_request(fields)?, data: step.data(fields)?, step })
    }

    /// How many bytes of data this step brings.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Takes the data of this step.
    pub fn take(
        &self,
        key: &Authorized,
        session: Option<&Session>,
        entropy: &mut dyn Entropy,
    ) -> Result<Outcome, Refusal> {
        let mut mac = match (self.step, session) {
            (Step::Next(correlation) | Step::Last(correlation), Some(session)) => {
                match session.take(correlation)? {
                    Work::Authenticating(mac) => mac,
                    _ => unreachable!("work is found by the operation that left it"),
                }
            }
            _ => begin(self.parameters, key)?,
        };
        mac.update(self.data);
        match (self.step, session) {
            (Step::First, Some(session)) => {
                Ok(Outcome::Begun(session.begin(Work::Authenticating(mac), entropy)?.to_vec()))
            }
            (Step::Next(correlation), Some(session)) => {
                session.put_back(correlation, Work::Authenticating(mac))?;
                Ok(Outcome::Begun(correlation.to_vec()))
            }
            _ => Ok(Outcome::Code(mac.finish())),
        }
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
