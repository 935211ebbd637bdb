//! The types that values of attributes have, and the fields of those that are structures (KMIP 2.1 section 4).
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::Refusal;
use crate::wire::kmip::enumeration;
use crate::wire::ttlv::{Item, Tag, Value};
use Kind::{
    Boolean, Bytes, Date, Either, Enumeration, Identifier, Integer, Interval, LongInteger, Structure, Text,
};

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A TextString.
    Text,
    /// A ByteString.
    Bytes,
    /// An Integer.
    Integer,
    /// A LongInteger.
    LongInteger,
    /// A Boolean.
    Boolean,
    /// A DateTime.
    Date,
    /// An Interval; clients of 5.x send LongIntegers.
    Interval,
    /// A value of the enumeration that belongs to the tag, or an extension of it.
    Enumeration,
    /// A unique identifier: text, or one of the forms that stand for those of a batch.
    Identifier,
    /// One of two.
    Either(&'static Kind, &'static Kind),
    /// A Structure with these fields, and perhaps others.
    Structure(&'static [Field]),
}

/// A field of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    tag: Tag,
    kind: Kind,
    required: bool,
}

/// Codes from here on are extensions of an enumeration (KMIP 2.1 section 11).
const EXTENSIONS_FIRST: u32 = 0x8000_0000;

impl Kind {
    /// Refuses a value of another type; `fields` is where it stands.
    pub fn check(self, fields: Fields<'_>, item: &Item<'_>) -> Result<(), Refusal> {
        if !self.allows(&item.value) {
            return Err(fields.refuse(item.tag, &format!("must be {}", self.name())));
        }
        match &item.value {
            Value::Enumeration(code) => {
                let known = enumeration::of(item.tag).is_none_or(|values| values.name(*code).is_some());
                if !known && *code < EXTENSIONS_FIRST {
                    return Err(fields.refuse(item.tag, "is no value of its enumeration"));
                }
            }
            Value::Structure(items) => {
                let inner = Fields::new(item.tag.name().unwrap_or("(extension)"), items);
                for field in self.fields() {
                    match items.iter().find(|item| item.tag == field.tag) {
                        Some(item) => field.kind.check(inner, item)?,
                        None if field.required => inner.required(field.tag, None)?,
                        None => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Structure(fields) => fields,
            Either(_, other) => other.fields(),
            _ => &[],
        }
    }

    fn allows(self, value: &Value<'_>) -> bool {
        match self {
            Text => matches!(value, Value::Text(_)),
            Bytes => matches!(value, Value::Bytes(_)),
            Integer => matches!(value, Value::Integer(_)),
            LongInteger => matches!(value, Value::LongInteger(0..)),
            Boolean => matches!(value, Value::Boolean(_)),
            Date => matches!(value, Value::DateTime(_)),
            Interval => matches!(value, Value::Interval(_) | Value::LongInteger(0..) | Value::Integer(0..)),
            Enumeration => matches!(value, Value::Enumeration(_)),
            Identifier => matches!(value, Value::Text(_) | Value::Enumeration(_) | Value::Integer(_)),
            Either(a, b) => a.allows(value) || b.allows(value),
            Structure(_) => matches!(value, Value::Structure(_)),
        }
    }

    fn name(self) -> String {
        let name = match self {
            Text => "a TextString",
            Bytes => "a ByteString",
            Integer => "an Integer",
            LongInteger => "a LongInteger that is not negative",
            Boolean => "a Boolean",
            Date => "a DateTime",
            Interval => "an Interval",
            Enumeration => "an Enumeration",
            Identifier => "a unique identifier",
            Either(a, b) => return format!("{} or {}", a.name(), b.name()),
            Structure(_) => "a Structure",
        };
        name.to_owned()
    }
}

// The structures.

/// Of AlternativeName.
pub const ALTERNATIVE_NAME: [Field; 2] =
    [required(Tag::ALTERNATIVE_NAME_VALUE, Text), required(Tag::ALTERNATIVE_NAME_TYPE, Enumeration)];

/// Of ApplicationSpecificInformation.
pub const APPLICATION_SPECIFIC_INFORMATION: [Field; 2] =
    [required(Tag::APPLICATION_NAMESPACE, Text), optional(Tag::APPLICATION_DATA, Text)];

/// Of CryptographicDomainParameters.
pub const CRYPTOGRAPHIC_DOMAIN_PARAMETERS: [Field; 2] =
    [optional(Tag::QLENGTH, Integer), optional(Tag::RECOMMENDED_CURVE, Enumeration)];

/// Of CryptographicParameters.
pub const CRYPTOGRAPHIC_PARAMETERS: [Field; 18] = [
    optional(Tag::BLOCK_CIPHER_MODE, Enumeration),
    optional(Tag::PADDING_METHOD, Enumeration),
    optional(Tag::HASHING_ALGORITHM, Enumeration),
    optional(Tag::KEY_ROLE_TYPE, Enumeration),
    optional(Tag::DIGITAL_SIGNATURE_ALGORITHM, Enumeration),
    optional(Tag::CRYPTOGRAPHIC_ALGORITHM, Enumeration),
    optional(Tag::RANDOM_IV, Boolean),
    optional(Tag::IV_LENGTH, Integer),
    optional(Tag::TAG_LENGTH, Integer),
    optional(Tag::FIXED_FIELD_LENGTH, Integer),
    optional(Tag::INVOCATION_FIELD_LENGTH, Integer),
    optional(Tag::COUNTER_LENGTH, Integer),
    optional(Tag::INITIAL_COUNTER_VALUE, Integer),
    optional(Tag::SALT_LENGTH, Integer),
    optional(Tag::MASK_GENERATOR, Enumeration),
    optional(Tag::MASK_GENERATOR_HASHING_ALGORITHM, Enumeration),
    optional(Tag::P_SOURCE, Bytes),
    optional(Tag::TRAILER_FIELD, Integer),
];

/// Of Digest.
pub const DIGEST: [Field; 3] = [
    required(Tag::HASHING_ALGORITHM, Enumeration),
    required(Tag::DIGEST_VALUE, Bytes),
    optional(Tag::KEY_FORMAT_TYPE, Enumeration),
];

/// Of KeyValueLocation.
pub const KEY_VALUE_LOCATION: [Field; 2] =
    [required(Tag::KEY_VALUE_LOCATION_VALUE, Text), required(Tag::KEY_VALUE_LOCATION_TYPE, Enumeration)];

/// Of Link.
pub const LINK: [Field; 2] =
    [required(Tag::LINK_TYPE, Enumeration), required(Tag::LINKED_OBJECT_IDENTIFIER, Text)];

/// Of Name.
pub const NAME: [Field; 2] = [required(Tag::NAME_VALUE, Text), required(Tag::NAME_TYPE, Enumeration)];

/// Of RandomNumberGenerator.
pub const RANDOM_NUMBER_GENERATOR: [Field; 1] = [required(Tag::RNG_ALGORITHM, Enumeration)];

/// Of RevocationReason.
pub const REVOCATION_REASON: [Field; 2] =
    [required(Tag::REVOCATION_REASON_CODE, Enumeration), optional(Tag::REVOCATION_MESSAGE, Text)];

/// Of RotateName.
pub const ROTATE_NAME: [Field; 2] =
    [required(Tag::ROTATE_NAME_VALUE, Text), required(Tag::ROTATE_NAME_TYPE, Enumeration)];

/// Of UsageLimits.
pub const USAGE_LIMITS: [Field; 3] = [
    required(Tag::USAGE_LIMITS_TOTAL, LongInteger),
    optional(Tag::USAGE_LIMITS_COUNT, LongInteger),
    required(Tag::USAGE_LIMITS_UNIT, Enumeration),
];

/// Of a vendor attribute, whose value is of any type.
pub const VENDOR_ATTRIBUTE: [Field; 2] =
    [required(Tag::VENDOR_IDENTIFICATION, Text), required(Tag::ATTRIBUTE_NAME, Text)];

const fn required(tag: Tag, kind: Kind) -> Field {
    Field { tag, kind, required: true }
}

const fn optional(tag: Tag, kind: Kind) -> Field {
    Field { tag, kind, required: false }
}

#[cfg(test)]
mod tests {
    use super::super::table::check;
    use super::*;
    use crate::wire::kmip::enumeration::link_type;

    #[test]
    fn values_of_the_wrong_type_are_refused_by_name() {
        let fields = Fields::new("Attributes", &[]);
        let told = |item: Item<'_>| {
            check(fields, &item).err().map(|refusal| match refusal {
                Refusal::InvalidRequest(text) => text,
                other => panic!("{other:?}"),
            })
        };
        let link = |code, uid: Item<'static>| {
            Item::structure(Tag::LINK, vec![Item::enumeration(Tag::LINK_TYPE, code), uid])
        };
        let to = |uid| Item::text(Tag::LINKED_OBJECT_IDENTIFIER, uid);
        assert_eq!(told(link(link_type::CHILD_LINK, to("k2"))), None);
        assert_eq!(told(link(0x8000_0001, to("k2"))), None);
        assert_eq!(told(link(1, to("k2"))), Some("Link: LinkType is no value of its enumeration".into()));
        let untyped = link(link_type::CHILD_LINK, Item::boolean(Tag::LINKED_OBJECT_IDENTIFIER, true));
        assert_eq!(told(untyped), Some("Link: LinkedObjectIdentifier must be a TextString".into()));
        let nameless = Item::structure(Tag::NAME, vec![Item::text(Tag::NAME_VALUE, "n")]);
        assert_eq!(told(nameless), Some("Name: missing field `NameType`".into()));
        assert_eq!(
            told(Item::text(Tag::ROTATE_INTERVAL, "daily")),
            Some("Attributes: RotateInterval must be an Interval".into())
        );
        assert_eq!(
            told(Item::integer(Tag::ROTATE_NAME, 1)),
            Some("Attributes: RotateName must be a TextString or a Structure".into())
        );
        assert_eq!(told(Item::new(Tag::ROTATE_INTERVAL, Value::LongInteger(86_400))), None);
        assert_eq!(told(Item::text(Tag::DATA, "kept as it came")), None);
    }
}
