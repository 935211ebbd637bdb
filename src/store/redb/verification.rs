//! Verification after the start. A large file that was closed in order is served before all of it was read: reads at once,
//! writes and backups when it was. A copy has checksums of its own: damage would be whole in it.
//!
//! redb verifies whatever a crash has left, but trusts what was closed in order, and may panic where that is damaged. A
//! mark beside the file tells that it is trusted and was not verified yet: a start that finds one verifies first, and says
//! what is wrong. So damage costs one start at most.
#![forbid(unsafe_code)]

use super::overlay::Overlay;
use super::{RedbStore, sync_folder};
use crate::limits;
use crate::store::StoreError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Verifies what is open and was not verified yet. Nothing may be written meanwhile.
pub type Verification = Box<dyn Fn() -> Result<(), StoreError> + Send>;

/// What is left to be verified of an open file. Nothing is written or copied before it was.
pub(super) struct Unverified(Mutex<Option<Verification>>);

impl Unverified {
    pub(super) fn new(verification: Option<Verification>) -> Unverified {
        Unverified(Mutex::new(verification))
    }

    /// Verifies it, or waits for whoever does, unless it was done before.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        let mut unverified = self.lock();
        if let Some(verify) = &*unverified {
            verify()?;
            log::info!("the database was verified");
        }
        *unverified = None;
        Ok(())
    }

    pub(super) fn is_verified(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Verification>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Trusts `file`, at `path`, for now, if it has more bytes than that and there is no mark that says it was trusted before; the
/// mark is made. `None` where it is to be verified first.
pub(super) fn trust(
    path: &Path,
    file: &File,
    verified_first_bytes_max: u64,
) -> io::Result<Option<Verification>> {
    let mark = mark(path);
    if file.metadata()?.len() <= verified_first_bytes_max || mark.exists() {
        return Ok(None);
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mark);
    let Ok(Ok(())) = made.map(|_| path.parent().map_or(Ok(()), sync_folder)) else {
        // A disk that takes no mark has other troubles, of which the opening tells.
        return Ok(None);
    };
    let file = file.try_clone()?;
    Ok(Some(Box::new(move || {
        let overlay = Overlay::of_our_own(file.try_clone()?)?;
        RedbStore::open_verified(overlay, limits::VERIFYING_CACHE_BYTES)?;
        Ok(remove(&mark)?)
    })))
}

/// Removes the mark of a file that was verified, if there is one.
pub(super) fn verified(path: &Path) -> io::Result<()> {
    remove(&mark(path))
}

fn mark(path: &Path) -> PathBuf {
    path.with_extension("unverified")
}

/// It may come back after a crash: then a start takes longer.
fn remove(mark: &Path) -> io::Result<()> {
    match fs::remove_file(mark) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redb::FILE_NAME;
    use crate::store::rows::{Engine, Key, Rows as _, Table};
    use std::os::unix::fs::FileExt;

    /// An empty folder, which is removed with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("keyway-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }

        /// Opens the database with some rows, and closes it.
        fn fill(&self) {
            let store = self.open_trusting(u64::MAX).unwrap();
            let put = |rows: &mut dyn crate::store::rows::RowsMut| {
                (0..2_000_u64).try_for_each(|n| rows.put(objects(n).as_key(), &[n as u8; 200]))
            };
            store.transact(&mut |rows| put(rows)).unwrap();
        }

        fn open(&self) -> Result<RedbStore, StoreError> {
            self.open_trusting(0)
        }

        /// What was closed here may stay open for a moment: in the child of another test, until it runs its program.
        fn open_trusting(&self, verified_first_bytes_max: u64) -> Result<RedbStore, StoreError> {
            for _ in 0..100 {
                match RedbStore::open_trusting(&self.0, false, verified_first_bytes_max) {
                    Err(StoreError::AlreadyOpen) => std::thread::sleep(std::time::Duration::from_millis(10)),
                    opened => return opened,
                }
            }
            Err(StoreError::AlreadyOpen)
        }

        fn is_marked(&self) -> bool {
            mark(&self.0.join(FILE_NAME)).exists()
        }

        /// Changes what a row holds, behind redb's back.
        fn damage(&self) {
            let path = self.0.join(FILE_NAME);
            let content = fs::read(&path).unwrap();
            let at = content.windows(200).position(|bytes| bytes == [77; 200]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_at(&[78], at as u64 + 100).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    struct Sequence([u8; 8]);

    fn objects(n: u64) -> Sequence {
        Sequence(n.to_be_bytes())
    }

    impl Sequence {
        fn as_key(&self) -> Key<'_> {
            Key::new(Table::Sequences, &[], &self.0)
        }
    }

    fn row(store: &RedbStore, n: u64) -> Vec<u8> {
        Engine::read(store).unwrap().get(objects(n).as_key()).unwrap().unwrap().to_vec()
    }

    #[test]
    fn what_was_closed_in_order_is_read_before_it_was_verified_and_written_after() {
        let folder = Folder::new("verified-later");
        folder.fill();
        assert!(!folder.is_marked());
        let store = folder.open().unwrap();
        assert!(folder.is_marked());
        assert_eq!(row(&store, 77), [77; 200]);
        assert!(folder.is_marked());
        Engine::verify(&store).unwrap();
        assert!(!folder.is_marked());
        store.transact(&mut |rows| rows.put(objects(77).as_key(), b"new")).unwrap();
        drop(store);

        let store = folder.open().unwrap();
        store.transact(&mut |rows| rows.put(objects(78).as_key(), b"newer")).unwrap();
        assert!(!folder.is_marked(), "a write waits for the verification");
        assert_eq!((row(&store, 77), row(&store, 78)), (b"new".to_vec(), b"newer".to_vec()));
    }

    #[test]
    fn damage_is_told_by_the_verification_and_by_the_next_start() {
        let folder = Folder::new("damaged");
        folder.fill();
        folder.damage();
        let store = folder.open().unwrap();
        let refused = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Corrupt(_)));
        assert!(refused(Engine::verify(&store)));
        assert!(
            refused(store.transact(&mut |rows| rows.put(objects(1).as_key(), b"new"))),
            "nothing is written"
        );
        drop(store);
        assert!(folder.is_marked());
        assert!(refused(folder.open().map(drop)));
        assert!(folder.is_marked());
    }

    /// A copy has checksums of its own, which are right for whatever is copied.
    #[test]
    fn what_is_copied_was_verified() {
        let folder = Folder::new("copied");
        folder.fill();
        let store = folder.open().unwrap();
        let snapshot = store.snapshots(&folder.0).take().unwrap().unwrap();
        assert!(!folder.is_marked());
        assert_eq!(snapshot.get(objects(77).as_key()).unwrap().unwrap().as_slice(), [77; 200]);
        drop((snapshot, store));

        folder.damage();
        let store = folder.open().unwrap();
        assert_eq!(row(&store, 77)[100], 78, "a read does not look");
        assert!(matches!(store.snapshots(&folder.0).take(), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn what_a_crash_has_left_was_verified_when_it_is_open() {
        let folder = Folder::new("crashed");
        folder.fill();
        let path = folder.0.join(FILE_NAME);
        let store = folder.open_trusting(u64::MAX).unwrap();
        let left_behind = fs::read(&path).unwrap();
        drop(store);
        fs::write(&path, left_behind).unwrap();
        let store = folder.open().unwrap();
        assert!(!folder.is_marked());
        assert_eq!(row(&store, 77), [77; 200]);
    }

    #[test]
    fn a_start_that_was_cut_short_is_followed_by_one_that_verifies_first() {
        let folder = Folder::new("cut-short");
        folder.fill();
        fs::write(mark(&folder.0.join(FILE_NAME)), "").unwrap();
        drop(folder.open().unwrap());
        assert!(!folder.is_marked());
    }
}
