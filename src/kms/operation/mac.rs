//! MAC (KMIP 2.1 section 6.1.32): a message authentication code of data.
#![forbid(unsafe_code)]

use super::super::authentication::{Message, Outcome};
use super::super::cipher::{self, Purpose};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::streams::Session;
use super::super::target::Target;
use super::super::uses::{self, Use};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::usage_mask;
use crate::wire::ttlv::{Item, Tag};

/// The request.
#[expect(
    clippy::upper_case_acronyms,
    reason = "the name is KMIP's, and the root tag of the answer is made of it"
)]
pub struct MAC<'r> {
    target: Target<'r>,
    message: Message<'r>,
}

impl<'r> Operation<'r> for MAC<'r> {
    const NAME: &'static str = "MAC";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The key, and what the steps before it left, where it is one of several.
    type Found = (Authorized, Option<Box<Session>>);

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        Ok(MAC { target: Target::decode(fields)?, message: Message::decode(fields, dialect)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "MAC",
            right: Rights::MAC,
            // Clients make AES keys with a mask that has no MAC in it, and compute codes with them, as they could with
            // 5.28: whoever may encrypt with such a key makes tags of AES-GCM with it, so nothing more is given away.
            mask: (usage_mask::MAC_GENERATE | usage_mask::ENCRYPT) as u32,
            usable: |state| state == State::Active,
            usable_names: "Active",
            purpose: Purpose::Protects,
        };
        let key = cipher::find_key(&self.target, context, usage)?;
        let session = Session::of(self.message.step, context, usage.operation, Some(&key))?;
        let used = Use { operation: "MAC", bytes: self.message.bytes(), draws_nonce: false };
        let changes = uses::count_step(key.object(), context, self.message.step, used)?;
        Ok(((key, session), changes))
    }

    fn leaves_work((_, session): &Self::Found) -> bool {
        session.is_some()
    }

    fn finish(
        self,
        (key, session): Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let result = match self.message.take(&key, session.as_deref(), entropy)? {
            Outcome::Code(code) => Item::bytes(Tag::MAC_DATA, code),
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
    use crate::kms::operation::tests::{Trial, bytes, key, structure, uid};

    fn request() -> [Item<'static>; 3] {
        let hash = [Item::enumeration(Tag::HASHING_ALGORITHM, 6)];
        let data = Item::bytes(Tag::DATA, &b"data"[..]);
        [uid("k"), structure(Tag::CRYPTOGRAPHIC_PARAMETERS, hash), data]
    }

    #[test]
    fn the_code_is_that_of_the_key_and_the_data() {
        let answer = Trial::over([key("k")]).ask("MAC", &request()).unwrap();
        assert_eq!(answer[0], uid("k"));
        assert_eq!(bytes(&answer, Tag::MAC_DATA), crate::crypto::hmac_sha256(&[7; 32], &[b"data"]));
    }

    #[test]
    fn a_key_that_is_out_of_use_or_for_something_else_makes_none() {
        let decrypts = usage_mask::DECRYPT as u32;
        for object in
            [Object { state: State::Deactivated, ..key("k") }, Object { usage_mask: decrypts, ..key("k") }]
        {
            assert!(Trial::over([object]).ask("MAC", &request()).is_err());
        }
    }
}
