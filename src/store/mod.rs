//! Where objects last.
//!
//! An engine keeps rows of bytes ([`rows`]); [`tables`] finds objects in them, for every engine alike, [`search`] those
//! that have several terms; [`upgrade`] brings them up to date where an older version has written them. [`redb::RedbStore`]
//! keeps them in one file, [`tenants::Tenants`] in one for each tenant, the engines of [`remote`] in databases that servers
//! share; [`memory::MemoryStore`] is a store in a few obvious lines, for tests to compare with. All answer through the
//! [`View`] that decisions are made over.
#![forbid(unsafe_code)]

use crate::kms::view::{Changes, View};
use tenants::Tenants;

pub use crate::kms::view::StoreError;

pub mod check;
pub mod database;
pub mod identifier;
pub mod late;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod record;
pub mod redb;
mod remembered;
pub mod remote;
pub mod rows;
pub mod sealed;
mod search;
mod tables;
pub mod tenants;
mod upgrade;

/// A place for objects. Reads see the last commit; writes are serialised.
pub trait Store: Send + Sync {
    /// The name of its engine, for `/health`.
    fn name(&self) -> &'static str;

    /// A view of the last commit. It pins old pages while it lives: drop it when something was written.
    fn read(&self) -> Result<Box<dyn View>, StoreError>;

    /// Runs `work` in one write transaction and commits it durably (on disk when this returns) if it answers `Ok` and
    /// no [`Transaction::apply`] in it failed; else nothing has changed. Where the database asks for it, `work` is run
    /// again from the beginning, and the last run counts.
    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
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

    /// The databases of tenants, where each has one of its own: then nothing is read or written here.
    fn tenants(&self) -> Option<Tenants> {
        None
    }
}

/// A write transaction: a view that includes its own changes.
pub trait Transaction: View {
    /// Applies the changes of one request, all or none. A change that contradicts the store (an insert of what is
    /// there; a replacement, a removal or a grant of what is not) is [`StoreError::Refused`], and fails the transaction.
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError>;
}

/// The refusals of [`Transaction::apply`], for every store alike.
const UID_TAKEN: StoreError = StoreError::Refused("an object with this identifier is there already");
const UID_UNKNOWN: StoreError = StoreError::Refused("there is no object with this identifier");
const APPLY_FAILED: StoreError = StoreError::Refused("a change of this transaction failed before");
