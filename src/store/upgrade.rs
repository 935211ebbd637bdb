//! What is done to a database of an older version when it is opened: its objects get their terms.
//!
//! The row `terms` of the table `meta` says how far that is: the version of the terms ([`terms::VERSION`]) in 4 bytes and,
//! while objects are still without, the sequence of the next one in 8. It is read and written in the transactions that
//! index, so servers that start together on one database share the work, and one that is ended in the middle is followed
//! by the next. Terms that are there already are put again, which changes nothing.
//!
//! A program of the older version is kept out before this begins: the engine has written the version of its schema.
#![forbid(unsafe_code)]

use super::StoreError;
use super::record;
use super::rows::{Engine, Key, Rows, RowsMut, Table};
use super::tables::{corrupt, number};
use crate::kms::terms;
use crate::limits;

/// The row.
pub const TERMS: Key<'static> = Key { table: Table::Meta, first: b"terms", second: &[] };

const VERSION_BYTES: usize = 4;
/// Objects that are read at a time.
const PAGE: usize = 64;

/// How far the objects of a database have terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// All of them, and all that come.
    Whole,
    /// Those before this sequence, and all that come.
    Before(u64),
}

impl Indexed {
    /// What the database says.
    pub fn read(rows: &(impl Rows + ?Sized)) -> Result<Indexed, StoreError> {
        let Some(row) = rows.get(TERMS)? else { return Ok(Indexed::Before(0)) };
        let Some((version, next)) = row.split_at_checked(VERSION_BYTES) else {
            return Err(corrupt("it does not say which terms it has"));
        };
        match u32::from_be_bytes(number(version)?) {
            terms::VERSION if next.is_empty() => Ok(Indexed::Whole),
            terms::VERSION => Ok(Indexed::Before(u64::from_be_bytes(number(next)?))),
            found if found > terms::VERSION => Err(StoreError::Newer { found, known: terms::VERSION }),
            _ => Ok(Indexed::Before(0)),
        }
    }

    fn write(self, rows: &mut dyn RowsMut) -> Result<(), StoreError> {
        let mut row = terms::VERSION.to_be_bytes().to_vec();
        if let Indexed::Before(next) = self {
            row.extend_from_slice(&next.to_be_bytes());
        }
        rows.put(TERMS, &row)
    }
}

/// Gives terms to all objects that have none yet.
pub fn index(engine: &impl Engine) -> Result<(), StoreError> {
    let mut indexed = Indexed::read(&engine.read()?)?;
    let mut count = 0;
    while indexed != Indexed::Whole {
        let mut added = 0;
        engine.transact(&mut |rows| {
            // Another server may have gone on with it.
            (indexed, added) = match Indexed::read(&*rows)? {
                Indexed::Whole => (Indexed::Whole, 0),
                Indexed::Before(next) => index_some(rows, next)?,
            };
            if added > 0 || indexed == Indexed::Whole { indexed.write(rows) } else { Ok(()) }
        })?;
        count += added;
        if added > 0 {
            let end = if indexed == Indexed::Whole { "this is done" } else { "there are more" };
            log::info!("the database is of an older version: {count} objects were indexed, {end}");
        }
    }
    Ok(())
}

/// Gives terms to some objects from a sequence on; how far that is, and to how many.
fn index_some(rows: &mut dyn RowsMut, from: u64) -> Result<(Indexed, usize), StoreError> {
    let (mut next, mut count, mut bytes) = (from, 0, 0);
    while count < limits::OBJECTS_INDEXED_MAX && bytes < limits::INDEXED_BYTES_MAX {
        let page = rows.list(Table::Objects, &[], &next.to_be_bytes(), PAGE)?;
        for (sequence, stored) in &page {
            let object = record::decode(stored)?;
            for term in terms::of(&object) {
                rows.put(Key::new(Table::Tags, &term, sequence), object.uid.as_bytes())?;
            }
            next = u64::from_be_bytes(number(sequence)?).saturating_add(1);
            bytes += stored.len();
        }
        count += page.len();
        if page.len() < PAGE {
            return Ok((Indexed::Whole, count));
        }
    }
    Ok((Indexed::Before(next), count))
}
