//! Delete Attribute (KMIP 2.1 section 6.1.14): takes values away from an object, one as it is or all of a name.
#![forbid(unsafe_code)]

use super::super::attributes::{Reference, change};
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
pub struct DeleteAttribute<'r> {
    target: Target<'r>,
    current: Option<&'r Item<'r>>,
    references: Vec<Reference<'r>>,
}

impl<'r> Operation<'r> for DeleteAttribute<'r> {
    const NAME: &'static str = "DeleteAttribute";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let current = change::one_attribute(fields, Tag::CURRENT_ATTRIBUTE)?;
        let references = Reference::decode_all(fields)?;
        if current.is_none() && references.is_empty() {
            return Err(fields.refuse(Tag::CURRENT_ATTRIBUTE, "or an AttributeReference must be given"));
        }
        Ok(DeleteAttribute { target: Target::decode(fields)?, current, references })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        change::apply(&self.target, context, Self::NAME, Rights::DELETE_ATTRIBUTE, |editor, object| {
            if let Some(current) = self.current {
                editor.delete(object, current)?;
            }
            self.references.iter().try_for_each(|reference| editor.delete_named(object, *reference))
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
    fn one_value_goes_or_all_of_a_name() {
        let mut kms = Trial::over([Object::example("k")]);
        for text in ["a", "b", "c"] {
            let new = structure(Tag::NEW_ATTRIBUTE, [name(text)]);
            kms.ask("AddAttribute", &[uid("k"), new]).unwrap();
        }
        let reference = Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::NAME.0);
        let current = structure(Tag::CURRENT_ATTRIBUTE, [name("b")]);
        assert_eq!(kms.ask("DeleteAttribute", &[uid("k"), current.clone()]), Ok(vec![uid("k")]));
        let left = kms.ask("GetAttributes", &[uid("k"), reference.clone()]).unwrap();
        assert_eq!(left[1], structure(Tag::ATTRIBUTES, [name("a"), name("c")]));
        let text = kms.refused("DeleteAttribute", &[uid("k"), current]);
        assert!(text.starts_with("Attribute_Not_Found: "), "{text}");
        assert_eq!(kms.ask("DeleteAttribute", &[uid("k"), reference.clone()]), Ok(vec![uid("k")]));
        let left = kms.ask("GetAttributes", &[uid("k"), reference]).unwrap();
        assert_eq!(left[1], structure(Tag::ATTRIBUTES, []));
    }
}
