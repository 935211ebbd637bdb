//! MAC Verify (KMIP 2.1 section 6.1.33): whether a message authentication code is that of data.
#![forbid(unsafe_code)]

use super::super::authentication::Message;
use super::super::cipher::{self, Purpose};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{usage_mask, validity_indicator};
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct MACVerify<'r> {
    target: Target<'r>,
    message: Message<'r>,
    code: &'r [u8],
}

impl<'r> Operation<'r> for MACVerify<'r> {
    const NAME: &'static str = "MACVerify";
    const EFFECT: Effect = Effect::Reads;
    /// The key.
    type Found = Authorized;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let code = fields.bytes(Tag::MAC_DATA)?;
        Ok(MACVerify {
            target: Target::decode(fields)?,
            message: Message::decode(fields)?,
            code: fields.required(Tag::MAC_DATA, code)?,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Authorized, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "MACVerify",
            right: Rights::MAC,
            // Who may make a code can compare it; for Decrypt, see MAC.
            mask: (usage_mask::MAC_VERIFY | usage_mask::MAC_GENERATE | usage_mask::DECRYPT) as u32,
            usable: |state| matches!(state, State::Active | State::Deactivated | State::Compromised),
            usable_names: "Active, Deactivated, Compromised",
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
        let expected = Secret::new(self.message.code(&key)?);
        let validity =
            if expected.matches(self.code) { validity_indicator::VALID } else { validity_indicator::INVALID };
        reply(&[
            Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()),
            Item::enumeration(Tag::VALIDITY_INDICATOR, validity),
        ]);
        Ok(())
    }
}
