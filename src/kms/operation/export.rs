//! Export (KMIP 2.1 section 6.1.18): an object in any state, with its material and attributes.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::retrieval::{self, Form, Retrieved};
use super::super::rights::Rights;
use super::super::target::Target;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Export<'r> {
    target: Target<'r>,
    form: Form<'r>,
}

impl<'r> Operation<'r> for Export<'r> {
    const NAME: &'static str = "Export";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    type Found = Retrieved;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Export { target: Target::decode(fields)?, form: Form::decode(fields, dialect)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Retrieved, Changes), Failure> {
        retrieval::retrieve(&self.target, &self.form, context, "Export", Rights::EXPORT, |_| true)
    }

    fn finish(
        self,
        found: Retrieved,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let attributes = found.attributes(&self.form)?;
        let listed = Item::structure(Tag::ATTRIBUTES, attributes.clone());
        let object = found.object(&self.form, attributes, entropy)?;
        reply(&[found.object_type(), found.unique_identifier(), listed, object]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, key, uid};
    use crate::kms::state::State;

    #[test]
    fn what_is_out_of_use_is_exported_with_its_attributes() {
        let mut kms = Trial::over([Object { state: State::Compromised, ..key("k") }]);
        let answer = kms.ask("Export", &[uid("k")]).unwrap();
        assert_eq!(answer[..2], [Item::enumeration(Tag::OBJECT_TYPE, 2), uid("k")]);
        let attributes = answer[2].value.children().unwrap();
        assert!(attributes.contains(&Item::enumeration(Tag::STATE, State::Compromised as u32)));
        assert_eq!((answer[2].tag, answer[3].tag), (Tag::ATTRIBUTES, Tag::SYMMETRIC_KEY));
    }

    #[test]
    fn it_takes_a_right_to_the_material() {
        for (right, may) in [(Rights::GET_ATTRIBUTES, false), (Rights::EXPORT, true), (Rights::GET, true)] {
            let mut kms = Trial::over([key("k")]).user("bob", &[("k", right)]);
            assert_eq!(kms.ask("Export", &[uid("k")]).is_ok(), may, "{right:?}");
        }
    }
}
