//! Get (KMIP 2.1 section 6.1.20): an object in use, with its material.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::retrieval::{self, Form, Retrieved};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::Item;

/// The request.
pub struct Get<'r> {
    target: Target<'r>,
    form: Form<'r>,
}

impl<'r> Operation<'r> for Get<'r> {
    const NAME: &'static str = "Get";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    type Found = Retrieved;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Get { target: Target::decode(fields)?, form: Form::decode(fields, dialect)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Retrieved, Changes), Failure> {
        let readable = |state| match context.dialect {
            Dialect::V4 => state == State::Active,
            Dialect::V5 => matches!(state, State::PreActive | State::Active),
        };
        retrieval::retrieve(&self.target, &self.form, context, "Get", Rights::GET, readable)
    }

    fn finish(
        self,
        found: Retrieved,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let attributes = found.attributes(&self.form)?;
        let object = found.object(&self.form, attributes, entropy)?;
        reply(&[found.object_type(), found.unique_identifier(), object]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, key, structure, uid};
    use crate::wire::ttlv::Tag;

    /// The format of a key, and its material.
    fn inner(answer: &[Item<'static>]) -> (Item<'static>, Item<'static>) {
        let block = answer[2].value.children().unwrap()[0].value.children().unwrap();
        let value = block.iter().find(|item| item.tag == Tag::KEY_VALUE).unwrap();
        (block[0].clone(), value.value.children().unwrap()[0].clone())
    }

    #[test]
    fn a_key_is_given_as_each_generation_of_clients_expects_it() {
        let mut kms = Trial::over([key("k")]);
        let material = Item::bytes(Tag::KEY_MATERIAL, vec![7; 32]);
        let format = |code| Item::enumeration(Tag::KEY_FORMAT_TYPE, code);
        let answer = kms.ask("Get", &[uid("k")]).unwrap();
        assert_eq!(answer[..2], [Item::enumeration(Tag::OBJECT_TYPE, 2), uid("k")]);
        assert_eq!(inner(&answer), (format(1), material));
        let answer = kms.old().ask("Get", &[uid("k")]).unwrap();
        let material = structure(Tag::KEY_MATERIAL, [Item::bytes(Tag::KEY, vec![7; 32])]);
        assert_eq!(inner(&answer), (format(7), material));
    }

    #[test]
    fn what_is_out_of_use_is_not_given() {
        for state in [State::Deactivated, State::Compromised, State::Destroyed] {
            assert!(
                Trial::over([Object { state, ..key("k") }]).ask("Get", &[uid("k")]).is_err(),
                "{state:?}"
            );
        }
    }
}
