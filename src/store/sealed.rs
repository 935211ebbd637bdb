//! A database that holds nothing but ciphertext: a decorator over any engine.
//!
//! Of names (unique identifiers, tags, owners, users) a row's key has terms, by which it is found without being read
//! ([`keys`]); its value is encrypted, and genuine only in its own place: in its table, under its key. What stays to be
//! seen is how many objects, tags and grants there are, which of them belong together, in which order objects came, and
//! how long records are.
//!
//! Rows that were swapped, changed or cut are found when they are read. A row that was put back as it was before, or left
//! out together with all that leads to it, is not: who can write to the database can roll it back.
#![forbid(unsafe_code)]

mod data_key;
mod keys;

use super::rows::{Engine, Key, Row, Rows, RowsMut, Table, Value};
use super::{Store, StoreError, upgrade};
use crate::entropy::Entropy;
use keys::Keys;
use std::sync::Arc;

pub use data_key::{MasterSecret, NAME as DATA_KEY, SEAL, rewrap};

/// Opens the objects of an engine, and brings them up to date: as they are, or sealed where there is a master secret, or
/// refuses where the one does not fit the other.
pub fn open(
    engine: impl Engine + 'static,
    master: Option<&MasterSecret>,
    entropy: &mut dyn Entropy,
) -> Result<Arc<dyn Store>, StoreError> {
    match data_key::open(&engine, master, entropy)? {
        None => up_to_date(engine),
        Some(data_key) => up_to_date(Sealed { engine, keys: Keys::of(&data_key) }),
    }
}

/// Opens the objects of an engine that was sealed before with this secret.
pub fn open_sealed(
    engine: impl Engine + 'static,
    master: &MasterSecret,
) -> Result<Arc<dyn Store>, StoreError> {
    let keys = Keys::of(&data_key::of_sealed(&engine, master)?);
    up_to_date(Sealed { engine, keys })
}

fn up_to_date(engine: impl Engine + 'static) -> Result<Arc<dyn Store>, StoreError> {
    upgrade::bring_up_to_date(&engine)?;
    Ok(Arc::new(engine))
}

/// An engine whose rows are sealed.
struct Sealed<E> {
    engine: E,
    keys: Keys,
}

impl<E: Engine> Engine for Sealed<E> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(SealedRows { rows: self.engine.read()?, keys: self.keys.clone() }))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.engine.transact(&mut |rows| work(&mut SealedRows { rows, keys: self.keys.clone() }))
    }

    fn verify(&self) -> Result<(), StoreError> {
        self.engine.verify()
    }

    fn reads_at_once(&self) -> bool {
        self.engine.reads_at_once()
    }

    fn trouble(&self) -> Option<String> {
        self.engine.trouble()
    }
}

struct SealedRows<R> {
    rows: R,
    keys: Keys,
}

impl<R> SealedRows<R> {
    /// The value at a key, which was sealed at this place.
    fn open(&self, key: Key<'_>, place: Key<'_>, sealed: &[u8]) -> Result<Value, StoreError> {
        let (second, value) = self.keys.open(place, sealed)?;
        match second.is_none_or(|second| second == key.second) {
            true => Ok(value),
            false => Err(keys::not_genuine(place.table)),
        }
    }
}

impl<R: Rows> Rows for SealedRows<R> {
    fn are_of_one_commit(&self) -> bool {
        self.rows.are_of_one_commit()
    }

    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        let (first, second) = (self.keys.first(key), self.keys.second(key));
        let place = Key::new(key.table, first.as_ref(), second.as_ref());
        self.rows.get(place)?.map(|sealed| self.open(key, place, &sealed)).transpose()
    }

    fn get_all(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Value>>, StoreError> {
        let parts: Vec<_> = keys.iter().map(|key| (self.keys.first(*key), self.keys.second(*key))).collect();
        let parts = keys.iter().zip(&parts);
        let places: Vec<_> = parts.map(|(key, (a, b))| Key::new(key.table, a.as_ref(), b.as_ref())).collect();
        let values = self.rows.get_all(&places)?.into_iter();
        let open = |(sealed, at): (Option<Value>, usize)| {
            sealed.map(|sealed| self.open(keys[at], places[at], &sealed)).transpose()
        };
        values.zip(0..).map(open).collect()
    }

    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let first = self.keys.first(Key::new(table, first, &[]));
        // Sequences are not sealed, and of grants it is empty.
        let rows = self.rows.list(table, first.as_ref(), from, limit)?;
        let open = |(place, sealed): Row| {
            let (second, value) = self.keys.open(Key::new(table, first.as_ref(), &place), &sealed)?;
            Ok((second.unwrap_or(place), value))
        };
        rows.into_iter().map(open).collect()
    }

    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        self.rows.count(table, self.keys.first(Key::new(table, first, &[])).as_ref(), limit)
    }

    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.last_sequence()
    }
}

impl<R: RowsMut> RowsMut for SealedRows<R> {
    fn put(&mut self, key: Key<'_>, value: &[u8]) -> Result<(), StoreError> {
        let (first, second) = (self.keys.first(key), self.keys.second(key));
        let place = Key::new(key.table, first.as_ref(), second.as_ref());
        let sealed = self.keys.seal(place, key.second, value)?;
        self.rows.put(place, &sealed)
    }

    fn remove(&mut self, key: Key<'_>) -> Result<(), StoreError> {
        let (first, second) = (self.keys.first(key), self.keys.second(key));
        self.rows.remove(Key::new(key.table, first.as_ref(), second.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::view::Change;
    use crate::secret::Secret;
    use crate::store::identifier::Identifier;
    use crate::store::record;
    use crate::store::redb::RedbStore;
    use crate::store::tables::{object_key, sequence_key};
    use ::redb::backends::InMemoryBackend;

    /// Of version 2, under their sequences, and of version 3, with its UUID as text.
    #[test]
    fn records_of_an_older_version_are_moved_under_the_seal() {
        const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
        let engine = RedbStore::with_backend(InMemoryBackend::new()).unwrap();
        let sealed = Sealed { engine, keys: Keys::of(&Secret::copy_of(&[7; 32])) };
        let sequences = [1_u64, 2, 3].map(u64::to_be_bytes);
        let objects = || ["a", "b", UUID].map(|uid| Change::Insert(Object::example(uid))).into();
        Store::transact(&sealed, &mut |transaction| transaction.apply(objects())).unwrap();
        let moved_back = Engine::transact(&sealed, &mut |rows| {
            for (sequence, uid) in sequences.iter().zip(["a", "b"]) {
                let record = rows.get(object_key(uid))?.unwrap();
                rows.put(sequence_key(sequence), &[&[2], &record[9..]].concat())?;
                rows.put(object_key(uid), sequence)?;
            }
            let identifier = Identifier::of(UUID);
            let record = rows.get(object_key(&identifier))?.unwrap();
            let rest = &record[33 + 2 + identifier.as_ref().len()..];
            rows.remove(object_key(&identifier))?;
            rows.put(object_key(UUID), &[&[3], &record[1..33], &[0, 36], UUID.as_bytes(), rest].concat())?;
            rows.put(sequence_key(&sequences[2]), UUID.as_bytes())
        });
        moved_back.unwrap();
        let store: &dyn Store = &sealed;
        assert!(store.read().unwrap().object("a").is_err());
        assert!(store.read().unwrap().object(UUID).unwrap().is_none());
        upgrade::bring_up_to_date(&sealed).unwrap();
        let rows = Engine::read(&sealed).unwrap();
        for (sequence, uid) in sequences.iter().zip(["a", "b", UUID]) {
            let identifier = Identifier::of(uid);
            let (found, object) =
                record::decode(&rows.get(object_key(&identifier)).unwrap().unwrap()).unwrap();
            assert_eq!((found, object.uid.as_str()), (*sequence, uid));
            assert_eq!(*rows.get(sequence_key(sequence)).unwrap().unwrap(), identifier.as_ref());
        }
        assert!(rows.get(object_key(UUID)).unwrap().is_none());
    }
}
