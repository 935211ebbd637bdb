//! RNG Retrieve (KMIP 2.1 section 6.1.51): random bytes.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::limits;
use crate::secret::Buffer;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};
use std::marker::PhantomData;

/// The request.
pub struct RNGRetrieve<'r> {
    bytes: usize,
    request: PhantomData<&'r ()>,
}

impl<'r> Operation<'r> for RNGRetrieve<'r> {
    const NAME: &'static str = "RNGRetrieve";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let bytes = fields.count(Tag::DATA_LENGTH)?;
        let bytes = fields.required(Tag::DATA_LENGTH, bytes)?;
        if bytes > limits::RANDOM_BYTES_MAX {
            return Err(
                fields.refuse(Tag::DATA_LENGTH, &format!("may be {} at most", limits::RANDOM_BYTES_MAX))
            );
        }
        Ok(RNGRetrieve { bytes, request: PhantomData })
    }

    fn execute(&mut self, _context: &Context<'_>) -> Result<((), Changes), Failure> {
        Ok(((), Changes::new()))
    }

    fn finish(
        self,
        (): (),
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let mut bytes = Buffer::new(vec![0; self.bytes]);
        entropy.fill(&mut bytes);
        reply(&[Item::bytes(Tag::DATA, bytes.as_slice())]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, bytes};

    #[test]
    fn as_many_bytes_are_given_as_asked_for_up_to_a_bound() {
        let mut kms = Trial::over([]);
        let length = |bytes: usize| [Item::integer(Tag::DATA_LENGTH, bytes as i32)];
        let mut drawn =
            |count| kms.ask("RNGRetrieve", &length(count)).map(|answer| bytes(&answer, Tag::DATA));
        let (one, other) = (drawn(32).unwrap(), drawn(32).unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
        assert_eq!(drawn(limits::RANDOM_BYTES_MAX).unwrap().len(), limits::RANDOM_BYTES_MAX);
        assert!(drawn(limits::RANDOM_BYTES_MAX + 1).unwrap_err().contains("DataLength"));
    }
}
