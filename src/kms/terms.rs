//! Terms: what objects are found by beside their tags. One stands for the value of an attribute that few objects share.
//!
//! | bytes | |
//! |---|---|
//! | 1 | FF, which is in no text: a term is never taken for a tag |
//! | 16 | the beginning of SHA-256 over the attribute in binary TTLV, with the fields that are named here alone |
//!
//! What is the same for most objects (type, algorithm, length, state, dates) makes no terms, and neither does what is
//! different for each but seldom asked for (the digest): each term is a row more to be written.
#![forbid(unsafe_code)]

use super::object::Object;
use crate::crypto;
use crate::wire::ttlv::{Item, Tag, Value, binary};

/// A term as it is stored; a tag's is the tag itself.
pub type Term = Vec<u8>;

/// What all terms begin with, and no tag.
pub const MARK: u8 = 0xFF;
const DIGEST_BYTES: usize = 16;

/// The attributes that have terms, and those of their fields that tell objects apart: a request may leave out the others
/// (KMIP 2.1 section 6.1.29). When this changes, objects that are stored need other terms (`store::upgrade`).
const SELECTIVE: [(Tag, &[Tag]); 7] = [
    (Tag::ALTERNATIVE_NAME, &[Tag::ALTERNATIVE_NAME_VALUE]),
    (Tag::APPLICATION_SPECIFIC_INFORMATION, &[Tag::APPLICATION_DATA]),
    (Tag::ATTRIBUTE, &[Tag::VENDOR_IDENTIFICATION, Tag::ATTRIBUTE_NAME, Tag::ATTRIBUTE_VALUE]),
    (Tag::CERTIFICATE_ATTRIBUTES, &[Tag::CERTIFICATE_SUBJECT_CN]),
    (Tag::LINK, &[Tag::LINKED_OBJECT_IDENTIFIER]),
    (Tag::NAME, &[Tag::NAME_VALUE]),
    (Tag::OBJECT_GROUP, &[]),
];

/// The terms of an object; none for attributes that cannot be read, since nobody can ask for them.
pub fn of(object: &Object) -> Vec<Term> {
    let are_any = binary::items(&object.attributes).any(|(tag, _)| fields(tag).is_some());
    let attributes = if are_any { binary::decode(&object.attributes) } else { Ok(Vec::new()) };
    attributes.unwrap_or_default().iter().filter_map(of_attribute).collect()
}

/// The fields of an attribute that tell objects apart, where it has a term.
fn fields(tag: Tag) -> Option<&'static [Tag]> {
    SELECTIVE.iter().find(|(selective, _)| *selective == tag).map(|(_, fields)| *fields)
}

/// The term of an attribute; `None` where it has none, or not all that one needs.
pub fn of_attribute(attribute: &Item<'_>) -> Option<Term> {
    let fields = fields(attribute.tag)?;
    let mut encoded = Vec::new();
    match (&attribute.value, fields.is_empty()) {
        (Value::Structure(children), false) => {
            let field = |tag: &Tag| children.iter().find(|child| child.tag == *tag).cloned();
            let selected = fields.iter().map(field).collect::<Option<Vec<_>>>()?;
            binary::encode(&[Item::structure(attribute.tag, selected)], &mut encoded);
        }
        (Value::Structure(_), true) | (_, false) => return None,
        (_, true) => binary::encode(std::slice::from_ref(attribute), &mut encoded),
    }
    Some([&[MARK], &crypto::sha256(&encoded)[..DIGEST_BYTES]].concat())
}

/// The term of a tag.
pub fn of_tag(tag: &str) -> Term {
    tag.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &'static str, with_type: bool) -> Item<'static> {
        let mut fields = vec![Item::text(Tag::NAME_VALUE, text)];
        if with_type {
            fields.insert(0, Item::enumeration(Tag::NAME_TYPE, 1));
        }
        Item::structure(Tag::NAME, fields)
    }

    /// Computed with Python's hashlib: what was stored must be found for ever.
    #[test]
    fn terms_stay_the_same() {
        let hex = |term: &Term| term.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&of_attribute(&name("n", true)).unwrap()), NAME_N);
        let group = Item::text(Tag::OBJECT_GROUP, "g");
        assert_eq!(hex(&of_attribute(&group).unwrap()), GROUP_G);
    }

    const NAME_N: &str = "ffb50bd02fcb1352861070d3a7ae35f1f3";
    const GROUP_G: &str = "ff2bf6050ada311113d03a4da97b1ac781";

    #[test]
    fn a_term_is_of_what_selects_alone() {
        assert_eq!(of_attribute(&name("n", true)), of_attribute(&name("n", false)));
        assert_ne!(of_attribute(&name("n", true)), of_attribute(&name("m", true)));
        assert_eq!(
            of_attribute(&Item::structure(Tag::NAME, vec![Item::enumeration(Tag::NAME_TYPE, 1)])),
            None
        );
        assert_eq!(of_attribute(&Item::text(Tag::NAME, "n")), None);
        assert_eq!(of_attribute(&Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256)), None);
        assert!(std::str::from_utf8(&of_attribute(&name("n", true)).unwrap()).is_err());
    }
}
