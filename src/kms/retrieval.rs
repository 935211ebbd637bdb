//! How objects leave the server: the common part of Get and Export.
#![forbid(unsafe_code)]

use super::attributes;
use super::fields::Fields;
use super::managed::{self, Value};
use super::object::Object;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::state::State;
use super::target::{Ambiguity, Target};
use super::uses::{self, Use};
use super::view::Changes;
use super::wrapping::{self, Wrapping};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{key_format_type, key_wrap_type, object_type};
use crate::wire::ttlv::{Item, Tag};

/// The form in which an object is wanted.
pub struct Form<'r> {
    dialect: Dialect,
    key_format: Option<u32>,
    /// Whether it is to be unwrapped where it is stored wrapped.
    unwrap: bool,
    /// How it is to be wrapped.
    wrapping: Option<Wrapping<'r>>,
}

impl<'r> Form<'r> {
    /// Reads the fields of a request that say it. 4.9.1 ignored `KeyFormatType`.
    pub fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Form<'r>, Refusal> {
        if fields.value(Tag::KEY_COMPRESSION_TYPE).is_some() {
            return Err(Refusal::NotSupported("KeyCompressionType is for the public keys of curves".into()));
        }
        let key_format = fields.enumeration(Tag::KEY_FORMAT_TYPE)?;
        Ok(Form {
            dialect,
            key_format: key_format.filter(|_| dialect == Dialect::V5),
            unwrap: match fields.enumeration(Tag::KEY_WRAP_TYPE)? {
                Some(key_wrap_type::NOT_WRAPPED) => true,
                None | Some(key_wrap_type::AS_REGISTERED) => false,
                Some(_) => {
                    return Err(fields.refuse(Tag::KEY_WRAP_TYPE, "must be NotWrapped or AsRegistered"));
                }
            },
            wrapping: Wrapping::of_request(fields)?,
        })
    }

    /// The format in which the object leaves. Clients of 4.9.1 get symmetric keys in the transparent format, those of 5.x
    /// raw bytes unless they ask otherwise; what is wrapped stays in its format.
    fn key_format_of(&self, object: &Object) -> Result<u32, Refusal> {
        let stays_wrapped = object.is_wrapped() && !self.unwrap;
        let (natural, convertible) = match (object.object_type, self.dialect) {
            _ if stays_wrapped => (object.key_format, false),
            (object_type::SYMMETRIC_KEY, Dialect::V4) => (key_format_type::TRANSPARENT_SYMMETRIC_KEY, false),
            (object_type::SYMMETRIC_KEY, Dialect::V5) => (key_format_type::RAW, true),
            _ => (object.key_format, false),
        };
        match self.key_format {
            None => Ok(natural),
            Some(asked) if asked == natural => Ok(natural),
            Some(key_format_type::TRANSPARENT_SYMMETRIC_KEY) if convertible => {
                Ok(key_format_type::TRANSPARENT_SYMMETRIC_KEY)
            }
            Some(_) if convertible => Err(Refusal::NotSupported(
                "a symmetric key comes in the key formats Raw and TransparentSymmetricKey".into(),
            )),
            Some(_) => Err(Refusal::NotSupported(match key_format_type::ALL.name(natural) {
                Some(name) => format!("object {} comes in the key format {name} only", object.uid),
                None => format!("object {} has no key format", object.uid),
            })),
        }
    }
}

/// An object on its way out.
pub struct Retrieved {
    authorized: Authorized,
    key_format: u32,
    /// Whether the material is shown bare.
    bare: bool,
    /// By which it is to be wrapped.
    kek: Option<Authorized>,
    now: Timestamp,
}

/// Finds the object that `target` names, in a state that is `readable`, and with it all that its form takes; what wrapping
/// it counts is to be committed.
pub fn retrieve(
    target: &Target<'_>,
    form: &Form<'_>,
    context: &Context<'_>,
    operation: &'static str,
    right: Rights,
    readable: impl Fn(State) -> bool,
) -> Result<(Retrieved, Changes), Failure> {
    let now = context.now;
    let ambiguity = match context.dialect {
        Dialect::V4 => Ambiguity::Refused,
        Dialect::V5 => Ambiguity::TakesFirst,
    };
    let usable = |found: &Authorized| readable(found.object().state_at(now));
    let Some(mut authorized) = target.resolve_one(context, operation, right, usable, ambiguity)? else {
        return Err(Refusal::NotFound { uid: target.text.to_owned() }.into());
    };
    let object = authorized.object();
    let state = object.state_at(now);
    if !readable(state) || state.is_destroyed() && form.wrapping.is_some() {
        return Err(Refusal::WrongState { uid: target.text.to_owned(), state }.into());
    }
    if !object.is_extractable() {
        return Err(Refusal::NotExtractable.into());
    }
    let bare = form.unwrap || !object.is_wrapped();
    if object.is_sensitive() && bare && form.wrapping.is_none() {
        return Err(Refusal::Sensitive.into());
    }
    let key_format = form.key_format_of(object)?;
    if form.unwrap && !state.is_destroyed() {
        authorized = wrapping::open(authorized, context)?;
    }
    let (mut kek, mut changes) = (None, Changes::new());
    if let Some(wrapping) = &form.wrapping {
        let found = wrapping.find_kek(&authorized, context)?;
        let (bytes, draws_nonce) = (authorized.material().len(), wrapping.draws_nonce());
        changes = uses::count(found.object(), context, Use { operation: "Wrap", bytes, draws_nonce })?;
        kek = Some(found);
    }
    Ok((Retrieved { authorized, key_format, bare, kek, now }, changes))
}

impl Retrieved {
    /// The `ObjectType` of the answer.
    pub fn object_type(&self) -> Item<'_> {
        Item::enumeration(Tag::OBJECT_TYPE, self.authorized.object().object_type)
    }

    /// The `UniqueIdentifier` of the answer: the real one, also where the request gave tags.
    pub fn unique_identifier(&self) -> Item<'_> {
        let uid = self.authorized.object().uid.as_str();
        Item::text(Tag::UNIQUE_IDENTIFIER, uid)
    }

    /// The attributes of the object; clients of 5.x get the tags with them.
    pub fn attributes(&self, form: &Form<'_>) -> Result<Vec<Item<'_>>, Failure> {
        let object = self.authorized.object();
        let mut items = attributes::list(object, self.now)?;
        if form.dialect == Dialect::V5 {
            items.push(attributes::tag_attribute(object));
        }
        Ok(items)
    }

    /// The object itself. What is destroyed has no material.
    pub fn object<'s>(
        &'s self,
        form: &Form<'_>,
        attributes: Vec<Item<'s>>,
        entropy: &mut dyn Entropy,
    ) -> Result<Item<'s>, Refusal> {
        let object = self.authorized.object();
        let material = self.authorized.material();
        let value = match (&form.wrapping, &self.kek) {
            (Some(wrapping), Some(kek)) => {
                let (format, dialect) = (self.key_format, form.dialect);
                let (wrapped, data) = wrapping.wrap(kek, format, material, &attributes, dialect, entropy)?;
                Value::Wrapped(wrapped.into(), data)
            }
            _ if self.bare => Value::Bare(material),
            _ => Value::stored(object),
        };
        Ok(managed::encode(object, self.key_format, value, attributes))
    }
}
