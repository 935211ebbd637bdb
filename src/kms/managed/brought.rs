//! An object that a client brings: the common part of Import and Register.
#![forbid(unsafe_code)]

use super::super::attributes::Template;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::operation::Context;
use super::super::refusal::{Failure, Refusal};
use super::super::wrapping;
use super::{Content, check_type, checked_uid, new_object};
use crate::entropy::{Entropy, uuid_v7};
use crate::wire::ttlv::Tag;

/// An object and its attributes, as a request has them.
pub struct Brought<'r> {
    content: Content<'r>,
    /// The attributes beside the object.
    pub template: Template<'r>,
    /// Whether it is to be stored unwrapped where it comes wrapped.
    pub unwrap: bool,
    /// Its identifier, once it has one.
    uid: String,
}

impl<'r> Brought<'r> {
    /// Reads the object and the attributes of a request.
    pub fn decode(operation: &str, fields: Fields<'r>) -> Result<Brought<'r>, Refusal> {
        let object_type = fields.enumeration(Tag::OBJECT_TYPE)?;
        let object_type = fields.required(Tag::OBJECT_TYPE, object_type)?;
        check_type(operation, object_type)?;
        let attributes = fields.structure(Tag::ATTRIBUTES)?;
        Ok(Brought {
            content: Content::decode(fields, object_type)?,
            template: template(attributes.unwrap_or(Fields::new("Attributes", &[])))?,
            unwrap: false,
            uid: String::new(),
        })
    }

    /// Gives the object this identifier, or where it is empty one of the server's.
    pub fn name(&mut self, uid: &str, entropy: &mut dyn Entropy) -> Result<(), Refusal> {
        self.uid = if uid.is_empty() { uuid_v7(entropy) } else { checked_uid(uid)?.to_owned() };
        Ok(())
    }

    /// The object as it is to be stored, unwrapped or wrapped as the request says. The principal is its owner.
    pub fn object(&self, context: &Context<'_>) -> Result<Object, Failure> {
        let Some(wrapping) = self.content.wrapping.filter(|_| self.unwrap) else {
            return self.object_of(&self.content, context);
        };
        let value = wrapping::unwrap(&self.uid, self.content.material, wrapping, context)?;
        let items = wrapping::decode_value(&value)?;
        let content = Content::clone(&self.content);
        self.object_of(&content.with_value(Fields::new("KeyValue", &items))?, context)
    }

    fn object_of(&self, content: &Content<'_>, context: &Context<'_>) -> Result<Object, Failure> {
        let mut template = self.template.clone();
        if let Some(attributes) = content.attributes {
            adopt(&mut template, self::template(attributes)?);
        }
        let mut object = new_object(self.uid.clone(), content, &template, context.dialect, context.now)?;
        object.owner = context.principal.0.clone();
        if let Some(kek) = template.wrapping_key {
            wrapping::wrap_at_rest(&mut object, kek, context)?;
        }
        Ok(object)
    }
}

/// The attributes of what was made elsewhere, perhaps long ago.
fn template(attributes: Fields<'_>) -> Result<Template<'_>, Refusal> {
    let original_creation_date = attributes.date(Tag::ORIGINAL_CREATION_DATE)?;
    Ok(Template { original_creation_date, ..Template::decode(attributes)? })
}

/// Takes over from the object's own attributes what the request's do not say: an exported object is sent back whole.
fn adopt<'r>(template: &mut Template<'r>, own: Template<'r>) {
    template.algorithm = template.algorithm.or(own.algorithm);
    template.length_bits = template.length_bits.or(own.length_bits);
    template.usage_mask = template.usage_mask.or(own.usage_mask);
    template.original_creation_date = template.original_creation_date.or(own.original_creation_date);
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
