//! Encrypt (KMIP 2.1 section 6.1.17): data with a symmetric key.
#![forbid(unsafe_code)]

use super::super::cipher::stream::Sealing;
use super::super::cipher::{self, Message, Plan, Purpose};
use super::super::fields::Fields;
use super::super::policy::{self, Authorized};
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::streams::{Session, Step, Work};
use super::super::target::Target;
use super::super::uses::{self, Use};
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
    step: Step<'r>,
    dialect: Dialect,
}

impl<'r> Operation<'r> for Encrypt<'r> {
    const NAME: &'static str = "Encrypt";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The key, how it is used, and what the steps before it left, where it is one of several.
    type Found = (Authorized, Plan, Option<Box<Session>>);

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let (step, message) = (Step::decode(fields, dialect)?, Message::decode(fields, dialect)?);
        message.check_step(fields, step)?;
        Ok(Encrypt { target: Target::decode(fields)?, message, data: step.data(fields)?, step, dialect })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let usage = cipher::Usage {
            operation: "Encrypt",
            right: Rights::ENCRYPT,
            mask: usage_mask::ENCRYPT as u32,
            usable: |state| state == State::Active,
            usable_names: "Active",
            purpose: Purpose::Protects,
        };
        let key = cipher::find_key(&self.target, context, usage)?;
        let session = Session::of(self.step, context, usage.operation, Some(&key))?;
        let plan = self.message.plan(&key)?;
        if self.message.could_decrypt(&plan) {
            check_decrypting(&key, context)?;
        }
        let draws_nonce = self.message.draws_nonce(&plan);
        let used = Use { operation: "Encrypt", bytes: self.data.len(), draws_nonce };
        let changes = uses::count_step(key.object(), context, self.step, used)?;
        Ok(((key, plan, session), changes))
    }

    fn leaves_work((_, _, session): &Self::Found) -> bool {
        session.is_some()
    }

    fn finish(
        self,
        (key, plan, session): Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        if let Some(session) = session {
            return self.finish_step((&key, plan), &session, entropy, reply);
        }
        let sealed = self.message.encrypt(&key, plan, self.data, entropy)?;
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
            items.push(Item::bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, &*sealed.tag));
        }
        reply(&items);
        Ok(())
    }
}

impl Encrypt<'_> {
    /// One of several steps.
    fn finish_step(
        self,
        (key, plan): (&Authorized, Plan),
        session: &Session,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let uid = Item::text(Tag::UNIQUE_IDENTIFIER, key.object().uid.as_str());
        match self.step {
            Step::Only | Step::First => {
                let (mut sealing, nonce) = self.message.start_encrypting(key, plan, entropy)?;
                let data = sealing.update(self.data)?;
                let correlation = session.begin(Work::Sealing(sealing), entropy)?;
                let mut items = vec![uid, Item::bytes(Tag::DATA, data.as_slice())];
                if !nonce.is_empty() {
                    items.push(Item::bytes(Tag::IV_COUNTER_NONCE, &*nonce));
                }
                items.push(Item::bytes(Tag::CORRELATION_VALUE, correlation.as_slice()));
                reply(&items);
            }
            Step::Next(correlation) => {
                let mut sealing = taken(session, correlation)?;
                let data = sealing.update(self.data)?;
                session.put_back(correlation, Work::Sealing(sealing))?;
                let data = Item::bytes(Tag::DATA, data.as_slice());
                reply(&[uid, data, Item::bytes(Tag::CORRELATION_VALUE, correlation)]);
            }
            Step::Last(correlation) => {
                let (data, tag) = taken(session, correlation)?.finish(self.data, entropy)?;
                let mut items = vec![uid, Item::bytes(Tag::DATA, data.as_slice())];
                if !tag.is_empty() {
                    items.push(Item::bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, tag.as_slice()));
                }
                reply(&items);
            }
        }
        Ok(())
    }
}

/// Refuses what only those may do who may decrypt as well.
fn check_decrypting(key: &Authorized, context: &Context<'_>) -> Result<(), Failure> {
    if policy::may(context.view, context.principal, key.object(), Rights::DECRYPT)? {
        return Ok(());
    }
    let uid = &key.object().uid;
    Err(Refusal::AccessDenied(format!(
        "Encrypt: you may encrypt with key {uid}, but not decrypt, which this could do: use GCM or ChaCha20-Poly1305 without \
         IVCounterNonce, GCM-SIV, XTS or key wrapping"
    ))
    .into())
}

fn taken(session: &Session, correlation: &[u8]) -> Result<Sealing, Refusal> {
    match session.take(correlation)? {
        Work::Sealing(sealing) => Ok(sealing),
        _ => unreachable!("work is found by the operation that left it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{Trial, bytes, key, structure, uid};
    use crate::wire::kmip::enumeration::block_cipher_mode;

    fn request(mode: u32) -> [Item<'static>; 3] {
        let parameters = [
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 3),
            Item::enumeration(Tag::BLOCK_CIPHER_MODE, mode),
        ];
        let data = Item::bytes(Tag::DATA, &b"sixteen bytes..."[..]);
        [uid("k"), structure(Tag::CRYPTOGRAPHIC_PARAMETERS, parameters), data]
    }

    #[test]
    fn the_nonce_is_the_servers_and_another_each_time() {
        let mut kms = Trial::over([key("k")]);
        let mut sealed = || kms.ask("Encrypt", &request(block_cipher_mode::GCM)).unwrap();
        let (one, other) = (sealed(), sealed());
        for tag in [Tag::IV_COUNTER_NONCE, Tag::DATA, Tag::AUTHENTICATED_ENCRYPTION_TAG] {
            assert_ne!(bytes(&one, tag), bytes(&other, tag));
        }
        assert_eq!(bytes(&one, Tag::DATA).len(), 16);
    }

    #[test]
    fn whoever_may_only_encrypt_may_not_do_what_decrypts_as_well() {
        let mut kms = Trial::over([key("k")]).user("bob", &[("k", Rights::ENCRYPT)]);
        assert!(kms.ask("Encrypt", &request(block_cipher_mode::GCM)).is_ok());
        let text = kms.refused("Encrypt", &request(block_cipher_mode::ECB));
        assert!(
            text.starts_with("Access denied: Encrypt: you may encrypt with key k, but not decrypt"),
            "{text}"
        );
    }

    #[test]
    fn the_state_and_the_mask_must_allow_it() {
        for (object, reason) in [
            (
                Object { state: State::Deactivated, ..key("k") },
                "Permission_Denied: Encrypt: key k is in state ",
            ),
            (Object { usage_mask: 8, ..key("k") }, "Incompatible_Cryptographic_Usage_Mask: Encrypt: "),
        ] {
            let text = Trial::over([object]).refused("Encrypt", &request(block_cipher_mode::GCM));
            assert!(text.starts_with(reason), "{text}");
        }
    }
}
