//! How a request names an attribute: by its tag, or by vendor and name (KMIP 2.1 section 7.3, Attribute Reference).
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::Refusal;
use super::{TAG_NAME, is_own_vendor, vendor_and_name};
use crate::limits;
use crate::wire::ttlv::{Item, Tag, Value};

/// An attribute, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'r> {
    /// By its tag.
    Standard(Tag),
    /// The list of tags.
    Tags,
    /// A vendor attribute by vendor and name.
    Vendor(&'r str, &'r str),
}

impl<'r> Reference<'r> {
    /// Reads every `AttributeReference` of a request.
    pub fn decode_all(fields: Fields<'r>) -> Result<Vec<Reference<'r>>, Refusal> {
        let mut references = Vec::new();
        for item in fields.items().iter().filter(|item| item.tag == Tag::ATTRIBUTE_REFERENCE) {
            if references.len() == limits::ATTRIBUTES_MAX {
                let reason = format!("may be given {} times at most", limits::ATTRIBUTES_MAX);
                return Err(fields.refuse(Tag::ATTRIBUTE_REFERENCE, &reason));
            }
            references.push(Reference::decode(fields, &item.value)?);
        }
        Ok(references)
    }

    fn decode(fields: Fields<'r>, value: &'r Value<'r>) -> Result<Reference<'r>, Refusal> {
        match value {
            Value::Enumeration(code) => Ok(Reference::to(Tag(*code))),
            Value::Text(name) => Tag::from_name(name.as_bytes())
                .map(Reference::to)
                .ok_or_else(|| fields.refuse(Tag::ATTRIBUTE_REFERENCE, "is no name of an attribute")),
            Value::Structure(items) => {
                let vendor = Fields::new("AttributeReference", items);
                let (owner, name) =
                    (vendor.text(Tag::VENDOR_IDENTIFICATION)?, vendor.text(Tag::ATTRIBUTE_NAME)?);
                let owner = vendor.required(Tag::VENDOR_IDENTIFICATION, owner)?;
                let name = vendor.required(Tag::ATTRIBUTE_NAME, name)?;
                Ok(match name {
                    TAG_NAME if is_own_vendor(owner) => Reference::Tags,
                    name => Reference::Vendor(owner, name),
                })
            }
            _ => Err(fields.refuse(Tag::ATTRIBUTE_REFERENCE, "must be an Enumeration or a Structure")),
        }
    }

    /// Clients of 5.x ask for the links by the tag of their type.
    fn to(tag: Tag) -> Reference<'r> {
        match tag {
            Tag::TAG => Reference::Tags,
            Tag::LINK_TYPE => Reference::Standard(Tag::LINK),
            tag => Reference::Standard(tag),
        }
    }

    /// Whether this attribute, which is not the list of tags, is meant.
    pub fn names(self, item: &Item<'_>) -> bool {
        match self {
            Reference::Tags => false,
            Reference::Standard(tag) => item.tag == tag,
            Reference::Vendor(vendor, name) => vendor_and_name(item) == Some((vendor, name)),
        }
    }

    /// What it is called in refusals.
    pub fn name(self) -> String {
        match self {
            Reference::Standard(tag) => tag.name().unwrap_or("(extension)").to_owned(),
            Reference::Tags => "Tag".to_owned(),
            Reference::Vendor(vendor, name) => format!("{vendor}/{name}"),
        }
    }

    /// The `AttributeReference` that names an attribute of an object.
    pub fn item_for<'i>(item: &'i Item<'_>) -> Item<'i> {
        match vendor_and_name(item) {
            Some((vendor, name)) => Item::structure(
                Tag::ATTRIBUTE_REFERENCE,
                vec![Item::text(Tag::VENDOR_IDENTIFICATION, vendor), Item::text(Tag::ATTRIBUTE_NAME, name)],
            ),
            None => Item::enumeration(Tag::ATTRIBUTE_REFERENCE, item.tag.0),
        }
    }
}
