//! What the items of a message have named, which those after them may mean without its identifier.
#![forbid(unsafe_code)]

use crate::wire::kmip::enumeration::unique_identifier;
use crate::wire::ttlv::{Fields, Item, Tag, Value};

/// The objects that were named until now.
#[derive(Default)]
pub struct Named {
    /// What an item is about that names nothing (KMIP 2.1 section 6, ID Placeholder).
    pub place_holder: Option<String>,
    /// Of the answers until now, the operation and the unique identifiers.
    pub answered: Vec<(&'static str, Vec<String>)>,
}

impl Named {
    /// The object that an item with these fields is about, as far as they say it.
    pub fn about<'n>(&'n self, payload: &'n [Item<'_>]) -> Option<&'n str> {
        match Fields(payload).get(Tag::UNIQUE_IDENTIFIER) {
            Some(Value::Text(uid)) => Some(uid),
            Some(value) => self.meant(value),
            None => self.place_holder.as_deref(),
        }
    }

    /// The object that a value stands for which is no identifier: the ID Placeholder, the one in the last answer of an
    /// operation (KMIP 2.1 section 11, Unique Identifier Enumeration), or the one at a place among all in the answers, from
    /// their end where it is negative (section 4, Unique Identifier).
    pub fn meant(&self, value: &Value<'_>) -> Option<&str> {
        match *value {
            Value::Enumeration(unique_identifier::ID_PLACEHOLDER) => self.place_holder.as_deref(),
            Value::Enumeration(code) => {
                let operation = unique_identifier::ALL.name(code)?;
                match &self.answered.iter().rfind(|(name, _)| *name == operation)?.1[..] {
                    [uid] => Some(uid),
                    _ => None,
                }
            }
            Value::Integer(place) => {
                let uids = || self.answered.iter().flat_map(|(_, uids)| uids);
                match usize::try_from(place) {
                    Ok(place) => uids().nth(place),
                    Err(_) => uids().nth_back(usize::try_from(place.unsigned_abs()).ok()? - 1),
                }
                .map(String::as_str)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_meant_by_its_place_and_by_what_has_named_it() {
        let uids = |uids: &[&str]| uids.iter().map(|uid| (*uid).to_owned()).collect::<Vec<_>>();
        let answered = vec![
            ("Create", uids(&["a"])),
            ("Locate", uids(&["b", "c"])),
            ("Create", uids(&["d"])),
            ("Query", vec![]),
        ];
        let named = Named { place_holder: Some("p".into()), answered };
        for (value, meant) in [
            (Value::Enumeration(unique_identifier::ID_PLACEHOLDER), Some("p")),
            (Value::Enumeration(unique_identifier::CREATE), Some("d")),
            (Value::Enumeration(unique_identifier::LOCATE), None),
            (Value::Enumeration(unique_identifier::REGISTER), None),
            (Value::Enumeration(0), None),
            (Value::Integer(0), Some("a")),
            (Value::Integer(2), Some("c")),
            (Value::Integer(4), None),
            (Value::Integer(-1), Some("d")),
            (Value::Integer(-4), Some("a")),
            (Value::Integer(i32::MIN), None),
            (Value::Boolean(true), None),
        ] {
            assert_eq!(named.meant(&value), meant, "{value:?}");
        }
        // What is no name does not stand for the placeholder.
        let about = |value| named.about(&[Item::new(Tag::UNIQUE_IDENTIFIER, value)]).map(str::to_owned);
        assert_eq!(about(Value::Text("t".into())).as_deref(), Some("t"));
        assert_eq!(about(Value::Integer(0)).as_deref(), Some("a"));
        assert_eq!(about(Value::Integer(4)), None);
        assert_eq!(named.about(&[]), Some("p"));
    }
}
