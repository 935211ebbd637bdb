//! Get Attributes (KMIP 2.1 section 6.1.21): what is known of an object but its material.
#![forbid(unsafe_code)]

use super::super::attributes::{self, Reference};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::{Ambiguity, Target};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct GetAttributes<'r> {
    target: Target<'r>,
    references: Vec<Reference<'r>>,
}

impl<'r> Operation<'r> for GetAttributes<'r> {
    const NAME: &'static str = "GetAttributes";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The object, and the time at which its state is told.
    type Found = (Authorized, Timestamp);

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let references = Reference::decode_all(fields)?;
        Ok(GetAttributes { target: Target::decode(fields)?, references })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        Ok(((find(&self.target, context, Self::NAME)?, context.now), Changes::new()))
    }

    fn finish(
        self,
        (found, now): Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let object = found.object();
        let mut items = attributes::list_with_defaults(object, now)?;
        if !self.references.is_empty() {
            items.retain(|item| self.references.iter().any(|reference| reference.names(item)));
            if self.references.contains(&Reference::Tags) {
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

/// The object whose attributes are asked for: clients of 4.9.1 see only what is active.
pub fn find(
    target: &Target<'_>,
    context: &Context<'_>,
    operation: &'static str,
) -> Result<Authorized, Failure> {
    let (ambiguity, readable): (_, fn(State) -> bool) = match context.dialect {
        Dialect::V4 => (Ambiguity::Refused, |state| state == State::Active),
        Dialect::V5 => (Ambiguity::TakesFirst, |_| true),
    };
    let usable = |found: &Authorized| readable(found.object().state_at(context.now));
    match target.resolve_one(context, operation, Rights::GET_ATTRIBUTES, usable, ambiguity)? {
        Some(found) if usable(&found) => Ok(found),
        _ => Err(Refusal::NotFound { uid: target.text.to_owned() }.into()),
    }
}
