//! Activate (KMIP 2.1 section 6.1.1).
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::target::Target;
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Activate<'r> {
    target: Target<'r>,
}

impl<'r> Operation<'r> for Activate<'r> {
    const NAME: &'static str = "Activate";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Activate { target: Target::decode(fields)? })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<((), Changes), Failure> {
        let uid = || self.target.text.to_owned();
        let found = self.target.resolve(context, Rights::ACTIVATE, |_| true)?;
        if found.is_empty() {
            return Err(Refusal::NotFound { uid: uid() }.into());
        }
        let mut changes = Changes::new();
        for authorized in found {
            let mut object = authorized.into_object();
            let state = object.state_at(context.now);
            object.state = state.activated().ok_or_else(|| Refusal::NotPreActive { uid: uid(), state })?;
            if object.date(Tag::DEACTIVATION_DATE).is_some_and(|end| end <= context.now) {
                return Err(
                    Refusal::invalid("Activate: DeactivationDate must not precede ActivationDate").into()
                );
            }
            let date = Item::date_time(Tag::ACTIVATION_DATE, context.now);
            attributes::set(&mut object, vec![date], context.now)?;
            changes.push(Change::Replace(object));
        }
        Ok(((), changes))
    }

    fn finish(
        self,
        (): (),
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[self.target.echo()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::operation::tests::{NOW, Trial, uid};
    use crate::kms::state::State;

    #[test]
    fn what_is_pre_active_becomes_active_and_once() {
        let mut kms = Trial::over([Object { state: State::PreActive, ..Object::example("k") }]);
        assert_eq!(kms.ask("Activate", &[uid("k")]), Ok(vec![uid("k")]));
        let object = kms.object("k").unwrap();
        assert_eq!((object.state, object.date(Tag::ACTIVATION_DATE)), (State::Active, Some(NOW)));
        assert_eq!(
            kms.refused("Activate", &[uid("k")]),
            "Wrong_Key_Lifecycle_State: Activate: Object k is already in Active state"
        );
    }
}
