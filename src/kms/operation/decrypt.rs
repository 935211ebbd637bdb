//! Decrypt (KMIP 2.1 section 6.1.12): AES-GCM with a symmetric key.
#![forbid(unsafe_code)]

use super::super::cipher::{self, Parameters};
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
use crate::wire::ttlv::{Item, Tag};
use zeroize::Zeroizing;

/// The `Decrypt` bit of a usage mask.
const MASK_DECRYPT: u32 = 8;

/// The request.
pub struct Decrypt<'r> {
    target: Target<'r>,
    parameters: Parameters<'r>,
    data: &'r [u8],
    tag: &'r [u8],
}

impl<'r> Operation<'r> for Decrypt<'r> {
    const NAME: &'static str = "Decrypt";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The key.
    type Found = Authorized;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let (data, tag) = (fields.bytes(Tag::DATA)?, fields.bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG)?);
        Ok(Decrypt {
            target: Target::decode(fields)?,
            parameters: Parameters::decode(fields)?,
            data: fields.required(Tag::DATA, data)?,
            tag: fields.required(Tag::AUTHENTICATED_ENCRYPTION_TAG, tag)?,
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
            mask: MASK_DECRYPT,
            usable,
            usable_names,
        };
        Ok((cipher::find_key(&self.target, context, usage)?, Changes::new()))
    }

    fn finish(
        self,
        key: Authorized,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let cipher = cipher::aes_gcm(&key)?;
        let nonce = self.parameters.nonce()?.ok_or_else(|| Refusal::invalid("Decrypt: missing field `IVCounterNonce`"))?;
        let tag: &[u8; cipher::TAG_BYTES] = self.tag.try_into().map_err(|_| {
            Refusal::invalid(format!("Decrypt: AuthenticatedEncryptionTag must have {} bytes", cipher::TAG_BYTES))
        })?;
        let mut data = Zeroizing::new(self.data.to_vec());
        if !cipher.open(&nonce, &self.parameters.additional_data(), &mut data, tag) {
            return Err(Refusal::NotGenuine.into());
        }
        reply(&[
            Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()),
            Item::bytes(Tag::DATA, data.as_slice()),
        ]);
        Ok(())
    }
}
