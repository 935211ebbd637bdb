//! An operation by itself, over a store in memory: what the tests of each of them share.
#![forbid(unsafe_code)]

use super::{Context, Request};
use crate::crypto::material::Material;
use crate::kms::effort::Effort;
use crate::kms::nonces::Nonces;
use crate::kms::object::Object;
use crate::kms::policy::{Principal, Standing};
use crate::kms::refusal::{Failure, Refusal};
use crate::kms::rights::Rights;
use crate::kms::state::State;
use crate::kms::streams::Streams;
use crate::kms::view::{Change, Changes};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::testing::choices::Choices;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag, binary};
use std::sync::Arc;

/// When everything happens.
pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A store, and the one who asks: at first the owner of [`Object::example`].
pub struct Trial {
    store: MemoryStore,
    user: Principal,
    dialect: Dialect,
    /// The same in every trial.
    entropy: Choices,
    streams: Streams,
    nonces: Nonces,
}

impl Trial {
    /// These objects are there.
    pub fn over(objects: impl IntoIterator<Item = Object>) -> Trial {
        let trial = Trial {
            store: MemoryStore::new(),
            user: Principal("o".into()),
            dialect: Dialect::V5,
            entropy: Choices::new(0),
            streams: Streams::default(),
            nonces: Nonces::default(),
        };
        trial.apply(objects.into_iter().map(Change::Insert).collect());
        trial
    }

    /// Somebody else asks, who was granted these rights on these objects.
    pub fn user(mut self, user: &str, granted: &[(&str, Rights)]) -> Trial {
        self.user = Principal(user.into());
        let grant = |(uid, rights): &(&str, Rights)| Change::Grant {
            uid: (*uid).to_owned(),
            user: user.to_owned(),
            rights: *rights,
        };
        self.apply(granted.iter().map(grant).collect());
        self
    }

    /// A client of 4.9.1 asks.
    pub fn old(mut self) -> Trial {
        self.dialect = Dialect::V4;
        self
    }

    fn apply(&self, changes: Changes) {
        let mut changes = Some(changes);
        self.store.transact(&mut |transaction| transaction.apply(changes.take().unwrap())).unwrap();
    }

    /// What is stored.
    pub fn object(&self, uid: &str) -> Option<Arc<Object>> {
        self.store.read().unwrap().object(uid).unwrap()
    }

    /// Its state, as it is stored.
    pub fn state(&self, uid: &str) -> Option<State> {
        self.object(uid).map(|object| object.state)
    }

    /// The fields of the answer, or the text of the refusal.
    pub fn ask(&mut self, operation: &str, fields: &[Item<'_>]) -> Result<Vec<Item<'static>>, String> {
        let answer = self.run(operation, fields).map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal.text(self.dialect),
            Failure::Store(error) => panic!("{error}"),
        })?;
        // A test is short: its answers may stay.
        Ok(binary::decode(Vec::leak(answer)).unwrap())
    }

    /// What [`Trial::ask`] is refused.
    pub fn refused(&mut self, operation: &str, fields: &[Item<'_>]) -> String {
        self.ask(operation, fields).unwrap_err()
    }

    fn run(&mut self, operation: &str, fields: &[Item<'_>]) -> Result<Vec<u8>, Failure> {
        let mut request = Request::decode(operation, fields, None, self.dialect)?;
        request.prepare(&mut self.entropy, NOW)?;
        let ledger = self.nonces.ledger();
        let (mut request, mut decided) = (Some(request), Err(Refusal::TooMany.into()));
        self.store.transact(&mut |transaction| {
            let context = Context {
                view: &*transaction,
                principal: &self.user,
                standing: Standing::Equal,
                now: NOW,
                dialect: self.dialect,
                streams: &self.streams,
                nonces: &ledger,
                effort: &Effort::default(),
                is_alone: true,
            };
            let (found, changes) = match request.take().unwrap().execute(&context) {
                Ok(executed) => executed,
                Err(failure) => {
                    decided = Err(failure);
                    return Ok(());
                }
            };
            transaction.apply(changes)?;
            ledger.applied();
            decided = Ok(found);
            Ok(())
        })?;
        let decided = decided?;
        ledger.committed();
        let mut answer = None;
        decided.finish(&mut self.entropy, &mut |_, fields| {
            let mut bytes = Vec::new();
            binary::encode(fields, &mut bytes);
            assert!(answer.replace(bytes).is_none(), "there is one answer");
        })?;
        Ok(answer.unwrap())
    }
}

/// An AES key of 256 bits for everything.
pub fn key(uid: &str) -> Object {
    Object { material: Material::copy_of(&[7; 32]), usage_mask: u32::MAX >> 1, ..Object::example(uid) }
}

/// The identifier of an object.
pub fn uid(uid: &str) -> Item<'static> {
    Item::text(Tag::UNIQUE_IDENTIFIER, uid.to_owned())
}

/// A structure.
pub fn structure<const N: usize>(tag: Tag, fields: [Item<'static>; N]) -> Item<'static> {
    Item::structure(tag, fields.to_vec())
}

/// The one field of an answer with this tag that is bytes.
pub fn bytes(answer: &[Item<'_>], tag: Tag) -> Vec<u8> {
    answer.iter().find(|item| item.tag == tag).unwrap().value.as_bytes().unwrap().to_vec()
}

/// A name, as an attribute.
pub fn name(text: &'static str) -> Item<'static> {
    structure(Tag::NAME, [Item::text(Tag::NAME_VALUE, text), Item::enumeration(Tag::NAME_TYPE, 1)])
}
