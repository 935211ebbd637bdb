//! What opens the database on the disk of a machine: at the start, or when an owner has said so.
#![forbid(unsafe_code)]

use super::options::Options;
use super::owner;
use super::sabotage::{self, Sabotage};
use crate::job::{Completion, Done, Job};
use crate::secret::Secret;
use crate::store::redb::{RedbStore, Verification};
use crate::store::sealed::{self, MasterSecret};
use crate::store::tenants::{Files, Tenants};
use crate::store::{Store, StoreError};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A disk, and what opens it.
pub struct Vault {
    disk: Disk,
    /// An owner is to say what it is sealed with.
    is_sealed: bool,
    master: Option<MasterSecret>,
    /// What was closed in order is read before it is verified.
    verifies_later: bool,
    /// Every tenant has a database, and so many of them are open at a time.
    open_max: Option<usize>,
    sabotage: Option<Sabotage>,
    entropy: Choices,
    /// The database, if it is open.
    pub opened: Option<Arc<dyn Store>>,
    /// How often an owner was told that it cannot be opened.
    pub refusals: usize,
    /// How often it was opened without being verified.
    pub trusted: u64,
}

impl Vault {
    /// A disk whose database is sealed or not, and verified first or not.
    pub fn new(disk: &Disk, options: &Options, sabotage: Option<Sabotage>, entropy: Choices) -> Vault {
        let is_sealed = options.sealed && sabotage != Some(Sabotage::Unsealed);
        let master = is_sealed.then(|| MasterSecret::Key(Secret::new(vec![0x5A; 32])));
        let verifies_later = options.features.verifies_later;
        Vault {
            disk: disk.clone(),
            is_sealed: options.sealed,
            master,
            verifies_later,
            open_max: options.has_tenants().then_some(options.open_max),
            sabotage,
            entropy,
            opened: None,
            refusals: 0,
            trusted: 0,
        }
    }

    /// Opens it, as the server is to see it.
    pub fn open(&mut self) -> Result<Arc<dyn Store>, StoreError> {
        // One at a time.
        self.opened = None;
        if let Some(open_max) = self.open_max {
            let store: Arc<dyn Store> = Arc::new(tenants(&self.disk, open_max));
            self.opened = Some(Arc::clone(&store));
            return Ok(store);
        }
        let engine = if self.verifies_later && self.disk.mark() {
            let opened_at = Arc::new(AtomicU64::new(0));
            let verification = verification(&self.disk, &opened_at);
            let engine = RedbStore::with_trusted_backend(self.disk.mount(), verification)?;
            opened_at.store(self.disk.operations(), Ordering::Relaxed);
            engine
        } else {
            RedbStore::with_backend(self.disk.mount())?
        };
        if engine.is_verified() {
            self.disk.unmark();
        } else {
            self.trusted += 1;
        }
        let store = sealed::open(engine, self.master.as_ref(), &mut self.entropy)?;
        self.opened = Some(Arc::clone(&store));
        Ok(sabotage::store(self.sabotage, store))
    }

    /// Opens it for an owner: what the lane for it would do.
    pub fn provide(&mut self, job: Job) -> Completion {
        let is_sealed = self.is_sealed;
        let open = || {
            self.open().map_err(|error| {
                assert!(is_of_disk(&error), "what was handed over cannot be opened: {error}");
                format!("database: {error}")
            })
        };
        let provided = owner::provide(job.work, is_sealed, open);
        self.refusals += usize::from(provided.is_err());
        Completion { id: job.id, done: Done::Provided(provided) }
    }
}

/// The databases of tenants that lie on a disk.
pub fn tenants(disk: &Disk, open_max: usize) -> Tenants {
    Tenants::over(Box::new(Shelf(disk.clone())), open_max)
}

/// A file for each tenant.
struct Shelf(Disk);

impl Shelf {
    fn mount(&self, group: u128) -> Result<RedbStore, StoreError> {
        RedbStore::with_backend(self.0.mount_file(group))
    }
}

impl Files for Shelf {
    fn has(&self, group: u128) -> Result<bool, StoreError> {
        match self.0.is_off() {
            true => Err(StoreError::Io("the power is off".into())),
            false => Ok(self.0.has(group)),
        }
    }

    fn make(&self, group: u128) -> Result<RedbStore, StoreError> {
        self.mount(group)
    }

    fn open(&self, group: u128) -> Result<RedbStore, StoreError> {
        self.mount(group)
    }

    fn remove(&self, group: u128) {
        self.0.remove(group);
    }

    fn trouble(&self) -> Option<String> {
        self.0.is_off().then(|| "the power is off".into())
    }
}

/// What verifies the database later. Nothing is written since it was opened, which so many operations of the disk were before.
fn verification(disk: &Disk, opened_at: &Arc<AtomicU64>) -> Verification {
    let (disk, opened_at) = (disk.clone(), Arc::clone(opened_at));
    Box::new(move || {
        let is_unchanged = disk.operations() == opened_at.load(Ordering::Relaxed);
        assert!(is_unchanged, "something was written before the database was verified");
        RedbStore::with_backend(Disk::holding(disk.content()?).mount())?;
        disk.unmark();
        Ok(())
    })
}

/// Whether the disk has failed.
pub fn is_of_disk(error: &StoreError) -> bool {
    matches!(error, StoreError::Io(_) | StoreError::DiskFull)
}
