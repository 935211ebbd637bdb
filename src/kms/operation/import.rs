//! Import (KMIP 2.1 section 6.1.26): a symmetric key that was made elsewhere.
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
use crate::wire::kmip::enumeration::{cryptographic_algorithm, key_format_type, object_type};
use crate::wire::ttlv::{Item, Tag, Value};

/// The request, and from `prepare` on the object.
pub struct Import<'r> {
    uid: &'r str,
    replace_existing: bool,
    template: Template<'r>,
    key: &'r [u8],
    algorithm: u32,
    dialect: Dialect,
    prepared: Option<Object>,
}

impl<'r> Operation<'r> for Import<'r> {
    const NAME: &'static str = "Import";
    const EFFECT: Effect = Effect::Writes;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let asked = fields.enumeration(Tag::OBJECT_TYPE)?;
        if fields.required(Tag::OBJECT_TYPE, asked)? != object_type::SYMMETRIC_KEY {
            return Err(Refusal::NotSupported(
                "Import: only a SymmetricKey can be imported in this version".into(),
            ));
        }
        let object = fields.structure(Tag::SYMMETRIC_KEY)?;
        let object = fields.required(Tag::SYMMETRIC_KEY, object)?;
        let block = object.structure(Tag::KEY_BLOCK)?;
        let block = object.required(Tag::KEY_BLOCK, block)?;
        if block.value(Tag::KEY_WRAPPING_DATA).is_some() {
            return Err(Refusal::NotSupported(
                "Import: wrapped keys are not built yet in this version".into(),
            ));
        }
        let format = block.enumeration(Tag::KEY_FORMAT_TYPE)?;
        match block.required(Tag::KEY_FORMAT_TYPE, format)? {
            key_format_type::RAW | key_format_type::TRANSPARENT_SYMMETRIC_KEY => {}
            _ => return Err(block.refuse(Tag::KEY_FORMAT_TYPE, "must be Raw or TransparentSymmetricKey")),
        }
        let value = block.structure(Tag::KEY_VALUE)?;
        let value = block.required(Tag::KEY_VALUE, value)?;
        let material = value.value(Tag::KEY_MATERIAL);
        let key: &[u8] = match value.required(Tag::KEY_MATERIAL, material)? {
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
        let attributes = fields.structure(Tag::ATTRIBUTES)?;
        let mut template = Template::decode(attributes.unwrap_or(Fields::new("Attributes", &[])))?;
        if let Some(attributes) = value.structure(Tag::ATTRIBUTES)? {
            adopt(&mut template, Template::decode(attributes)?);
        }
        let algorithm = block
            .enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)?
            .or(template.algorithm)
            .unwrap_or(cryptographic_algorithm::AES);
        Ok(Import {
            uid: fields.text(Tag::UNIQUE_IDENTIFIER)?.unwrap_or(""),
            replace_existing: fields.boolean(Tag::REPLACE_EXISTING)?,
            template,
            key,
            algorithm,
            dialect,
            prepared: None,
        })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), Refusal> {
        let length_bits = u32::try_from(self.key.len() * 8).unwrap_or(u32::MAX);
        symmetric::length_bytes(self.algorithm, length_bits)?;
        if self.template.length_bits.is_some_and(|bits| bits != length_bits && bits != 0) {
            return Err(Refusal::invalid(format!(
                "Import: CryptographicLength does not match the key, which has {length_bits} bits"
            )));
        }
        let key = symmetric::NewKey {
            uid: self.uid,
            material: Secret::copy_of(self.key),
            algorithm: self.algorithm,
            length_bits,
        };
        self.prepared = Some(symmetric::new_object(key, &self.template, self.dialect, entropy, now)?);
        Ok(())
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let mut object = self.prepared.take().expect("prepare comes before execute");
        object.owner = context.principal.0.clone();
        let uid = object.uid.clone();
        let change = match context.view.object(&uid)? {
            None => Change::Insert(object),
            Some(existing) if self.replace_existing && existing.owner == context.principal.0 => {
                Change::Replace(object)
            }
            Some(_) => return Err(Refusal::AlreadyExists.into()),
        };
        Ok((uid, vec![change]))
    }

    fn finish(
        self,
        uid: String,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, uid)]);
        Ok(())
    }
}

/// Takes over from the key's own attributes what the request's do not say: an exported key is sent back whole.
fn adopt<'r>(template: &mut Template<'r>, own: Template<'r>) {
    template.algorithm = template.algorithm.or(own.algorithm);
    template.usage_mask = template.usage_mask.or(own.usage_mask);
    template.activation_date = template.activation_date.or(own.activation_date);
    template.sensitive |= own.sensitive;
    template.extractable = template.extractable.or(own.extractable);
    if template.user_tags().is_empty() {
        template.tags = own.tags;
    }
    for item in own.others {
        if !template.others.iter().any(|other| other.tag == item.tag) {
            template.others.push(item);
        }
    }
}
