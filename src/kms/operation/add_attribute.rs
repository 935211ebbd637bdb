//! Add Attribute (KMIP 2.1 section 6.1.2): gives an attribute of an object one more value.
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
pub struct AddAttribute<'r> {
    target: Target<'r>,
    new: &'r Item<'r>,
}

impl<'r> Operation<'r> for AddAttribute<'r> {
    const NAME: &'static str = "AddAttribute";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let new = change::one_attribute(fields, Tag::NEW_ATTRIBUTE)?;
        Ok(AddAttribute { target: Target::decode(fields)?, new: fields.required(Tag::NEW_ATTRIBUTE, new)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        change::apply(&self.target, context, Self::NAME, Rights::ADD_ATTRIBUTE, |editor, object| {
            editor.add(object, self.new)
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
    use crate::kms::operation::tests::{Trial, name, structure, uid};

    #[test]
    fn a_second_name_stands_beside_the_first() {
        let mut kms = Trial::over([Object::example("k")]);
        for text in ["a", "b"] {
            let new = structure(Tag::NEW_ATTRIBUTE, [name(text)]);
            assert_eq!(kms.ask("AddAttribute", &[uid("k"), new]), Ok(vec![uid("k")]));
        }
        let names = [uid("k"), Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::NAME.0)];
        let both = structure(Tag::ATTRIBUTES, [name("a"), name("b")]);
        assert_eq!(kms.ask("GetAttributes", &names), Ok(vec![uid("k"), both]));
    }

    #[test]
    fn what_is_the_servers_and_what_has_one_value_is_refused() {
        let mut kms = Trial::over([Object::example("k")]);
        let mut refused = |new| {
            let new = structure(Tag::NEW_ATTRIBUTE, [new]);
            kms.refused("AddAttribute", &[uid("k"), new])
        };
        let text = refused(Item::enumeration(Tag::STATE, 1));
        assert!(text.starts_with("Attribute_Read_Only: "), "{text}");
        let text = refused(Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 1));
        assert!(text.starts_with("Attribute_Single_Valued: "), "{text}");
    }
}
