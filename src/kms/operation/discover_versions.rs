//! Discover Versions (KMIP 2.1 section 6.1.16): which versions of the protocol are spoken here.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::message::PROTOCOL_VERSIONS;
use crate::wire::ttlv::{Item, Tag, Value};

/// The request: the versions that the client speaks, perhaps none.
pub struct DiscoverVersions<'r> {
    theirs: Vec<Fields<'r>>,
}

impl<'r> Operation<'r> for DiscoverVersions<'r> {
    const NAME: &'static str = "DiscoverVersions";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    /// The versions of both, as the client may like them best first.
    type Found = Vec<(i32, i32)>;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let versions = fields.items().iter().filter(|item| item.tag == Tag::PROTOCOL_VERSION);
        let fields_of = |item: &'r Item<'r>| match &item.value {
            Value::Structure(items) => Ok(Fields::new("ProtocolVersion", items)),
            _ => Err(fields.refuse(Tag::PROTOCOL_VERSION, "must be a Structure")),
        };
        Ok(DiscoverVersions { theirs: versions.map(fields_of).collect::<Result<_, _>>()? })
    }

    fn execute(&mut self, _context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        if self.theirs.is_empty() {
            return Ok((PROTOCOL_VERSIONS.to_vec(), Changes::new()));
        }
        let mut versions = Vec::new();
        for version in &self.theirs {
            let part = |tag| version.integer(tag).and_then(|part| version.required(tag, part));
            let version = (part(Tag::PROTOCOL_VERSION_MAJOR)?, part(Tag::PROTOCOL_VERSION_MINOR)?);
            if PROTOCOL_VERSIONS.contains(&version) && !versions.contains(&version) {
                versions.push(version);
            }
        }
        Ok((versions, Changes::new()))
    }

    fn finish(
        self,
        versions: Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let item = |(major, minor): &(i32, i32)| {
            let parts = vec![
                Item::integer(Tag::PROTOCOL_VERSION_MAJOR, *major),
                Item::integer(Tag::PROTOCOL_VERSION_MINOR, *minor),
            ];
            Item::structure(Tag::PROTOCOL_VERSION, parts)
        };
        reply(&versions.iter().map(item).collect::<Vec<_>>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, structure};

    fn version(major: i32, minor: i32) -> Item<'static> {
        let parts = [
            Item::integer(Tag::PROTOCOL_VERSION_MAJOR, major),
            Item::integer(Tag::PROTOCOL_VERSION_MINOR, minor),
        ];
        structure(Tag::PROTOCOL_VERSION, parts)
    }

    #[test]
    fn what_both_speak_is_told_as_the_client_likes_it_best() {
        let mut kms = Trial::over([]);
        let all: Vec<_> = PROTOCOL_VERSIONS.iter().map(|(major, minor)| version(*major, *minor)).collect();
        assert_eq!(kms.ask("DiscoverVersions", &[]), Ok(all.clone()));
        let mut theirs = vec![version(9, 0)];
        theirs.extend(all.iter().rev().cloned());
        let both: Vec<_> = all.into_iter().rev().collect();
        assert_eq!(kms.ask("DiscoverVersions", &theirs), Ok(both));
        assert_eq!(kms.ask("DiscoverVersions", &[version(9, 0)]), Ok(vec![]));
    }
}
