//! Set Attribute (KMIP 2.1 section 6.1.45): gives an attribute of an object a value, whether it had one before or not.
#![forbid(unsafe_code)]

use super::super::attributes::change;
use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::target::Target;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct SetAttribute<'r> {
    target: Target<'r>,
    new: &'r Item<'r>,
}

impl<'r> Operation<'r> for SetAttribute<'r> {
    const NAME: &'static str = "SetAttribute";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let new = change::one_attribute(fields, Tag::NEW_ATTRIBUTE)?;
        Ok(SetAttribute { target: Target::decode(fields)?, new: fields.required(Tag::NEW_ATTRIBUTE, new)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        change::apply(&self.target, context, Self::NAME, Rights::SET_ATTRIBUTE, |editor, object| {
            editor.set(object, self.new)
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, structure, uid};

    #[test]
    fn a_value_is_set_whether_there_was_one_or_not() {
        let mut kms = Trial::over([Object::example("k")]);
        let comment = |text| Item::text(Tag::COMMENT, text);
        let reference = Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::COMMENT.0);
        for text in ["first", "second"] {
            let new = structure(Tag::NEW_ATTRIBUTE, [comment(text)]);
            assert_eq!(kms.ask("SetAttribute", &[uid("k"), new]), Ok(vec![uid("k")]));
            let told = kms.ask("GetAttributes", &[uid("k"), reference.clone()]).unwrap();
            assert_eq!(told[1], structure(Tag::ATTRIBUTES, [comment(text)]));
        }
    }

    #[test]
    fn whoever_may_only_look_sets_nothing() {
        let mut kms = Trial::over([Object::example("k")]).user("bob", &[("k", Rights::GET_ATTRIBUTES)]);
        let mask = structure(Tag::NEW_ATTRIBUTE, [Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 1)]);
        assert!(kms.ask("SetAttribute", &[uid("k"), mask]).is_err());
        assert_eq!(kms.object("k").unwrap().usage_mask, 12);
    }
}
