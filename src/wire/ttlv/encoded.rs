//! Items as they are kept.
#![forbid(unsafe_code)]

use super::{Item, Tag, Value, binary};
use std::ops::Deref;

/// Items in the [`binary`] encoding, one after the other. Most questions are about tags that are not among them: those are
/// answered without looking at the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// The bits of all tags that are there.
    tags: u128,
}

impl Encoded {
    /// These items.
    pub fn of(items: &[Item<'_>]) -> Encoded {
        let mut bytes = Vec::new();
        binary::encode(items, &mut bytes);
        bytes.into()
    }

    /// Appends an item.
    pub fn push(&mut self, item: &Item<'_>) {
        binary::encode(std::slice::from_ref(item), &mut self.bytes);
        self.tags |= bit(item.tag);
    }

    /// See [`binary::find`].
    pub fn find(&self, tag: Tag) -> Option<Value<'_>> {
        if self.tags & bit(tag) == 0 {
            return None;
        }
        binary::find(&self.bytes, tag)
    }
}

/// Tags that are neighbours, as those of attributes are, have bits of their own.
fn bit(tag: Tag) -> u128 {
    1 << (tag.0 % u128::BITS)
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Encoded {
        let tags = binary::unread(&bytes).fold(0, |tags, (tag, _)| tags | bit(tag));
        Encoded { bytes, tags }
    }
}

impl Deref for Encoded {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_among_the_items_is_found_and_nothing_else() {
        let tags = [Tag::STATE, Tag(Tag::STATE.0 + u128::BITS), Tag::NAME];
        let mut encoded = Encoded::of(&tags.map(|tag| Item::boolean(tag, true))[..2]);
        encoded.push(&Item::boolean(Tag::NAME, true));
        assert_eq!(Encoded::from(encoded.to_vec()), encoded);
        for tag in tags {
            assert_eq!(encoded.find(tag), Some(Value::Boolean(true)));
        }
        for absent in [Tag::DIGEST, Tag(Tag::NAME.0 + u128::BITS)] {
            assert_eq!(encoded.find(absent), None);
        }
        assert_eq!(Encoded::from(encoded[..encoded.len() - 1].to_vec()).find(Tag::NAME), None, "it is cut");
        assert_eq!(Encoded::default().find(Tag::NAME), None);
    }
}
