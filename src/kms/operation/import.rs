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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, key, structure, uid};
    use crate::kms::rights::Rights;

    fn request(material: u8, replaces: bool) -> [Item<'static>; 4] {
        let value = structure(Tag::KEY_VALUE, [Item::bytes(Tag::KEY_MATERIAL, vec![material; 32])]);
        let block = [
            Item::enumeration(Tag::KEY_FORMAT_TYPE, 1),
            value,
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 3),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
        ];
        let object = structure(Tag::SYMMETRIC_KEY, [structure(Tag::KEY_BLOCK, block)]);
        let object_type = Item::enumeration(Tag::OBJECT_TYPE, 2);
        [uid("k"), object_type, Item::boolean(Tag::REPLACE_EXISTING, replaces), object]
    }

    #[test]
    fn an_object_is_replaced_by_its_owner_and_only_if_asked_to() {
        let mut kms = Trial::over([]);
        assert_eq!(kms.ask("Import", &request(1, false)), Ok(vec![uid("k")]));
        assert!(kms.refused("Import", &request(2, false)).ends_with("one or more objects already exist"));
        assert_eq!(kms.object("k").unwrap().material.expose(), [1; 32]);
        assert!(kms.ask("Import", &request(2, true)).is_ok());
        assert_eq!(kms.object("k").unwrap().material.expose(), [2; 32]);
    }

    #[test]
    fn nobody_replaces_what_is_not_his() {
        let mut kms = Trial::over([key("k")]).user("bob", &[("k", Rights::IMPORT)]);
        assert!(kms.refused("Import", &request(2, true)).ends_with("one or more objects already exist"));
        assert_eq!(kms.object("k").unwrap().material.expose(), [7; 32]);
    }
}
