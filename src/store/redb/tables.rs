//! What lies in the file: tables from bytes to bytes, and how an object, its tags and its grants are found in them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `schema` | version of these tables, 4 bytes |
//! | `uids` | unique identifier | sequence |
//! | `objects` | sequence | record of the object ([`record`]) |
//! | `tags` | name(tag), sequence | unique identifier |
//! | `owners` | name(owner), sequence | unique identifier |
//! | `grants_by_object` | name(unique identifier), user | rights, 4 bytes |
//! | `grants_by_user` | name(user), unique identifier | rights, 4 bytes |
//!
//! Integers are big-endian. A sequence, of 8 bytes, is an object's place in the order of insertion: one more than that of
//! the last object. It keeps lists in order, and makes a new object an append to all tables but `uids`: identifiers are
//! random, and a page would be written for each. name(x) is the length of x in 4 bytes, then x, so that no name can run
//! into what follows it.
#![forbid(unsafe_code)]

use crate::kms::object::Object;
use crate::kms::rights::Rights;
use crate::kms::view::{Change, Changes, View};
use crate::store::{StoreError, Transaction, UID_TAKEN, UID_UNKNOWN, record};
use ::redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

type Bytes = &'static [u8];
type Definition = TableDefinition<'static, Bytes, Bytes>;

const META: Definition = TableDefinition::new("meta");
const UIDS: Definition = TableDefinition::new("uids");
const OBJECTS: Definition = TableDefinition::new("objects");
const TAGS: Definition = TableDefinition::new("tags");
const OWNERS: Definition = TableDefinition::new("owners");
const GRANTS_BY_OBJECT: Definition = TableDefinition::new("grants_by_object");
const GRANTS_BY_USER: Definition = TableDefinition::new("grants_by_user");

/// The version of these tables. A step to the next one goes into [`prepare`].
const SCHEMA: u32 = 1;

/// Makes the tables where they are not there, refuses those of a later version, and empties them on demand.
pub(super) fn prepare(transaction: &WriteTransaction, clear: bool) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META)?;
    let schema = meta.get(b"schema".as_slice())?.map(|value| number(value.value())).transpose()?;
    match schema.map(u32::from_be_bytes) {
        None => drop(meta.insert(b"schema".as_slice(), SCHEMA.to_be_bytes().as_slice())?),
        Some(SCHEMA) => {}
        Some(found) if found > SCHEMA => return Err(StoreError::Newer { found, known: SCHEMA }),
        Some(_) => return Err(corrupt("its schema has no such version")),
    }
    for definition in [UIDS, OBJECTS, TAGS, OWNERS, GRANTS_BY_OBJECT, GRANTS_BY_USER] {
        if clear {
            transaction.delete_table(definition)?;
        }
        transaction.open_table(definition)?;
    }
    Ok(())
}

/// The tables of one transaction.
pub(super) struct Tables<T> {
    uids: T,
    objects: T,
    tags: T,
    owners: T,
    grants_by_object: T,
    grants_by_user: T,
    progress: Progress,
}

/// What became of a transaction.
#[derive(Clone, Copy)]
pub(super) enum Progress {
    /// There is nothing to commit.
    Unchanged,
    /// There is.
    Changed,
    /// Something was changed in part, and must not be committed.
    Failed,
}

impl Tables<ReadOnlyTable<Bytes, Bytes>> {
    /// For reading the last commit; they outlive the transaction's handle.
    pub(super) fn reading(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        Tables::open(|definition| transaction.open_table(definition))
    }
}

impl<'t> Tables<Table<'t, Bytes, Bytes>> {
    /// For reading and writing.
    pub(super) fn writing(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Tables::open(|definition| transaction.open_table(definition))
    }

    /// What has been done.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }
}

impl<T> Tables<T> {
    fn open(table: impl Fn(Definition) -> Result<T, ::redb::TableError>) -> Result<Tables<T>, StoreError> {
        Ok(Tables {
            uids: table(UIDS)?,
            objects: table(OBJECTS)?,
            tags: table(TAGS)?,
            owners: table(OWNERS)?,
            grants_by_object: table(GRANTS_BY_OBJECT)?,
            grants_by_user: table(GRANTS_BY_USER)?,
            progress: Progress::Unchanged,
        })
    }
}

impl<T: ReadableTable<Bytes, Bytes>> Tables<T> {
    fn sequence(&self, uid: &str) -> Result<Option<[u8; 8]>, StoreError> {
        self.uids.get(uid.as_bytes())?.map(|sequence| number(sequence.value())).transpose()
    }

    fn next_sequence(&self) -> Result<[u8; 8], StoreError> {
        let last = match self.objects.last()? {
            Some((sequence, _)) => u64::from_be_bytes(number(sequence.value())?),
            None => 0,
        };
        Ok(last.checked_add(1).ok_or_else(|| corrupt("its sequence is at its end"))?.to_be_bytes())
    }

    fn object_at(&self, sequence: [u8; 8]) -> Result<Object, StoreError> {
        let stored = self.objects.get(sequence.as_slice())?;
        record::decode(stored.ok_or_else(|| corrupt("an identifier has no object"))?.value())
    }

    /// The tag that is on the fewest objects: all are counted in step, until the first comes to its end. `None` where
    /// that is after more than `limit` objects.
    fn rarest<'a>(&self, tags: &[&'a str], limit: usize) -> Result<Option<&'a str>, StoreError> {
        let mut counted = Vec::with_capacity(tags.len());
        for tag in tags {
            let prefix = key(tag, &[]);
            counted.push((tag, self.tags.range(prefix.as_slice()..)?, prefix));
        }
        for _ in 0..=limit {
            for (tag, entries, prefix) in &mut counted {
                let next = entries.next().transpose()?;
                if next.is_none_or(|(key, _)| !key.value().starts_with(prefix)) {
                    return Ok(Some(tag));
                }
            }
        }
        Ok(None)
    }
}

impl<T: ReadableTable<Bytes, Bytes>> View for Tables<T> {
    fn object(&self, uid: &str) -> Result<Option<Object>, StoreError> {
        let Some(sequence) = self.sequence(uid)? else { return Ok(None) };
        let object = self.object_at(sequence)?;
        if object.uid != uid {
            Err(corrupt("an identifier leads to another object"))
        } else {
            Ok(Some(object))
        }
    }

    fn tagged(&self, tags: &[&str], limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        if tags.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Some(rarest) = self.rarest(tags, limit)? else { return Ok(None) };
        let mut found = Vec::new();
        scan(&self.tags, rarest, |sequence, uid| {
            for tag in tags.iter().filter(|tag| **tag != rarest) {
                if self.tags.get(key(tag, sequence).as_slice())?.is_none() {
                    return Ok(true);
                }
            }
            found.push(text(uid)?);
            Ok(true)
        })?;
        Ok(Some(found))
    }

    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        list(&self.owners, owner, limit, |_, uid| text(uid))
    }

    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        let granted = self.grants_by_object.get(key(uid, user.as_bytes()).as_slice())?;
        granted.map_or(Ok(Rights::NONE), |bits| rights(bits.value()))
    }

    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        list(&self.grants_by_object, uid, limit, grant)
    }

    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        list(&self.grants_by_user, user, limit, grant)
    }
}

impl Transaction for Tables<Table<'_, Bytes, Bytes>> {
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError> {
        for change in changes {
            if let Err(error) = self.apply_one(change) {
                self.progress = Progress::Failed;
                return Err(error);
            }
            if let Progress::Unchanged = self.progress {
                self.progress = Progress::Changed;
            }
        }
        Ok(())
    }
}

impl Tables<Table<'_, Bytes, Bytes>> {
    fn apply_one(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Insert(object) => self.insert(&object),
            Change::Replace(object) => self.replace(&object),
            Change::Remove { uid } => self.remove(&uid),
            Change::Grant { uid, user, rights } => self.grant(&uid, &user, rights),
        }
    }

    fn insert(&mut self, object: &Object) -> Result<(), StoreError> {
        let sequence = self.next_sequence()?;
        if self.uids.insert(object.uid.as_bytes(), sequence.as_slice())?.is_some() {
            return Err(UID_TAKEN);
        }
        self.objects.insert(sequence.as_slice(), record::encode(object)?.as_slice())?;
        self.index(object, sequence)
    }

    fn replace(&mut self, object: &Object) -> Result<(), StoreError> {
        let sequence = self.sequence(&object.uid)?.ok_or(UID_UNKNOWN)?;
        let old = self.object_at(sequence)?;
        self.objects.insert(sequence.as_slice(), record::encode(object)?.as_slice())?;
        if old.owner != object.owner || old.tags != object.tags {
            self.unindex(&old, sequence)?;
            self.index(object, sequence)?;
        }
        Ok(())
    }

    fn remove(&mut self, uid: &str) -> Result<(), StoreError> {
        let sequence = self.sequence(uid)?.ok_or(UID_UNKNOWN)?;
        let old = self.object_at(sequence)?;
        self.unindex(&old, sequence)?;
        self.objects.remove(sequence.as_slice())?;
        let grants = list(&self.grants_by_object, uid, usize::MAX, grant)?.unwrap_or_default();
        for (user, _) in grants {
            self.grant(uid, &user, Rights::NONE)?;
        }
        self.uids.remove(uid.as_bytes())?;
        Ok(())
    }

    fn grant(&mut self, uid: &str, user: &str, rights: Rights) -> Result<(), StoreError> {
        self.sequence(uid)?.ok_or(UID_UNKNOWN)?;
        let by_object = key(uid, user.as_bytes());
        let by_user = key(user, uid.as_bytes());
        if rights.is_empty() {
            self.grants_by_object.remove(by_object.as_slice())?;
            self.grants_by_user.remove(by_user.as_slice())?;
        } else {
            let bits = rights.0.to_be_bytes();
            self.grants_by_object.insert(by_object.as_slice(), bits.as_slice())?;
            self.grants_by_user.insert(by_user.as_slice(), bits.as_slice())?;
        }
        Ok(())
    }

    fn index(&mut self, object: &Object, sequence: [u8; 8]) -> Result<(), StoreError> {
        for tag in &object.tags {
            self.tags.insert(key(tag, &sequence).as_slice(), object.uid.as_bytes())?;
        }
        self.owners.insert(key(&object.owner, &sequence).as_slice(), object.uid.as_bytes())?;
        Ok(())
    }

    fn unindex(&mut self, object: &Object, sequence: [u8; 8]) -> Result<(), StoreError> {
        for tag in &object.tags {
            self.tags.remove(key(tag, &sequence).as_slice())?;
        }
        self.owners.remove(key(&object.owner, &sequence).as_slice())?;
        Ok(())
    }
}

/// name(first), second.
fn key(first: &str, second: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + first.len() + second.len());
    // A name of 4 GiB is beyond every limit, in a key as in a question.
    key.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(first.as_bytes());
    key.extend_from_slice(second);
    key
}

/// Shows `each` what follows name(first) in the keys, with the values, in order, as long as it answers `true`.
fn scan(
    table: &impl ReadableTable<Bytes, Bytes>,
    first: &str,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let prefix = key(first, &[]);
    for entry in table.range(prefix.as_slice()..)? {
        let (key, value) = entry?;
        let Some(second) = key.value().strip_prefix(prefix.as_slice()) else {
            return Ok(());
        };
        if !each(second, value.value())? {
            return Ok(());
        }
    }
    Ok(())
}

/// What `read` makes of the entries with name(first); `None` where there are more than `limit`.
fn list<T>(
    table: &impl ReadableTable<Bytes, Bytes>,
    first: &str,
    limit: usize,
    read: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<Option<Vec<T>>, StoreError> {
    let mut found = Vec::new();
    let mut whole = true;
    scan(table, first, |second, value| {
        whole = found.len() < limit;
        if whole {
            found.push(read(second, value)?);
        }
        Ok(whole)
    })?;
    Ok(whole.then_some(found))
}

fn grant(name: &[u8], bits: &[u8]) -> Result<(String, Rights), StoreError> {
    Ok((text(name)?, rights(bits)?))
}

fn text(bytes: &[u8]) -> Result<String, StoreError> {
    Ok(std::str::from_utf8(bytes).map_err(|_| corrupt("a name is not UTF-8"))?.to_owned())
}

fn rights(bits: &[u8]) -> Result<Rights, StoreError> {
    Ok(Rights(u32::from_be_bytes(number(bits)?)))
}

fn number<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| corrupt("a number has not its length"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}
