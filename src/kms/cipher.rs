//! Symmetric encryption: the common part of Encrypt and Decrypt.
#![forbid(unsafe_code)]

use super::fields::Fields;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::state::State;
use super::target::{Ambiguity, Target};
use super::wrapping;
use crate::crypto::aead::AesGcm;
use crate::wire::kmip::enumeration::{block_cipher_mode, cryptographic_algorithm, object_type};
use crate::wire::ttlv::{Tag, Value};
use std::borrow::Cow;

/// Bytes of a nonce (NIST SP 800-38D section 5.2.1.1).
pub const NONCE_BYTES: usize = 12;
/// Bytes of an authentication tag.
pub const TAG_BYTES: usize = 16;

/// How data is to be encrypted or decrypted.
pub struct Parameters<'r> {
    nonce: &'r [u8],
    additional_data: &'r [u8],
    /// 4.9.1 appended it to the additional data.
    initial_counter: Option<u64>,
}

impl<'r> Parameters<'r> {
    /// Reads the common fields of Encrypt and Decrypt. Empty byte strings are absent ones: clients send them so.
    pub fn decode(fields: Fields<'r>) -> Result<Parameters<'r>, Refusal> {
        if fields.boolean(Tag::INIT_INDICATOR)? || fields.value(Tag::FINAL_INDICATOR).is_some() {
            return Err(Refusal::NotSupported(
                "encryption in several steps is not built yet in this version".into(),
            ));
        }
        let mut initial_counter = None;
        if let Some(parameters) = fields.structure(Tag::CRYPTOGRAPHIC_PARAMETERS)? {
            match parameters.enumeration(Tag::BLOCK_CIPHER_MODE)? {
                None | Some(block_cipher_mode::GCM) => {}
                Some(_) => {
                    return Err(Refusal::NotSupported(
                        "the only block cipher mode in this version is GCM".into(),
                    ));
                }
            }
            match parameters.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)? {
                None | Some(cryptographic_algorithm::AES) => {}
                Some(_) => {
                    return Err(Refusal::NotSupported("the only cipher in this version is AES".into()));
                }
            }
            if parameters.integer(Tag::TAG_LENGTH)?.is_some_and(|bytes| bytes != TAG_BYTES as i32) {
                return Err(parameters.refuse(Tag::TAG_LENGTH, "must be 16"));
            }
            initial_counter = match parameters.value(Tag::INITIAL_COUNTER_VALUE) {
                None => None,
                Some(Value::Integer(n)) => Some(i64::from(*n) as u64),
                Some(Value::LongInteger(n)) => Some(*n as u64),
                Some(_) => return Err(parameters.refuse(Tag::INITIAL_COUNTER_VALUE, "must be an Integer")),
            };
        }
        Ok(Parameters {
            nonce: fields.bytes(Tag::IV_COUNTER_NONCE)?.unwrap_or_default(),
            additional_data: fields.bytes(Tag::AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA)?.unwrap_or_default(),
            initial_counter,
        })
    }

    /// The nonce of the request, if there is one.
    pub fn nonce(&self) -> Result<Option<[u8; NONCE_BYTES]>, Refusal> {
        if self.nonce.is_empty() {
            return Ok(None);
        }
        let nonce = self.nonce.try_into().map_err(|_| {
            Refusal::invalid(format!(
                "IVCounterNonce must have {NONCE_BYTES} bytes, not {}",
                self.nonce.len()
            ))
        })?;
        Ok(Some(nonce))
    }

    /// What is authenticated beside the data.
    pub fn additional_data(&self) -> Cow<'r, [u8]> {
        match self.initial_counter {
            None => Cow::Borrowed(self.additional_data),
            Some(counter) => Cow::Owned([self.additional_data, &counter.to_le_bytes()].concat()),
        }
    }
}

/// What a key is wanted for.
#[derive(Clone, Copy)]
pub struct Usage {
    /// For texts.
    pub operation: &'static str,
    /// What the principal must be allowed.
    pub right: Rights,
    /// What the key must be made for.
    pub mask: u32,
    /// The states in which it may be done.
    pub usable: fn(State) -> bool,
    /// Their names, for texts.
    pub usable_names: &'static str,
}

/// The key that `target` names, if it may be used for this; unwrapped where it is stored wrapped.
pub fn find_key(target: &Target<'_>, context: &Context<'_>, usage: Usage) -> Result<Authorized, Failure> {
    wrapping::open(find_stored_key(target, context, usage)?, context)
}

/// The same as it is stored.
pub fn find_stored_key(
    target: &Target<'_>,
    context: &Context<'_>,
    usage: Usage,
) -> Result<Authorized, Failure> {
    let Usage { operation, right, mask, usable, usable_names } = usage;
    let state = |key: &Authorized| key.object().state_at(context.now);
    let fits = |key: &Authorized| usable(state(key)) && key.object().usage_mask & mask == mask;
    let Some(key) = target.resolve_one(context, operation, right, fits, Ambiguity::Refused)? else {
        return Err(Refusal::KeyNotFound { operation, uid: target.text.to_owned() }.into());
    };
    let uid = target.text.to_owned();
    if !usable(state(&key)) {
        return Err(
            Refusal::StateForbids { operation, uid, state: state(&key), allowed: usable_names }.into()
        );
    }
    if key.object().usage_mask & mask != mask {
        return Err(Refusal::MaskForbids { operation, uid }.into());
    }
    Ok(key)
}

/// The key as a cipher.
pub fn aes_gcm(key: &Authorized) -> Result<AesGcm, Refusal> {
    let object = key.object();
    let is_aes =
        object.object_type == object_type::SYMMETRIC_KEY && object.algorithm == cryptographic_algorithm::AES;
    let cipher = is_aes.then(|| AesGcm::new(key.material())).flatten();
    cipher.ok_or_else(|| {
        Refusal::NotSupported(format!(
            "key {} is no AES key of 128, 192 or 256 bits, as AES-GCM needs",
            object.uid
        ))
    })
}
