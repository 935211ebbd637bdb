//! A managed object: what the store keeps under a unique identifier.
#![forbid(unsafe_code)]

use super::state::State;
use crate::secret::Secret;

/// A managed object with its material. KMIP's codes are kept as they came, known or not.
pub struct Object {
    /// The unique identifier.
    pub uid: String,
    /// Who created or imported it.
    pub owner: String,
    /// KMIP's object type (SymmetricKey = 2).
    pub object_type: u32,
    /// Where it stands in its life.
    pub state: State,
    /// KMIP's key format type of `material` as it was registered; 0 where there is no key block.
    pub key_format: u32,
    /// KMIP's cryptographic algorithm; 0 where it is unknown.
    pub algorithm: u32,
    /// The cryptographic length in bits; 0 where it is unknown.
    pub length_bits: u32,
    /// KMIP's cryptographic usage mask.
    pub usage_mask: u32,
    /// The bare key bytes; empty when destroyed.
    pub material: Secret,
    /// All other attributes: a TTLV `Attributes` structure in the binary encoding.
    pub attributes: Vec<u8>,
    /// User tags and system tags (`_kk`..), each once, in the order given.
    pub tags: Vec<String>,
}
