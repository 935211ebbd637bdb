//! `keyway backup`: a copy of the database as it is at one moment, row by row.
#![forbid(unsafe_code)]

use super::{CopyError, Copying, Counts, explain, readable};
use crate::limits::BACKUP_WAIT_TIMEOUT;
use crate::shell::backups::{self, frames::Receiver};
use crate::store::StoreError;
use crate::store::redb::new_file::{self, Filling};
use crate::store::redb::{FILE_NAME, RedbStore, Snapshot};
use crate::store::rows::{AllRows, Table};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Copies the database in `folder` to `file`: from the server that has it open, or else from its file. Gives the line that
/// says so.
pub(super) fn make(folder: &Path, file: &Path) -> Result<String, String> {
    if file.symlink_metadata().is_ok() {
        return Err(format!("{} exists already: choose another name, or remove it", file.display()));
    }
    let server = backups::connect(folder).map_err(|error| {
        let cure = "run this as the user that the server runs as, on the same machine";
        format!("the database in {} cannot be reached: {error}: {cure}", folder.display())
    })?;
    let mut counts = Counts::default();
    let made = match server {
        Some(server) => new_file::make(file, |filling| receive(server, filling, &mut counts), |_| Ok(())),
        None => {
            let database = folder.join(FILE_NAME);
            let store = RedbStore::open_unchanged(readable(&database)?).map_err(|error| match error {
                StoreError::AlreadyOpen => format!(
                    "{} is open in a process that makes no backups now: \
                     a server that is starting, or one whose log says why",
                    database.display()
                ),
                error => explain(&database, &error),
            })?;
            let snapshot = store.snapshot().map_err(|error| explain(&database, &error))?;
            new_file::make(file, |filling| copy(&snapshot, &database, filling, &mut counts), |_| Ok(()))
        }
    };
    made.map_err(|error| error.explain(file))?;
    let Counts { objects, grants } = counts;
    Ok(format!("{}: {objects} objects and {grants} grants\n", file.display()))
}

/// Takes all rows from a server.
fn receive(server: UnixStream, filling: &mut Filling<'_>, counts: &mut Counts) -> Result<(), CopyError> {
    let failed = |error: io::Error| {
        CopyError::Source(format!("the server has sent no whole backup ({error}): its log may say why"))
    };
    server.set_read_timeout(Some(BACKUP_WAIT_TIMEOUT)).map_err(failed)?;
    let rows = Receiver::begin(server).map_err(failed)?;
    let mut copying = Copying::new(filling, counts, rows.rows());
    for row in rows {
        let (table, (key, value)) = row.map_err(failed)?;
        copying.put(table, &key, &value)?;
    }
    Ok(())
}

/// Takes all rows of a snapshot of the database in `source`.
pub(super) fn copy(
    snapshot: &Snapshot,
    source: &Path,
    filling: &mut Filling<'_>,
    counts: &mut Counts,
) -> Result<(), CopyError> {
    let unreadable = |error| CopyError::Source(explain(source, &error));
    let mut rows_all = 0;
    for table in Table::ALL {
        rows_all += snapshot.rows(table).map_err(unreadable)?;
    }
    let mut copying = Copying::new(filling, counts, rows_all);
    for table in Table::ALL {
        for row in snapshot.all(table).map_err(unreadable)? {
            let (key, value) = row.map_err(unreadable)?;
            copying.put(table, &key, &value)?;
        }
    }
    Ok(())
}
