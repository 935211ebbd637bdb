//! RNG Seed (KMIP 2.1 section 6.1.52): randomness that a client offers.
//!
//! It is taken and forgotten. All randomness here is the operating system's, which needs no seed, and no client can be
//! trusted to add to what others' keys are made of. KMIP lets a server use as much of a seed as it likes; clients are told
//! that all was taken, as 5.28 tells them.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct RNGSeed<'r> {
    seed: &'r [u8],
}

impl<'r> Operation<'r> for RNGSeed<'r> {
    const NAME: &'static str = "RNGSeed";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let seed = fields.bytes(Tag::DATA)?;
        Ok(RNGSeed { seed: fields.required(Tag::DATA, seed)? })
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
        let bytes = i32::try_from(self.seed.len()).unwrap_or(i32::MAX);
        reply(&[Item::integer(Tag::AMOUNT_OF_SEED_DATA, bytes)]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::Trial;

    #[test]
    fn a_seed_is_taken_and_changes_nothing() {
        let mut kms = Trial::over([]);
        let seed = [Item::bytes(Tag::DATA, vec![9; 40])];
        assert_eq!(kms.ask("RNGSeed", &seed), Ok(vec![Item::integer(Tag::AMOUNT_OF_SEED_DATA, 40)]));
        assert!(kms.refused("RNGSeed", &[]).contains("Data"));
        let length = [Item::integer(Tag::DATA_LENGTH, 8)];
        let drawn = kms.ask("RNGRetrieve", &length);
        assert_eq!(drawn, Trial::over([]).ask("RNGRetrieve", &length), "as without it");
    }
}
