//! A managed object: what the store keeps under a unique identifier.
#![forbid(unsafe_code)]

use super::state::State;
use crate::crypto::material::Material;
use crate::time::Timestamp;
use crate::wire::ttlv::{Encoded, Tag, Value};

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
    pub material: Material,
    /// All other attributes, as TTLV items in the binary encoding, one after the other.
    pub attributes: Encoded,
    /// What else belongs to the object and is no attribute (`SecretDataType`, `OpaqueDataType`, `KeyWrappingData`), likewise.
    pub parts: Encoded,
    /// User tags and system tags (`_kk`..), each once, in the order given.
    pub tags: Vec<String>,
}

impl Object {
    /// Another one like it. No `Clone`: material is not to be copied in passing.
    pub fn copy(&self) -> Object {
        Object {
            uid: self.uid.clone(),
            owner: self.owner.clone(),
            material: Material::copy_of(self.material.expose()),
            attributes: self.attributes.clone(),
            parts: self.parts.clone(),
            tags: self.tags.clone(),
            ..*self
        }
    }

    /// An AES key of `o` that encrypts and decrypts, for tests to change.
    #[cfg(test)]
    pub fn example(uid: &str) -> Object {
        Object {
            uid: uid.to_owned(),
            owner: "o".into(),
            object_type: 2,
            state: State::Active,
            key_format: 7,
            algorithm: 3,
            length_bits: 256,
            usage_mask: 12,
            material: Material::copy_of(&[1]),
            attributes: Encoded::default(),
            parts: Encoded::default(),
            tags: Vec::new(),
        }
    }

    /// About as much memory as it takes.
    pub fn bytes(&self) -> usize {
        let names = self.uid.len() + self.owner.len() + self.tags.iter().map(String::len).sum::<usize>();
        names + self.material.expose().len() + self.attributes.len() + self.parts.len()
    }

    /// The state at this time: dates that have passed act by themselves (KMIP 2.1 section 3.3, transitions 4 and 6).
    pub fn state_at(&self, now: Timestamp) -> State {
        let passed = |tag| self.date(tag).is_some_and(|date| date <= now);
        let mut state = self.state;
        if state == State::PreActive && passed(Tag::ACTIVATION_DATE) {
            state = State::Active;
        }
        if state == State::Active && passed(Tag::DEACTIVATION_DATE) {
            state = State::Deactivated;
        }
        state
    }

    /// Whether its dates allow to protect data with it (encrypt, sign, wrap, compute a MAC): not from its ProtectStopDate
    /// on (KMIP 2.1 section 4.41). Its state has a say of its own.
    pub fn may_protect(&self, now: Timestamp) -> bool {
        self.date(Tag::PROTECT_STOP_DATE).is_none_or(|stop| now < stop)
    }

    /// Whether its dates allow to process protected data with it (decrypt, verify, unwrap): only from its
    /// ProcessStartDate on (KMIP 2.1 section 4.40). Its state has a say of its own.
    pub fn may_process(&self, now: Timestamp) -> bool {
        self.date(Tag::PROCESS_START_DATE).is_none_or(|start| start <= now)
    }

    /// A date among its attributes.
    pub fn date(&self, tag: Tag) -> Option<Timestamp> {
        match self.attributes.find(tag) {
            Some(Value::DateTime(date)) => Some(date),
            _ => None,
        }
    }

    /// Whether the material may leave the server only wrapped (KMIP 2.1 section 4.55).
    pub fn is_sensitive(&self) -> bool {
        matches!(self.attributes.find(Tag::SENSITIVE), Some(Value::Boolean(true)))
    }

    /// Whether the material may leave the server at all (KMIP's Extractable); what says nothing may.
    pub fn is_extractable(&self) -> bool {
        !matches!(self.attributes.find(Tag::EXTRACTABLE), Some(Value::Boolean(false)))
    }

    /// Whether `material` is wrapped: `parts` say how.
    pub fn is_wrapped(&self) -> bool {
        self.parts.find(Tag::KEY_WRAPPING_DATA).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ttlv::Item;

    #[test]
    fn dates_say_when_an_object_may_be_used() {
        let date = |tag, seconds| Item::date_time(tag, Timestamp::from_unix(seconds));
        let dates = [
            date(Tag::ACTIVATION_DATE, 10),
            date(Tag::PROCESS_START_DATE, 20),
            date(Tag::PROTECT_STOP_DATE, 30),
            date(Tag::DEACTIVATION_DATE, 40),
        ];
        let object = Object {
            uid: "k1".into(),
            owner: "alice".into(),
            object_type: 2,
            state: State::PreActive,
            key_format: 1,
            algorithm: 3,
            length_bits: 256,
            usage_mask: 12,
            material: Material::none(),
            attributes: Encoded::of(&dates),
            parts: Encoded::default(),
            tags: Vec::new(),
        };
        let at = |seconds| {
            let now = Timestamp::from_unix(seconds);
            (object.state_at(now), object.may_protect(now), object.may_process(now))
        };
        assert_eq!(at(9), (State::PreActive, true, false));
        assert_eq!(at(10), (State::Active, true, false));
        assert_eq!(at(20), (State::Active, true, true));
        assert_eq!(at(30), (State::Active, false, true));
        assert_eq!(at(40), (State::Deactivated, false, true));
    }
}
