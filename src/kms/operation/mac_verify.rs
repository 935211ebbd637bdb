//! MAC Verify (KMIP 2.1 section 6.1.33): whether a message authentication code is that of data.
#![forbid(unsafe_code)]

use super::super::authentication::{Message, Outcome};
use super::super::cipher::{self, Purpose};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::streams::{Session, Step};
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
    const MAKES_OBJECTS: bool = false;
    /// The key, and what the steps before it left, where it is one of several.
    type Found = (Authorized, Option<Box<Session>>);

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let message = Message::decode(fields, dialect)?;
        let code = fields.bytes(Tag::MAC_DATA)?;
        // Of several steps, the last one compares.
        let code = match message.step {
            Step::Only | Step::Last(_) => fields.required(Tag::MAC_DATA, code)?,
            Step::First | Step::Next(_) => &[],
        };
        Ok(MACVerify { target: Target::decode(fields)?, message, code })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "MACVerify",
            right: Rights::MAC,
            // Who may make a code can compare it; for Decrypt, see MAC.
            mask: (usage_mask::MAC_VERIFY | usage_mask::MAC_GENERATE | usage_mask::DECRYPT) as u32,
            usable: |state| matches!(state, State::Active | State::Deactivated | State::Compromised),
            usable_names: "Active, Deactivated, Compromised",
            purpose: Purpose::Processes,
        };
        let key = cipher::find_key(&self.target, context, usage)?;
        let session = Session::of(self.message.step, context, usage.operation, Some(&key))?;
        Ok(((key, session), Changes::new()))
    }

    fn finish(
        self,
        (key, session): Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let result = match self.message.take(&key, session.as_deref(), entropy)? {
            Outcome::Code(expected) => {
                let is_valid = Secret::new(expected).matches(self.code);
                let validity = if is_valid { validity_indicator::VALID } else { validity_indicator::INVALID };
                Item::enumeration(Tag::VALIDITY_INDICATOR, validity)
            }
            Outcome::Begun(correlation) => Item::bytes(Tag::CORRELATION_VALUE, correlation),
        };
        reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str()), result]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, key, structure, uid};

    #[test]
    fn a_code_is_valid_for_its_data_and_for_no_other() {
        let mut kms = Trial::over([Object { state: State::Deactivated, ..key("k") }]);
        let code = crate::crypto::hmac_sha256(&[7; 32], &[b"data"]);
        for (data, validity) in [("data", validity_indicator::VALID), ("date", validity_indicator::INVALID)] {
            let hash = [Item::enumeration(Tag::HASHING_ALGORITHM, 6)];
            let request = [
                uid("k"),
                structure(Tag::CRYPTOGRAPHIC_PARAMETERS, hash),
                Item::bytes(Tag::DATA, data.as_bytes()),
                Item::bytes(Tag::MAC_DATA, code.to_vec()),
            ];
            let told = Item::enumeration(Tag::VALIDITY_INDICATOR, validity);
            assert_eq!(kms.ask("MACVerify", &request), Ok(vec![uid("k"), told]));
            let text = kms.refused("MACVerify", &request[..3]);
            assert!(text.contains("MACData"), "{text}");
        }
    }
}
