//! Hash (KMIP 2.1 section 6.1.24): the digest of data. No key, and so no right, takes part in it.
#![forbid(unsafe_code)]

use super::super::cipher::parameters::{self, Parameters};
use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::streams::{Session, Step, Work};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::crypto::hash::{self, Hashing};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Hash<'r> {
    /// Named by the first step.
    hash: Option<hash::Hash>,
    data: &'r [u8],
    step: Step<'r>,
}

impl<'r> Operation<'r> for Hash<'r> {
    const NAME: &'static str = "Hash";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// What the steps before it left, where it is one of several.
    type Found = Option<Box<Session>>;

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let step = Step::decode(fields, dialect)?;
        let hash = match step {
            Step::Only | Step::First => Some(asked(fields)?),
            Step::Next(_) | Step::Last(_) => None,
        };
        Ok(Hash { hash, data: step.data(fields)?, step })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        Ok((Session::of(self.step, context, Self::NAME, None)?, Changes::new()))
    }

    fn finish(
        self,
        session: Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let mut hashing = match (self.step, &session, self.hash) {
            (Step::Next(correlation) | Step::Last(correlation), Some(session), _) => {
                match session.take(correlation)? {
                    Work::Hashing(hashing) => hashing,
                    _ => unreachable!("work is found by the operation that left it"),
                }
            }
            (_, _, hash) => Hashing::start(hash.expect("what begins says how")),
        };
        hashing.update(self.data);
        match (self.step, session) {
            (Step::First, Some(session)) => {
                let correlation = session.begin(Work::Hashing(hashing), entropy)?;
                reply(&[Item::bytes(Tag::CORRELATION_VALUE, correlation.as_slice())]);
            }
            (Step::Next(correlation), Some(session)) => {
                session.put_back(correlation, Work::Hashing(hashing))?;
                reply(&[Item::bytes(Tag::CORRELATION_VALUE, correlation)]);
            }
            _ => reply(&[Item::bytes(Tag::DATA, hashing.finish())]),
        }
        Ok(())
    }
}

fn asked(fields: Fields<'_>) -> Result<hash::Hash, Refusal> {
    let asked = fields.required(Tag::CRYPTOGRAPHIC_PARAMETERS, Parameters::of_request(fields)?)?;
    let hash = asked
        .hash
        .ok_or_else(|| Refusal::invalid("Hash: CryptographicParameters: missing field `HashingAlgorithm`"))?;
    parameters::hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, bytes, structure};

    fn parameters() -> Item<'static> {
        structure(Tag::CRYPTOGRAPHIC_PARAMETERS, [Item::enumeration(Tag::HASHING_ALGORITHM, 6)])
    }

    #[test]
    fn the_digest_in_one_step_is_that_in_two() {
        let mut kms = Trial::over([]);
        let data = |text: &'static str| Item::bytes(Tag::DATA, text.as_bytes());
        let whole = kms.ask("Hash", &[parameters(), data("abc")]).unwrap();
        assert_eq!(bytes(&whole, Tag::DATA), crate::crypto::sha256(b"abc"));
        let begun =
            kms.ask("Hash", &[parameters(), data("ab"), Item::boolean(Tag::INIT_INDICATOR, true)]).unwrap();
        let ended = kms
            .ask("Hash", &[data("c"), begun[0].clone(), Item::boolean(Tag::FINAL_INDICATOR, true)])
            .unwrap();
        assert_eq!(ended, whole);
    }

    #[test]
    fn how_to_hash_must_be_said() {
        let text = Trial::over([]).refused("Hash", &[Item::bytes(Tag::DATA, &b"abc"[..])]);
        assert!(text.contains("CryptographicParameters"), "{text}");
    }
}
