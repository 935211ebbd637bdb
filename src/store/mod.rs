//! Where objects last.
//!
//! [`redb::RedbStore`] keeps them in one file; [`memory::MemoryStore`] is the same in a few obvious lines, for tests to
//! compare with. Both answer through the [`View`] that decisions are made over.
#![forbid(unsafe_code)]

use crate::kms::view::{Changes, View};
use std::fmt;
use std::path::PathBuf;

#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod record;
pub mod redb;

/// A place for objects. Reads see the last commit; writes are serialised.
pub trait Store: Send + Sync {
    /// A view of the last commit. It pins old pages while it lives: drop it when something was written.
    fn read(&self) -> Result<Box<dyn View>, StoreError>;

    /// Runs `work` in one write transaction and commits it durably (on disk when this returns) if it answers `Ok` and
    /// no [`Transaction::apply`] in it failed; else nothing has changed.
    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

/// A write transaction: a view that includes its own changes.
pub trait Transaction: View {
    /// Applies the changes of one request, all or none. A change that contradicts the store (an insert of what is
    /// there; a replacement, a removal or a grant of what is not) is [`StoreError::Refused`], and fails the transaction.
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError>;
}

/// Why the store could not do it, by who must act. `Display` gives one line for the operator's log, with the cause and
/// the cure; nothing of it goes to a peer.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// Another process has the database open.
    AlreadyOpen,
    /// The folder or the file cannot be read and written.
    Inaccessible {
        /// Which of them.
        path: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// There is no space left on the disk, or within the quota.
    DiskFull,
    /// The file is not what was written.
    Corrupt(String),
    /// A later version of the program has written the file.
    Newer {
        /// The version of the file's schema.
        found: u32,
        /// The last version that this program knows.
        known: u32,
    },
    /// The disk, or whatever stands for it, failed.
    Io(String),
    /// The caller asked for what cannot be: its fault, not the store's, and nothing has changed.
    Refused(&'static str),
}

impl StoreError {
    /// Whether the store is of no use any more, so that the process must end: starting anew is the way of recovery.
    /// After any other error nothing has changed, and the next transaction may succeed.
    pub fn is_fatal(&self) -> bool {
        match self {
            StoreError::AlreadyOpen
            | StoreError::Inaccessible { .. }
            | StoreError::DiskFull
            | StoreError::Corrupt(_)
            | StoreError::Newer { .. }
            | StoreError::Io(_) => true,
            StoreError::Refused(_) => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::AlreadyOpen => f.write_str(
                "the database is already open in another process: stop that one, or give this one a folder of its own",
            ),
            StoreError::Inaccessible { path, reason } => write!(
                f,
                "{} cannot be used ({reason}): give the server a folder that its user can read and write",
                path.display()
            ),
            StoreError::DiskFull => {
                f.write_str("the disk of the database is full: free some space, then start again")
            }
            StoreError::Corrupt(what) => write!(
                f,
                "the database is damaged ({what}): restore it from a backup; the file was left as it is"
            ),
            StoreError::Newer { found, known } => write!(
                f,
                "the database has version {found}, and this program knows versions up to {known}: run a later program"
            ),
            StoreError::Io(reason) => {
                write!(f, "the disk of the database failed ({reason}): check it, then start again")
            }
            StoreError::Refused(what) => write!(f, "a change was refused: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// The refusals of [`Transaction::apply`], for every store alike.
const UID_TAKEN: StoreError = StoreError::Refused("an object with this identifier is there already");
const UID_UNKNOWN: StoreError = StoreError::Refused("there is no object with this identifier");
const APPLY_FAILED: StoreError = StoreError::Refused("a change of this transaction failed before");
