//! A managed object: what the store keeps under a unique identifier.
#![forbid(unsafe_code)]

use super::state::State;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::ttlv::{Tag, Value, binary};

/// A managed object with its material. KMIP's codes are kept as they came, known or not.
pub struct Object {
    /// The unique identifier.
    pub uid: String,
    /// Who created or imported it.
    pub owner: String,
    /// KMIP's object type (SymmetricKey = 2).
    pub object_type: u32,
    /// Where it stood in its life when it was last written; see [`Object::state_at`].
    pub state: State,
    /// KMIP's key format type of `material` as it was registered; 0 where there is no key block.
    pub key_format: u32,
    /// KMIP's cryptographic algorithm; 0 where it is unknown.
    pub algorithm: u32,
    /// The cryptographic length in bits; 0 where it is unknown.
    pub length_bits: u32,
    /// KMIP's cryptographic usage mask.
    pub usage_mask: u32,
    /// The bare key bytes, or what they are wrapped in; empty when destroyed.
    pub material: Secret,
    /// All other attributes, as TTLV items in the binary encoding, one after the other.
    pub attributes: Vec<u8>,
    /// What else belongs to the object and is no attribute (`SecretDataType`, `OpaqueDataType`, `KeyWrappingData`), likewise.
    pub parts: Vec<u8>,
    /// User tags and system tags (`_kk`..), each once, in the order given.
    pub tags: Vec<String>,
}

impl Object {
    /// The state at this time: dates that have passed act by themselves (KMIP 2.1 section 3.3, transitions 4 and 6).
    pub fn state_at(&self, now: Timestamp) -> State {
        let passed =
            |tag| matches!(binary::find(&self.attributes, tag), Some(Value::DateTime(date)) if date <= now);
        let mut state = self.state;
        if state == State::PreActive && passed(Tag::ACTIVATION_DATE) {
            state = State::Active;
        }
        if state == State::Active && passed(Tag::DEACTIVATION_DATE) {
            state = State::Deactivated;
        }
        state
    }

    /// Whether the material may leave the server only wrapped (KMIP 2.1 section 4.53).
    pub fn is_sensitive(&self) -> bool {
        matches!(binary::find(&self.attributes, Tag::SENSITIVE), Some(Value::Boolean(true)))
    }

    /// Whether the material may leave the server at all (KMIP's Extractable); what says nothing may.
    pub fn is_extractable(&self) -> bool {
        !matches!(binary::find(&self.attributes, Tag::EXTRACTABLE), Some(Value::Boolean(false)))
    }

    /// Whether `material` is wrapped: `parts` say how.
    pub fn is_wrapped(&self) -> bool {
        binary::find(&self.parts, Tag::KEY_WRAPPING_DATA).is_some()
    }
}
