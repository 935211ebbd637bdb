//! The rows in the file: a table of redb for each of ours, from the bytes of keys to values.
#![forbid(unsafe_code)]

use crate::secret::Buffer;
use crate::store::StoreError;
use crate::store::rows::{Key, Row, Rows, RowsMut, SCHEMA_NAME, Table, Value, beginning};
use ::redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    WriteTransaction,
};

type Bytes = &'static [u8];

/// The version of the tables: a program of an earlier one must not write to them. What is of one is brought up to date
/// when the database is opened ([`upgrade`](crate::store::upgrade)).
const SCHEMA: u32 = 4;

/// What was removed on demand.
pub(super) struct Cleared {
    pub(super) objects: u64,
    pub(super) grants: u64,
}

/// Makes the tables where they are not there, refuses those of a later version, and empties them on demand.
pub(super) fn prepare(transaction: &WriteTransaction, clear: bool) -> Result<Option<Cleared>, StoreError> {
    let tables = writing(transaction)?;
    if let Some(schema) = tables.get(Key::new(Table::Meta, SCHEMA_NAME, &[]))? {
        check_schema(&schema)?;
    }
    let mut cleared = None;
    if clear {
        let (objects, grants) = (tables.rows(Table::Objects)?, tables.rows(Table::GrantsByObject)?);
        cleared = Some(Cleared { objects, grants });
    }
    drop(tables);
    for table in Table::ALL {
        if clear {
            transaction.delete_table(definition(table))?;
        }
    }
    writing(transaction)?.put(Table::Meta, SCHEMA_NAME, &SCHEMA.to_be_bytes())?;
    Ok(cleared)
}

/// Refuses what is not of this version or an older one.
pub(super) fn check_schema(schema: &[u8]) -> Result<(), StoreError> {
    match schema.try_into().map(u32::from_be_bytes) {
        Ok(1..=SCHEMA) => Ok(()),
        Ok(found) if found > SCHEMA => Err(StoreError::Newer { found, known: SCHEMA }),
        _ => Err(StoreError::Corrupt("its schema has no such version".to_owned())),
    }
}

/// In the file, tables have the names of version 1, when identifiers led to sequences and those to records.
fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(match table {
        Table::Objects => "uids",
        Table::Sequences => "objects",
        table => table.name(),
    })
}

/// All tables of one transaction, each at the index that is its number.
pub(super) struct Tables<T>([T; Table::ALL.len()]);

/// For reading the last commit; they outlive the transaction's handle.
pub(super) fn reading(
    transaction: &ReadTransaction,
) -> Result<Tables<ReadOnlyTable<Bytes, Bytes>>, StoreError> {
    open(|definition| transaction.open_table(definition))
}

/// For reading and writing.
pub(super) fn writing(
    transaction: &WriteTransaction,
) -> Result<Tables<::redb::Table<'_, Bytes, Bytes>>, StoreError> {
    open(|definition| transaction.open_table(definition))
}

fn open<T>(
    table: impl Fn(TableDefinition<'static, Bytes, Bytes>) -> Result<T, TableError>,
) -> Result<Tables<T>, StoreError> {
    let mut tables = Vec::with_capacity(Table::ALL.len());
    for one in Table::ALL {
        tables.push(table(definition(one))?);
    }
    Ok(Tables(tables.try_into().unwrap_or_else(|_| unreachable!("there are as many as tables"))))
}

impl<T: ReadableTable<Bytes, Bytes>> Tables<T> {
    /// Shows the rows with this first part, in order from `from`, `limit` of them at most.
    fn each(
        &self,
        table: Table,
        first: &[u8],
        from: &[u8],
        limit: usize,
        mut show: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let beginning = beginning(table, first);
        let from = [beginning.as_slice(), from].concat();
        for entry in self.0[table as usize].range(from.as_slice()..)?.take(limit) {
            let (key, value) = entry?;
            let Some(second) = key.value().strip_prefix(beginning.as_slice()) else { break };
            show(second, value.value());
        }
        Ok(())
    }

    /// The rows of a table, whole keys and values, in order.
    pub(super) fn all(
        &self,
        table: Table,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StoreError>> + '_>, StoreError> {
        Ok(Box::new(self.0[table as usize].iter()?.map(|entry| {
            let (key, value) = entry?;
            Ok((key.value().to_vec(), Buffer::new(value.value().to_vec())))
        })))
    }
}

impl<T: ReadableTableMetadata> Tables<T> {
    /// How many rows a table has.
    pub(super) fn rows(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.0[table as usize].len()?)
    }
}

impl Tables<::redb::Table<'_, Bytes, Bytes>> {
    /// Sets the value at the bytes of a key.
    pub(super) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0[table as usize].insert(key, value)?;
        Ok(())
    }
}

impl<T: ReadableTable<Bytes, Bytes>> Rows for Tables<T> {
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        let found = match key.table {
            Table::Meta | Table::Objects => self.0[key.table as usize].get(key.first)?,
            Table::Sequences => self.0[key.table as usize].get(key.second)?,
            _ => self.0[key.table as usize].get(key.bytes().as_slice())?,
        };
        Ok(found.map(|value| Buffer::new(value.value().to_vec())))
    }

    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.each(table, first, from, limit, |second, value| {
            rows.push((second.to_vec(), Buffer::new(value.to_vec())));
        })?;
        Ok(rows)
    }

    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        let mut count = 0;
        self.each(table, first, &[], limit, |_, _| count += 1)?;
        Ok(count)
    }

    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0[Table::Sequences as usize].last()?.map(|(sequence, _)| sequence.value().to_vec()))
    }
}

/// The rows of a write transaction.
pub(super) struct Writing<'t> {
    pub(super) tables: Tables<::redb::Table<'t, Bytes, Bytes>>,
    /// Whether there is anything to commit.
    pub(super) has_changed: bool,
}

impl Rows for Writing<'_> {
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        self.tables.get(key)
    }
    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.tables.list(table, first, from, limit)
    }
    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        self.tables.count(table, first, limit)
    }
    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.tables.last_sequence()
    }
}

impl RowsMut for Writing<'_> {
    fn put(&mut self, key: Key<'_>, value: &[u8]) -> Result<(), StoreError> {
        self.has_changed = true;
        self.tables.put(key.table, &key.bytes(), value)
    }

    fn remove(&mut self, key: Key<'_>) -> Result<(), StoreError> {
        self.has_changed = true;
        self.tables.0[key.table as usize].remove(key.bytes().as_slice())?;
        Ok(())
    }
}
