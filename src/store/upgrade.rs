//! What is done to a database of an older version when it is opened: its objects get their terms, records are moved to where
//! identifiers lead, and identifiers become short.
//!
//! The row `terms` of the table `meta` says how far that is: the version ([`VERSION`]) in 4 bytes and, while objects are
//! still as they were, the sequence of the next one in 8. It is read and written in the transactions that bring objects up
//! to date, so servers that start together on one database share the work, and one that is ended in the middle is followed
//! by the next. What is up to date already is put again, which changes nothing.
//!
//! A program of the older version is kept out before this begins: the engine has written the version of its schema.
#![forbid(unsafe_code)]

use super::identifier::Identifier;
use super::record::Sequence;
use super::rows::{Engine, Key, Rows, RowsMut, Table, Value};
use super::tables::{corrupt, grant_keys, lists, number, object_key, sequence_key};
use super::{StoreError, record};
use crate::kms::object::Object;
use crate::kms::terms;
use crate::limits;

/// The version of all that is done here: 1, objects have terms ([`terms`]); 2, records lie under identifiers ([`record`]);
/// 3, those are stored as [`identifier`](super::identifier) says. Whoever changes one of them counts on.
const VERSION: u32 = 3;

/// The row.
pub const PROGRESS: Key<'static> = Key { table: Table::Meta, first: b"terms", second: &[] };

const VERSION_BYTES: usize = 4;
/// Objects that are read at a time.
const PAGE: usize = 64;

/// How many of the objects of a database are up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpToDate {
    /// All of them, and all that come.
    Whole,
    /// Those before this sequence, and all that come.
    Before(u64),
}

impl UpToDate {
    /// What the database says.
    pub fn read(rows: &(impl Rows + ?Sized)) -> Result<UpToDate, StoreError> {
        let Some(row) = rows.get(PROGRESS)? else { return Ok(UpToDate::Before(0)) };
        let Some((version, next)) = row.split_at_checked(VERSION_BYTES) else {
            return Err(corrupt("it does not say how far it is up to date"));
        };
        match u32::from_be_bytes(number(version)?) {
            VERSION if next.is_empty() => Ok(UpToDate::Whole),
            VERSION => Ok(UpToDate::Before(u64::from_be_bytes(number(next)?))),
            found if found > VERSION => Err(StoreError::Newer { found, known: VERSION }),
            _ => Ok(UpToDate::Before(0)),
        }
    }

    fn write(self, rows: &mut dyn RowsMut) -> Result<(), StoreError> {
        let mut row = VERSION.to_be_bytes().to_vec();
        if let UpToDate::Before(next) = self {
            row.extend_from_slice(&next.to_be_bytes());
        }
        rows.put(PROGRESS, &row)
    }
}

/// Brings all objects up to date.
pub fn bring_up_to_date(engine: &impl Engine) -> Result<(), StoreError> {
    let mut reached = UpToDate::read(&engine.read()?)?;
    let mut count = 0;
    while reached != UpToDate::Whole {
        let mut added = 0;
        engine.transact(&mut |rows| {
            // Another server may have gone on with it.
            (reached, added) = match UpToDate::read(&*rows)? {
                UpToDate::Whole => (UpToDate::Whole, 0),
                UpToDate::Before(next) => bring_some(rows, next)?,
            };
            if added > 0 || reached == UpToDate::Whole { reached.write(rows) } else { Ok(()) }
        })?;
        count += added;
        if added > 0 {
            let end = if reached == UpToDate::Whole { "this is done" } else { "there are more" };
            log::info!("the database is of an older version: {count} objects were brought up to date, {end}");
        }
    }
    Ok(())
}

/// Brings some objects up to date, from a sequence on; how far that is, and how many.
fn bring_some(rows: &mut dyn RowsMut, from: u64) -> Result<(UpToDate, usize), StoreError> {
    let (mut next, mut count, mut bytes) = (from, 0, 0);
    while count < limits::OBJECTS_UPGRADED_MAX && bytes < limits::UPGRADED_BYTES_MAX {
        let page = rows.list(Table::Sequences, &[], &next.to_be_bytes(), PAGE)?;
        for (sequence, stored) in &page {
            let sequence = number(sequence)?;
            let object = found(rows, &sequence, stored)?;
            put_anew(rows, &sequence, &object)?;
            next = u64::from_be_bytes(sequence).saturating_add(1);
            bytes += object.bytes();
        }
        count += page.len();
        if page.len() < PAGE {
            return Ok((UpToDate::Whole, count));
        }
    }
    Ok((UpToDate::Before(next), count))
}

/// The object with this sequence, wherever its version has it; `stored` is what lies under the sequence.
fn found(rows: &dyn RowsMut, sequence: &Sequence, stored: &Value) -> Result<Object, StoreError> {
    // An identifier, which may be any text, could look like an old record; but no object would lead here.
    if let Ok((None, object)) = record::decode_any(stored)
        && rows.get(object_key(&object.uid))?.is_some_and(|led_to| *led_to == sequence)
    {
        return Ok(object);
    }
    let placed = rows.get(object_key(stored.as_slice()))?;
    match placed.map(|record| record::decode_any(&record)).transpose()? {
        Some((Some(at), object)) if at == *sequence => Ok(object),
        _ => Err(corrupt("a sequence does not lead to its object")),
    }
}

/// Puts an object, and all that leads to it, to where they belong.
fn put_anew(rows: &mut dyn RowsMut, sequence: &Sequence, object: &Object) -> Result<(), StoreError> {
    let (identifier, text) = (Identifier::of(&object.uid), object.uid.as_str());
    if identifier.as_ref() != text.as_bytes() {
        rows.remove(object_key(text))?;
        for (user, rights) in rows.list(Table::GrantsByObject, text.as_bytes(), &[], usize::MAX)? {
            grant_keys(text, &user).into_iter().try_for_each(|key| rows.remove(key))?;
            grant_keys(&identifier, &user).into_iter().try_for_each(|key| rows.put(key, &rights))?;
        }
    }
    rows.put(object_key(&identifier), &record::encode(*sequence, object)?)?;
    rows.put(sequence_key(sequence), identifier.as_ref())?;
    lists(object, &terms::of(object), sequence).try_for_each(|key| rows.put(key, identifier.as_ref()))
}
