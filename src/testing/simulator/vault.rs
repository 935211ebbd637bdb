//! What opens the database on the disk of a machine: at the start, or when an owner has said so.
#![forbid(unsafe_code)]

use super::owner;
use super::sabotage::{self, Sabotage};
use crate::job::{Completion, Done, Job};
use crate::secret::Secret;
use crate::store::redb::RedbStore;
use crate::store::sealed::{self, MasterSecret};
use crate::store::{Store, StoreError};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use std::sync::Arc;

/// A disk, and what opens it.
pub struct Vault {
    disk: Disk,
    master: Option<MasterSecret>,
    sabotage: Option<Sabotage>,
    entropy: Choices,
    /// The database, if it is open.
    pub opened: Option<Arc<dyn Store>>,
    /// How often an owner was told that it cannot be opened.
    pub refusals: usize,
}

impl Vault {
    /// A disk whose database is sealed, or not.
    pub fn new(disk: &Disk, is_sealed: bool, sabotage: Option<Sabotage>, entropy: Choices) -> Vault {
        let is_sealed = is_sealed && sabotage != Some(Sabotage::Unsealed);
        let master = is_sealed.then(|| MasterSecret::Key(Secret::new(vec![0x5A; 32])));
        Vault { disk: disk.clone(), master, sabotage, entropy, opened: None, refusals: 0 }
    }

    /// Opens it, as the server is to see it.
    pub fn open(&mut self) -> Result<Arc<dyn Store>, StoreError> {
        // One at a time.
        self.opened = None;
        let engine = RedbStore::with_backend(self.disk.mount())?;
        let store = sealed::open(engine, self.master.as_ref(), &mut self.entropy)?;
        self.opened = Some(Arc::clone(&store));
        Ok(sabotage::store(self.sabotage, store))
    }

    /// Opens it for an owner: what the lane for it would do.
    pub fn provide(&mut self, job: Job) -> Completion {
        let open = || {
            self.open().map_err(|error| {
                assert!(is_of_disk(&error), "what was handed over cannot be opened: {error}");
                format!("database: {error}")
            })
        };
        let provided = owner::provide(job.work, open);
        self.refusals += usize::from(provided.is_err());
        Completion { id: job.id, done: Done::Provided(provided) }
    }
}

/// Whether the disk has failed.
pub fn is_of_disk(error: &StoreError) -> bool {
    matches!(error, StoreError::Io(_) | StoreError::DiskFull)
}
