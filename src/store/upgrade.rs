//! What is done to a database of an older version when it is opened: its objects get their terms, and records are moved
//! to where identifiers lead.
//!
//! The row `terms` of the table `meta` says how far that is: the version ([`VERSION`]) in 4 bytes and, while objects are
//! still as they were, the sequence of the next one in 8. It is read and written in the transactions that bring objects up
//! to date, so servers that start together on one database share the work, and one that is ended in the middle is followed
//! by the next. What is up to date already is put again, which changes nothing.
//!
//! A program of the older version is kept out before this begins: the engine has written the version of its schema.
#![forbid(unsafe_code)]

use super::rows::{Engine, Key, Rows, RowsMut, Table, Value};
use super::tables::{corrupt, number, object_key, sequence_key};
use super::{StoreError, record};
use crate::kms::object::Object;
use crate::kms::terms;
use crate::limits;

/// The version of all that is done here: 1, objects have terms ([`terms`]); 2, records lie under identifiers ([`record`]).
/// Whoever changes either counts on.
const VERSION: u32 = 2;

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
            let object = move_record(rows, sequence, stored)?;
            for term in terms::of(&object) {
                rows.put(Key::new(Table::Tags, &term, sequence), object.uid.as_bytes())?;
            }
            next = u64::from_be_bytes(number(sequence)?).saturating_add(1);
            bytes += stored.len();
        }
        count += page.len();
        if page.len() < PAGE {
            return Ok((UpToDate::Whole, count));
        }
    }
    Ok((UpToDate::Before(next), count))
}

/// Puts a record under its identifier, and the identifier under its sequence, where they are the other way round.
fn move_record(rows: &mut dyn RowsMut, sequence: &[u8], stored: &Value) -> Result<Object, StoreError> {
    // An identifier, which may be any text, could look like an old record; but no object would lead here.
    if let Ok(object) = record::decode_old(stored)
        && rows.get(object_key(&object.uid))?.is_some_and(|led_to| *led_to == sequence)
    {
        rows.put(object_key(&object.uid), &record::encode(number(sequence)?, &object)?)?;
        rows.put(sequence_key(sequence), object.uid.as_bytes())?;
        return Ok(object);
    }
    let moved = rows.get(object_key(stored.as_slice()))?;
    match moved.map(|record| record::decode(&record)).transpose()? {
        Some((of, object)) if of == sequence => Ok(object),
        _ => Err(corrupt("a sequence does not lead to its object")),
    }
}
