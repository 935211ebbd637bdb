//! Decrypt (KMIP 2.1 section 6.1.12): data that was encrypted with a symmetric key.
#![forbid(unsafe_code)]

use super::super::cipher::stream::Opening;
use super::super::cipher::{self, Message, Purpose};
use super::super::fields::Fields;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::streams::{Session, Step, Work};
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
    step: Step<'r>,
}

impl<'r> Operation<'r> for Decrypt<'r> {
    const NAME: &'static str = "Decrypt";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The key, and what the steps before it left, where it is one of several.
    type Found = (Authorized, Option<Box<Session>>);

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let (step, message) = (Step::decode(fields, dialect)?, Message::decode(fields, dialect)?);
        message.check_step(fields, step)?;
        Ok(Decrypt {
            target: Target::decode(fields)?,
            message,
            data: step.data(fields)?,
            tag: fields.bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG)?.unwrap_or_default(),
            step,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
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
        let key = cipher::find_key(&self.target, context, usage)?;
        let session = Session::of(self.step, context, usage.operation, Some(&key))?;
        Ok(((key, session), Changes::new()))
    }

    fn finish(
        self,
        (key, session): Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let uid = Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str());
        let Some(session) = session else {
            let data = self.message.decrypt(&key, self.data, self.tag)?;
            reply(&[uid, Item::bytes(Tag::DATA, data.as_slice())]);
            return Ok(());
        };
        match self.step {
            Step::Only | Step::First => {
                let mut opening = self.message.start_decrypting(&key, self.tag)?;
                let data = opening.update(self.data)?;
                let correlation = session.begin(Work::Opening(opening), entropy)?;
                let data = Item::bytes(Tag::DATA, data.as_slice());
                reply(&[uid, data, Item::bytes(Tag::CORRELATION_VALUE, correlation.as_slice())]);
            }
            Step::Next(correlation) => {
                let mut opening = taken(&session, correlation)?;
                let data = opening.update(self.data)?;
                session.put_back(correlation, Work::Opening(opening))?;
                let data = Item::bytes(Tag::DATA, data.as_slice());
                reply(&[uid, data, Item::bytes(Tag::CORRELATION_VALUE, correlation)]);
            }
            Step::Last(correlation) => {
                let data = taken(&session, correlation)?.finish(key.key(), self.data, self.tag)?;
                reply(&[uid, Item::bytes(Tag::DATA, data.as_slice())]);
            }
        }
        Ok(())
    }
}

fn taken(session: &Session, correlation: &[u8]) -> Result<Opening, Refusal> {
    match session.take(correlation)? {
        Work::Opening(opening) => Ok(opening),
        _ => unreachable!("work is found by the operation that left it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, bytes, key, uid};

    /// The answer to an Encrypt, which is what a Decrypt asks with.
    fn sealed(kms: &mut Trial) -> Vec<Item<'static>> {
        kms.ask("Encrypt", &[uid("k"), Item::bytes(Tag::DATA, &b"data"[..])]).unwrap()
    }

    #[test]
    fn only_what_was_encrypted_is_decrypted() {
        let mut kms = Trial::over([key("k")]);
        let mut request = sealed(&mut kms);
        let opened = vec![uid("k"), Item::bytes(Tag::DATA, &b"data"[..])];
        assert_eq!(kms.ask("Decrypt", &request), Ok(opened));
        let mut altered = bytes(&request, Tag::DATA);
        altered[0] ^= 1;
        request[1] = Item::bytes(Tag::DATA, altered);
        let text = kms.refused("Decrypt", &request);
        assert!(text.starts_with("Cryptographic_Failure: "), "{text}");
    }

    #[test]
    fn a_key_that_is_out_of_use_decrypts_for_those_who_know_such_keys() {
        let request = sealed(&mut Trial::over([key("k")]));
        for state in [State::Deactivated, State::Compromised, State::PreActive] {
            let mut kms = Trial::over([Object { state, ..key("k") }]);
            assert_eq!(kms.ask("Decrypt", &request).is_ok(), state != State::PreActive);
            assert_eq!(kms.old().refused("Decrypt", &request), "Item_Not_Found: k");
        }
    }
}
