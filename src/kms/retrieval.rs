//! How objects leave the server: the common part of Get and Export.
#![forbid(unsafe_code)]

use super::attributes;
use super::fields::Fields;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::state::State;
use super::target::{Ambiguity, Target};
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::key_format_type;
use crate::wire::ttlv::{Item, Tag};

/// The form in which a key block is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Form {
    dialect: Dialect,
    transparent: bool,
}

impl Form {
    /// Reads the format fields of a request. 4.9.1 ignored `KeyFormatType` and answered in the transparent format;
    /// 5.x answers with raw bytes unless asked otherwise.
    pub fn decode(fields: Fields<'_>, dialect: Dialect) -> Result<Form, Refusal> {
        if fields.value(Tag::KEY_WRAPPING_SPECIFICATION).is_some() {
            return Err(Refusal::NotSupported("wrapping on export is not built yet in this version".into()));
        }
        let asked = fields.enumeration(Tag::KEY_FORMAT_TYPE)?;
        let transparent = match (dialect, asked) {
            (Dialect::V4, _) | (Dialect::V5, Some(key_format_type::TRANSPARENT_SYMMETRIC_KEY)) => true,
            (Dialect::V5, None | Some(key_format_type::RAW)) => false,
            (Dialect::V5, Some(_)) => {
                return Err(Refusal::NotSupported(
                    "a symmetric key comes in the key formats Raw and TransparentSymmetricKey".into(),
                ));
            }
        };
        Ok(Form { dialect, transparent })
    }
}

/// An object on its way out.
pub struct Retrieved {
    authorized: Authorized,
    now: Timestamp,
}

/// Finds the object that `target` names, in a state that is `readable`.
pub fn retrieve(
    target: &Target<'_>,
    context: &Context<'_>,
    operation: &'static str,
    right: Rights,
    readable: impl Fn(State) -> bool,
) -> Result<Retrieved, Failure> {
    let now = context.now;
    let ambiguity = match context.dialect {
        Dialect::V4 => Ambiguity::Refused,
        Dialect::V5 => Ambiguity::TakesFirst,
    };
    let usable = |found: &Authorized| readable(found.object().state_at(now));
    let Some(authorized) = target.resolve_one(context, operation, right, usable, ambiguity)? else {
        return Err(Refusal::NotFound { uid: target.text.to_owned() }.into());
    };
    let state = authorized.object().state_at(now);
    if !readable(state) {
        return Err(Refusal::WrongState { uid: target.text.to_owned(), state }.into());
    }
    if authorized.object().is_sensitive() {
        return Err(Refusal::Sensitive.into());
    }
    Ok(Retrieved { authorized, now })
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
    pub fn attributes(&self, form: Form) -> Result<Vec<Item<'_>>, Failure> {
        let object = self.authorized.object();
        let mut items = attributes::list(object, self.now)?;
        if form.dialect == Dialect::V5 {
            items.push(attributes::tag_attribute(object));
        }
        Ok(items)
    }

    /// The object itself: a key block with its material. What is destroyed has none.
    pub fn object<'s>(&'s self, form: Form, attributes: Vec<Item<'s>>) -> Item<'s> {
        let object = self.authorized.object();
        let bytes = self.authorized.material();
        let material = if form.transparent && !object.state.is_destroyed() {
            Item::structure(Tag::KEY_MATERIAL, vec![Item::bytes(Tag::KEY, bytes)])
        } else {
            Item::bytes(Tag::KEY_MATERIAL, bytes)
        };
        let format =
            if form.transparent { key_format_type::TRANSPARENT_SYMMETRIC_KEY } else { key_format_type::RAW };
        let block = vec![
            Item::enumeration(Tag::KEY_FORMAT_TYPE, format),
            Item::structure(Tag::KEY_VALUE, vec![material, Item::structure(Tag::ATTRIBUTES, attributes)]),
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, object.algorithm),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, object.length_bits as i32),
        ];
        Item::structure(Tag::SYMMETRIC_KEY, vec![Item::structure(Tag::KEY_BLOCK, block)])
    }
}
