//! Get Attribute List (KMIP 2.1 section 6.1.22): the names of an object's attributes, each once.
#![forbid(unsafe_code)]

use super::super::attributes::{self, Reference};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::target::Target;
use super::super::view::Changes;
use super::get_attributes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct GetAttributeList<'r> {
    target: Target<'r>,
}

impl<'r> Operation<'r> for GetAttributeList<'r> {
    const NAME: &'static str = "GetAttributeList";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The object, and the time at which it is looked at.
    type Found = (Authorized, Timestamp);

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        Ok(GetAttributeList { target: Target::decode(fields)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let found = get_attributes::find(&self.target, context, Self::NAME)?;
        Ok(((found, context.now), Changes::new()))
    }

    fn finish(
        self,
        (found, now): Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let object = found.object();
        let mut attributes = attributes::list_with_defaults(object, now)?;
        attributes.push(attributes::tag_attribute(object));
        let mut items = vec![Item::text(Tag::UNIQUE_IDENTIFIER, object.uid.as_str())];
        // The list is sorted, so what is there several times stands together.
        items.extend(attributes.iter().map(Reference::item_for));
        items.dedup();
        reply(&items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, uid};

    #[test]
    fn each_name_is_told_once() {
        let mut kms = Trial::over([Object::example("k")]);
        let answer = kms.ask("GetAttributeList", &[uid("k")]).unwrap();
        assert_eq!(answer[0], uid("k"));
        for tag in [Tag::STATE, Tag::OBJECT_TYPE, Tag::CRYPTOGRAPHIC_USAGE_MASK] {
            let reference = Item::enumeration(Tag::ATTRIBUTE_REFERENCE, tag.0);
            assert_eq!(answer.iter().filter(|item| **item == reference).count(), 1);
        }
    }
}
