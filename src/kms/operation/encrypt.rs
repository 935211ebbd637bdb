//! Encrypt (KMIP 2.1 section 6.1.17): data with a symmetric key.
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
pub struct Encrypt<'r> {
    target: Target<'r>,
    message: Message<'r>,
    data: &'r [u8],
    dialect: Dialect,
}

impl<'r> Operation<'r> for Encrypt<'r> {
    const NAME: &'static str = "Encrypt";
    const EFFECT: Effect = Effect::Reads;
    /// The key.
    type Found = Authorized;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let data = fields.bytes(Tag::DATA)?;
        Ok(Encrypt {
            target: Target::decode(fields)?,
            message: Message::decode(fields)?,
            data: fields.required(Tag::DATA, data)?,
            dialect,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Authorized, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "Encrypt",
            right: Rights::ENCRYPT,
            mask: usage_mask::ENCRYPT as u32,
            usable: |state| state == State::Active,
            usable_names: "Active",
            purpose: Purpose::Protects,
        };
        Ok((cipher::find_key(&self.target, context, usage)?, Changes::new()))
    }

    fn finish(
        self,
        key: Authorized,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let sealed = self.message.encrypt(&key, self.data, entropy)?;
        let mut items = Vec::with_capacity(5);
        items.push(Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()));
        items.push(Item::bytes(Tag::DATA, sealed.data.as_slice()));
        if !sealed.nonce.is_empty() {
            items.push(Item::bytes(Tag::IV_COUNTER_NONCE, &*sealed.nonce));
        }
        if self.dialect == Dialect::V4 && !sealed.additional_data.is_empty() {
            items.push(Item::bytes(Tag::CORRELATION_VALUE, &*sealed.additional_data));
        }
        if !sealed.tag.is_empty() {
            items.push(Item::bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, sealed.tag.as_slice()));
        }
        reply(&items);
        Ok(())
    }
}
