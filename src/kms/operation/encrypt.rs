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
use crate::wire::ttlv::{Item, Tag, Value};
use std::borrow::Cow;
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
        let tag = cipher.seal(&nonce, &aad, &mut data);
        let bytes = |tag, bytes| Item { tag, value: Value::Bytes(Cow::Borrowed(bytes)) };
        let uid = Value::Text(key.object().uid.as_str().into());
        let mut items = Vec::with_capacity(5);
        items.push(Item { tag: Tag::UNIQUE_IDENTIFIER, value: uid });
        items.push(bytes(Tag::DATA, &data));
        items.push(bytes(Tag::IV_COUNTER_NONCE, &nonce));
        if self.dialect == Dialect::V4 && !aad.is_empty() {
            items.push(bytes(Tag::CORRELATION_VALUE, &aad));
        }
        items.push(bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, &tag));
        reply(&items);
        Ok(())
    }
}
