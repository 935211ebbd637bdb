//! Symmetric keys: their lengths, and the object that a new one becomes.
#![forbid(unsafe_code)]

use super::attributes::{self, Template};
use super::object::Object;
use super::refusal::Refusal;
use super::state::State;
use super::tags;
use crate::entropy::{Entropy, uuid_v4};
use crate::limits;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{cryptographic_algorithm, key_format_type, object_type};

/// The length of a key whose request gives none.
pub const LENGTH_BITS_DEFAULT: u32 = 256;
/// The longest key, which is not AES.
pub const LENGTH_BITS_MAX: u32 = 8 * 4096;

/// The usage of a symmetric key whose request gives none: Encrypt, Decrypt, WrapKey, UnwrapKey and KeyAgreement, which is
/// what clients send.
pub const USAGE_MASK_DEFAULT: u32 = 0x83C;

/// The bytes of a key of this algorithm and length; AES has 128, 192 or 256 bits, or 512 for a pair of XTS keys.
pub fn length_bytes(algorithm: u32, length_bits: u32) -> Result<usize, Refusal> {
    let legal = match algorithm {
        cryptographic_algorithm::AES => matches!(length_bits, 128 | 192 | 256 | 512),
        _ => (8..=LENGTH_BITS_MAX).contains(&length_bits) && length_bits.is_multiple_of(8),
    };
    if !legal {
        return Err(Refusal::invalid(format!(
            "a key of {length_bits} bits is not possible with this algorithm"
        )));
    }
    Ok(length_bits as usize / 8)
}

/// What is particular to a new key.
pub struct NewKey<'r> {
    /// The identifier that the client wants; empty for one of ours.
    pub uid: &'r str,
    /// The bare key bytes.
    pub material: Secret,
    /// KMIP's cryptographic algorithm.
    pub algorithm: u32,
    /// In bits.
    pub length_bits: u32,
}

/// The object for a new key, still without an owner. Clients of 4.9.1 know no activation: their keys are active at once.
pub fn new_object(
    key: NewKey<'_>,
    template: &Template<'_>,
    dialect: Dialect,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Result<Object, Refusal> {
    if template.wrapping_key.is_some() {
        return Err(Refusal::NotSupported(
            "keys stored wrapped (wrapping_key_id) are not built yet in this version".into(),
        ));
    }
    let uid = if key.uid.is_empty() { uuid_v4(entropy) } else { checked_uid(key.uid)?.to_owned() };
    let activation = match dialect {
        Dialect::V4 => Some(template.activation_date.unwrap_or(now).min(now)),
        Dialect::V5 => template.activation_date,
    };
    let active = activation.is_some_and(|date| date <= now);
    Ok(Object {
        uid,
        owner: String::new(),
        object_type: object_type::SYMMETRIC_KEY,
        state: if active { State::Active } else { State::PreActive },
        key_format: key_format_type::TRANSPARENT_SYMMETRIC_KEY,
        algorithm: key.algorithm,
        length_bits: key.length_bits,
        usage_mask: template.usage_mask.unwrap_or(USAGE_MASK_DEFAULT),
        attributes: template.encode_for_new_object(
            Some(attributes::digest(key.material.expose())),
            activation,
            now,
        )?,
        material: key.material,
        parts: Vec::new(),
        tags: tags::for_new_object(template.user_tags(), object_type::SYMMETRIC_KEY, dialect)?,
    })
}

fn checked_uid(uid: &str) -> Result<&str, Refusal> {
    let legal =
        uid.len() <= limits::NAME_BYTES_MAX && !uid.starts_with('[') && !uid.contains(char::is_control);
    legal.then_some(uid).ok_or_else(|| {
        Refusal::invalid(format!(
            "a UniqueIdentifier has at most {} bytes, no control characters, and does not begin with '['",
            limits::NAME_BYTES_MAX
        ))
    })
}
