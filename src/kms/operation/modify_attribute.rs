//! Modify Attribute (KMIP 2.1 section 6.1.32): gives an attribute of an object another value.
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
pub struct ModifyAttribute<'r> {
    target: Target<'r>,
    current: Option<&'r Item<'r>>,
    new: &'r Item<'r>,
}

impl<'r> Operation<'r> for ModifyAttribute<'r> {
    const NAME: &'static str = "ModifyAttribute";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let new = change::one_attribute(fields, Tag::NEW_ATTRIBUTE)?;
        Ok(ModifyAttribute {
            target: Target::decode(fields)?,
            current: change::one_attribute(fields, Tag::CURRENT_ATTRIBUTE)?,
            new: fields.required(Tag::NEW_ATTRIBUTE, new)?,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        change::apply(&self.target, context, Self::NAME, Rights::MODIFY_ATTRIBUTE, |editor, object| {
            editor.modify(object, self.current, self.new)
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
    fn one_value_takes_the_place_of_another() {
        let mut kms = Trial::over([Object::example("k")]);
        let new = |text| structure(Tag::NEW_ATTRIBUTE, [name(text)]);
        let text = kms.refused("ModifyAttribute", &[uid("k"), new("a")]);
        assert!(text.starts_with("Attribute_Not_Found: "), "{text}");
        for text in ["a", "b"] {
            kms.ask("AddAttribute", &[uid("k"), new(text)]).unwrap();
        }
        let current = structure(Tag::CURRENT_ATTRIBUTE, [name("a")]);
        assert_eq!(kms.ask("ModifyAttribute", &[uid("k"), current, new("c")]), Ok(vec![uid("k")]));
        let reference = Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::NAME.0);
        let names = kms.ask("GetAttributes", &[uid("k"), reference]).unwrap();
        let names = names[1].value.children().unwrap();
        assert!(names.len() == 2 && names.contains(&name("b")) && names.contains(&name("c")));
    }
}
