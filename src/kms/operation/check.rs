//! Check (KMIP 2.1 section 6.1.7): whether an object may be used like this, without using it.
//!
//! The answer repeats what would not be allowed, with what is. This server grants no leases.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::refusal::{Failure, Refusal};
use super::super::target::Target;
use super::super::view::Changes;
use super::get_attributes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{self, Item, Tag, Value};

/// The request.
pub struct Check<'r> {
    target: Target<'r>,
    usage_count: Option<i64>,
    usage_mask: Option<i32>,
    lease_seconds: Option<u32>,
}

impl<'r> Operation<'r> for Check<'r> {
    const NAME: &'static str = "Check";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The unique identifier, and what is allowed of that which is not.
    type Found = (String, Vec<Item<'static>>);

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Check {
            target: Target::decode(fields)?,
            usage_count: fields.long_integer(Tag::USAGE_LIMITS_COUNT)?,
            usage_mask: fields.integer(Tag::CRYPTOGRAPHIC_USAGE_MASK)?,
            lease_seconds: fields.interval(Tag::LEASE_TIME)?,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let found = get_attributes::find(&self.target, context, Self::NAME)?;
        let object = found.object();
        let mut allowed = Vec::new();
        if let (Some(asked), Some(left)) = (self.usage_count, usage_left(object)?)
            && asked > left
        {
            allowed.push(Item::new(Tag::USAGE_LIMITS_COUNT, Value::LongInteger(left)));
        }
        let mask = object.usage_mask as i32;
        if self.usage_mask.is_some_and(|asked| asked & !mask != 0) {
            allowed.push(Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, mask));
        }
        if self.lease_seconds.is_some_and(|asked| asked > 0) {
            allowed.push(Item::new(Tag::LEASE_TIME, Value::Interval(0)));
        }
        Ok(((object.uid.clone(), allowed), Changes::new()))
    }

    fn finish(
        self,
        (uid, allowed): Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let mut items = vec![Item::text(Tag::UNIQUE_IDENTIFIER, uid)];
        items.extend(allowed);
        reply(&items);
        Ok(())
    }
}

/// What is left of the object's usage limits, where it has some.
fn usage_left(object: &Object) -> Result<Option<i64>, Failure> {
    let items = attributes::stored(object)?;
    let limits = ttlv::Fields(&items).structure(Tag::USAGE_LIMITS);
    Ok(limits.and_then(|limits| limits.long_integer(Tag::USAGE_LIMITS_COUNT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, uid};

    #[test]
    fn what_would_not_be_allowed_is_repeated_with_what_is() {
        let mut kms = Trial::over([Object { usage_mask: 4, ..Object::example("k") }]);
        let mask = |mask| Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, mask);
        let lease = |seconds| Item::new(Tag::LEASE_TIME, Value::Interval(seconds));
        assert_eq!(kms.ask("Check", &[uid("k"), mask(4), lease(0)]), Ok(vec![uid("k")]));
        let allowed = vec![uid("k"), mask(4), lease(0)];
        assert_eq!(kms.ask("Check", &[uid("k"), mask(12), lease(60)]), Ok(allowed));
    }
}
