//! Revoke (KMIP 2.1 section 6.1.44): an object is not to be used any more, or is known to somebody else.
#![forbid(unsafe_code)]

use super::super::attributes;
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::pair;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::target::Target;
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::revocation_reason_code;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Revoke<'r> {
    target: Target<'r>,
    code: u32,
    message: Option<&'r str>,
    compromised_on: Option<Timestamp>,
    cascade: bool,
}

impl<'r> Operation<'r> for Revoke<'r> {
    const NAME: &'static str = "Revoke";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let reason = fields.structure(Tag::REVOCATION_REASON)?;
        let reason = fields.required(Tag::REVOCATION_REASON, reason)?;
        let revoke = Revoke {
            target: Target::decode(fields)?,
            code: match reason.enumeration(Tag::REVOCATION_REASON_CODE)? {
                None if dialect == Dialect::V4 => revocation_reason_code::UNSPECIFIED,
                code => reason.required(Tag::REVOCATION_REASON_CODE, code)?,
            },
            message: reason.text(Tag::REVOCATION_MESSAGE)?,
            compromised_on: fields.date(Tag::COMPROMISE_OCCURRENCE_DATE)?,
            cascade: pair::is_meant(dialect, fields.boolean(Tag::CASCADE)?),
        };
        if revocation_reason_code::ALL.name(revoke.code).is_none() {
            return Err(reason.refuse(Tag::REVOCATION_REASON_CODE, "is no value of its enumeration"));
        }
        if revoke.message.is_some_and(|message| message.len() > limits::NAME_BYTES_MAX) {
            return Err(reason.refuse(Tag::REVOCATION_MESSAGE, "is too long"));
        }
        if dialect == Dialect::V5 && !revoke.is_compromise() && revoke.compromised_on.is_some() {
            let rule = "must be absent where the RevocationReasonCode is no compromise";
            return Err(fields.refuse(Tag::COMPROMISE_OCCURRENCE_DATE, rule));
        }
        if dialect == Dialect::V4 && revoke.is_compromise() && revoke.compromised_on.is_none() {
            return Err(Refusal::invalid("A compromise date must be supplied in case of compromised object"));
        }
        Ok(revoke)
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<((), Changes), Failure> {
        // Clients of 4.9.1 know no revoked objects.
        let known = |found: &Authorized| {
            context.dialect == Dialect::V5
                || matches!(found.object().state_at(context.now), State::PreActive | State::Active)
        };
        let mut found = self.target.resolve(context, Rights::REVOKE, known)?;
        if found.is_empty() {
            return Err(Refusal::NotFound { uid: self.target.text.to_owned() }.into());
        }
        if self.cascade {
            found.extend(pair::other_halves(&found, context, Rights::REVOKE)?);
        }
        let mut changes = Changes::new();
        for authorized in found {
            let mut object = authorized.into_object();
            // What is revoked already stays as it is, with its first reason.
            let Some(state) = object.state_at(context.now).revoked(self.is_compromise()) else { continue };
            object.state = state;
            let attributes = self.attributes(&object, context.now);
            attributes::set(&mut object, attributes, context.now)?;
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

impl<'r> Revoke<'r> {
    fn is_compromise(&self) -> bool {
        matches!(self.code, revocation_reason_code::KEY_COMPROMISE | revocation_reason_code::CA_COMPROMISE)
    }

    /// The attributes that tell of the revocation. A compromise of which nobody knows when it was may have been at any
    /// time of the object's life (KMIP 2.1 section 4.11).
    fn attributes(&self, object: &Object, now: Timestamp) -> Vec<Item<'r>> {
        let mut reason = vec![Item::enumeration(Tag::REVOCATION_REASON_CODE, self.code)];
        reason.extend(self.message.map(|text| Item::text(Tag::REVOCATION_MESSAGE, text)));
        let mut items = vec![Item::structure(Tag::REVOCATION_REASON, reason)];
        if self.is_compromise() {
            items.push(Item::date_time(Tag::COMPROMISE_DATE, now));
            let occurred = self.compromised_on.or(object.date(Tag::INITIAL_DATE)).unwrap_or(now);
            items.push(Item::date_time(Tag::COMPROMISE_OCCURRENCE_DATE, occurred));
        } else {
            items.push(Item::date_time(Tag::DEACTIVATION_DATE, now));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{NOW, Trial, structure, uid};

    fn request(code: u32) -> [Item<'static>; 2] {
        let reason = [Item::enumeration(Tag::REVOCATION_REASON_CODE, code)];
        [uid("k"), structure(Tag::REVOCATION_REASON, reason)]
    }

    #[test]
    fn the_reason_decides_on_the_state_and_the_dates() {
        for (code, state, date) in [
            (revocation_reason_code::UNSPECIFIED, State::Deactivated, Tag::DEACTIVATION_DATE),
            (revocation_reason_code::KEY_COMPROMISE, State::Compromised, Tag::COMPROMISE_DATE),
        ] {
            let mut kms = Trial::over([Object::example("k")]);
            assert_eq!(kms.ask("Revoke", &request(code)), Ok(vec![uid("k")]));
            let object = kms.object("k").unwrap();
            assert_eq!((object.state, object.date(date)), (state, Some(NOW)));
        }
    }

    #[test]
    fn a_reason_is_one_of_the_enumeration() {
        let text = Trial::over([Object::example("k")]).refused("Revoke", &request(0xFFFF));
        assert!(text.contains("RevocationReasonCode"), "{text}");
    }
}
