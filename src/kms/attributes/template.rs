//! The attributes in a request that makes an object.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::Refusal;
use super::table::{self, Client, Instances};
use super::{check_dates, encode_within_limits, is_of_record, is_tag_list, is_wrapping_key, tag_list};
use super::{usage_limits, vendor_text};
use crate::limits;
use crate::time::Timestamp;
use crate::wire::ttlv::{Encoded, Item, Tag};

/// The `Attributes` of a request that makes an object.
#[derive(Clone)]
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
    /// When the object was made, where a client that brings it says so (KMIP 2.1 section 4.39).
    pub original_creation_date: Option<Timestamp>,
    /// From when on the object may be used.
    pub activation_date: Option<Timestamp>,
    /// Whether the material may only leave the server wrapped.
    pub sensitive: bool,
    /// Whether the material may leave the server at all, where it is said.
    pub extractable: Option<bool>,
    /// User tags, where there is a list of them (perhaps an empty one).
    pub tags: Option<Vec<String>>,
    /// The key by which the object is to be stored wrapped.
    pub wrapping_key: Option<&'r str>,
    /// All other attributes, to be stored as they are.
    pub others: Vec<&'r Item<'r>>,
}

impl<'r> Template<'r> {
    /// Reads the `Attributes` structure. What the server sets itself is passed over: it is in what was exported, and so
    /// in what is imported again.
    pub fn decode(fields: Fields<'r>) -> Result<Template<'r>, Refusal> {
        if fields.items().len() > limits::ATTRIBUTES_MAX {
            return Err(Refusal::invalid(format!(
                "there are more than {} attributes",
                limits::ATTRIBUTES_MAX
            )));
        }
        let extractable = fields.value(Tag::EXTRACTABLE).map(|_| fields.boolean(Tag::EXTRACTABLE));
        let mut template = Template {
            object_type: fields.enumeration(Tag::OBJECT_TYPE)?,
            algorithm: fields.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)?,
            length_bits: fields.count(Tag::CRYPTOGRAPHIC_LENGTH)?.map(|bits| bits as u32),
            usage_mask: fields.integer(Tag::CRYPTOGRAPHIC_USAGE_MASK)?.map(|mask| mask as u32),
            key_format: fields.enumeration(Tag::KEY_FORMAT_TYPE)?,
            uid: fields.text(Tag::UNIQUE_IDENTIFIER)?,
            original_creation_date: None,
            activation_date: fields.date(Tag::ACTIVATION_DATE)?,
            sensitive: fields.boolean(Tag::SENSITIVE)?,
            extractable: extractable.transpose()?,
            tags: None,
            wrapping_key: None,
            others: Vec::new(),
        };
        for (at, item) in fields.items().iter().enumerate() {
            table::check(fields, item)?;
            let is_single = table::instances(item.tag) == Instances::One;
            if is_single && fields.items()[..at].iter().any(|other| other.tag == item.tag) {
                return Err(fields.refuse(item.tag, "may be given once"));
            }
            if is_tag_list(item) {
                template.tags = Some(tag_list(item)?);
            } else if is_wrapping_key(item) {
                template.wrapping_key = vendor_text(item);
            } else if is_kept_as_it_is(item.tag) {
                template.others.push(item);
            }
        }
        Ok(template)
    }

    /// The tag list and all but what the server sets: what a Locate filters by beside the typed attributes.
    pub fn user_tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// The attributes of a new object, encoded for the store.
    pub fn encode_for_new_object(
        &self,
        digest: Option<Item<'_>>,
        activation: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let mut items = Vec::with_capacity(self.others.len() + 8);
        for item in &self.others {
            items.push(match item.tag {
                Tag::USAGE_LIMITS => usage_limits(item)?,
                _ => (*item).clone(),
            });
        }
        let mut date = |tag, value| items.push(Item::date_time(tag, value));
        date(Tag::INITIAL_DATE, now);
        date(Tag::LAST_CHANGE_DATE, now);
        // Another clock may be ahead of this one.
        date(Tag::ORIGINAL_CREATION_DATE, self.original_creation_date.unwrap_or(now).min(now));
        if let Some(activation) = activation {
            date(Tag::ACTIVATION_DATE, activation);
        }
        items.push(Item::boolean(Tag::ALWAYS_SENSITIVE, self.sensitive));
        if self.sensitive {
            items.push(Item::boolean(Tag::SENSITIVE, true));
        }
        if let Some(extractable) = self.extractable {
            items.push(Item::boolean(Tag::EXTRACTABLE, extractable));
            items.push(Item::boolean(Tag::NEVER_EXTRACTABLE, !extractable));
        }
        items.extend(digest);
        for item in &self.others {
            check_dates("Attributes", &items, item.tag)?;
        }
        encode_within_limits(&items)
    }
}

/// Whether a template's attribute is stored as it came: neither what has a field of its own, nor what the server sets.
fn is_kept_as_it_is(tag: Tag) -> bool {
    let is_typed =
        matches!(tag, Tag::ACTIVATION_DATE | Tag::SENSITIVE | Tag::EXTRACTABLE) || is_of_record(tag);
    !is_typed && table::rule_of(tag).is_none_or(|rule| rule.client != Client::Never)
}
