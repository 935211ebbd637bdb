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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, structure, uid};

    #[test]
    fn what_is_asked_for_is_told_and_without_a_question_everything() {
        let mut kms = Trial::over([Object::example("k")]);
        let state = Item::enumeration(Tag::STATE, State::Active as u32);
        let reference = Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::STATE.0);
        let some = kms.ask("GetAttributes", &[uid("k"), reference]).unwrap();
        assert_eq!(some, [uid("k"), structure(Tag::ATTRIBUTES, [state.clone()])]);
        let all = kms.ask("GetAttributes", &[uid("k")]).unwrap();
        let all = all[1].value.children().unwrap();
        assert!(all.contains(&state) && all.contains(&Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256)));
    }

    #[test]
    fn clients_of_4_9_1_see_only_what_is_active() {
        let mut kms = Trial::over([Object { state: State::PreActive, ..Object::example("k") }]);
        assert!(kms.ask("GetAttributes", &[uid("k")]).is_ok());
        assert_eq!(kms.old().refused("GetAttributes", &[uid("k")]), "Item_Not_Found: k");
    }
}
