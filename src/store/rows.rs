//! What an engine keeps: rows of bytes in a few tables, in the order of their keys.
//!
//! | table | first | second | value |
//! |---|---|---|---|
//! | meta | name | | what the engine or the sealing knows of itself |
//! | objects | identifier | | record of the object, with its sequence ([`record`](super::record)) |
//! | sequences | | sequence | identifier |
//! | tags | tag, or term ([`terms`](crate::kms::terms)) | sequence | identifier |
//! | owners | owner | sequence | identifier |
//! | grants by object | identifier | user | rights, 4 bytes |
//! | grants by user | user | identifier | rights, 4 bytes |
//!
//! An identifier is the unique identifier of an object, as it is stored ([`identifier`](super::identifier)). The grants that
//! are on no object have an empty one. Integers are big-endian. A sequence, of 8 bytes, is an object's place in the order of insertion: one more than that of
//! the last object. It keeps lists in order, and makes a new object an append to them.
//!
//! In version 3 of the tables, identifiers were stored as text. In version 2, records lay under their sequences, and
//! identifiers led to those: an object was two rows away. Both are changed when the database is opened
//! ([`upgrade`](super::upgrade)).
#![forbid(unsafe_code)]

use super::StoreError;
use crate::secret::Buffer;
use std::sync::OnceLock;

/// A table. The numbers are stored by some engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// What is known of the database itself.
    Meta = 0,
    /// The records, by unique identifier.
    Objects = 1,
    /// From sequences to unique identifiers.
    Sequences = 2,
    /// Objects by tag, and by term.
    Tags = 3,
    /// Objects by owner.
    Owners = 4,
    /// Who may do what with an object.
    GrantsByObject = 5,
    /// With which objects a user may do what.
    GrantsByUser = 6,
}

impl Table {
    /// All of them; each at the index that is its number.
    pub const ALL: [Table; 7] = [
        Table::Meta,
        Table::Objects,
        Table::Sequences,
        Table::Tags,
        Table::Owners,
        Table::GrantsByObject,
        Table::GrantsByUser,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Objects => "objects",
            Table::Sequences => "sequences",
            Table::Tags => "tags",
            Table::Owners => "owners",
            Table::GrantsByObject => "grants_by_object",
            Table::GrantsByUser => "grants_by_user",
        }
    }
}

/// The row of [`Table::Meta`] with the version of the tables, where an engine keeps one there.
pub const SCHEMA_NAME: &[u8] = b"schema";

/// The key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'k> {
    /// Where the row is.
    pub table: Table,
    /// What rows are listed by.
    pub first: &'k [u8],
    /// Which of them it is.
    pub second: &'k [u8],
}

impl<'k> Key<'k> {
    /// A row in a table.
    pub fn new(table: Table, first: &'k [u8], second: &'k [u8]) -> Key<'k> {
        Key { table, first, second }
    }

    /// As bytes: those of the one part where a table has but one; else the length of the first part in 4 bytes, that part,
    /// and the second, so that no name can run into what follows it.
    pub fn bytes(&self) -> Vec<u8> {
        match self.table {
            Table::Meta | Table::Objects => self.first.to_vec(),
            Table::Sequences => self.second.to_vec(),
            _ => [&length(self.first), self.first, self.second].concat(),
        }
    }
}

/// What the keys with this first part begin with, in a table whose rows are listed.
pub fn beginning(table: Table, first: &[u8]) -> Vec<u8> {
    match table {
        Table::Sequences => Vec::new(),
        _ => prefix(first),
    }
}

/// A name with its length before it.
pub fn prefix(first: &[u8]) -> Vec<u8> {
    [&length(first), first].concat()
}

fn length(first: &[u8]) -> [u8; 4] {
    // A name of 4 GiB is beyond every limit, in a key as in a question.
    u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// The two parts of the bytes of a key, where they are those of one.
pub fn parts(table: Table, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match table {
        Table::Meta | Table::Objects => Some((bytes, &[])),
        Table::Sequences => Some((&[], bytes)),
        _ => {
            let (length, rest) = bytes.split_first_chunk()?;
            rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)
        }
    }
}

/// A value: of an object, it holds the material.
pub type Value = Buffer;
/// A row of a list: the second part of its key, and its value.
pub type Row = (Vec<u8>, Value);

/// Rows to read.
pub trait Rows {
    /// Whether all that is read is of one commit; else, what is read later may be of a later one.
    fn are_of_one_commit(&self) -> bool {
        true
    }

    /// The value at a key.
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError>;

    /// The values at these keys, none of them of [`Table::Meta`], all of one commit.
    fn get_all(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Value>>, StoreError> {
        keys.iter().map(|key| self.get(*key)).collect()
    }

    /// The rows with this first part, in the order of their second, beginning with `from` or the next one after it; `limit`
    /// of them at most. Lists of grants, whose order sealing changes, are only asked for from their beginning, which is
    /// empty. The list of sequences has an empty first part.
    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// How many rows [`Rows::list`] would give from the beginning.
    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError>;

    /// The last sequence.
    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Rows to read, of one commit, that can also be gone through from the first to the last.
pub trait AllRows: Rows {
    /// The rows of a table in the order of their keys: each with the bytes of its whole key ([`Key::bytes`]), and its value.
    fn all(&self, table: Table)
    -> Result<Box<dyn Iterator<Item = Result<Row, StoreError>> + '_>, StoreError>;
}

/// Rows to read and write, in a transaction. Reads see its own changes.
pub trait RowsMut: Rows {
    /// Sets the value at a key.
    fn put(&mut self, key: Key<'_>, value: &[u8]) -> Result<(), StoreError>;

    /// Removes the row at a key, if there is one.
    fn remove(&mut self, key: Key<'_>) -> Result<(), StoreError>;
}

impl<R: Rows + ?Sized> Rows for Box<R> {
    fn are_of_one_commit(&self) -> bool {
        (**self).are_of_one_commit()
    }
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        (**self).get(key)
    }
    fn get_all(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Value>>, StoreError> {
        (**self).get_all(keys)
    }
    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        (**self).list(table, first, from, limit)
    }
    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        (**self).count(table, first, limit)
    }
    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).last_sequence()
    }
}

impl<R: Rows + ?Sized> Rows for &mut R {
    fn are_of_one_commit(&self) -> bool {
        (**self).are_of_one_commit()
    }
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        (**self).get(key)
    }
    fn get_all(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Value>>, StoreError> {
        (**self).get_all(keys)
    }
    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        (**self).list(table, first, from, limit)
    }
    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        (**self).count(table, first, limit)
    }
    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).last_sequence()
    }
}

impl<R: RowsMut + ?Sized> RowsMut for &mut R {
    fn put(&mut self, key: Key<'_>, value: &[u8]) -> Result<(), StoreError> {
        (**self).put(key, value)
    }
    fn remove(&mut self, key: Key<'_>) -> Result<(), StoreError> {
        (**self).remove(key)
    }
}

/// A database of rows. Every engine is a [`Store`](super::Store) of objects by way of [`super::tables`].
pub trait Engine: Send + Sync {
    /// Its name, for `/health`.
    fn name(&self) -> &'static str;

    /// Rows to read.
    fn read(&self) -> Result<Box<dyn Rows>, StoreError>;

    /// Runs `work` in one write transaction, alone in the whole database, and commits it durably if it answers `Ok`; else
    /// nothing has changed. Where the database asks for it, `work` is run again from the beginning, and the last run
    /// counts.
    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Makes sure that what is there is whole, where opening has not done so yet. It may take long, reads go on meanwhile,
    /// and no change is made before.
    fn verify(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether reads take microseconds, so that they need no lane.
    fn reads_at_once(&self) -> bool {
        true
    }

    /// Why the database does not answer, as far as the last question told.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Where servers share the database: what the row [`SEAL`](super::sealed::SEAL) must hold in every transaction once this
    /// is set, so that the others are [`StoreError::Locked`].
    fn expected_seal(&self) -> Option<&OnceLock<Vec<u8>>> {
        None
    }
}

impl Engine for Box<dyn Engine> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        (**self).read()
    }
    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        (**self).transact(work)
    }
    fn verify(&self) -> Result<(), StoreError> {
        (**self).verify()
    }
    fn reads_at_once(&self) -> bool {
        (**self).reads_at_once()
    }
    fn trouble(&self) -> Option<String> {
        (**self).trouble()
    }
    fn expected_seal(&self) -> Option<&OnceLock<Vec<u8>>> {
        (**self).expected_seal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_key_have_its_parts() {
        for table in Table::ALL {
            for (first, second) in [("", ""), ("a", ""), ("a", "b"), ("", "\0\0\0\x01x")] {
                let bytes = Key::new(table, first.as_bytes(), second.as_bytes()).bytes();
                let (first_found, second_found) = parts(table, &bytes).unwrap();
                assert_eq!(Key::new(table, first_found, second_found).bytes(), bytes);
                if table >= Table::Tags {
                    assert_eq!((first_found, second_found), (first.as_bytes(), second.as_bytes()));
                }
            }
        }
        for wrong in [&b""[..], b"\0\0\0", b"\0\0\0\x02a"] {
            assert_eq!(parts(Table::Tags, wrong), None);
        }
    }
}
