//! Decrypt (KMIP 2.1 section 6.1.12): data that was encrypted with a symmetric key.
#![forbid(unsafe_code)]

use super::super::cipher::{self, Message, Purpose};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::usage_mask;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Decrypt<'r> {
    target: Target<'r>,
    message: Message<'r>,
    data: &'r [u8],
    tag: &'r [u8],
}

impl<'r> Operation<'r> for Decrypt<'r> {
    const NAME: &'static str = "Decrypt";
    const EFFECT: Effect = Effect::Reads;
    /// The key.
    type Found = Authorized;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let (data, tag) = (fields.bytes(Tag::DATA)?, fields.bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG)?);
        Ok(Decrypt {
            target: Target::decode(fields)?,
            message: Message::decode(fields)?,
            data: fields.required(Tag::DATA, data)?,
            tag: tag.unwrap_or_default(),
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Authorized, Changes), Failure> {
        let (usable, usable_names): (fn(State) -> bool, _) = match context.dialect {
            Dialect::V4 => (|state| state == State::Active, "Active"),
            Dialect::V5 => (
                |state| matches!(state, State::Active | State::Deactivated | State::Compromised),
                "Active, Deactivated, Compromised",
            ),
        };
        let usage = cipher::Usage {
            operation: "Decrypt",
            right: Rights::DECRYPT,
            mask: usage_mask::DECRYPT as u32,
            usable,
            usable_names,
            purpose: Purpose::Processes,
        };
        Ok((cipher::find_key(&self.target, context, usage)?, Changes::new()))
    }

    fn finish(
        self,
        key: Authorized,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let data = self.message.decrypt(&key, self.data, self.tag)?;
        reply(&[
            Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()),
            Item::bytes(Tag::DATA, data.as_slice()),
        ]);
        Ok(())
    }
}
