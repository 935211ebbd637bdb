//! Where objects last.

use crate::kms::view::{Changes, View};

/// A place for objects. Reads see the last commit; writes are serialised.
pub trait Store: Send + Sync {
    /// A view of the last commit. It pins old pages while it lives: drop it when something was written.
    fn read(&self) -> Result<Box<dyn View>, StoreError>;

    /// Runs `work` in one write transaction and commits it durably (on disk when this returns) if it answers `Ok`;
    /// else nothing has changed.
    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

/// A write transaction: a view that includes its own changes.
pub trait Transaction: View {
    /// Applies the changes of one request, all or none.
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError>;
}

/// Why the store could not do it. `Display` gives one line for the operator's log; nothing of it goes to a peer.
#[derive(Debug)]
pub enum StoreError {
    /// The file is damaged.
    Corrupt(String),
}
