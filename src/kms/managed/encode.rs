//! Writing an object: what an answer shows, and what is wrapped.
#![forbid(unsafe_code)]

use super::super::object::Object;
use crate::wire::kmip::enumeration::{key_format_type, object_type};
use crate::wire::ttlv::{Item, Tag};
use std::borrow::Cow;

/// The bytes of a key on their way out.
pub enum Value<'s> {
    /// Bare; of what is destroyed, none.
    Bare(&'s [u8]),
    /// Wrapped, and `KeyWrappingData` that say how.
    Wrapped(Cow<'s, [u8]>, Item<'s>),
}

impl<'s> Value<'s> {
    /// As the object is stored.
    pub fn stored(object: &'s Object) -> Value<'s> {
        let bytes = object.material.expose();
        match object.parts.find(Tag::KEY_WRAPPING_DATA) {
            None => Value::Bare(bytes),
            Some(wrapping) => Value::Wrapped(bytes.into(), Item::new(Tag::KEY_WRAPPING_DATA, wrapping)),
        }
    }
}

/// The object, under the tag of its type.
pub fn encode<'s>(
    object: &'s Object,
    key_format: u32,
    value: Value<'s>,
    attributes: Vec<Item<'s>>,
) -> Item<'s> {
    let tag = Tag::of_object(object.object_type).expect("objects of other types are not made");
    let part = |tag| object.parts.find(tag).map(|value| Item::new(tag, value));
    let mut items = Vec::with_capacity(2);
    if object.object_type == object_type::OPAQUE_OBJECT {
        items.extend(part(Tag::OPAQUE_DATA_TYPE));
        items.push(Item::bytes(Tag::OPAQUE_DATA_VALUE, object.material.expose()));
    } else {
        items.extend(part(Tag::SECRET_DATA_TYPE));
        items.push(Item::structure(Tag::KEY_BLOCK, key_block(object, key_format, value, attributes)));
    }
    Item::structure(tag, items)
}

fn key_block<'s>(
    object: &'s Object,
    key_format: u32,
    value: Value<'s>,
    attributes: Vec<Item<'s>>,
) -> Vec<Item<'s>> {
    let mut block = vec![Item::enumeration(Tag::KEY_FORMAT_TYPE, key_format)];
    let mut wrapping = None;
    match value {
        Value::Bare(bytes) => block.push(key_value(key_format, bytes, attributes)),
        Value::Wrapped(bytes, data) => {
            block.push(Item::bytes(Tag::KEY_VALUE, bytes));
            // For 4.9.1: see `wire::kmip::dialect`.
            block.push(Item::structure(Tag::ATTRIBUTES, attributes));
            wrapping = Some(data);
        }
    }
    if object.algorithm != 0 {
        block.push(Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, object.algorithm));
    }
    if object.length_bits != 0 {
        block.push(Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, object.length_bits as i32));
    }
    block.extend(wrapping);
    block
}

/// The `KeyValue` of bare bytes in this format. What is destroyed has none, and so no structure around them.
pub fn key_value<'s>(key_format: u32, bytes: &'s [u8], attributes: Vec<Item<'s>>) -> Item<'s> {
    let material = if key_format == key_format_type::TRANSPARENT_SYMMETRIC_KEY && !bytes.is_empty() {
        Item::structure(Tag::KEY_MATERIAL, vec![Item::bytes(Tag::KEY, bytes)])
    } else {
        Item::bytes(Tag::KEY_MATERIAL, bytes)
    };
    Item::structure(Tag::KEY_VALUE, vec![material, Item::structure(Tag::ATTRIBUTES, attributes)])
}
