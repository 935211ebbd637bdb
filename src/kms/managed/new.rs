//! The object that a new or imported one becomes.
#![forbid(unsafe_code)]

use super::super::attributes::{self, Template};
use super::super::object::Object;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::super::{symmetric, tags};
use super::Content;
use crate::crypto::material::Material;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{cryptographic_algorithm, key_format_type, object_type, usage_mask};
use crate::wire::ttlv::{Encoded, Item, Tag};

/// The usage of secret data whose request gives none, which is what clients send.
const SECRET_DATA_MASK: i32 = usage_mask::DERIVE_KEY | usage_mask::KEY_AGREEMENT | usage_mask::AUTHENTICATE;

/// The object, still without an owner. `template` holds the attributes of the request and of the object itself. Clients
/// of 4.9.1 know no activation: their objects are active at once.
pub fn new_object(
    uid: String,
    content: &Content<'_>,
    template: &Template<'_>,
    dialect: Dialect,
    now: Timestamp,
) -> Result<Object, Refusal> {
    let activation = match dialect {
        Dialect::V4 => Some(template.activation_date.unwrap_or(now).min(now)),
        Dialect::V5 => template.activation_date,
    };
    let active = activation.is_some_and(|date| date <= now);
    let (algorithm, length_bits) = algorithm_and_length(content, template)?;
    let is_key = content.object_type == object_type::SYMMETRIC_KEY;
    let default_mask = match content.object_type {
        object_type::SYMMETRIC_KEY => symmetric::USAGE_MASK_DEFAULT,
        object_type::SECRET_DATA => SECRET_DATA_MASK as u32,
        _ => 0,
    };
    // Of a wrapped key the bytes are not known; those of a password could be guessed by their digest.
    let has_digest = content.wrapping.is_none() && content.object_type != object_type::SECRET_DATA;
    Ok(Object {
        uid,
        owner: String::new(),
        object_type: content.object_type,
        state: if active { State::Active } else { State::PreActive },
        key_format: match content.wrapping {
            // What is wrapped may be in this format.
            Some(_) => content.key_format,
            None if is_key => key_format_type::TRANSPARENT_SYMMETRIC_KEY,
            None => content.key_format,
        },
        algorithm,
        length_bits,
        usage_mask: template.usage_mask.unwrap_or(default_mask),
        attributes: template.encode_for_new_object(
            has_digest.then(|| attributes::digest(content.material)),
            activation,
            now,
        )?,
        material: Material::copy_of(content.material),
        parts: parts(content)?,
        tags: tags::for_new_object(template.user_tags(), content.object_type, dialect)?,
    })
}

/// What the key block, the attributes and the bytes themselves say; 0 is unknown. They must not contradict each other.
fn algorithm_and_length(content: &Content<'_>, template: &Template<'_>) -> Result<(u32, u32), Refusal> {
    let algorithm = agreed("CryptographicAlgorithm", content.algorithm, template.algorithm)?;
    // Clients send 0 for what they do not know.
    let known = |bits: Option<u32>| bits.filter(|bits| *bits != 0);
    let length_bits = agreed("CryptographicLength", known(content.length_bits), known(template.length_bits))?;
    let bits_max = 8 * limits::WRITE_BODY_BYTES_MAX;
    if length_bits.is_some_and(|bits| bits as usize > bits_max) {
        return Err(Refusal::invalid(format!("CryptographicLength must not be beyond {bits_max}")));
    }
    if content.object_type != object_type::SYMMETRIC_KEY {
        let bits = 8 * content.material.len();
        return match length_bits {
            Some(said) if content.wrapping.is_none() && said as usize != bits => Err(not_of_length(bits)),
            said => Ok((algorithm.unwrap_or(0), said.unwrap_or(0))),
        };
    }
    let algorithm = algorithm.unwrap_or(cryptographic_algorithm::AES);
    if content.wrapping.is_some() {
        if let Some(bits) = length_bits {
            symmetric::length_bytes(algorithm, bits)?;
        }
        return Ok((algorithm, length_bits.unwrap_or(0)));
    }
    let bytes = content.material.len();
    let bits = length_bits.unwrap_or_else(|| symmetric::length_bits(algorithm, bytes));
    if symmetric::length_bytes(algorithm, bits)? != bytes {
        return Err(not_of_length(8 * bytes));
    }
    Ok((algorithm, bits))
}

fn agreed(name: &str, block: Option<u32>, attribute: Option<u32>) -> Result<Option<u32>, Refusal> {
    match (block, attribute) {
        (Some(block), Some(attribute)) if block != attribute => {
            Err(Refusal::invalid(format!("{name} is not the same in the key block and in the attributes")))
        }
        (block, attribute) => Ok(block.or(attribute)),
    }
}

fn not_of_length(bits: usize) -> Refusal {
    Refusal::invalid(format!("CryptographicLength does not match the key material, which has {bits} bits"))
}

fn parts(content: &Content<'_>) -> Result<Encoded, Refusal> {
    let mut items = Vec::new();
    items.extend(content.kind.clone());
    if let Some(wrapping) = content.wrapping {
        items.push(Item::structure(Tag::KEY_WRAPPING_DATA, wrapping.items().to_vec()));
    }
    let encoded = Encoded::of(&items);
    if encoded.len() > limits::ATTRIBUTES_BYTES_MAX {
        let most = limits::ATTRIBUTES_BYTES_MAX;
        return Err(Refusal::invalid(format!("KeyWrappingData takes more than {most} bytes")));
    }
    Ok(encoded)
}

/// Whether a client may give an object this identifier.
pub fn checked_uid(uid: &str) -> Result<&str, Refusal> {
    let legal =
        uid.len() <= limits::NAME_BYTES_MAX && !uid.starts_with('[') && !uid.contains(char::is_control);
    legal.then_some(uid).ok_or_else(|| {
        Refusal::invalid(format!(
            "a UniqueIdentifier has at most {} bytes, no control characters, and does not begin with '['",
            limits::NAME_BYTES_MAX
        ))
    })
}
