//! The attributes of an object (KMIP 2.1 section 4): what clients may set, what the server keeps itself, and the list
//! that they get to see.
//!
//! | module | |
//! |---|---|
//! | [`table`] | what KMIP says of each attribute |
//! | [`kind`] | the types of their values |
//! | [`template`] | the attributes of a request that makes an object |
//! | [`change`] | how clients set, add, modify and delete attributes |
//! | [`reference`] | how they name them |
//!
//! An object has some attributes in fields of its own; the others are stored as TTLV.
#![forbid(unsafe_code)]

pub mod change;
pub mod kind;
pub mod reference;
pub mod table;
pub mod template;

pub use reference::Reference;
pub use template::Template;

use super::object::Object;
use super::refusal::{Failure, Refusal};
use super::tags;
use super::view::StoreError;
use crate::crypto;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::enumeration::{hashing_algorithm, key_format_type};
use crate::wire::ttlv::{self, Encoded, Item, Tag, Value, binary};

/// The vendor of the attributes of this server; clients spell it in either case.
const OWN_VENDOR: &str = "cosmian";
/// The vendor of what only a server may set (KMIP 2.1 section 4.60).
const SERVER_VENDOR: &str = "y";
/// The name of the attribute that carries tags.
const TAG_NAME: &str = "tag";
/// The vendor attribute by which clients ask for a key to be stored wrapped.
const WRAPPING_KEY_NAME: &str = "wrapping_key_id";

/// Attributes that always have a value (KMIP 2.1 section 4), and which.
const DEFAULTS: [(Tag, bool); 3] =
    [(Tag::EXTRACTABLE, true), (Tag::NEVER_EXTRACTABLE, false), (Tag::SENSITIVE, false)];

/// The tag list of an object as the vendor attribute that carries it.
pub fn tag_attribute(object: &Object) -> Item<'static> {
    Item::structure(
        Tag::ATTRIBUTE,
        vec![
            Item::text(Tag::VENDOR_IDENTIFICATION, OWN_VENDOR),
            Item::text(Tag::ATTRIBUTE_NAME, TAG_NAME),
            Item::text(Tag::ATTRIBUTE_VALUE, tags::write(&object.tags)),
        ],
    )
}

/// All attributes of an object but its tags, by name, vendor attributes last.
pub fn list(object: &Object, now: Timestamp) -> Result<Vec<Item<'_>>, Failure> {
    let mut items = stored(object)?;
    let mut enumeration = |tag, code| items.push(Item::enumeration(tag, code));
    enumeration(Tag::OBJECT_TYPE, object.object_type);
    enumeration(Tag::STATE, object.state_at(now) as u32);
    if object.algorithm != 0 {
        enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, object.algorithm);
    }
    if object.key_format != 0 {
        enumeration(Tag::KEY_FORMAT_TYPE, object.key_format);
    }
    if object.length_bits != 0 {
        items.push(Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, object.length_bits as i32));
    }
    items.push(Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, object.usage_mask as i32));
    items.push(Item::text(Tag::UNIQUE_IDENTIFIER, object.uid.as_str()));
    sort(&mut items);
    Ok(items)
}

/// The same, with what an object has that says nothing of it.
pub fn list_with_defaults(object: &Object, now: Timestamp) -> Result<Vec<Item<'_>>, Failure> {
    let mut items = list(object, now)?;
    for (tag, default) in DEFAULTS {
        if ttlv::Fields(&items).get(tag).is_none() {
            items.push(Item::boolean(tag, default));
        }
    }
    sort(&mut items);
    Ok(items)
}

fn sort(items: &mut [Item<'_>]) {
    items.sort_by_key(|item| (item.tag == Tag::ATTRIBUTE, item.tag.name().unwrap_or("(extension)")));
}

/// Sets attributes that the server decides, each in the place of those with the same tag, and dates the change.
pub fn set(object: &mut Object, changes: Vec<Item<'_>>, now: Timestamp) -> Result<(), Failure> {
    let mut items = stored(object)?;
    items.retain(|item| item.tag != Tag::LAST_CHANGE_DATE && !changes.iter().any(|c| c.tag == item.tag));
    items.extend(changes);
    items.push(Item::date_time(Tag::LAST_CHANGE_DATE, now));
    object.attributes = Encoded::of(&items);
    Ok(())
}

/// The identifiers of the objects that this one is linked to by links of this type.
pub fn linked(object: &Object, link_type: u32) -> Result<Vec<String>, Failure> {
    let items = stored(object)?;
    let links = items.iter().filter(|item| item.tag == Tag::LINK && link_type_of(item) == Some(link_type));
    let fields = links.filter_map(|link| link.value.children().map(ttlv::Fields));
    Ok(fields.filter_map(|link| link.text(Tag::LINKED_OBJECT_IDENTIFIER).map(str::to_owned)).collect())
}

/// A link to another object (KMIP 2.1 section 4, Link).
pub fn link(link_type: u32, uid: &str) -> Item<'static> {
    Item::structure(
        Tag::LINK,
        vec![
            Item::enumeration(Tag::LINK_TYPE, link_type),
            Item::text(Tag::LINKED_OBJECT_IDENTIFIER, uid.to_owned()),
        ],
    )
}

/// The type of a link.
pub fn link_type_of(link: &Item<'_>) -> Option<u32> {
    ttlv::Fields(link.value.children()?).enumeration(Tag::LINK_TYPE)
}

/// The attributes that are stored as TTLV.
pub fn stored(object: &Object) -> Result<Vec<Item<'_>>, Failure> {
    binary::decode(&object.attributes).map_err(|error| {
        StoreError::Corrupt(format!("the attributes of object {}: {error}", object.uid)).into()
    })
}

/// SHA-256 of the bare key bytes (KMIP 2.1 section 4, Digest).
pub fn digest(material: &[u8]) -> Item<'static> {
    Item::structure(
        Tag::DIGEST,
        vec![
            Item::enumeration(Tag::HASHING_ALGORITHM, hashing_algorithm::SHA256),
            Item::bytes(Tag::DIGEST_VALUE, crypto::sha256(material).to_vec()),
            Item::enumeration(Tag::KEY_FORMAT_TYPE, key_format_type::RAW),
        ],
    )
}

/// Whether an object has this attribute in a field of its own.
fn is_of_record(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CRYPTOGRAPHIC_ALGORITHM
            | Tag::CRYPTOGRAPHIC_LENGTH
            | Tag::CRYPTOGRAPHIC_USAGE_MASK
            | Tag::KEY_FORMAT_TYPE
            | Tag::OBJECT_TYPE
            | Tag::STATE
            | Tag::UNIQUE_IDENTIFIER
    )
}

/// The encoding of all attributes of an object, unless a client has made them too many or too large.
fn encode_within_limits(items: &[Item<'_>]) -> Result<Encoded, Refusal> {
    if items.len() > limits::ATTRIBUTES_MAX {
        return Err(Refusal::invalid(format!("there are more than {} attributes", limits::ATTRIBUTES_MAX)));
    }
    let encoded = Encoded::of(items);
    if encoded.len() > limits::ATTRIBUTES_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "the attributes take {} bytes, more than {}",
            encoded.len(),
            limits::ATTRIBUTES_BYTES_MAX
        )));
    }
    Ok(encoded)
}

/// Pairs of dates of which the first must not be the later one (KMIP 2.1 section 4, the rules of each).
const ORDER: [(Tag, Tag); 3] = [
    (Tag::ACTIVATION_DATE, Tag::PROCESS_START_DATE),
    (Tag::ACTIVATION_DATE, Tag::DEACTIVATION_DATE),
    (Tag::PROTECT_STOP_DATE, Tag::DEACTIVATION_DATE),
];

/// Refuses dates in the wrong order, where the one that was changed takes part: revoking an object may have broken the
/// order of others.
fn check_dates(operation: &str, items: &[Item<'_>], changed: Tag) -> Result<(), Refusal> {
    let date = |tag| ttlv::Fields(items).date_time(tag);
    for (first, last) in ORDER.into_iter().filter(|(first, last)| [first, last].contains(&&changed)) {
        if let (Some(a), Some(b)) = (date(first), date(last))
            && b < a
        {
            let (first, last) = (first.name().unwrap_or_default(), last.name().unwrap_or_default());
            return Err(Refusal::invalid(format!("{operation}: {last} must not precede {first}")));
        }
    }
    Ok(())
}

/// Usage limits as they are stored: what is left is all there is, unless it is said (KMIP 2.1 section 4, Usage Limits).
fn usage_limits<'i>(item: &Item<'i>) -> Result<Item<'i>, Refusal> {
    let Value::Structure(fields) = &item.value else { return Ok(item.clone()) };
    let (total, count) = (
        ttlv::Fields(fields).long_integer(Tag::USAGE_LIMITS_TOTAL).unwrap_or(0),
        ttlv::Fields(fields).long_integer(Tag::USAGE_LIMITS_COUNT),
    );
    if count.is_some_and(|count| count > total) {
        return Err(Refusal::invalid("UsageLimits: UsageLimitsCount must not exceed UsageLimitsTotal"));
    }
    let mut fields = fields.to_vec();
    if count.is_none() {
        fields.insert(fields.len().min(1), Item::new(Tag::USAGE_LIMITS_COUNT, Value::LongInteger(total)));
    }
    Ok(Item::structure(Tag::USAGE_LIMITS, fields))
}

fn is_own_vendor(vendor: &str) -> bool {
    vendor.eq_ignore_ascii_case(OWN_VENDOR)
}

/// Vendor and name of a vendor attribute.
fn vendor_and_name<'i>(item: &'i Item<'_>) -> Option<(&'i str, &'i str)> {
    if item.tag != Tag::ATTRIBUTE {
        return None;
    }
    let fields = ttlv::Fields(item.value.children()?);
    Some((fields.text(Tag::VENDOR_IDENTIFICATION)?, fields.text(Tag::ATTRIBUTE_NAME)?))
}

/// The text of a vendor attribute, which 4.9.1 sends as bytes.
fn vendor_text<'i>(item: &'i Item<'_>) -> Option<&'i str> {
    match ttlv::Fields(item.value.children()?).get(Tag::ATTRIBUTE_VALUE)? {
        Value::Text(text) => Some(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Whether this is the vendor attribute that carries the tags.
pub fn is_tag_list(item: &Item<'_>) -> bool {
    matches!(vendor_and_name(item), Some((vendor, TAG_NAME)) if is_own_vendor(vendor))
}

/// Whether this is the vendor attribute that asks for the object to be stored wrapped.
fn is_wrapping_key(item: &Item<'_>) -> bool {
    matches!(vendor_and_name(item), Some((vendor, WRAPPING_KEY_NAME)) if is_own_vendor(vendor))
}

/// The tags in the vendor attribute that carries them.
pub fn tag_list(item: &Item<'_>) -> Result<Vec<String>, Refusal> {
    vendor_text(item)
        .and_then(tags::parse)
        .ok_or_else(|| Refusal::invalid("the vendor attribute 'tag' must be a JSON array of strings"))
}
