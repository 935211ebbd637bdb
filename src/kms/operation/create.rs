//! Create (KMIP 2.1 section 6.1.8): a new symmetric key.
#![forbid(unsafe_code)]

use super::super::attributes::Template;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::refusal::{Failure, Refusal};
use super::super::symmetric;
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{key_format_type, object_type};
use crate::wire::ttlv::{Item, Tag};

/// The request, and from `prepare` on the new key.
pub struct Create<'r> {
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
        let asked = fields.enumeration(Tag::OBJECT_TYPE)?;
        let asked = fields.required(Tag::OBJECT_TYPE, asked)?;
        if asked != object_type::SYMMETRIC_KEY {
            return Err(Refusal::NotSupported("Create: only a SymmetricKey can be created".into()));
        }
        match template.key_format {
            None | Some(key_format_type::TRANSPARENT_SYMMETRIC_KEY | key_format_type::RAW) => {}
            Some(_) => {
                return Err(Refusal::invalid("Create: the KeyFormatType of a symmetric key is TransparentSymmetricKey"));
            }
        }
        Ok(Create { template, dialect, prepared: None })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), Refusal> {
        let algorithm = self.template.algorithm.ok_or_else(|| {
            Refusal::invalid("Create: the cryptographic algorithm must be specified for symmetric key creation")
        })?;
        let length_bits = self.template.length_bits.unwrap_or(symmetric::LENGTH_BITS_DEFAULT);
        let length_bytes = symmetric::length_bytes(algorithm, length_bits)?;
        let mut material = vec![0; length_bytes];
        entropy.fill(&mut material);
        let parts = symmetric::NewKey {
            uid: self.template.uid.unwrap_or(""),
            material: Secret::new(material),
            algorithm,
            length_bits,
        };
        self.prepared = Some(symmetric::new_object(parts, &self.template, self.dialect, entropy, now)?);
        Ok(())
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let mut object = self.prepared.take().expect("prepare comes before execute");
        if context.view.object(&object.uid)?.is_some() {
            return Err(Refusal::AlreadyExists.into());
        }
        object.owner = context.principal.0.clone();
        Ok((object.uid.clone(), vec![Change::Insert(object)]))
    }

    fn finish(
        self,
        uid: String,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[
            Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
            Item::text(Tag::UNIQUE_IDENTIFIER, uid),
        ]);
        Ok(())
    }
}
