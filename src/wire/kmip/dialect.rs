//! The two JSON dialects of TTLV that clients speak, and the one canonical tree behind them.
//!
//! The canonical tree is that of KMIP 2.1, as 5.x spells it: arrays are repeated siblings, an object stands under the tag
//! of its type, vendor attributes are `Attribute`s, dates are DateTimes, the reason of a revocation is a structure. What
//! 4.9.1 spells differently is turned into that when it is read, whatever the dialect of the rest, and turned back when
//! it is written for 4.9.1. Two conventions are this server's own:
//!
//! * the tag list (`cosmian`/`tag`) is a text string;
//! * `KeyValue` is a byte string exactly if the key is wrapped; the attributes that 4.9.1 keeps beside the wrapped bytes
//!   then follow as `Attributes` in the key block, and are not written for 5.x, whose clients refuse them there.
#![forbid(unsafe_code)]

use crate::time::Timestamp;
use crate::wire::json::Category;
use crate::wire::kmip::enumeration::revocation_reason_code;
use crate::wire::ttlv::{Fields, Item, Tag, Value, json};
use std::borrow::Cow;

/// How a client spells KMIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 4.9.1: every structure has a type, arrays are wrapped, objects stand under `Object`.
    V4,
    /// 5.x: structures have no type, arrays are repeated siblings, objects stand under the name of their type.
    V5,
}

/// One decoded document.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// How it was spelled, and how its answer should be.
    pub dialect: Dialect,
    /// The tag of the root as it was written: the name of an operation, or of a message.
    pub root: &'a str,
    /// The children of the root, in canonical form.
    pub fields: Vec<Item<'a>>,
}

/// Why a body is not a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not JSON: it may be a compact JWE. The text is that of the JSON parser. A body whose first character cannot
    /// begin a document is left as it was.
    NotJson(String),
    /// JSON, but not TTLV.
    NotTtlv {
        /// The dialect as far as it could be told.
        dialect: Dialect,
        /// What is wrong, for the client's eyes.
        reason: String,
    },
}

/// Reads one document of either dialect. Strings are unescaped and byte strings decoded in place: the tree borrows from
/// `body`.
pub fn decode(body: &mut [u8]) -> Result<Request<'_>, DecodeError> {
    match json::decode(body) {
        Ok(mut document) => {
            canonicalise(&mut document.fields, &mut document.dialect);
            Ok(Request { dialect: document.dialect, root: document.root, fields: document.fields })
        }
        Err((error, dialect)) => Err(match error.category {
            Category::Syntax => DecodeError::NotJson(error.to_string()),
            Category::Data => DecodeError::NotTtlv { dialect, reason: error.to_string() },
        }),
    }
}

/// Appends the canonical tree, spelled in `dialect`, to `out`. `root` is the name of the document: `GetResponse`.
///
/// For 4.9.1, attributes that it does not know, and dates among the attributes, are left out: a DateTime there makes it
/// refuse the whole answer.
pub fn encode(dialect: Dialect, root: &str, fields: &[Item<'_>], out: &mut Vec<u8>) {
    json::open_document(root, dialect, out);
    match dialect {
        Dialect::V4 => write_v4(None, fields, out),
        Dialect::V5 => write_v5(None, fields, out),
    }
    json::close_structure(out);
}

// Reading.

fn canonicalise(items: &mut Vec<Item<'_>>, dialect: &mut Dialect) {
    let mut arrays = false;
    for item in items.iter_mut() {
        if let Value::Structure(children) = &mut item.value {
            canonicalise(children, dialect);
            match item.tag {
                Tag::ATTRIBUTE => canonicalise_tag_list(children),
                Tag::KEY_BLOCK => canonicalise_wrapped_key(children),
                _ => (),
            }
            arrays |= is_wrapped_array(item);
        } else {
            canonicalise_scalar(item, dialect);
        }
    }
    if arrays {
        for item in std::mem::take(items) {
            match item.value {
                Value::Structure(elements) if is_array(item.tag, &elements) => {
                    if !elements.is_empty() {
                        *dialect = Dialect::V4;
                    }
                    items.extend(elements);
                }
                value => items.push(Item { tag: item.tag, value }),
            }
        }
    }
    if let Some(object) = items.iter().position(|item| item.tag == Tag::OBJECT) {
        let object_type = Fields(items).enumeration(Tag::OBJECT_TYPE);
        items[object].tag = object_type.and_then(Tag::of_object).unwrap_or(Tag::SYMMETRIC_KEY);
    }
}

fn canonicalise_scalar(item: &mut Item<'_>, dialect: &mut Dialect) {
    match item.value {
        Value::LongInteger(seconds) if item.tag.is_date() => {
            item.value = Value::DateTime(Timestamp::from_unix(seconds));
        }
        Value::Integer(seconds) if item.tag.is_date() => {
            item.value = Value::DateTime(Timestamp::from_unix(i64::from(seconds)));
        }
        Value::Enumeration(code) if item.tag == Tag::REVOCATION_REASON => {
            *dialect = Dialect::V4;
            item.value = Value::Structure(vec![Item::enumeration(Tag::REVOCATION_REASON_CODE, code)]);
        }
        Value::Text(ref mut message) if item.tag == Tag::REVOCATION_REASON => {
            *dialect = Dialect::V4;
            let message = std::mem::take(message);
            item.value = Value::Structure(vec![
                Item::enumeration(Tag::REVOCATION_REASON_CODE, revocation_reason_code::UNSPECIFIED),
                Item::text(Tag::REVOCATION_MESSAGE, message),
            ]);
        }
        _ => (),
    }
}

/// Whether the structure is not one but an array, wrapped as 4.9.1 wraps them: its children have its own tag. An empty
/// one can only be told by the tag.
fn is_wrapped_array(item: &Item<'_>) -> bool {
    matches!(&item.value, Value::Structure(elements) if is_array(item.tag, elements))
}

fn is_array(tag: Tag, elements: &[Item<'_>]) -> bool {
    if elements.is_empty() { is_repeatable(tag) } else { elements.iter().all(|element| element.tag == tag) }
}

fn is_repeatable(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ATTRIBUTE
            | Tag::ATTRIBUTE_REFERENCE
            | Tag::ALTERNATIVE_NAME
            | Tag::BATCH_ITEM
            | Tag::LINK
            | Tag::NAME
            | Tag::OBJECT_GROUP
            | Tag::UNIQUE_IDENTIFIER
    )
}

fn is_tag_list(attribute: &[Item<'_>]) -> bool {
    let fields = Fields(attribute);
    fields.text(Tag::ATTRIBUTE_NAME) == Some("tag")
        && fields
            .text(Tag::VENDOR_IDENTIFICATION)
            .is_some_and(|vendor| vendor.eq_ignore_ascii_case("cosmian"))
}

fn canonicalise_tag_list(attribute: &mut [Item<'_>]) {
    if !is_tag_list(attribute) {
        return;
    }
    let value = attribute.iter_mut().find(|item| item.tag == Tag::ATTRIBUTE_VALUE);
    if let Some(Item { value, .. }) = value
        && let Value::Bytes(Cow::Borrowed(bytes)) = *value
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        *value = Value::Text(Cow::Borrowed(text));
    }
}

fn canonicalise_wrapped_key(key_block: &mut Vec<Item<'_>>) {
    if Fields(key_block).get(Tag::KEY_WRAPPING_DATA).is_none() {
        return;
    }
    let Some(at) = key_block.iter().position(|item| item.tag == Tag::KEY_VALUE) else { return };
    let Value::Structure(key_value) = &mut key_block[at].value else { return };
    if Fields(key_value).bytes(Tag::KEY_MATERIAL).is_none() {
        return;
    }
    let (mut material, mut attributes) = (None, None);
    for item in std::mem::take(key_value) {
        match item.tag {
            Tag::KEY_MATERIAL if material.is_none() => material = Some(item.value),
            Tag::ATTRIBUTES => attributes = Some(item),
            _ => (),
        }
    }
    key_block[at].value = material.expect("the key value has a key material");
    if let Some(attributes) = attributes {
        key_block.insert(at + 1, attributes);
    }
}

// Writing.

fn write_v5(parent: Option<Tag>, items: &[Item<'_>], out: &mut Vec<u8>) {
    for item in items {
        let Some(name) = item.tag.name() else { continue };
        match &item.value {
            // An empty array must not be written: the reader takes it for one element.
            Value::Structure(children) if children.is_empty() && is_repeatable(item.tag) => (),
            Value::Structure(_) if parent == Some(Tag::KEY_BLOCK) && item.tag == Tag::ATTRIBUTES => (),
            Value::Structure(children) => {
                json::open_structure(name, Dialect::V5, out);
                write_v5(Some(item.tag), children, out);
                json::close_structure(out);
            }
            scalar => json::write_scalar(name, item.tag, scalar, Dialect::V5, out),
        }
    }
}

fn write_v4(parent: Option<Tag>, items: &[Item<'_>], out: &mut Vec<u8>) {
    let mut before = None;
    for run in items.chunk_by(|a, b| a.tag == b.tag) {
        let tag = run[0].tag;
        let wrapped = match tag {
            Tag::ATTRIBUTE | Tag::ATTRIBUTE_REFERENCE | Tag::BATCH_ITEM | Tag::LINK => true,
            Tag::UNIQUE_IDENTIFIER => before == Some(Tag::LOCATED_ITEMS),
            _ => false,
        };
        before = Some(tag);
        let Some(name) = v4_name(parent, &run[0]) else { continue };
        if wrapped {
            json::open_structure(name, Dialect::V4, out);
        }
        for item in run {
            write_item_v4(parent, items, item, out);
        }
        if wrapped {
            json::close_structure(out);
        }
    }
}

fn write_item_v4(parent: Option<Tag>, siblings: &[Item<'_>], item: &Item<'_>, out: &mut Vec<u8>) {
    let Some(name) = v4_name(parent, item) else { return };
    match (&item.value, item.tag) {
        _ if parent.is_some_and(is_attributes) && !is_v4_attribute(item.tag) => (),
        (Value::Structure(_), Tag::ATTRIBUTES) if parent == Some(Tag::KEY_BLOCK) => (),
        (Value::Structure(reason), Tag::REVOCATION_REASON) => {
            let tag = Tag::REVOCATION_REASON;
            let short =
                Fields(reason).get(Tag::REVOCATION_MESSAGE).or(reason.first().map(|item| &item.value));
            if let Some(short @ (Value::Text(_) | Value::Enumeration(_))) = short {
                json::write_scalar(name, tag, short, Dialect::V4, out);
            }
        }
        (Value::Structure(children), tag) => {
            json::open_structure(name, Dialect::V4, out);
            write_v4(Some(tag), children, out);
            json::close_structure(out);
        }
        (Value::Bytes(wrapped), Tag::KEY_VALUE) => {
            json::open_structure(name, Dialect::V4, out);
            let material = Item::bytes(Tag::KEY_MATERIAL, &wrapped[..]);
            write_item_v4(Some(Tag::KEY_VALUE), &[], &material, out);
            for attributes in siblings.iter().filter(|item| item.tag == Tag::ATTRIBUTES) {
                write_item_v4(Some(Tag::KEY_VALUE), &[], attributes, out);
            }
            json::close_structure(out);
        }
        (Value::Text(text), Tag::ATTRIBUTE_VALUE) => {
            let bytes = Value::Bytes(Cow::Borrowed(text.as_bytes()));
            json::write_scalar(name, item.tag, &bytes, Dialect::V4, out);
        }
        (Value::DateTime(at), tag) => {
            json::write_scalar(name, tag, &Value::LongInteger(at.unix()), Dialect::V4, out);
        }
        (scalar, tag) => json::write_scalar(name, tag, scalar, Dialect::V4, out),
    }
}

/// `None` for a tag that no table has: a reader would drop it.
fn v4_name(parent: Option<Tag>, item: &Item<'_>) -> Option<&'static str> {
    Some(match item.tag {
        Tag::ATTRIBUTE => "VendorAttributes",
        Tag::ATTRIBUTE_REFERENCE => "AttributeReferences",
        Tag::BATCH_ITEM => "Items",
        Tag::IV_COUNTER_NONCE if parent != Some(Tag::KEY_WRAPPING_DATA) => "IvCounterNonce",
        Tag::QLENGTH => "QLength",
        Tag::REQUEST_HEADER | Tag::RESPONSE_HEADER => "Header",
        Tag::TIME_STAMP => "Timestamp",
        Tag::UNIQUE_BATCH_ITEM_ID => "UniqueBatchItemId",
        tag if tag.object_type().is_some() && matches!(item.value, Value::Structure(_)) => "Object",
        tag => tag.name()?,
    })
}

fn is_attributes(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ATTRIBUTES | Tag::COMMON_ATTRIBUTES | Tag::PRIVATE_KEY_ATTRIBUTES | Tag::PUBLIC_KEY_ATTRIBUTES
    )
}

/// The attributes that 4.9.1 knows, but for dates: 4.9.1 reads those in a form of its own.
fn is_v4_attribute(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ATTRIBUTE
            | Tag::CERTIFICATE_ATTRIBUTES
            | Tag::CERTIFICATE_LENGTH
            | Tag::CERTIFICATE_TYPE
            | Tag::CRYPTOGRAPHIC_ALGORITHM
            | Tag::CRYPTOGRAPHIC_DOMAIN_PARAMETERS
            | Tag::CRYPTOGRAPHIC_LENGTH
            | Tag::CRYPTOGRAPHIC_PARAMETERS
            | Tag::CRYPTOGRAPHIC_USAGE_MASK
            | Tag::KEY_FORMAT_TYPE
            | Tag::LINK
            | Tag::OBJECT_TYPE
    )
}
