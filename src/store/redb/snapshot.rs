//! All rows of one commit, for copies and checks, whatever is committed meanwhile.
#![forbid(unsafe_code)]

use super::RedbStore;
use super::rows::{Tables, reading};
use super::verification::Unverified;
use crate::store::StoreError;
use crate::store::rows::{AllRows, Key, Row, Rows, Table, Value};
use ::redb::{Database, ReadOnlyTable, ReadableDatabase};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Where snapshots of a database come from, as long as it is open: this does not keep it open.
#[derive(Clone)]
pub struct Snapshots {
    folder: PathBuf,
    database: Weak<Database>,
    unverified: Weak<Unverified>,
}

impl Snapshots {
    /// The folder of the database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The rows as they are now; `None` where the database was closed. One that was not verified yet is verified first: this
    /// takes as long, or is an error where it is damaged.
    pub fn take(&self) -> Result<Option<Snapshot>, StoreError> {
        if let Some(unverified) = self.unverified.upgrade() {
            unverified.verify()?;
        }
        self.database.upgrade().map(|database| Snapshot::of(&database)).transpose()
    }
}

/// The rows of one commit, as they lie in the file: of a sealed database, sealed. The file grows while one is held and
/// much is written, since no page that it shows is used again.
pub struct Snapshot {
    tables: Tables<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

impl RedbStore {
    /// The rows as they are now.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::of(&self.database)
    }

    /// Where to take snapshots later; `folder` is that of the database.
    pub fn snapshots(&self, folder: &Path) -> Snapshots {
        Snapshots {
            folder: folder.to_owned(),
            database: Arc::downgrade(&self.database),
            unverified: Arc::downgrade(&self.unverified),
        }
    }
}

impl Snapshot {
    fn of(database: &Database) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { tables: reading(&database.begin_read()?)? })
    }

    /// How many rows a table has.
    pub fn rows(&self, table: Table) -> Result<u64, StoreError> {
        self.tables.rows(table)
    }
}

impl Rows for Snapshot {
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

impl AllRows for Snapshot {
    fn all(
        &self,
        table: Table,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StoreError>> + '_>, StoreError> {
        self.tables.all(table)
    }
}
