//! Hash (KMIP 2.1 section 6.1.24): the digest of data. No key, and so no right, takes part in it.
#![forbid(unsafe_code)]

use super::super::cipher::parameters::{self, Parameters};
use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::crypto::hash;
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Hash<'r> {
    hash: hash::Hash,
    data: &'r [u8],
}

impl<'r> Operation<'r> for Hash<'r> {
    const NAME: &'static str = "Hash";
    const EFFECT: Effect = Effect::Reads;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let data = fields.bytes(Tag::DATA)?;
        let asked = fields.required(Tag::CRYPTOGRAPHIC_PARAMETERS, Parameters::of_request(fields)?)?;
        let hash = asked.hash.ok_or_else(|| {
            Refusal::invalid("Hash: CryptographicParameters: missing field `HashingAlgorithm`")
        })?;
        Ok(Hash { hash: parameters::hash(hash)?, data: fields.required(Tag::DATA, data)? })
    }

    fn execute(&mut self, _context: &Context<'_>) -> Result<((), Changes), Failure> {
        Ok(((), Changes::new()))
    }

    fn finish(
        self,
        (): (),
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[Item::bytes(Tag::DATA, self.hash.digest(self.data))]);
        Ok(())
    }
}
