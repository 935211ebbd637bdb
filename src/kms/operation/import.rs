//! Import (KMIP 2.1 section 6.1.26): an object that was made elsewhere, under the identifier that the client says.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::managed::Brought;
use super::super::refusal::{Failure, Refusal};
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::key_wrap_type;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Import<'r> {
    uid: &'r str,
    replace_existing: bool,
    brought: Brought<'r>,
}

impl<'r> Operation<'r> for Import<'r> {
    const NAME: &'static str = "Import";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = true;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let mut brought = Brought::decode(Self::NAME, fields)?;
        brought.unwrap = match fields.enumeration(Tag::KEY_WRAP_TYPE)? {
            Some(key_wrap_type::NOT_WRAPPED) => true,
            None | Some(key_wrap_type::AS_REGISTERED) => false,
            Some(_) => return Err(fields.refuse(Tag::KEY_WRAP_TYPE, "must be NotWrapped or AsRegistered")),
        };
        Ok(Import {
            uid: fields.text(Tag::UNIQUE_IDENTIFIER)?.unwrap_or(""),
            replace_existing: fields.boolean(Tag::REPLACE_EXISTING)?,
            brought,
        })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, _now: Timestamp) -> Result<(), Refusal> {
        self.brought.name(self.uid, entropy)
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let object = self.brought.object(context)?;
        let uid = object.uid.clone();
        let change = match context.view.object(&uid)? {
            None => Change::Insert(object),
            Some(existing) if self.replace_existing && existing.owner == context.principal.0 => {
                Change::Replace(object)
            }
            Some(_) => return Err(Refusal::AlreadyExists.into()),
        };
        Ok((uid, vec![change]))
    }

    fn finish(
        self,
        uid: String,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, uid)]);
        Ok(())
    }
}
