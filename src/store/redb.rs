//! The embedded store: one file, `keyway.redb`, kept by redb.
//!
//! Commits are durable and in two phases: the checksums of redb are no cryptography, and attributes are bytes that
//! strangers choose, so a half-written commit must not depend on them. The whole file is verified (a second for a million
//! objects) when it is opened, or soon after ([`verification`]), because redb trusts what it reads later. After any error of the disk redb answers nothing more:
//! such errors are fatal, and the next start recovers the last commit.
#![forbid(unsafe_code)]

mod branches;
pub mod new_file;
mod overlay;
mod rows;
mod snapshot;
mod verification;

use self::branches::Branches;
use self::overlay::Overlay;
use self::rows::{Cleared, Writing};
use self::verification::Unverified;
use super::StoreError;
use super::rows::{Engine, Key, Rows, RowsMut, SCHEMA_NAME, Table};
use crate::limits;
use ::redb::backends::FileBackend;
use ::redb::{Builder, Database, ReadableDatabase, StorageBackend, WriteTransaction};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use snapshot::{Snapshot, Snapshots};
pub use verification::Verification;

/// The file's name in its folder.
pub const FILE_NAME: &str = "keyway.redb";
/// The part of a file that redb writes first when it makes one, without the nine bytes that mark it as complete.
const HEADER_BYTES: usize = 512;
const MARK_BYTES: usize = 9;
/// A file whose making was cut short is smaller.
const UNFINISHED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Objects in a file of redb.
pub struct RedbStore {
    /// Shared with [`Snapshots`], which do not keep it.
    database: Arc<Database>,
    /// Shared likewise.
    unverified: Arc<Unverified>,
}

impl RedbStore {
    /// Opens `keyway.redb` in `folder`, making both where they are not there (for the owner only). `clear` removes all
    /// objects and grants, in one transaction, and logs how many. One process at a time: a second one gets
    /// [`StoreError::AlreadyOpen`].
    ///
    /// The file is made the owner's alone whenever it is not; a folder that others may read is only warned of, since it
    /// may be a mounted volume with rules of its own.
    ///
    /// A large file is verified later, by [`Engine::verify`] or before the first change.
    pub fn open(folder: &Path, clear: bool) -> Result<RedbStore, StoreError> {
        RedbStore::open_trusting(folder, clear, limits::VERIFIED_FIRST_BYTES_MAX)
    }

    fn open_trusting(
        folder: &Path,
        clear: bool,
        verified_first_bytes_max: u64,
    ) -> Result<RedbStore, StoreError> {
        prepare_folder(folder)?;
        // Nobody else may be making the file while this looks whether its making was cut short.
        let _guard = Guard::take(folder)?;
        let path = folder.join(FILE_NAME);
        let file = open_file(&path, Making::WhereMissing).map_err(inaccessible(&path))?;
        // The file's name must last as well as its content.
        sync_folder(folder)?;
        let unverified = verification::trust(&path, &file, verified_first_bytes_max)?;
        let file = Branches::over(FileBackend::new(file)?, limits::BRANCHES_KEPT_FROM_BYTES)?;
        let store = RedbStore::start(file, clear, limits::STORE_CACHE_BYTES, unverified)?;
        if store.is_verified() {
            verification::verified(&path)?;
        }
        Ok(store)
    }

    /// Makes a file, which must not be there, in a folder that is guarded ([`Guard`]).
    pub fn make_file(path: &Path, cache_bytes: usize) -> Result<RedbStore, StoreError> {
        let file = open_file(path, Making::Always).map_err(inaccessible(path))?;
        path.parent().map_or(Ok(()), sync_folder)?;
        RedbStore::start(FileBackend::new(file)?, false, cache_bytes, None)
    }

    /// Opens a file, which must be there, in a folder that is guarded.
    pub fn open_file(path: &Path, cache_bytes: usize) -> Result<RedbStore, StoreError> {
        let file = open_file(path, Making::Never).map_err(inaccessible(path))?;
        if file.metadata()?.len() == 0 {
            return Err(StoreError::Corrupt("the file is empty".to_owned()));
        }
        RedbStore::start(FileBackend::new(file)?, false, cache_bytes, None)
    }

    /// Opens the database that lies in `backend`, and makes one where that is empty.
    pub fn with_backend(backend: impl StorageBackend) -> Result<RedbStore, StoreError> {
        RedbStore::start(backend, false, limits::STORE_CACHE_BYTES, None)
    }

    /// Opens the database that lies in `backend`, which is trusted until it is verified like this, if it was closed in order.
    pub fn with_trusted_backend(
        backend: impl StorageBackend,
        unverified: Verification,
    ) -> Result<RedbStore, StoreError> {
        RedbStore::start(backend, false, limits::STORE_CACHE_BYTES, Some(unverified))
    }

    /// Opens the database in `file`, which is only read, and verifies it, as every opening does. What is changed in it is
    /// forgotten when it is closed. [`StoreError::AlreadyOpen`] where a server writes it.
    pub fn open_unchanged(file: File) -> Result<RedbStore, StoreError> {
        if file.metadata()?.len() == 0 {
            return Err(StoreError::Corrupt("the file is empty".to_owned()));
        }
        let store = RedbStore::open_verified(Overlay::new(file)?, limits::STORE_CACHE_BYTES)?;
        let schema = Engine::read(&store)?.get(Key::new(Table::Meta, SCHEMA_NAME, &[]))?;
        rows::check_schema(&schema.unwrap_or_default())?;
        Ok(store)
    }

    fn start(
        backend: impl StorageBackend,
        clear: bool,
        cache_bytes: usize,
        unverified: Option<Verification>,
    ) -> Result<RedbStore, StoreError> {
        discard_unfinished(&backend)?;
        let store = RedbStore::open_backend(backend, cache_bytes, unverified)?;
        // This commit also tells at once when the disk cannot be written.
        let transaction = store.begin_write()?;
        let cleared = rows::prepare(&transaction, clear)?;
        store.commit(transaction)?;
        if let Some(Cleared { objects, grants }) = cleared {
            log::warn!("the database was cleared: {objects} objects and {grants} grants were erased");
        }
        Ok(store)
    }

    fn open_verified(backend: impl StorageBackend, cache_bytes: usize) -> Result<RedbStore, StoreError> {
        RedbStore::open_backend(backend, cache_bytes, None)
    }

    fn open_backend(
        backend: impl StorageBackend,
        cache_bytes: usize,
        unverified: Option<Verification>,
    ) -> Result<RedbStore, StoreError> {
        let is_repaired = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_repaired);
        let database = Builder::new()
            .set_cache_size(cache_bytes)
            .set_check_integrity_on_open(unverified.is_none())
            .set_repair_callback(move |_| told.store(true, Ordering::Relaxed))
            .create_with_backend(backend)?;
        // After a crash, redb has verified it whatever was asked.
        let unverified = unverified.filter(|_| !is_repaired.load(Ordering::Relaxed));
        Ok(RedbStore { database: Arc::new(database), unverified: Arc::new(Unverified::new(unverified)) })
    }

    /// Whether it was verified since it was opened.
    pub fn is_verified(&self) -> bool {
        self.unverified.is_verified()
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    /// Commits durably. What that replaces is freed by the next commit: otherwise redb would free it at once, in a second
    /// commit that is not durable, and every read that its cache has not would search the write buffer for its pages.
    fn commit(&self, transaction: WriteTransaction) -> Result<(), StoreError> {
        // Nobody frees what somebody may still read.
        let _before = self.database.begin_read()?;
        Ok(transaction.commit()?)
    }
}

impl Engine for RedbStore {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(rows::reading(&self.database.begin_read()?)?))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.verify()?;
        // Dropped without a commit, the transaction is undone.
        let transaction = self.begin_write()?;
        let mut writing = Writing { tables: rows::writing(&transaction)?, has_changed: false };
        work(&mut writing)?;
        let has_changed = writing.has_changed;
        drop(writing);
        if has_changed {
            self.commit(transaction)?;
        }
        Ok(())
    }

    fn verify(&self) -> Result<(), StoreError> {
        self.unverified.verify()
    }
}

/// Keeps others from opening or replacing the database in a folder while it lives. A server with one database takes it for
/// its start only: then the file itself is locked.
pub struct Guard {
    _folder: File,
}

impl Guard {
    /// [`StoreError::AlreadyOpen`] where somebody else has it.
    pub fn take(folder: &Path) -> Result<Guard, StoreError> {
        let guard = File::open(folder).map_err(inaccessible(folder))?;
        match guard.try_lock() {
            Err(TryLockError::WouldBlock) => Err(StoreError::AlreadyOpen),
            _ => Ok(Guard { _folder: guard }),
        }
    }
}

/// Makes the folder and its parents, for the owner only.
pub fn prepare_folder(folder: &Path) -> Result<(), StoreError> {
    let missing = folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(inaccessible(folder))?;
    let absolute = folder.canonicalize().map_err(inaccessible(folder))?;
    // Each new folder is a name in its parent.
    absolute.ancestors().skip(1).take(missing).try_for_each(sync_folder)?;

    let mode = absolute.metadata().map_err(inaccessible(folder))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        log::warn!("{} is open to other users (mode {mode:03o}): chmod 700 it", folder.display());
    }
    Ok(())
}

/// Whether a file is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Making {
    Never,
    WhereMissing,
    Always,
}

/// Opens or makes the file, and sees to it that it is the owner's alone, whatever the umask.
fn open_file(path: &Path, making: Making) -> io::Result<File> {
    let existed = path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(making == Making::WhereMissing)
        .create_new(making == Making::Always)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode != 0o600 {
        file.set_permissions(Permissions::from_mode(0o600))?;
        if existed {
            log::warn!("{} had mode {mode:03o}: it is 600 again", path.display());
        }
    }
    Ok(file)
}

/// Makes the names in a folder durable. Some file systems cannot sync a folder, and some folders cannot be opened: they have
/// other ways, or none.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            log::warn!("{} could not be synced to the disk: {error}", folder.display());
            Ok(())
        }
        synced => synced.map_err(inaccessible(folder)),
    }
}

/// Empties a file whose making was cut short by a crash: redb would call it damaged. There can have been no commit, since
/// the mark is missing; that nothing follows the header is asked as well, so that no damage passes for it.
fn discard_unfinished(backend: &impl StorageBackend) -> io::Result<()> {
    let bytes = backend.len()?;
    if !(1..=UNFINISHED_BYTES_MAX).contains(&bytes) {
        return Ok(());
    }
    let mut stored = vec![0; bytes as usize];
    backend.read(0, &mut stored)?;
    let nothing = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    let (header, rest) = stored.split_at(stored.len().min(HEADER_BYTES));
    if nothing(&header[..header.len().min(MARK_BYTES)]) && nothing(rest) {
        backend.set_len(0)?;
    }
    Ok(())
}

/// What an error of the operating system at a path means.
pub(super) fn inaccessible(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::DiskFull,
        _ => StoreError::Inaccessible { path: path.to_owned(), reason: error.to_string() },
    }
}

/// Sorts redb's errors, of any of its kinds, by who must act.
impl<E: Into<::redb::Error>> From<E> for StoreError {
    fn from(error: E) -> StoreError {
        use ::redb::Error;
        match error.into() {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => StoreError::AlreadyOpen,
            Error::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    StoreError::DiskFull
                }
                // redb's words for a file of something else, and for one that was cut short.
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Corrupt(error.to_string()),
                _ => StoreError::Io(error.to_string()),
            },
            error @ (Error::Corrupted(_)
            | Error::UpgradeRequired(_)
            | Error::RepairAborted
            | Error::TableTypeMismatch { .. }
            | Error::TypeDefinitionChanged { .. }
            | Error::TableIsMultimap(_)
            | Error::TableIsNotMultimap(_)
            | Error::TableDoesNotExist(_)) => StoreError::Corrupt(error.to_string()),
            error => StoreError::Io(error.to_string()),
        }
    }
}
