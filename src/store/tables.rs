//! How an object, its tags and its grants are found in the rows of an engine ([`rows`](super::rows)).
#![forbid(unsafe_code)]

use super::identifier::{self, Identifier};
use super::record::Sequence;
use super::remembered::Remembered;
use super::rows::{Engine, Key, Row, Rows, RowsMut, Table};
use super::search::{self, Bounds};
use super::{APPLY_FAILED, Store, StoreError, Transaction, UID_TAKEN, UID_UNKNOWN, record};
use crate::kms::object::Object;
use crate::kms::rights::{NO_OBJECT, Rights};
use crate::kms::terms::{self, Term};
use crate::kms::view::{Change, Changes, ObjectWithGrants, Search, SearchEnd, Show, View};
use std::sync::Arc;

impl<E: Engine> Store for E {
    fn name(&self) -> &'static str {
        Engine::name(self)
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(Remembered::new(Tables::of(Engine::read(self)?))))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        Engine::transact(self, &mut |rows| {
            let mut tables = Tables::of(rows);
            work(&mut tables)?;
            if tables.has_failed { Err(APPLY_FAILED) } else { Ok(()) }
        })
    }

    fn verify(&self) -> Result<(), StoreError> {
        Engine::verify(self)
    }

    fn reads_at_once(&self) -> bool {
        Engine::reads_at_once(self)
    }

    fn trouble(&self) -> Option<String> {
        Engine::trouble(self)
    }
}

/// The rows of one transaction.
struct Tables<R> {
    rows: R,
    /// Something was changed in part, and must not be committed.
    has_failed: bool,
    /// That of the last object, where one was asked for or given.
    last_sequence: Option<u64>,
}

impl<R: Rows> Tables<R> {
    fn of(rows: R) -> Tables<R> {
        Tables { rows, has_failed: false, last_sequence: None }
    }

    fn next_sequence(&mut self) -> Result<Sequence, StoreError> {
        let last = match self.last_sequence {
            Some(last) => last,
            None => self.rows.last_sequence()?.map_or(Ok(0), |last| number(&last).map(u64::from_be_bytes))?,
        };
        let next = last.checked_add(1).ok_or_else(|| corrupt("its sequence is at its end"))?;
        self.last_sequence = Some(next);
        Ok(next.to_be_bytes())
    }

    fn placed(&self, uid: &str) -> Result<Option<(Sequence, Object)>, StoreError> {
        self.rows.get(object_key(&Identifier::of(uid)))?.map(|stored| placed(uid, &stored)).transpose()
    }

    fn is_there(&self, uid: &str) -> Result<bool, StoreError> {
        Ok(self.rows.get(object_key(&Identifier::of(uid)))?.is_some())
    }

    /// The rows with this first part; `None` where there are more than `limit`.
    fn whole_list(&self, table: Table, first: &[u8], limit: usize) -> Result<Option<Vec<Row>>, StoreError> {
        let rows = self.rows.list(table, first, &[], limit.saturating_add(1))?;
        Ok((rows.len() <= limit).then_some(rows))
    }

    /// Grants with this first part, up to a limit; `read` is for the names in the second.
    fn grants(
        &self,
        (table, first): (Table, &[u8]),
        limit: usize,
        read: fn(&[u8]) -> Result<String, StoreError>,
    ) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        let Some(rows) = self.whole_list(table, first, limit)? else { return Ok(None) };
        let grant = |(name, bits): Row| Ok((read(&name)?, rights(&bits)?));
        let mut grants = rows.into_iter().map(grant).collect::<Result<Vec<_>, StoreError>>()?;
        // Sealed names come in another order.
        grants.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Some(grants))
    }
}

impl<R: Rows> View for Tables<R> {
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
        Ok(self.placed(uid)?.map(|(_, object)| Arc::new(object)))
    }

    fn search(&self, search: &Search<'_>, show: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
        search::run(&self.rows, search, Bounds::default(), show)
    }

    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        let Some(rows) = self.whole_list(Table::Owners, owner.as_bytes(), limit)? else { return Ok(None) };
        rows.iter().map(|(_, uid)| identifier::read(uid)).collect::<Result<_, _>>().map(Some)
    }

    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        let granted = self.rows.get(grant_key(&Identifier::of(uid), user))?;
        granted.map_or(Ok(Rights::NONE), |bits| rights(&bits))
    }

    fn object_with_grants(&self, uid: &str, users: &[&str]) -> Result<Option<ObjectWithGrants>, StoreError> {
        if self.rows.are_of_one_commit() {
            return Ok(None);
        }
        let identifier = Identifier::of(uid);
        let mut keys = vec![object_key(&identifier)];
        keys.extend(users.iter().map(|user| grant_key(&identifier, user)));
        let mut values = self.rows.get_all(&keys)?.into_iter();
        let object = values.next().flatten().map(|stored| placed(uid, &stored)).transpose()?;
        let mut granted = Rights::NONE;
        for bits in values.flatten() {
            granted = granted.with(rights(&bits)?);
        }
        Ok(Some((object.map(|(_, object)| Arc::new(object)), granted)))
    }

    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.grants((Table::GrantsByObject, Identifier::of(uid).as_ref()), limit, text)
    }

    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.grants((Table::GrantsByUser, user.as_bytes()), limit, identifier::read)
    }
}

impl<R: RowsMut> Transaction for Tables<R> {
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError> {
        let applied = changes.into_iter().try_for_each(|change| match change {
            Change::Insert(object) => self.insert(&object),
            Change::Replace(object) => self.replace(&object),
            Change::Amend { uid, attributes, parts } => {
                let (_, object) = self.placed(&uid)?.ok_or(UID_UNKNOWN)?;
                self.replace(&Object { attributes, parts, ..object })
            }
            Change::Remove { uid } => self.remove(&uid),
            Change::Grant { uid, user, rights } => self.grant(&uid, &user, rights),
        });
        self.has_failed |= applied.is_err();
        applied
    }
}

impl<R: RowsMut> Tables<R> {
    fn insert(&mut self, object: &Object) -> Result<(), StoreError> {
        if self.is_there(&object.uid)? {
            return Err(UID_TAKEN);
        }
        let sequence = self.next_sequence()?;
        let identifier = Identifier::of(&object.uid);
        self.rows.put(object_key(&identifier), &record::encode(sequence, object)?)?;
        self.rows.put(sequence_key(&sequence), identifier.as_ref())?;
        self.index(object, &terms::of(object), sequence)
    }

    fn replace(&mut self, object: &Object) -> Result<(), StoreError> {
        let (sequence, old) = self.placed(&object.uid)?.ok_or(UID_UNKNOWN)?;
        self.rows.put(object_key(&Identifier::of(&object.uid)), &record::encode(sequence, object)?)?;
        let (before, after) = (terms::of(&old), terms::of(object));
        if old.owner != object.owner || old.tags != object.tags || before != after {
            self.unindex(&old, &before, sequence)?;
            self.index(object, &after, sequence)?;
        }
        Ok(())
    }

    fn remove(&mut self, uid: &str) -> Result<(), StoreError> {
        let (sequence, old) = self.placed(uid)?.ok_or(UID_UNKNOWN)?;
        self.unindex(&old, &terms::of(&old), sequence)?;
        self.rows.remove(sequence_key(&sequence))?;
        for (user, _) in self.grants_on(uid, usize::MAX)?.unwrap_or_default() {
            self.grant(uid, &user, Rights::NONE)?;
        }
        self.rows.remove(object_key(&Identifier::of(uid)))
    }

    fn grant(&mut self, uid: &str, user: &str, rights: Rights) -> Result<(), StoreError> {
        if uid != NO_OBJECT && !self.is_there(uid)? {
            return Err(UID_UNKNOWN);
        }
        let identifier = Identifier::of(uid);
        grant_keys(&identifier, user.as_bytes()).into_iter().try_for_each(|key| match rights.is_empty() {
            true => self.rows.remove(key),
            false => self.rows.put(key, &rights.0.to_be_bytes()),
        })
    }

    fn index(&mut self, object: &Object, terms: &[Term], sequence: Sequence) -> Result<(), StoreError> {
        let identifier = Identifier::of(&object.uid);
        lists(object, terms, &sequence).try_for_each(|key| self.rows.put(key, identifier.as_ref()))
    }

    fn unindex(&mut self, object: &Object, terms: &[Term], sequence: Sequence) -> Result<(), StoreError> {
        lists(object, terms, &sequence).try_for_each(|key| self.rows.remove(key))
    }
}

/// Where the record of an object is; this and all below take identifiers as they are stored ([`Identifier`]).
pub fn object_key(identifier: &(impl AsRef<[u8]> + ?Sized)) -> Key<'_> {
    Key::new(Table::Objects, identifier.as_ref(), &[])
}

/// Where what a user was granted on an object is found by both.
pub fn grant_key<'k>(identifier: &'k Identifier<'_>, user: &'k str) -> Key<'k> {
    let [by_object, _] = grant_keys(identifier, user.as_bytes());
    by_object
}

/// Where it is: by the object, and by the user.
pub fn grant_keys<'k>(identifier: &'k (impl AsRef<[u8]> + ?Sized), user: &'k [u8]) -> [Key<'k>; 2] {
    let identifier = identifier.as_ref();
    [Key::new(Table::GrantsByObject, identifier, user), Key::new(Table::GrantsByUser, user, identifier)]
}

/// Where the identifier of an object is.
pub fn sequence_key(sequence: &[u8]) -> Key<'_> {
    Key::new(Table::Sequences, &[], sequence)
}

/// The places of an object in the lists that it is in.
pub fn lists<'k>(
    object: &'k Object,
    terms: &'k [Term],
    sequence: &'k Sequence,
) -> impl Iterator<Item = Key<'k>> {
    let found_by = object.tags.iter().map(String::as_bytes).chain(terms.iter().map(Vec::as_slice));
    let found_by = found_by.map(|term| Key::new(Table::Tags, term, sequence));
    found_by.chain([Key::new(Table::Owners, object.owner.as_bytes(), sequence)])
}

/// The object whose record was found under this identifier.
fn placed(uid: &str, stored: &[u8]) -> Result<(Sequence, Object), StoreError> {
    match record::decode(stored)? {
        placed if placed.1.uid == uid => Ok(placed),
        _ => Err(corrupt("an identifier does not lead to its object")),
    }
}

fn text(bytes: &[u8]) -> Result<String, StoreError> {
    Ok(std::str::from_utf8(bytes).map_err(|_| corrupt("a name is not UTF-8"))?.to_owned())
}

fn rights(bits: &[u8]) -> Result<Rights, StoreError> {
    Ok(Rights(u32::from_be_bytes(number(bits)?)))
}

/// Bytes that were stored, as the number of bytes that they should be.
pub fn number<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| corrupt("a number has not its length"))
}

/// The database is not as it was written.
pub fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}
