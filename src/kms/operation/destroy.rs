//! Destroy (KMIP 2.1 section 6.1.15): the material goes, the record stays unless it is to be removed.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::pair;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::crypto::material::Material;
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Destroy<'r> {
    target: Target<'r>,
    remove: bool,
    expected_type: Option<u32>,
    cascade: bool,
}

impl<'r> Operation<'r> for Destroy<'r> {
    const NAME: &'static str = "Destroy";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        Ok(Destroy {
            target: Target::decode(fields)?,
            remove: fields.boolean(Tag::REMOVE)?,
            expected_type: fields.enumeration(Tag::EXPECTED_OBJECT_TYPE)?,
            cascade: pair::is_meant(dialect, fields.boolean(Tag::CASCADE)?),
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
        let unexpected = |object: &Object| self.expected_type.is_some_and(|kind| kind != object.object_type);
        if let Some(other) = found.iter().map(|found| found.object()).find(|object| unexpected(object)) {
            let text = format!("Destroy: object {} is not of the expected object type", other.uid);
            return Err(Refusal::invalid(text).into());
        }
        // What is gone already needs nothing.
        let mut others = match self.cascade {
            true => pair::other_halves(&found, context, Rights::DESTROY)?,
            false => Vec::new(),
        };
        others.retain(|other| self.remove || !other.object().state.is_destroyed());
        let mut changes = Changes::new();
        for authorized in found.into_iter().chain(others) {
            changes.push(self.destroyed(authorized.into_object(), context.now)?);
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

impl Destroy<'_> {
    fn destroyed(&self, mut object: Object, now: Timestamp) -> Result<Change, Failure> {
        let state = object.state_at(now);
        if state == State::Active {
            return Err(Refusal::StillActive { uid: object.uid }.into());
        }
        if self.remove {
            return Ok(Change::Remove { uid: object.uid });
        }
        let uid = || self.target.text.to_owned();
        object.state = state.destroyed().ok_or_else(|| Refusal::WrongState { uid: uid(), state })?;
        object.material = Material::none();
        let date = Item::date_time(Tag::DESTROY_DATE, now);
        attributes::set(&mut object, vec![date], now)?;
        Ok(Change::Replace(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{NOW, Trial, uid};

    #[test]
    fn the_material_goes_and_the_record_stays_unless_it_is_to_be_removed() {
        let mut kms = Trial::over([Object { state: State::Deactivated, ..Object::example("k") }]);
        assert_eq!(kms.ask("Destroy", &[uid("k")]), Ok(vec![uid("k")]));
        let object = kms.object("k").unwrap();
        assert_eq!((object.state, object.date(Tag::DESTROY_DATE)), (State::Destroyed, Some(NOW)));
        assert!(object.material.expose().is_empty());
        assert_eq!(kms.refused("Destroy", &[uid("k")]), "Object_Destroyed: DENIED");
        assert!(kms.ask("Destroy", &[uid("k"), Item::boolean(Tag::REMOVE, true)]).is_ok());
        assert!(kms.object("k").is_none());
    }

    #[test]
    fn what_is_active_must_be_revoked_first() {
        let mut kms = Trial::over([Object::example("k")]);
        assert_eq!(kms.refused("Destroy", &[uid("k")]), "Wrong_Key_Lifecycle_State: DENIED");
        assert_eq!(kms.state("k"), Some(State::Active));
    }
}
