//! Encrypt (KMIP 2.1 section 6.1.17): AES-GCM with a symmetric key.
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
use crate::entropy::{Entropy, random};
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};
use zeroize::Zeroizing;

/// The `Encrypt` bit of a usage mask.
const MASK_ENCRYPT: u32 = 4;

/// The request.
pub struct Encrypt<'r> {
    target: Target<'r>,
    parameters: Parameters<'r>,
    data: &'r [u8],
    dialect: Dialect,
}

impl<'r> Operation<'r> for Encrypt<'r> {
    const NAME: &'static str = "Encrypt";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The key.
    type Found = Authorized;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let data = fields.bytes(Tag::DATA)?;
        Ok(Encrypt {
            target: Target::decode(fields)?,
            parameters: Parameters::decode(fields)?,
            data: fields.required(Tag::DATA, data)?,
            dialect,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Authorized, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "Encrypt",
            right: Rights::ENCRYPT,
            mask: MASK_ENCRYPT,
            usable: |state| state == State::Active,
            usable_names: "Active",
        };
        Ok((cipher::find_key(&self.target, context, usage)?, Changes::new()))
    }

    fn finish(
        self,
        key: Authorized,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let cipher = cipher::aes_gcm(&key)?;
        let nonce = match self.parameters.nonce()? {
            Some(nonce) => nonce,
            None => random::<{ cipher::NONCE_BYTES }>(entropy),
        };
        let aad = self.parameters.additional_data();
        let mut data = Zeroizing::new(self.data.to_vec());
        let sealed = cipher.seal(&nonce, &aad, &mut data);
        let tag = sealed.ok_or_else(|| Refusal::invalid("Encrypt: the data is too long for AES-GCM"))?;
        let mut items = Vec::with_capacity(5);
        items.push(Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()));
        items.push(Item::bytes(Tag::DATA, data.as_slice()));
        items.push(Item::bytes(Tag::IV_COUNTER_NONCE, nonce.as_slice()));
        if self.dialect == Dialect::V4 && !aad.is_empty() {
            items.push(Item::bytes(Tag::CORRELATION_VALUE, &*aad));
        }
        items.push(Item::bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, tag.as_slice()));
        reply(&items);
        Ok(())
    }
}
