//! Get Attributes (KMIP 2.1 section 6.1.21): what is known of an object but its material.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::{Ambiguity, Target};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag, Value};

/// The request.
pub struct GetAttributes<'r> {
    target: Target<'r>,
    references: Vec<Reference<'r>>,
}

/// One attribute that is asked for.
enum Reference<'r> {
    /// By its tag.
    Standard(Tag),
    /// The list of tags.
    Tags,
    /// A vendor attribute by vendor and name.
    Vendor(&'r str, &'r str),
}

impl<'r> Operation<'r> for GetAttributes<'r> {
    const NAME: &'static str = "GetAttributes";
    const EFFECT: Effect = Effect::Reads;
    /// The object, and the time at which its state is told.
    type Found = (Authorized, Timestamp);

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let mut references = Vec::new();
        for item in fields.items().iter().filter(|item| item.tag == Tag::ATTRIBUTE_REFERENCE) {
            references.push(match &item.value {
                Value::Enumeration(code) if Tag(*code) == Tag::TAG => Reference::Tags,
                Value::Enumeration(code) if Tag(*code) == Tag::LINK_TYPE => Reference::Standard(Tag::LINK),
                Value::Enumeration(code) => Reference::Standard(Tag(*code)),
                Value::Structure(items) => {
                    let vendor = Fields::new("AttributeReference", items);
                    let (owner, name) = (vendor.text(Tag::VENDOR_IDENTIFICATION)?, vendor.text(Tag::ATTRIBUTE_NAME)?);
                    match (
                        vendor.required(Tag::VENDOR_IDENTIFICATION, owner)?,
                        vendor.required(Tag::ATTRIBUTE_NAME, name)?,
                    ) {
                        (owner, "tag") if owner.eq_ignore_ascii_case("cosmian") => Reference::Tags,
                        (owner, name) => Reference::Vendor(owner, name),
                    }
                }
                _ => return Err(fields.refuse(Tag::ATTRIBUTE_REFERENCE, "must be an Enumeration or a Structure")),
            });
            if references.len() > limits::ATTRIBUTES_MAX {
                let reason = format!("may be given {} times at most", limits::ATTRIBUTES_MAX);
                return Err(fields.refuse(Tag::ATTRIBUTE_REFERENCE, &reason));
            }
        }
        Ok(GetAttributes { target: Target::decode(fields)?, references })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let (ambiguity, readable): (_, fn(State) -> bool) = match context.dialect {
            Dialect::V4 => (Ambiguity::Refused, |state| state == State::Active),
            Dialect::V5 => (Ambiguity::TakesFirst, |_| true),
        };
        let usable = |found: &Authorized| readable(found.object().state_at(context.now));
        let right = Rights::GET_ATTRIBUTES;
        match self.target.resolve_one(context, "GetAttributes", right, usable, ambiguity)? {
            Some(found) if usable(&found) => Ok(((found, context.now), Changes::new())),
            _ => Err(Refusal::NotFound { uid: self.target.text.to_owned() }.into()),
        }
    }

    fn finish(
        self,
        (found, now): Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let object = found.object();
        let mut items = attributes::list(object, now)?;
        if !self.references.is_empty() {
            items.retain(|item| self.references.iter().any(|reference| reference.names(item)));
            if self.references.iter().any(|reference| matches!(reference, Reference::Tags)) {
                items.push(attributes::tag_attribute(object));
            }
        }
        reply(&[
            Item::text(Tag::UNIQUE_IDENTIFIER, object.uid.as_str()),
            Item::structure(Tag::ATTRIBUTES, items),
        ]);
        Ok(())
    }
}

impl Reference<'_> {
    fn names(&self, item: &Item<'_>) -> bool {
        match self {
            Reference::Tags => false,
            Reference::Standard(tag) => item.tag == *tag,
            Reference::Vendor(vendor, name) => match &item.value {
                Value::Structure(fields) if item.tag == Tag::ATTRIBUTE => {
                    let is = |tag, text: &str| {
                        fields.iter().any(|f| f.tag == tag && matches!(&f.value, Value::Text(t) if t == text))
                    };
                    is(Tag::VENDOR_IDENTIFICATION, vendor) && is(Tag::ATTRIBUTE_NAME, name)
                }
                _ => false,
            },
        }
    }
}
