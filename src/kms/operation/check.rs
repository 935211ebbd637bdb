//! Check (KMIP 2.1 section 6.1.7): whether an object may be used like this, without using it.
//!
//! The answer names the object where it may. Otherwise it repeats what would not be allowed, with what is, and the items after
//! it in a batch that name no object are not about this one. This server grants no leases.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::cipher::Purpose;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::policy;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::Changes;
use super::get_attributes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::usage_mask;
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
        let usage_count = fields.long_integer(Tag::USAGE_LIMITS_COUNT)?;
        if usage_count.is_some_and(|count| count < 0) {
            return Err(fields.refuse(Tag::USAGE_LIMITS_COUNT, "must not be negative"));
        }
        Ok(Check {
            target: Target::decode(fields)?,
            usage_count,
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
        let mask = allowed_mask(object, context)?;
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
        match allowed[..] {
            [] => reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, uid)]),
            _ => reply(&allowed),
        }
        Ok(())
    }
}

/// What each bit of a usage mask is for, and which right it takes.
const USES: [(i32, Rights, Purpose); 7] = [
    (usage_mask::ENCRYPT, Rights::ENCRYPT, Purpose::Protects),
    (usage_mask::DECRYPT, Rights::DECRYPT, Purpose::Processes),
    (usage_mask::WRAP_KEY, Rights::ENCRYPT, Purpose::Protects),
    (usage_mask::UNWRAP_KEY, Rights::DECRYPT, Purpose::Processes),
    (usage_mask::MAC_GENERATE, Rights::MAC, Purpose::Protects),
    (usage_mask::MAC_VERIFY, Rights::MAC, Purpose::Processes),
    (usage_mask::DERIVE_KEY, Rights::DERIVE_KEY, Purpose::Protects),
];

/// The object's usage mask, but for what its state, its dates or the principal's rights forbid.
fn allowed_mask(object: &Object, context: &Context<'_>) -> Result<i32, Failure> {
    let state = object.state_at(context.now);
    let mut mask = object.usage_mask as i32;
    for (bit, right, purpose) in USES {
        let is_usable = match purpose {
            Purpose::Protects => state == State::Active && object.may_protect(context.now),
            Purpose::Processes => {
                matches!(state, State::Active | State::Deactivated | State::Compromised)
                    && object.may_process(context.now)
            }
        };
        if mask & bit != 0 && !(is_usable && policy::may(context.view, context.principal, object, right)?) {
            mask &= !bit;
        }
    }
    Ok(mask)
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
        assert_eq!(kms.ask("Check", &[uid("k"), mask(12), lease(60)]), Ok(vec![mask(4), lease(0)]));
    }

    #[test]
    fn the_state_and_the_rights_have_a_say() {
        let object = |state| Object { usage_mask: 12, state, ..Object::example("k") };
        let asked = [uid("k"), Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 12)];
        let allowed = |mask| Ok(vec![Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, mask)]);
        let mut kms = Trial::over([object(State::Active)]).user("bob", &[("k", Rights::ENCRYPT)]);
        assert_eq!(kms.ask("Check", &asked), allowed(4));
        for (state, mask) in [(State::PreActive, 0), (State::Compromised, 8), (State::Destroyed, 0)] {
            assert_eq!(Trial::over([object(state)]).ask("Check", &asked), allowed(mask));
        }
    }
}
