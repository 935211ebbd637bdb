//! Destroy (KMIP 2.1 section 6.1.15): the material goes, the record stays unless it is to be removed.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Destroy<'r> {
    target: Target<'r>,
    remove: bool,
    expected_type: Option<u32>,
}

impl<'r> Operation<'r> for Destroy<'r> {
    const NAME: &'static str = "Destroy";
    const EFFECT: Effect = Effect::Writes;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Destroy {
            target: Target::decode(fields)?,
            remove: fields.boolean(Tag::REMOVE)?,
            expected_type: fields.enumeration(Tag::EXPECTED_OBJECT_TYPE)?,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<((), Changes), Failure> {
        let uid = || self.target.text.to_owned();
        let may_be_destroyed = self.remove || (context.dialect == Dialect::V5 && !self.target.is_tags());
        let found = self.target.resolve(context, Rights::DESTROY, |found| {
            may_be_destroyed || !found.object().state.is_destroyed()
        })?;
        if found.is_empty() {
            return Err(Refusal::NotFound { uid: uid() }.into());
        }
        let mut changes = Changes::new();
        for authorized in found {
            let mut object = authorized.into_object();
            let state = object.state_at(context.now);
            if state == State::Active {
                return Err(Refusal::StillActive { uid: object.uid }.into());
            }
            if self.expected_type.is_some_and(|expected| expected != object.object_type) {
                return Err(Refusal::invalid(format!(
                    "Destroy: object {} is not of the expected object type",
                    object.uid
                ))
                .into());
            }
            if self.remove {
                changes.push(Change::Remove { uid: object.uid });
                continue;
            }
            object.state = state.destroyed().ok_or_else(|| Refusal::WrongState { uid: uid(), state })?;
            object.material = Secret::new(Vec::new());
            let date = Item::date_time(Tag::DESTROY_DATE, context.now);
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
