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
use crate::wire::kmip::tag::{Opening, opening};
use crate::wire::ttlv::json::{self, Document};
use crate::wire::ttlv::{Arena, Children, Fields, Item, Tag, Value};
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
    pub fields: Children<'a>,
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
/// `body`, and stands in `arena`.
pub fn decode<'a>(body: &'a mut [u8], arena: &'a Arena<'a>) -> Result<Request<'a>, DecodeError> {
    match json::decode(body, arena) {
        Ok(Document { root, fields, dialect }) => Ok(Request { dialect, root, fields }),
        Err((error, dialect)) => Err(match error.category {
            Category::Syntax => DecodeError::NotJson(error.to_string()),
            Category::Data => DecodeError::NotTtlv { dialect, reason: error.to_string() },
        }),
    }
}

/// The tag of the root of a document, without reading further; `None` where [`decode`] would not find it first.
pub fn root(body: &[u8]) -> Option<&str> {
    let after = |text: &'_ [u8], token: &[u8]| -> Option<usize> {
        let start = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
        text[start..].starts_with(token).then_some(start + token.len())
    };
    let mut rest = body;
    for token in [&b"{"[..], b"\"tag\"", b":", b"\""] {
        rest = &rest[after(rest, token)?..];
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Appends the canonical tree, spelled in `dialect`, to `out`. `root` is the name of the document: `GetResponse`.
///
/// For 4.9.1, attributes that it does not know, and dates among the attributes, are left out: a DateTime there makes it
/// refuse the whole answer.
pub fn encode(dialect: Dialect, root: &str, fields: &[Item<'_>], out: &mut Vec<u8>) {
    json::open_document(root, dialect, out);
    write(dialect, None, fields, out);
    json::close_structure(out);
}

/// Appends the beginning of the answer to one item of a batch: its fields, and, where it has one, how its payload begins.
/// [`close_answer`] follows.
pub fn open_answer(dialect: Dialect, fields: &[Item<'_>], has_payload: bool, out: &mut Vec<u8>) {
    let item = match dialect {
        Dialect::V4 => opening!("Items"),
        Dialect::V5 => opening!("BatchItem"),
    };
    json::open_structure(item, dialect, out);
    write(dialect, Some(Tag::BATCH_ITEM), fields, out);
    if has_payload {
        json::open_structure(opening!("ResponsePayload"), dialect, out);
    }
}

/// Appends the rest of the answer to one item.
pub fn close_answer(dialect: Dialect, payload: Option<&[Item<'_>]>, out: &mut Vec<u8>) {
    if let Some(payload) = payload {
        write(dialect, Some(Tag::RESPONSE_PAYLOAD), payload, out);
        json::close_structure(out);
    }
    json::close_structure(out);
}

/// Appends what comes before the answers to the items of a message, if there are any: [`open_answer`] begins these, and
/// [`message_end`] follows.
pub fn open_message(dialect: Dialect, header: &Item<'_>, has_items: bool, out: &mut Vec<u8>) {
    match dialect {
        Dialect::V4 => {
            json::open_document("Message", dialect, out);
            write_item_v4(None, &[], header, out);
            if has_items {
                json::open_structure(opening!("Items"), dialect, out);
            }
        }
        Dialect::V5 => {
            json::open_document("ResponseMessage", dialect, out);
            write_v5(None, std::slice::from_ref(header), out);
        }
    }
}

/// What comes after the items of a message.
pub fn message_end(dialect: Dialect, has_items: bool) -> &'static [u8] {
    if dialect == Dialect::V4 && has_items { b"]}]}" } else { b"]}" }
}

// Reading.

/// Turns the children of a structure, whose own children were turned before, into canonical ones.
pub(crate) fn canonicalise(parent: Option<Tag>, items: &mut Vec<Item<'_>>, dialect: &mut Dialect) {
    let mut arrays = false;
    for item in items.iter_mut() {
        match &item.value {
            Value::Structure(elements) => arrays |= is_array(item.tag, elements),
            _ => canonicalise_scalar(item, dialect),
        }
    }
    if arrays {
        for item in std::mem::take(items) {
            match &item.value {
                Value::Structure(elements) if is_array(item.tag, elements) => {
                    if !elements.is_empty() {
                        *dialect = Dialect::V4;
                    }
                    items.extend_from_slice(elements);
                }
                _ => items.push(item),
            }
        }
    }
    if items.iter().any(|item| item.tag == Tag::OBJECT) {
        let object_type = Fields(items).enumeration(Tag::OBJECT_TYPE);
        let tag = object_type.and_then(Tag::of_object).unwrap_or(Tag::SYMMETRIC_KEY);
        items.iter_mut().filter(|item| item.tag == Tag::OBJECT).for_each(|item| item.tag = tag);
    }
    match parent {
        Some(Tag::ATTRIBUTE) => canonicalise_tag_list(items),
        Some(Tag::KEY_BLOCK) => canonicalise_wrapped_key(items),
        _ => (),
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
            let code = Item::enumeration(Tag::REVOCATION_REASON_CODE, code);
            item.value = Value::Structure(vec![code].into());
        }
        Value::Text(ref mut message) if item.tag == Tag::REVOCATION_REASON => {
            *dialect = Dialect::V4;
            let message = std::mem::take(message);
            let code = Item::enumeration(Tag::REVOCATION_REASON_CODE, revocation_reason_code::UNSPECIFIED);
            let message = Item::text(Tag::REVOCATION_MESSAGE, message);
            item.value = Value::Structure(vec![code, message].into());
        }
        _ => (),
    }
}

/// Whether the structure is not one but an array, wrapped as 4.9.1 wraps them: its children have its own tag. An empty
/// one can only be told by the tag.
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
    let Value::Structure(key_value) = &key_block[at].value else { return };
    let Some(material @ Value::Bytes(_)) = Fields(key_value).get(Tag::KEY_MATERIAL) else { return };
    let attributes = key_value.iter().filter(|item| is_attributes_structure(item));
    let (material, attributes) = (material.clone(), attributes.cloned().collect::<Vec<_>>());
    key_block[at].value = material;
    key_block.splice(at + 1..at + 1, attributes);
}

/// The attributes of a wrapped key: canonically they stand beside its value, in 4.9.1 within it, in 5.x nowhere.
fn is_attributes_structure(item: &Item<'_>) -> bool {
    item.tag == Tag::ATTRIBUTES && matches!(item.value, Value::Structure(_))
}

// Writing.

fn write(dialect: Dialect, parent: Option<Tag>, items: &[Item<'_>], out: &mut Vec<u8>) {
    match dialect {
        Dialect::V4 => write_v4(parent, items, out),
        Dialect::V5 => write_v5(parent, items, out),
    }
}

fn write_v5(parent: Option<Tag>, items: &[Item<'_>], out: &mut Vec<u8>) {
    for item in items {
        let opening = item.tag.written();
        match &item.value {
            // An empty array must not be written: the reader takes it for one element.
            Value::Structure(children) if children.is_empty() && is_repeatable(item.tag) => (),
            Value::Structure(_) if parent == Some(Tag::KEY_BLOCK) && item.tag == Tag::ATTRIBUTES => (),
            Value::Structure(children) => {
                json::open_structure(opening, Dialect::V5, out);
                write_v5(Some(item.tag), children, out);
                json::close_structure(out);
            }
            scalar => json::write_scalar(opening, item.tag, scalar, Dialect::V5, out),
        }
    }
}

fn write_v4(parent: Option<Tag>, items: &[Item<'_>], out: &mut Vec<u8>) {
    let are_attributes = parent.is_some_and(is_attributes);
    // The tag of the items before, and whether they are in an array.
    let (mut before, mut in_array) = (None, false);
    for item in items {
        // What 4.9.1 does not know does not part an array either.
        if are_attributes && !(is_v4_attribute(item.tag) && has_v4_value(item)) {
            continue;
        }
        let Some(opening) = v4_opening(parent, item) else { continue };
        let unparted = (out.len(), before, in_array);
        if before != Some(item.tag) {
            if in_array {
                json::close_structure(out);
            }
            in_array = is_wrapped_v4(item.tag, before);
            if in_array {
                json::open_structure(opening, Dialect::V4, out);
            }
            before = Some(item.tag);
        }
        let start = out.len();
        write_opened_v4(opening, parent, items, item, out);
        if out.len() == start {
            // Nor does what has nothing to be written of it.
            let end;
            (end, before, in_array) = unparted;
            out.truncate(end);
        }
    }
    if in_array {
        json::close_structure(out);
    }
}

/// Whether 4.9.1 writes items with this tag as an array, behind one with the other tag.
fn is_wrapped_v4(tag: Tag, before: Option<Tag>) -> bool {
    match tag {
        Tag::ATTRIBUTE | Tag::ATTRIBUTE_REFERENCE | Tag::BATCH_ITEM | Tag::LINK => true,
        Tag::UNIQUE_IDENTIFIER => before == Some(Tag::LOCATED_ITEMS),
        _ => false,
    }
}

fn write_item_v4(parent: Option<Tag>, siblings: &[Item<'_>], item: &Item<'_>, out: &mut Vec<u8>) {
    if let Some(opening) = v4_opening(parent, item) {
        write_opened_v4(opening, parent, siblings, item, out);
    }
}

fn write_opened_v4(
    opening: Opening,
    parent: Option<Tag>,
    siblings: &[Item<'_>],
    item: &Item<'_>,
    out: &mut Vec<u8>,
) {
    match (&item.value, item.tag) {
        (Value::Structure(_), Tag::ATTRIBUTES) if parent == Some(Tag::KEY_BLOCK) => (),
        (Value::Structure(reason), Tag::REVOCATION_REASON) => {
            let tag = Tag::REVOCATION_REASON;
            let short =
                Fields(reason).get(Tag::REVOCATION_MESSAGE).or(reason.first().map(|item| &item.value));
            let unspecified = Value::Enumeration(revocation_reason_code::UNSPECIFIED);
            let short = short.filter(|short| matches!(short, Value::Text(_) | Value::Enumeration(_)));
            json::write_scalar(opening, tag, short.unwrap_or(&unspecified), Dialect::V4, out);
        }
        (Value::Structure(children), tag) => {
            let start = out.len();
            json::open_structure(opening, Dialect::V4, out);
            write_v4(Some(tag), children, out);
            // The reader would take an empty array for one element.
            match is_repeatable(tag) && out.ends_with(b"[") {
                true => out.truncate(start),
                false => json::close_structure(out),
            }
        }
        (Value::Bytes(wrapped), Tag::KEY_VALUE) => {
            json::open_structure(opening, Dialect::V4, out);
            let material = Item::bytes(Tag::KEY_MATERIAL, &wrapped[..]);
            write_item_v4(Some(Tag::KEY_VALUE), &[], &material, out);
            for attributes in siblings.iter().filter(|item| is_attributes_structure(item)) {
                write_item_v4(Some(Tag::KEY_VALUE), &[], attributes, out);
            }
            json::close_structure(out);
        }
        (Value::Text(text), Tag::ATTRIBUTE_VALUE) => {
            let bytes = Value::Bytes(Cow::Borrowed(text.as_bytes()));
            json::write_scalar(opening, item.tag, &bytes, Dialect::V4, out);
        }
        (Value::DateTime(at), tag) => {
            json::write_scalar(opening, tag, &Value::LongInteger(at.unix()), Dialect::V4, out);
        }
        (scalar, tag) => json::write_scalar(opening, tag, scalar, Dialect::V4, out),
    }
}

/// `None` for a tag that no table has: a reader would drop it.
fn v4_opening(parent: Option<Tag>, item: &Item<'_>) -> Option<Opening> {
    Some(match item.tag {
        Tag::ATTRIBUTE => opening!("VendorAttributes"),
        Tag::ATTRIBUTE_REFERENCE => opening!("AttributeReferences"),
        Tag::BATCH_ITEM => opening!("Items"),
        Tag::IV_COUNTER_NONCE if parent != Some(Tag::KEY_WRAPPING_DATA) => opening!("IvCounterNonce"),
        Tag::QLENGTH => opening!("QLength"),
        Tag::REQUEST_HEADER | Tag::RESPONSE_HEADER => opening!("Header"),
        Tag::TIME_STAMP => opening!("Timestamp"),
        Tag::UNIQUE_BATCH_ITEM_ID => opening!("UniqueBatchItemId"),
        tag if matches!(item.value, Value::Structure(_)) && tag.object_type().is_some() => opening!("Object"),
        tag => tag.opening()?,
    })
}

fn is_attributes(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::ATTRIBUTES | Tag::COMMON_ATTRIBUTES | Tag::PRIVATE_KEY_ATTRIBUTES | Tag::PUBLIC_KEY_ATTRIBUTES
    )
}

/// Whether this is no vendor attribute, or one whose value 4.9.1 can read: it knows bytes only, as which it takes texts.
fn has_v4_value(attribute: &Item<'_>) -> bool {
    let fields = Fields(attribute.value.children().unwrap_or_default());
    let value = fields.get(Tag::ATTRIBUTE_VALUE);
    value.is_none_or(|value| matches!(value, Value::Text(_) | Value::Bytes(_)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kmip::enumeration::{object_type, operation};

    fn canonical(body: &str) -> (Dialect, String) {
        let (mut bytes, arena) = (body.as_bytes().to_vec(), Arena::new());
        let request = decode(&mut bytes, &arena).unwrap_or_else(|error| panic!("{error:?}: {body}"));
        let mut out = Vec::new();
        encode(Dialect::V5, request.root, &request.fields, &mut out);
        (request.dialect, String::from_utf8(out).unwrap())
    }

    fn written(dialect: Dialect, fields: &[Item<'_>]) -> String {
        let mut out = Vec::new();
        encode(dialect, "R", fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn refused(body: &str) -> DecodeError {
        decode(&mut body.as_bytes().to_vec(), &Arena::new()).unwrap_err()
    }

    #[test]
    fn byte_strings_and_texts_are_borrowed_from_the_body() {
        let mut body =
            br#"{"tag":"Encrypt","value":[{"tag":"Data","type":"ByteString","value":"00ff"}]}"#.to_vec();
        let arena = Arena::new();
        let request = decode(&mut body, &arena).unwrap();
        assert_eq!((request.dialect, request.root), (Dialect::V5, "Encrypt"));
        assert!(operation::ALL.code(request.root).is_some());
        assert!(matches!(request.fields[0].value, Value::Bytes(Cow::Borrowed([0, 0xFF]))));
    }

    #[test]
    fn documents_of_4_9_1_without_types_are_told_by_their_spelling() {
        for (children, canonical_children) in [
            (
                r#"{"tag":"RevocationReason","type":"TextString","value":"lost"}"#,
                r#"{"tag":"RevocationReason","value":[{"tag":"RevocationReasonCode","type":"Enumeration","value":"Unspecified"},{"tag":"RevocationMessage","type":"TextString","value":"lost"}]}"#,
            ),
            (
                r#"{"tag":"RevocationReason","type":"Enumeration","value":"KeyCompromise"}"#,
                r#"{"tag":"RevocationReason","value":[{"tag":"RevocationReasonCode","type":"Enumeration","value":"KeyCompromise"}]}"#,
            ),
            (
                r#"{"tag":"IvCounterNonce","type":"ByteString","value":"00"}"#,
                r#"{"tag":"IVCounterNonce","type":"ByteString","value":"00"}"#,
            ),
            (
                r#"{"tag":"QLength","type":"Integer","value":256}"#,
                r#"{"tag":"Qlength","type":"Integer","value":256}"#,
            ),
            (
                r#"{"tag":"Object","value":[]},{"tag":"ObjectType","type":"Enumeration","value":"PrivateKey"}"#,
                r#"{"tag":"PrivateKey","value":[]},{"tag":"ObjectType","type":"Enumeration","value":"PrivateKey"}"#,
            ),
            (r#"{"tag":"Object","value":[]}"#, r#"{"tag":"SymmetricKey","value":[]}"#),
            (
                r#"{"tag":"UniqueIdentifier","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"a"},{"tag":"UniqueIdentifier","type":"TextString","value":"b"}]}"#,
                r#"{"tag":"UniqueIdentifier","type":"TextString","value":"a"},{"tag":"UniqueIdentifier","type":"TextString","value":"b"}"#,
            ),
            (
                r#"{"tag":"VendorAttributes","value":[{"tag":"VendorAttributes","value":[{"tag":"VendorIdentification","type":"TextString","value":"Cosmian"},{"tag":"AttributeName","type":"TextString","value":"tag"},{"tag":"AttributeValue","type":"ByteString","value":"5b2274225d"}]}]}"#,
                r#"{"tag":"Attribute","value":[{"tag":"VendorIdentification","type":"TextString","value":"Cosmian"},{"tag":"AttributeName","type":"TextString","value":"tag"},{"tag":"AttributeValue","type":"TextString","value":"[\"t\"]"}]}"#,
            ),
        ] {
            assert_eq!(
                canonical(&format!(r#"{{"tag":"R","value":[{children}]}}"#)),
                (Dialect::V4, format!(r#"{{"tag":"R","value":[{canonical_children}]}}"#)),
            );
        }
    }

    #[test]
    fn values_are_read_in_all_their_forms() {
        for (written, value) in [
            (
                r#"{"tag":"CryptographicUsageMask","type":"Integer","value":"0x0000083C"}"#,
                Value::Integer(2108),
            ),
            (r#"{"tag":"CryptographicUsageMask","type":"Integer","value":"0xFFFFFFFF"}"#, Value::Integer(-1)),
            (r#"{"tag":"ObjectType","type":"Enumeration","value":2}"#, Value::Enumeration(2)),
            (r#"{"tag":"ObjectType","type":"Enumeration","value":"0x00000002"}"#, Value::Enumeration(2)),
            (
                r#"{"tag":"AttributeReference","type":"Enumeration","value":"State"}"#,
                Value::Enumeration(Tag::STATE.0),
            ),
            (
                r#"{"tag":"ActivationDate","type":"DateTime","value":"0x000000006B048341"}"#,
                Value::DateTime(Timestamp::from_unix(0x6B04_8341)),
            ),
            (
                r#"{"tag":"ActivationDate","type":"LongInteger","value":"0x000000006B048341"}"#,
                Value::DateTime(Timestamp::from_unix(0x6B04_8341)),
            ),
            (
                r#"{"tag":"ActivationDate","type":"LongInteger","value":1795456600}"#,
                Value::DateTime(Timestamp::from_unix(1_795_456_600)),
            ),
            (
                r#"{"tag":"RotateInterval","type":"LongInteger","value":"0x0000000000015180"}"#,
                Value::LongInteger(86_400),
            ),
            (r#"{"tag":"LeaseTime","type":"Interval","value":3600}"#, Value::Interval(3600)),
            (
                r#"{"tag":"D","type":"BigInteger","value":"0xABC"}"#,
                Value::BigInteger(vec![0x0A, 0xBC].into()),
            ),
            (r#"{"tag":"D","type":"BigInteger","value":"0xFF"}"#, Value::BigInteger(vec![0xFF].into())),
            (r#"{"tag":"D","type":"BigInteger","value":"0x"}"#, Value::BigInteger(vec![0].into())),
        ] {
            let (mut body, arena) =
                (format!(r#"{{"tag":"R","value":[{written}]}}"#).into_bytes(), Arena::new());
            assert_eq!(decode(&mut body, &arena).unwrap().fields[0].value, value, "{written}");
        }
        let mut body = br#"{"tag":"R","type":"Structure","value":[{"tag":"D","type":"BigInteger","value":"0xFF01"},{"tag":"P","type":"BigInteger","value":"0x7F"}]}"#.to_vec();
        let arena = Arena::new();
        let request = decode(&mut body, &arena).unwrap();
        let fields = Fields(&request.fields);
        assert_eq!(fields.big_integer(Tag::D), Some(&[0, 0xFF, 1][..]), "magnitudes of 4.9.1 stay positive");
        assert_eq!(fields.big_integer(Tag::P), Some(&[0x7F][..]));
    }

    #[test]
    fn answers_to_4_9_1_leave_out_what_it_cannot_read() {
        let attributes = Item::structure(
            Tag::ATTRIBUTES,
            vec![
                Item::date_time(Tag::ACTIVATION_DATE, Timestamp::from_unix(0)),
                Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
                Item::boolean(Tag::SENSITIVE, false),
            ],
        );
        let header = Item::structure(
            Tag::RESPONSE_HEADER,
            vec![Item::date_time(Tag::TIME_STAMP, Timestamp::from_unix(1))],
        );
        assert_eq!(
            written(Dialect::V4, &[attributes, header]),
            r#"{"tag":"R","type":"Structure","value":[{"tag":"Attributes","type":"Structure","value":[{"tag":"CryptographicLength","type":"Integer","value":256}]},{"tag":"Header","type":"Structure","value":[{"tag":"Timestamp","type":"LongInteger","value":"0x0000000000000001"}]}]}"#
        );
    }

    #[test]
    fn wrapped_keys_have_one_form_inside_and_two_outside() {
        let block = Item::structure(
            Tag::KEY_BLOCK,
            vec![
                Item::bytes(Tag::KEY_VALUE, &[0xAB][..]),
                Item::structure(
                    Tag::ATTRIBUTES,
                    vec![Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY)],
                ),
                Item::structure(Tag::KEY_WRAPPING_DATA, vec![Item::bytes(Tag::IV_COUNTER_NONCE, &[1][..])]),
            ],
        );
        let v4 = r#"{"tag":"R","type":"Structure","value":[{"tag":"KeyBlock","type":"Structure","value":[{"tag":"KeyValue","type":"Structure","value":[{"tag":"KeyMaterial","type":"ByteString","value":"AB"},{"tag":"Attributes","type":"Structure","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]}]},{"tag":"KeyWrappingData","type":"Structure","value":[{"tag":"IVCounterNonce","type":"ByteString","value":"01"}]}]}]}"#;
        let v5 = r#"{"tag":"R","value":[{"tag":"KeyBlock","value":[{"tag":"KeyValue","type":"ByteString","value":"AB"},{"tag":"KeyWrappingData","value":[{"tag":"IVCounterNonce","type":"ByteString","value":"01"}]}]}]}"#;
        let block = [block];
        assert_eq!(written(Dialect::V4, &block), v4);
        assert_eq!(written(Dialect::V5, &block), v5);
        let (mut v4, arena) = (v4.as_bytes().to_vec(), Arena::new());
        assert_eq!(*decode(&mut v4, &arena).unwrap().fields, block);
    }

    #[test]
    fn empty_arrays_are_never_written_for_5_x() {
        let items = [Item::structure(Tag::NAME, vec![]), Item::structure(Tag::ATTRIBUTES, vec![])];
        assert_eq!(written(Dialect::V5, &items), r#"{"tag":"R","value":[{"tag":"Attributes","value":[]}]}"#);
    }

    #[test]
    fn clients_of_4_9_1_do_not_see_what_they_cannot_read() {
        let vendor = |name: &'static str, value| {
            let fields = vec![
                Item::text(Tag::VENDOR_IDENTIFICATION, "acme"),
                Item::text(Tag::ATTRIBUTE_NAME, name),
                Item::new(Tag::ATTRIBUTE_VALUE, value),
            ];
            Item::structure(Tag::ATTRIBUTE, fields)
        };
        let attributes = vec![vendor("text", Value::Text("t".into())), vendor("typed", Value::Boolean(true))];
        let item = Item::structure(Tag::ATTRIBUTES, attributes);
        let (old, new) = (written(Dialect::V4, std::slice::from_ref(&item)), written(Dialect::V5, &[item]));
        assert_eq!([old.contains("\"text\""), old.contains("typed")], [true, false], "{old}");
        assert!(new.contains("typed"), "{new}");
    }

    #[test]
    fn unknown_tags_are_dropped_unread() {
        let body = r#"{"tag":"R","value":[{"tag":"Novelty","type":"Enumeration","value":"x"},{"tag":"0x530000","value":[{"odd":1}]},{"tag":"Fresh","type":"Boolean","value":true}]}"#;
        assert_eq!(
            canonical(body).1,
            r#"{"tag":"R","value":[{"tag":"Fresh","type":"Boolean","value":true}]}"#
        );
    }

    #[test]
    fn dates_beyond_four_digit_years_are_written_as_numbers() {
        let item = Item::date_time(Tag::TIME_STAMP, Timestamp::from_unix(i64::MAX));
        assert_eq!(
            written(Dialect::V5, &[item]),
            r#"{"tag":"R","value":[{"tag":"TimeStamp","type":"DateTime","value":"0x7FFFFFFFFFFFFFFF"}]}"#
        );
    }

    #[test]
    fn faults_tell_json_from_ttlv_and_the_dialect() {
        let not_json = |reason: &str| DecodeError::NotJson(reason.to_owned());
        let not_ttlv = |dialect, reason: &str| DecodeError::NotTtlv { dialect, reason: reason.to_owned() };
        assert_eq!(refused("eyJhbGciOiJFQ0RILUVTIn0..a.b.c"), not_json("expected value at line 1 column 1"));
        assert_eq!(refused(r#"{"tag":"Get","#), not_json("EOF while parsing an object at line 1 column 13"));
        assert_eq!(
            refused(r#"{"tag":"Get","value":[]} x"#),
            not_json("trailing characters at line 1 column 26")
        );
        assert_eq!(refused("{}"), not_ttlv(Dialect::V5, "missing field `value` at line 1 column 2"));
        assert_eq!(
            refused(
                r#"{"tag":"Get","type":"Structure","value":[{"tag":"Data","type":"ByteString","value":"0"}]}"#
            ),
            not_ttlv(
                Dialect::V4,
                "Data: a ByteString is an even number of hexadecimal digits at line 1 column 86"
            )
        );
        for body in [
            r#"{"tag":"R","value":[{"tag":"Data","value":[],"type":"Structure"}]}"#,
            r#"{"tag":"R","value":[{"tag":"Fresh","type":"Boolean","value":true,"extra":1}]}"#,
            r#"{"tag":"R","value":[{"tag":"Fresh","type":"Truth","value":true}]}"#,
            r#"{"tag":"R","value":[{"tag":"Fresh","value":true}]}"#,
            r#"{"tag":"R","value":[{"tag":"State","type":"Enumeration","value":"Sleepy"}]}"#,
            r#"{"tag":"R","value":[{"tag":"BatchCount","type":"Integer","value":2147483648}]}"#,
            r#"{"tag":"R","value":[{"tag":"BatchCount","type":"Integer","value":1.5}]}"#,
            r#"{"tag":"R","type":"Integer","value":1}"#,
            r#"["tag"]"#,
        ] {
            assert!(matches!(refused(body), DecodeError::NotTtlv { .. }), "{body}");
        }
        let deep = r#"{"tag":"KeyBlock","value":["#.repeat(20_000);
        assert!(matches!(refused(&deep), DecodeError::NotTtlv { .. }));
    }
}
