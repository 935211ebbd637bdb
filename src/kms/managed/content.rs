//! Reading an object: what a request brings, and what a wrapped key value holds.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::Refusal;
use crate::wire::kmip::enumeration::{key_format_type, object_type};
use crate::wire::ttlv::{Item, Tag, Value};

/// What an object is made of.
#[derive(Clone)]
pub struct Content<'r> {
    /// KMIP's object type.
    pub object_type: u32,
    /// KMIP's key format type; 0 where there is no key block.
    pub key_format: u32,
    /// As the key block says.
    pub algorithm: Option<u32>,
    /// In bits, as the key block says.
    pub length_bits: Option<u32>,
    /// The bare bytes, or those that they are wrapped in.
    pub material: &'r [u8],
    /// The attributes in the key value.
    pub attributes: Option<Fields<'r>>,
    /// `SecretDataType` or `OpaqueDataType`.
    pub kind: Option<Item<'r>>,
    /// `KeyWrappingData`, where the material is wrapped.
    pub wrapping: Option<Fields<'r>>,
}

impl<'r> Content<'r> {
    /// Reads the object of this type that is among the fields of a request.
    pub fn decode(fields: Fields<'r>, object_type: u32) -> Result<Content<'r>, Refusal> {
        let tag = Tag::of_object(object_type).expect("the type was checked");
        let object = fields.structure(tag)?;
        let object = fields.required(tag, object)?;
        match object_type {
            object_type::SYMMETRIC_KEY => Content::of_key_block(object, object_type, None),
            object_type::SECRET_DATA => {
                let kind = kind(object, Tag::SECRET_DATA_TYPE)?;
                Content::of_key_block(object, object_type, Some(kind))
            }
            _ => {
                let kind = kind(object, Tag::OPAQUE_DATA_TYPE)?;
                let material = object.bytes(Tag::OPAQUE_DATA_VALUE)?;
                let material = object.required(Tag::OPAQUE_DATA_VALUE, material)?;
                Ok(Content { kind: Some(kind), ..Content::bare(object_type, 0, material) })
            }
        }
    }

    /// Bare bytes of which nothing else is known.
    pub fn bare(object_type: u32, key_format: u32, material: &'r [u8]) -> Content<'r> {
        Content {
            object_type,
            key_format,
            algorithm: None,
            length_bits: None,
            material,
            attributes: None,
            kind: None,
            wrapping: None,
        }
    }

    /// Reads a key block. Its key value is a byte string exactly if it is wrapped.
    fn of_key_block(
        object: Fields<'r>,
        object_type: u32,
        kind: Option<Item<'r>>,
    ) -> Result<Content<'r>, Refusal> {
        let block = object.structure(Tag::KEY_BLOCK)?;
        let block = object.required(Tag::KEY_BLOCK, block)?;
        if block.value(Tag::KEY_COMPRESSION_TYPE).is_some() {
            return Err(Refusal::NotSupported("KeyCompressionType is for the public keys of curves".into()));
        }
        let key_format = block.enumeration(Tag::KEY_FORMAT_TYPE)?;
        let key_format = block.required(Tag::KEY_FORMAT_TYPE, key_format)?;
        let (legal, names) = match object_type {
            object_type::SYMMETRIC_KEY => (
                matches!(key_format, key_format_type::RAW | key_format_type::TRANSPARENT_SYMMETRIC_KEY),
                "must be Raw or TransparentSymmetricKey",
            ),
            _ => (
                matches!(key_format, key_format_type::RAW | key_format_type::OPAQUE),
                "must be Raw or Opaque",
            ),
        };
        if !legal {
            return Err(block.refuse(Tag::KEY_FORMAT_TYPE, names));
        }
        let length_bits = block.count(Tag::CRYPTOGRAPHIC_LENGTH)?;
        let content = Content {
            algorithm: block.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)?,
            length_bits: length_bits.map(|bits| u32::try_from(bits).expect("it comes from 32 bits")),
            kind,
            ..Content::bare(object_type, key_format, &[])
        };
        match block.structure(Tag::KEY_WRAPPING_DATA)? {
            None => {
                let value = block.structure(Tag::KEY_VALUE)?;
                content.with_value(block.required(Tag::KEY_VALUE, value)?)
            }
            Some(wrapping) => {
                let material = block.bytes(Tag::KEY_VALUE)?;
                let material = block.required(Tag::KEY_VALUE, material)?;
                // 4.9.1 has attributes beside the wrapped bytes.
                let attributes = block.structure(Tag::ATTRIBUTES)?;
                Ok(Content { material, attributes, wrapping: Some(wrapping), ..content })
            }
        }
    }

    /// The same with what this key value says; not wrapped any more. The formats of symmetric keys hold the same bytes:
    /// one is read for the other.
    pub fn with_value(self, value: Fields<'r>) -> Result<Content<'r>, Refusal> {
        let material = value.value(Tag::KEY_MATERIAL);
        let material = match value.required(Tag::KEY_MATERIAL, material)? {
            Value::Bytes(bytes) => bytes,
            Value::Structure(items) => {
                let transparent = Fields::new("KeyMaterial", items);
                let key = transparent.bytes(Tag::KEY)?;
                transparent.required(Tag::KEY, key)?
            }
            _ => {
                return Err(value.refuse(Tag::KEY_MATERIAL, "must be a ByteString or a Structure with a Key"));
            }
        };
        if material.is_empty() {
            return Err(value.refuse(Tag::KEY_MATERIAL, "must not be empty"));
        }
        let attributes = value.structure(Tag::ATTRIBUTES)?.or(self.attributes);
        Ok(Content { material, attributes, wrapping: None, ..self })
    }
}

fn kind<'r>(object: Fields<'r>, tag: Tag) -> Result<Item<'r>, Refusal> {
    let code = object.enumeration(tag)?;
    Ok(Item::enumeration(tag, object.required(tag, code)?))
}
