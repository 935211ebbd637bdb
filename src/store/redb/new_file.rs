//! A database that is made from rows: it is there whole, or not at all.
#![forbid(unsafe_code)]

use super::rows::{Tables, writing};
use super::{inaccessible, sync_folder};
use crate::limits;
use crate::store::StoreError;
use crate::store::rows::Table;
use ::redb::Builder;
use ::redb::backends::FileBackend;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the name of a file ends with until it is complete.
const PARTIAL: &str = ".partial";

/// The tables of a database that is being made.
pub struct Filling<'t>(Tables<::redb::Table<'t, &'static [u8], &'static [u8]>>);

impl Filling<'_> {
    /// Adds a row, its key as its bytes ([`Key::bytes`](crate::store::rows::Key::bytes)). In the order of the keys it is
    /// fastest, and the file smallest.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.put(table, key, value)
    }
}

/// Makes a database with the rows that `fill` puts into it, in a file next to `path`, for the owner only, and calls it
/// `path` when it is safe on the disk and `finish` has not objected; whatever had that name is replaced in the same
/// instant. After an error nothing is left, and what was there is still there; but for an error of the last step, by which
/// the new name becomes safe as well.
pub fn make<E: From<StoreError>>(
    path: &Path,
    fill: impl FnOnce(&mut Filling<'_>) -> Result<(), E>,
    finish: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let mut partial = Partial::create(path)?;
    partial.fill(fill)?;
    finish(&partial.path)?;
    fs::rename(&partial.path, path).map_err(inaccessible(path))?;
    partial.is_in_place = true;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(())
}

/// The file while it is made. Dropped, it is removed, unless it was put in place.
struct Partial {
    path: PathBuf,
    file: File,
    is_in_place: bool,
}

impl Partial {
    fn create(path: &Path) -> Result<Partial, StoreError> {
        let mut name = OsString::from(path);
        name.push(PARTIAL);
        let path = PathBuf::from(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(file) => Ok(Partial { path, file, is_in_place: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let reason = "it is being written, or was left behind by a crash: wait, or remove it";
                Err(StoreError::Inaccessible { path, reason: reason.to_owned() })
            }
            Err(error) => Err(inaccessible(&path)(error)),
        }
    }

    fn fill<E: From<StoreError>>(
        &self,
        fill: impl FnOnce(&mut Filling<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = self.file.try_clone().map_err(StoreError::from)?;
        let mut builder = Builder::new();
        builder.set_cache_size(limits::STORE_CACHE_BYTES);
        let database = FileBackend::new(file).and_then(|file| builder.create_with_backend(file));
        let database = database.map_err(StoreError::from)?;
        let mut transaction = database.begin_write().map_err(StoreError::from)?;
        transaction.set_two_phase_commit(true);
        let mut filling = Filling(writing(&transaction)?);
        fill(&mut filling)?;
        drop(filling);
        transaction.commit().map_err(StoreError::from)?;
        database.close().map_err(StoreError::from)?;
        Ok(self.file.sync_all().map_err(StoreError::from)?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_in_place {
            // Where it cannot be removed, the next one says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}
