//! Register (KMIP 2.1 section 6.1.36): an object that was made elsewhere, under an identifier of the server's unless the
//! attributes have one.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::managed::Brought;
use super::super::refusal::{Failure, Refusal};
use super::super::view::{Change, Changes};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};

/// The request.
pub struct Register<'r>(Brought<'r>);

impl<'r> Operation<'r> for Register<'r> {
    const NAME: &'static str = "Register";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = true;
    /// The unique identifier.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let attributes = fields.structure(Tag::ATTRIBUTES)?;
        fields.required(Tag::ATTRIBUTES, attributes)?;
        Ok(Register(Brought::decode(Self::NAME, fields)?))
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, _now: Timestamp) -> Result<(), Refusal> {
        let uid = self.0.template.uid.unwrap_or_default();
        self.0.name(uid, entropy)
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let object = self.0.object(context)?;
        if context.view.object(&object.uid)?.is_some() {
            return Err(Refusal::AlreadyExists.into());
        }
        Ok((object.uid.clone(), vec![Change::Insert(object)]))
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
    use crate::kms::operation::tests::{Trial, structure, uid};

    fn request(uid: &'static str) -> [Item<'static>; 3] {
        let object = [
            Item::enumeration(Tag::SECRET_DATA_TYPE, 1),
            structure(
                Tag::KEY_BLOCK,
                [
                    Item::enumeration(Tag::KEY_FORMAT_TYPE, 1),
                    structure(Tag::KEY_VALUE, [Item::bytes(Tag::KEY_MATERIAL, &b"password"[..])]),
                ],
            ),
        ];
        [
            Item::enumeration(Tag::OBJECT_TYPE, 7),
            structure(Tag::ATTRIBUTES, [Item::text(Tag::UNIQUE_IDENTIFIER, uid)]),
            structure(Tag::SECRET_DATA, object),
        ]
    }

    #[test]
    fn an_object_is_kept_under_a_free_identifier() {
        let mut kms = Trial::over([]);
        assert_eq!(kms.ask("Register", &request("s")), Ok(vec![uid("s")]));
        assert_eq!(kms.object("s").unwrap().material.expose(), b"password");
        assert!(kms.refused("Register", &request("s")).ends_with("one or more objects already exist"));
        let named = kms.ask("Register", &request("")).unwrap();
        assert!(kms.object(named[0].value.as_text().unwrap()).is_some());
    }

    #[test]
    fn without_attributes_it_is_refused() {
        let [object_type, _, object] = request("s");
        let text = Trial::over([]).refused("Register", &[object_type, object]);
        assert!(text.contains("Attributes"), "{text}");
    }
}
