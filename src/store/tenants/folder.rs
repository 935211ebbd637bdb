//! The files of tenants in a folder of this machine, which no other process may open meanwhile.
#![forbid(unsafe_code)]

use super::Files;
use crate::limits;
use crate::store::StoreError;
use crate::store::redb::{self, Guard, RedbStore};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "redb";
/// Databases of SQLCipher, as the old server has made them.
const OLD_EXTENSION: &str = "sqlite";

/// A folder; each database lies in `<group id in decimal>.redb`.
pub struct Folder {
    path: PathBuf,
    _guard: Guard,
}

impl Folder {
    /// The folder at `path`, which is made where it is not there. `clear` removes all databases of tenants in it.
    pub fn open(path: &Path, clear: bool) -> Result<Folder, StoreError> {
        redb::prepare_folder(path)?;
        let guard = Guard::take(path)?;
        if clear {
            let removed = remove_all(path).map_err(redb::inaccessible(path))?;
            redb::sync_folder(path)?;
            log::warn!("{removed} databases of tenants were removed from {}", path.display());
        }
        let (ours, old) = count(path).map_err(redb::inaccessible(path))?;
        log::info!("{} holds databases of {ours} tenants", path.display());
        if old > 0 {
            log::warn!("{old} databases of the old server (.{OLD_EXTENSION}) are in it: they are not read");
        }
        Ok(Folder { path: path.to_owned(), _guard: guard })
    }

    /// Where the database of a group lies.
    fn file(&self, group: u128) -> PathBuf {
        self.path.join(format!("{group}.{EXTENSION}"))
    }
}

impl Files for Folder {
    fn has(&self, group: u128) -> Result<bool, StoreError> {
        let path = self.file(group);
        path.try_exists().map_err(redb::inaccessible(&path))
    }

    fn make(&self, group: u128) -> Result<RedbStore, StoreError> {
        RedbStore::make_file(&self.file(group), limits::TENANT_CACHE_BYTES)
    }

    fn open(&self, group: u128) -> Result<RedbStore, StoreError> {
        RedbStore::open_file(&self.file(group), limits::TENANT_CACHE_BYTES)
    }

    fn remove(&self, group: u128) {
        let path = self.file(group);
        if let Err(error) = fs::remove_file(&path) {
            log::warn!("{}: {error}", path.display());
        }
    }

    fn trouble(&self) -> Option<String> {
        fs::read_dir(&self.path).err().map(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Whether it is a tenant's file, by its name.
fn is_of_tenant(path: &Path) -> bool {
    let Some((stem, EXTENSION)) = path.file_name().and_then(OsStr::to_str).and_then(|n| n.rsplit_once('.'))
    else {
        return false;
    };
    stem.parse::<u128>().is_ok_and(|group| group.to_string() == stem)
}

/// How many tenants have databases in a folder, and how many of the old server's lie beside them.
fn count(folder: &Path) -> io::Result<(usize, usize)> {
    let (mut ours, mut old) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        ours += usize::from(is_of_tenant(&path));
        old += usize::from(path.extension() == Some(OsStr::new(OLD_EXTENSION)));
    }
    Ok((ours, old))
}

fn remove_all(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_of_tenant(&path) {
            fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(removed)
}
