//! Create (KMIP 2.1 section 6.1.8): a new symmetric key, or a new seed as secret data.
#![forbid(unsafe_code)]

use super::super::attributes::Template;
use super::super::fields::Fields;
use super::super::managed::{self, Content};
use super::super::object::Object;
use super::super::refusal::{Failure, Refusal};
use super::super::view::{Change, Changes};
use super::super::{symmetric, wrapping};
use super::{Context, Effect, Operation};
use crate::entropy::{Entropy, uuid_v7};
use crate::limits;
use crate::secret::Buffer;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{key_format_type, object_type, secret_data_type};
use crate::wire::ttlv::{Item, Tag};

/// The bits of a seed whose request does not say how long it is to be.
const SEED_BITS_DEFAULT: u32 = 256;

/// The request, and from `prepare` on the new object.
pub struct Create<'r> {
    object_type: u32,
    template: Template<'r>,
    dialect: Dialect,
    prepared: Option<Object>,
}

impl<'r> Operation<'r> for Create<'r> {
    const NAME: &'static str = "Create";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = true;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let attributes = fields.structure(Tag::ATTRIBUTES)?;
        let template = Template::decode(fields.required(Tag::ATTRIBUTES, attributes)?)?;
        let object_type = fields.enumeration(Tag::OBJECT_TYPE)?;
        let object_type = fields.required(Tag::OBJECT_TYPE, object_type)?;
        let format = template.key_format;
        match object_type {
            object_type::SYMMETRIC_KEY => match format {
                None | Some(key_format_type::TRANSPARENT_SYMMETRIC_KEY | key_format_type::RAW) => {}
                Some(_) => {
                    return Err(Refusal::invalid(
                        "Create: the KeyFormatType of a symmetric key is TransparentSymmetricKey",
                    ));
                }
            },
            object_type::SECRET_DATA if matches!(format, None | Some(key_format_type::RAW)) => {}
            object_type::SECRET_DATA => {
                return Err(Refusal::invalid("Create: the KeyFormatType of secret data is Raw"));
            }
            _ => {
                return Err(Refusal::NotSupported(
                    "Create: only a SymmetricKey or SecretData can be created".into(),
                ));
            }
        }
        Ok(Create { object_type, template, dialect, prepared: None })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), Refusal> {
        let uid = match self.template.uid.unwrap_or_default() {
            "" => uuid_v7(entropy),
            uid => managed::checked_uid(uid)?.to_owned(),
        };
        let mut material = Buffer::new(vec![0; self.material_bytes()?]);
        entropy.fill(&mut material);
        let content = match self.object_type {
            object_type::SECRET_DATA => Content {
                kind: Some(Item::enumeration(Tag::SECRET_DATA_TYPE, secret_data_type::SEED)),
                ..Content::bare(self.object_type, key_format_type::RAW, &material)
            },
            _ => Content::bare(self.object_type, key_format_type::TRANSPARENT_SYMMETRIC_KEY, &material),
        };
        self.prepared = Some(managed::new_object(uid, &content, &self.template, self.dialect, now)?);
        Ok(())
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let mut object = self.prepared.take().expect("prepare comes before execute");
        if context.view.object(&object.uid)?.is_some() {
            return Err(Refusal::AlreadyExists.into());
        }
        object.owner = context.principal.0.clone();
        if let Some(kek) = self.template.wrapping_key {
            wrapping::wrap_at_rest(&mut object, kek, context)?;
        }
        Ok((object.uid.clone(), vec![Change::Insert(object)]))
    }

    fn finish(
        self,
        uid: String,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[
            Item::enumeration(Tag::OBJECT_TYPE, self.object_type),
            Item::text(Tag::UNIQUE_IDENTIFIER, uid),
        ]);
        Ok(())
    }
}

impl Create<'_> {
    fn material_bytes(&self) -> Result<usize, Refusal> {
        if self.object_type == object_type::SECRET_DATA {
            let bits = self.template.length_bits.unwrap_or(SEED_BITS_DEFAULT);
            let bits_max = 8 * limits::SEED_BYTES_MAX;
            if bits == 0 || !bits.is_multiple_of(8) || bits as usize > bits_max {
                return Err(Refusal::invalid(format!(
                    "Create: the CryptographicLength of a seed is a multiple of 8, {bits_max} at most"
                )));
            }
            return Ok(bits as usize / 8);
        }
        let algorithm = self.template.algorithm.ok_or_else(|| {
            Refusal::invalid(
                "Create: the cryptographic algorithm must be specified for symmetric key creation",
            )
        })?;
        let length_bits = self.template.length_bits.unwrap_or(symmetric::default_length_bits(algorithm));
        symmetric::length_bytes(algorithm, length_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, structure, uid};

    fn request(object_type: u32, length_bits: i32) -> [Item<'static>; 3] {
        let attributes = [
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 3),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, length_bits),
        ];
        [Item::enumeration(Tag::OBJECT_TYPE, object_type), structure(Tag::ATTRIBUTES, attributes), uid("")]
    }

    #[test]
    fn a_new_object_belongs_to_who_asks_and_has_as_many_random_bits_as_asked_for() {
        let mut kms = Trial::over([]);
        for (object_type, bits) in
            [(object_type::SYMMETRIC_KEY, 192), (object_type::SECRET_DATA, 8 * limits::SEED_BYTES_MAX as i32)]
        {
            let answer = kms.ask("Create", &request(object_type, bits)).unwrap();
            assert_eq!(answer[0], Item::enumeration(Tag::OBJECT_TYPE, object_type));
            let object = kms.object(answer[1].value.as_text().unwrap()).unwrap();
            assert_eq!((object.owner.as_str(), object.object_type), ("o", object_type));
            let material = object.material.expose();
            assert!(material.len() as i32 == bits / 8 && material.iter().any(|byte| *byte != material[0]));
        }
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let mut kms = Trial::over([]);
        for (object_type, bits, reason) in [
            (object_type::SYMMETRIC_KEY, 100, "Invalid Request: "),
            (object_type::SECRET_DATA, 12, "Invalid Request: Create: the CryptographicLength of a seed is "),
            (
                object_type::OPAQUE_OBJECT,
                128,
                "Not Supported: Create: only a SymmetricKey or SecretData can ",
            ),
        ] {
            let text = kms.refused("Create", &request(object_type, bits));
            assert!(text.starts_with(reason), "{text}");
        }
    }
}
