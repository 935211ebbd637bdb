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
