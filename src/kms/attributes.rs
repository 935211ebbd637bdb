//! The attributes of an object (KMIP 2.1 section 4): what clients may set, what the server keeps itself, and the list
//! that they get to see.
#![forbid(unsafe_code)]

use super::fields::Fields;
use super::object::Object;
use super::refusal::{Failure, Refusal};
use super::tags;
use super::view::StoreError;
use crate::crypto;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::enumeration::{hashing_algorithm, key_format_type};
use crate::wire::ttlv::{Item, Tag, Value, binary};

/// The vendor of the attribute that carries tags; clients spell it in either case.
const TAG_VENDOR: &str = "cosmian";
/// The name of the attribute that carries tags.
const TAG_NAME: &str = "tag";
/// The vendor attribute by which clients ask for a key to be stored wrapped.
const WRAPPING_KEY_NAME: &str = "wrapping_key_id";

/// Attributes that the server sets itself; in a request (a re-import of what was exported) they are passed over.
const SERVER_SET: [Tag; 22] = [
    Tag::ALWAYS_SENSITIVE,
    Tag::ARCHIVE_DATE,
    Tag::COMPROMISE_DATE,
    Tag::COMPROMISE_OCCURRENCE_DATE,
    Tag::CRYPTOGRAPHIC_ALGORITHM,
    Tag::CRYPTOGRAPHIC_LENGTH,
    Tag::CRYPTOGRAPHIC_USAGE_MASK,
    Tag::DESTROY_DATE,
    Tag::DIGEST,
    Tag::FRESH,
    Tag::INITIAL_DATE,
    Tag::KEY_FORMAT_TYPE,
    Tag::LAST_CHANGE_DATE,
    Tag::LEASE_TIME,
    Tag::NEVER_EXTRACTABLE,
    Tag::OBJECT_TYPE,
    Tag::ORIGINAL_CREATION_DATE,
    Tag::RANDOM_NUMBER_GENERATOR,
    Tag::REVOCATION_REASON,
    Tag::SHORT_UNIQUE_IDENTIFIER,
    Tag::STATE,
    Tag::UNIQUE_IDENTIFIER,
];

/// The `Attributes` of a request that makes an object.
pub struct Template<'r> {
    /// The type of object, where it is said here too.
    pub object_type: Option<u32>,
    /// KMIP's cryptographic algorithm.
    pub algorithm: Option<u32>,
    /// In bits.
    pub length_bits: Option<u32>,
    /// KMIP's cryptographic usage mask.
    pub usage_mask: Option<u32>,
    /// The format of the key material.
    pub key_format: Option<u32>,
    /// The identifier that the client wants.
    pub uid: Option<&'r str>,
    /// From when on the object may be used.
    pub activation_date: Option<Timestamp>,
    /// Whether the material may only leave the server wrapped.
    pub sensitive: bool,
    /// User tags, where there is a list of them (perhaps an empty one).
    pub tags: Option<Vec<String>>,
    /// All other attributes, to be stored as they are.
    pub others: Vec<&'r Item<'r>>,
}

impl<'r> Template<'r> {
    /// Reads the `Attributes` structure.
    pub fn decode(fields: Fields<'r>) -> Result<Template<'r>, Refusal> {
        if fields.items().len() > limits::ATTRIBUTES_MAX {
            return Err(Refusal::invalid(format!(
                "there are more than {} attributes",
                limits::ATTRIBUTES_MAX
            )));
        }
        let unsigned = |tag| -> Result<Option<u32>, Refusal> { Ok(fields.integer(tag)?.map(|n| n as u32)) };
        let mut template = Template {
            object_type: fields.enumeration(Tag::OBJECT_TYPE)?,
            algorithm: fields.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)?,
            length_bits: unsigned(Tag::CRYPTOGRAPHIC_LENGTH)?,
            usage_mask: unsigned(Tag::CRYPTOGRAPHIC_USAGE_MASK)?,
            key_format: fields.enumeration(Tag::KEY_FORMAT_TYPE)?,
            uid: fields.text(Tag::UNIQUE_IDENTIFIER)?,
            activation_date: fields.date(Tag::ACTIVATION_DATE)?,
            sensitive: fields.boolean(Tag::SENSITIVE)?,
            tags: None,
            others: Vec::new(),
        };
        for item in fields.items() {
            if SERVER_SET.contains(&item.tag) || [Tag::ACTIVATION_DATE, Tag::SENSITIVE].contains(&item.tag) {
                continue;
            }
            match vendor_attribute(item) {
                Some((vendor, TAG_NAME, text)) if vendor.eq_ignore_ascii_case(TAG_VENDOR) => {
                    let tags = tags::parse(text).ok_or_else(|| {
                        Refusal::invalid("the vendor attribute 'tag' must be a JSON array of strings")
                    })?;
                    template.tags = Some(tags);
                }
                Some((vendor, WRAPPING_KEY_NAME, _)) if vendor.eq_ignore_ascii_case(TAG_VENDOR) => {
                    return Err(Refusal::NotSupported(
                        "keys stored wrapped (wrapping_key_id) are not built yet in this version".into(),
                    ));
                }
                _ => template.others.push(item),
            }
        }
        Ok(template)
    }

    /// The tag list and all but what the server sets: what a Locate filters by beside the typed attributes.
    pub fn user_tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// The attributes of a new object with this material, encoded for the store.
    pub fn encode_for_new_object(
        &self,
        material: &[u8],
        activation: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let mut items: Vec<Item<'_>> = self.others.iter().map(|item| (*item).clone()).collect();
        let mut date = |tag, value| items.push(Item::date_time(tag, value));
        date(Tag::INITIAL_DATE, now);
        date(Tag::LAST_CHANGE_DATE, now);
        date(Tag::ORIGINAL_CREATION_DATE, now);
        if let Some(activation) = activation {
            date(Tag::ACTIVATION_DATE, activation);
        }
        items.push(Item::boolean(Tag::ALWAYS_SENSITIVE, self.sensitive));
        if self.sensitive {
            items.push(Item::boolean(Tag::SENSITIVE, true));
        }
        items.push(digest(material));
        let mut encoded = Vec::new();
        binary::encode(&items, &mut encoded);
        if encoded.len() > limits::ATTRIBUTES_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "the attributes take {} bytes, more than {}",
                encoded.len(),
                limits::ATTRIBUTES_BYTES_MAX
            )));
        }
        Ok(encoded)
    }
}

/// SHA-256 of the bare key bytes (KMIP 2.1 section 4.17).
fn digest(material: &[u8]) -> Item<'static> {
    Item::structure(
        Tag::DIGEST,
        vec![
            Item::enumeration(Tag::HASHING_ALGORITHM, hashing_algorithm::SHA256),
            Item::bytes(Tag::DIGEST_VALUE, crypto::sha256(material).to_vec()),
            Item::enumeration(Tag::KEY_FORMAT_TYPE, key_format_type::RAW),
        ],
    )
}

/// Vendor, name and text of a vendor attribute with a text value.
fn vendor_attribute<'i>(item: &'i Item<'_>) -> Option<(&'i str, &'i str, &'i str)> {
    if item.tag != Tag::ATTRIBUTE {
        return None;
    }
    let Value::Structure(fields) = &item.value else { return None };
    let text = |tag| {
        fields.iter().find(|field| field.tag == tag).and_then(|field| match &field.value {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        })
    };
    Some((text(Tag::VENDOR_IDENTIFICATION)?, text(Tag::ATTRIBUTE_NAME)?, text(Tag::ATTRIBUTE_VALUE)?))
}

/// The JSON array of tags, where this is the attribute that carries one.
pub fn tag_list<'i>(item: &'i Item<'_>) -> Option<&'i str> {
    match vendor_attribute(item) {
        Some((vendor, TAG_NAME, list)) if vendor.eq_ignore_ascii_case(TAG_VENDOR) => Some(list),
        _ => None,
    }
}

/// The tag list of an object as the vendor attribute that carries it.
pub fn tag_attribute(object: &Object) -> Item<'static> {
    Item::structure(
        Tag::ATTRIBUTE,
        vec![
            Item::text(Tag::VENDOR_IDENTIFICATION, TAG_VENDOR),
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
    items.sort_by_key(|item| (item.tag == Tag::ATTRIBUTE, item.tag.name().unwrap_or("(extension)")));
    Ok(items)
}

/// Sets attributes of an object, each in the place of those with the same tag, and dates the change.
pub fn set(object: &mut Object, changes: Vec<Item<'_>>, now: Timestamp) -> Result<(), Failure> {
    let mut items = stored(object)?;
    items.retain(|item| item.tag != Tag::LAST_CHANGE_DATE && !changes.iter().any(|c| c.tag == item.tag));
    items.extend(changes);
    items.push(Item::date_time(Tag::LAST_CHANGE_DATE, now));
    let mut encoded = Vec::new();
    binary::encode(&items, &mut encoded);
    object.attributes = encoded;
    Ok(())
}

fn stored(object: &Object) -> Result<Vec<Item<'_>>, Failure> {
    binary::decode(&object.attributes).map_err(|error| {
        StoreError::Corrupt(format!("the attributes of object {}: {error}", object.uid)).into()
    })
}
